"""The client's calls about orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypedDict, TypeVar, Unpack, overload

from tallystick.client import convert
from tallystick.client.attempts import Attempts
from tallystick.client.base import ClientBase
from tallystick.client.calls import Method
from tallystick.client.convert import Lines
from tallystick.client.edits import EditValue, edit_messages
from tallystick.client.ids import new_id
from tallystick.client.pages import Pages
from tallystick.client.resolving import resolve
from tallystick.client.values.order import (
    Adjustment,
    ConfirmWhen,
    Details,
    Line,
    Order,
    OrderEvent,
    OrderState,
    Payment,
    ShortageMode,
)
from tallystick.client.values.write import OrderChange, PlacedOrder
from tallystick.client.words import ORDER_STATE
from tallystick.v1 import order_pb2, write_pb2
from tallystick.v1 import order_service_pb2 as contract


class _OrderWritten(Protocol):
    @property
    def order(self) -> order_pb2.Order: ...
    @property
    def write(self) -> write_pb2.WriteResult: ...


_Request = TypeVar("_Request")
_Response = TypeVar("_Response", bound=_OrderWritten)


class OrderFields(TypedDict, total=False):
    """What its caller says of an Order."""

    id: str
    customer: str
    currency: str
    lines: Sequence[Line]
    adjustments: Sequence[Adjustment]
    total: int | None
    confirm_when: ConfirmWhen
    hold: timedelta | None
    shortage_mode: ShortageMode
    details: Details


def order_of(order: Order | None, fields: OrderFields) -> Order:
    """The order that a caller gave, as a value or by its fields. Raises TypeError for both or neither."""
    if order is None:
        return Order(**fields)
    if fields:
        raise TypeError(f"give an order or its fields, not both: {', '.join(fields)}")
    return order


class OrderCalls(ClientBase):
    """Orders: placed, paid, confirmed, changed, cancelled, read.

    A `request_id` makes repeating a write safe, over retries and restarts of the caller too; the client draws
    one where none is given, and OutcomeUnknown tells it.

    With `replicas`, an answer waits until so many other members have the write on disk too, or the timeout is
    near; `write.replicated_to` says how many have. With `wait_for_decision`, if another node owns the order,
    it waits likewise for what that one decides; `write.disposition` says whether it has.
    """

    @overload
    async def place_order(
        self, order: Order, *, try_elsewhere: bool = False, replicas: int = 0, timeout: float | None = None
    ) -> PlacedOrder: ...
    @overload
    async def place_order(
        self,
        *,
        try_elsewhere: bool = False,
        replicas: int = 0,
        timeout: float | None = None,
        **fields: Unpack[OrderFields],
    ) -> PlacedOrder: ...
    async def place_order(
        self,
        order: Order | None = None,
        *,
        try_elsewhere: bool = False,
        replicas: int = 0,
        timeout: float | None = None,
        **fields: Unpack[OrderFields],
    ) -> PlacedOrder:
        """Place an order: hold its stock, or sell it at once. Give an Order, or its fields by name.

        Placing the same order again, now or in a year, answers the order that is there. With `try_elsewhere`,
        an order that is short of stock is tried at each other address once; if none has it, the error is the
        first one's. Raises InsufficientStock, InvalidRequest, OrderIdReused, StorageFull, Unavailable;
        OutcomeUnknown.
        """
        given = order_of(order, fields)
        seconds = self._seconds(timeout)
        if not replicas:
            return await self._open().placer.place(given, seconds, try_elsewhere=try_elsewhere)
        # Alone: what waits for other members has a deadline of its own, and must hold up no neighbours.
        request = convert.placing_request(given, self._actor, replicas)
        response = await self._open().calls.write(
            lambda at: at.orders.PlaceOrder,
            request,
            Attempts(given.id, given.id),
            seconds,
            try_elsewhere=try_elsewhere,
        )
        return convert.placed_order(response.order, convert.write_result(response.write))

    async def confirm_order(
        self,
        order_id: str,
        *,
        request_id: str = "",
        replicas: int = 0,
        wait_for_decision: bool = False,
        timeout: float | None = None,
    ) -> OrderChange:
        """Turn a hold into a sale. Raises OrderNotFound, OrderExpired, OrderCancelled, …"""
        attempts = Attempts(request_id or new_id(), order_id)
        request = contract.ConfirmOrderRequest(
            order_id=order_id,
            request_id=attempts.request_id,
            actor=self._actor,
            replicas=replicas,
            wait_for_decision=wait_for_decision,
        )
        return await self._change(lambda at: at.orders.ConfirmOrder, request, attempts, timeout)

    async def extend_hold(
        self,
        order_id: str,
        hold: timedelta | None = None,
        *,
        request_id: str = "",
        replicas: int = 0,
        wait_for_decision: bool = False,
        timeout: float | None = None,
    ) -> OrderChange:
        """Give a hold more time, counted from now: the engine's default if None."""
        attempts = Attempts(request_id or new_id(), order_id)
        request = contract.ExtendHoldRequest(
            order_id=order_id,
            request_id=attempts.request_id,
            hold=convert.duration(hold),
            actor=self._actor,
            replicas=replicas,
            wait_for_decision=wait_for_decision,
        )
        return await self._change(lambda at: at.orders.ExtendHold, request, attempts, timeout)

    async def record_payment(
        self,
        order_id: str,
        payment: Payment,
        *,
        replicas: int = 0,
        wait_for_decision: bool = False,
        timeout: float | None = None,
    ) -> OrderChange:
        """Record what a payment provider said. The same `payment_id` is never counted twice."""
        attempts = Attempts(payment.payment_id, order_id)
        request = contract.RecordPaymentRequest(
            order_id=order_id,
            payment=convert.payment_message(payment),
            actor=self._actor,
            replicas=replicas,
            wait_for_decision=wait_for_decision,
        )
        return await self._change(lambda at: at.orders.RecordPayment, request, attempts, timeout)

    async def cancel_order(
        self,
        order_id: str,
        lines: Lines | None = None,
        reason: str = "",
        *,
        request_id: str = "",
        replicas: int = 0,
        wait_for_decision: bool = False,
        timeout: float | None = None,
    ) -> OrderChange:
        """Cancel an order, or only some lines: `{"1": 2}` two units of line "1", `{"1": 0}` all of it.

        An id that was not placed yet can be cancelled, too: its placing, when it comes, is then cancelled.
        """
        attempts = Attempts(request_id or new_id(), order_id)
        request = contract.CancelOrderRequest(
            order_id=order_id,
            request_id=attempts.request_id,
            lines=convert.line_quantities(lines or ()),
            reason=reason,
            actor=self._actor,
            replicas=replicas,
            wait_for_decision=wait_for_decision,
        )
        return await self._change(lambda at: at.orders.CancelOrder, request, attempts, timeout)

    async def edit_order(
        self,
        order_id: str,
        changes: Mapping[str, EditValue],
        etag: str = "",
        *,
        request_id: str = "",
        replicas: int = 0,
        timeout: float | None = None,
    ) -> OrderChange:
        """Change an order's details: `{"note": "ring twice", "shipping_address.city": "Ghent"}`.

        None clears a field. Concurrent edits merge; with an `etag`, EtagMismatch is raised instead if
        somebody has edited since. Paths: see `tallystick.client.edits`.
        """
        attempts = Attempts(request_id or new_id(), order_id)
        details, mask = edit_messages(changes)
        request = contract.EditOrderRequest(
            order_id=order_id,
            request_id=attempts.request_id,
            details=details,
            update_mask=mask,
            etag=etag,
            actor=self._actor,
            replicas=replicas,
        )
        return await self._change(lambda at: at.orders.EditOrder, request, attempts, timeout)

    async def get_order(
        self, order_id: str, *, consistency_token: bytes | None = None, timeout: float | None = None
    ) -> Order:
        """An order, in full. Raises OrderNotFound."""
        request = contract.GetOrderRequest(order_id=order_id)
        response = await self._open().calls.read(
            lambda at: at.orders.GetOrder, request, self._token(consistency_token), self._seconds(timeout)
        )
        return convert.order_value(response.order)

    async def resolve(self, order_id: str, *, timeout: float | None = None) -> Order | None:
        """What became of placing this id, after OutcomeUnknown: the order, or None if it isn't there.

        Asks every address, and waits for nodes to be back, within the timeout. The order, as soon as one has
        it. None, if all were asked and none has it: that is what they know now; to be sure that nothing comes
        later, cancel the order. Raises Unavailable if none could be asked; OutcomeUnknown if only some could,
        and they have it not: another may.
        """
        calls = self._open().calls
        seconds = self._seconds(timeout)
        # A node among several is asked for what it has; what others have written, they tell themselves.
        token = self._token(None) if len(self.addresses) == 1 else b""

        async def ask(address: int) -> Order:
            request = contract.GetOrderRequest(order_id=order_id)
            response = await calls.read(lambda at: at.orders.GetOrder, request, token, seconds, only=address)
            return convert.order_value(response.order)

        return await resolve(order_id, map(ask, range(len(self.addresses))))

    def list_orders(
        self,
        *,
        customer: str = "",
        state: OrderState | None = None,
        placed_from: datetime | None = None,
        placed_until: datetime | None = None,
        page_size: int = 100,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Pages[Order]:
        """Orders, newest first: `async for order in client.list_orders(customer="c-1"): …`

        `placed_from` is included, `placed_until` is not; both have a time zone. `timeout` is for each page
        of `page_size`.
        """
        request = contract.ListOrdersRequest(
            customer=customer,
            state=ORDER_STATE.numbers[state or OrderState.UNKNOWN],
            placed_from=convert.timestamp(placed_from),
            placed_until=convert.timestamp(placed_until),
            page_size=page_size,
        )

        def values(response: contract.ListOrdersResponse) -> list[Order]:
            return [convert.order_value(each) for each in response.orders]

        return self._list(lambda at: at.orders.ListOrders, request, values, consistency_token, timeout)

    def list_order_events(
        self,
        order_id: str,
        *,
        page_size: int = 100,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Pages[OrderEvent]:
        """Everything that ever happened to an order, oldest first."""
        request = contract.ListOrderEventsRequest(order_id=order_id, page_size=page_size)

        def values(response: contract.ListOrderEventsResponse) -> list[OrderEvent]:
            return [convert.event_value(each) for each in response.events]

        return self._list(lambda at: at.orders.ListOrderEvents, request, values, consistency_token, timeout)

    async def _change(
        self,
        method: Method[_Request, _Response],
        request: _Request,
        attempts: Attempts,
        timeout: float | None,
    ) -> OrderChange:
        response = await self._open().calls.write(method, request, attempts, self._seconds(timeout))
        return OrderChange(
            order=convert.order_value(response.order), write=convert.write_result(response.write)
        )
