"""The synchronous client: the asyncio one, run by a thread of the SDK's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from tallystick.client.client import Client
from tallystick.client.convert import Items, Lines
from tallystick.client.edits import EditValue
from tallystick.client.loop_thread import shared_loop
from tallystick.client.order_calls import OrderFields, order_of
from tallystick.client.pages import Pages
from tallystick.client.values.node import NodeStatus
from tallystick.client.values.order import Order, OrderEvent, OrderState, Payment
from tallystick.client.values.stock import Stock
from tallystick.client.values.write import OrderChange, PlacedOrder, StockChange

T = TypeVar("T")


class SyncClient:
    """A client that blocks: `Client`, call by call, with the same arguments and errors.

        with SyncClient("127.0.0.1:7411", actor="batch") as client:
            placed = client.place_order(currency="EUR", lines=[Line("TEA", 2, amount=1800)])

    Any number of threads may share it, and should: orders that are placed at the same time travel together.
    Make it after a fork, never before.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        actor: str = "",
        timeout: float = 10.0,
        attempt_timeout: float | None = None,
        read_your_writes: bool = True,
        streams: int = 1,
    ) -> None:
        self._client = Client(
            addresses,
            actor=actor,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            read_your_writes=read_your_writes,
            streams=streams,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, grace: float = 5.0) -> None:
        """Take no more calls, give those under way `grace` seconds, fail the rest, disconnect."""
        self._run(self._client.close(grace))

    @property
    def address(self) -> str:
        """The preferred address."""
        return self._client.address

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where nodes are, the preferred one first."""
        return self._client.addresses

    @property
    def consistency_token(self) -> bytes:
        """See Client."""
        return self._client.consistency_token

    @overload
    def place_order(
        self, order: Order, *, try_elsewhere: bool = False, timeout: float | None = None
    ) -> PlacedOrder: ...
    @overload
    def place_order(
        self, *, try_elsewhere: bool = False, timeout: float | None = None, **fields: Unpack[OrderFields]
    ) -> PlacedOrder: ...
    def place_order(
        self,
        order: Order | None = None,
        *,
        try_elsewhere: bool = False,
        timeout: float | None = None,
        **fields: Unpack[OrderFields],
    ) -> PlacedOrder:
        """See Client."""
        return self._run(
            self._client.place_order(order_of(order, fields), try_elsewhere=try_elsewhere, timeout=timeout)
        )

    def confirm_order(
        self, order_id: str, *, request_id: str = "", timeout: float | None = None
    ) -> OrderChange:
        """See Client."""
        return self._run(self._client.confirm_order(order_id, request_id=request_id, timeout=timeout))

    def extend_hold(
        self,
        order_id: str,
        hold: timedelta | None = None,
        *,
        request_id: str = "",
        timeout: float | None = None,
    ) -> OrderChange:
        """See Client."""
        return self._run(self._client.extend_hold(order_id, hold, request_id=request_id, timeout=timeout))

    def record_payment(self, order_id: str, payment: Payment, *, timeout: float | None = None) -> OrderChange:
        """See Client."""
        return self._run(self._client.record_payment(order_id, payment, timeout=timeout))

    def cancel_order(
        self,
        order_id: str,
        lines: Lines | None = None,
        reason: str = "",
        *,
        request_id: str = "",
        timeout: float | None = None,
    ) -> OrderChange:
        """See Client."""
        return self._run(
            self._client.cancel_order(order_id, lines, reason, request_id=request_id, timeout=timeout)
        )

    def edit_order(
        self,
        order_id: str,
        changes: Mapping[str, EditValue],
        etag: str = "",
        *,
        request_id: str = "",
        timeout: float | None = None,
    ) -> OrderChange:
        """See Client."""
        return self._run(
            self._client.edit_order(order_id, changes, etag, request_id=request_id, timeout=timeout)
        )

    def get_order(
        self, order_id: str, *, consistency_token: bytes | None = None, timeout: float | None = None
    ) -> Order:
        """See Client."""
        return self._run(
            self._client.get_order(order_id, consistency_token=consistency_token, timeout=timeout)
        )

    def resolve(self, order_id: str, *, timeout: float | None = None) -> Order | None:
        """See Client."""
        return self._run(self._client.resolve(order_id, timeout=timeout))

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
    ) -> Iterator[Order]:
        """See Client: `for order in client.list_orders(): …`"""
        return self._iterate(
            lambda: self._client.list_orders(
                customer=customer,
                state=state,
                placed_from=placed_from,
                placed_until=placed_until,
                page_size=page_size,
                consistency_token=consistency_token,
                timeout=timeout,
            )
        )

    def list_order_events(
        self,
        order_id: str,
        *,
        page_size: int = 100,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Iterator[OrderEvent]:
        """See Client."""
        return self._iterate(
            lambda: self._client.list_order_events(
                order_id, page_size=page_size, consistency_token=consistency_token, timeout=timeout
            )
        )

    def receive_stock(
        self, items: Items, receipt_id: str = "", node: str = "", *, timeout: float | None = None
    ) -> StockChange:
        """See Client."""
        return self._run(self._client.receive_stock(items, receipt_id, node, timeout=timeout))

    def adjust_stock(
        self,
        items: Items,
        reason: str = "",
        adjustment_id: str = "",
        node: str = "",
        *,
        timeout: float | None = None,
    ) -> StockChange:
        """See Client."""
        return self._run(self._client.adjust_stock(items, reason, adjustment_id, node, timeout=timeout))

    def set_stock_policy(
        self,
        sku: str,
        overbooking_limit: int,
        *,
        location: str = "",
        node: str = "",
        request_id: str = "",
        timeout: float | None = None,
    ) -> StockChange:
        """See Client."""
        return self._run(
            self._client.set_stock_policy(
                sku,
                overbooking_limit,
                location=location,
                node=node,
                request_id=request_id,
                timeout=timeout,
            )
        )

    def get_stock(
        self,
        sku: str,
        location: str = "",
        *,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Stock:
        """See Client."""
        return self._run(
            self._client.get_stock(sku, location, consistency_token=consistency_token, timeout=timeout)
        )

    def list_stock(
        self,
        *,
        sku_prefix: str = "",
        page_size: int = 100,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Iterator[Stock]:
        """See Client."""
        return self._iterate(
            lambda: self._client.list_stock(
                sku_prefix=sku_prefix,
                page_size=page_size,
                consistency_token=consistency_token,
                timeout=timeout,
            )
        )

    def status(self, *, timeout: float | None = None) -> NodeStatus:
        """See Client."""
        return self._run(self._client.status(timeout=timeout))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, shared_loop())
        try:
            return future.result()
        finally:
            future.cancel()  # whoever is interrupted while waiting leaves no call behind

    def _iterate(self, start: Callable[[], Pages[T]]) -> Iterator[T]:
        async def begin() -> Pages[T]:
            return start()  # in the loop, to which the client belongs

        pages = self._run(begin())
        while page := self._run(pages.next_page()):
            yield from page
