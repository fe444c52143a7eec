"""The synchronous client: the asyncio one, run by a thread of the SDK's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Unpack, overload

from tallystick.client.convert import Items, Lines
from tallystick.client.edits import EditValue
from tallystick.client.order_calls import OrderFields, order_of
from tallystick.client.sync_base import SyncBase
from tallystick.client.values.node import Invitation, Member, NodeStatus, Verification
from tallystick.client.values.order import Order, OrderEvent, OrderState, Payment
from tallystick.client.values.stock import ItemTokens, Stock
from tallystick.client.values.write import OrderChange, PlacedOrder, StockChange


class SyncClient(SyncBase):
    """A client that blocks: `Client`, call by call, with the same arguments and errors.

        with SyncClient("127.0.0.1:7411", actor="batch") as client:
            placed = client.place_order(currency="EUR", lines=[Line("TEA", 2, amount=1800)])

    Any number of threads may share it, and should: orders that are placed at the same time travel together.
    Make it after a fork, never before.
    """

    @overload
    def place_order(
        self, order: Order, *, try_elsewhere: bool = False, replicas: int = 0, timeout: float | None = None
    ) -> PlacedOrder: ...
    @overload
    def place_order(
        self,
        *,
        try_elsewhere: bool = False,
        replicas: int = 0,
        timeout: float | None = None,
        **fields: Unpack[OrderFields],
    ) -> PlacedOrder: ...
    def place_order(
        self,
        order: Order | None = None,
        *,
        try_elsewhere: bool = False,
        replicas: int = 0,
        timeout: float | None = None,
        **fields: Unpack[OrderFields],
    ) -> PlacedOrder:
        """See Client."""
        return self._run(
            self._client.place_order(
                order_of(order, fields), try_elsewhere=try_elsewhere, replicas=replicas, timeout=timeout
            )
        )

    def confirm_order(
        self,
        order_id: str,
        *,
        request_id: str = "",
        replicas: int = 0,
        wait_for_decision: bool = False,
        timeout: float | None = None,
    ) -> OrderChange:
        """See Client."""
        return self._run(
            self._client.confirm_order(
                order_id,
                request_id=request_id,
                replicas=replicas,
                wait_for_decision=wait_for_decision,
                timeout=timeout,
            )
        )

    def extend_hold(
        self,
        order_id: str,
        hold: timedelta | None = None,
        *,
        request_id: str = "",
        replicas: int = 0,
        wait_for_decision: bool = False,
        timeout: float | None = None,
    ) -> OrderChange:
        """See Client."""
        return self._run(
            self._client.extend_hold(
                order_id,
                hold,
                request_id=request_id,
                replicas=replicas,
                wait_for_decision=wait_for_decision,
                timeout=timeout,
            )
        )

    def record_payment(
        self,
        order_id: str,
        payment: Payment,
        *,
        replicas: int = 0,
        wait_for_decision: bool = False,
        timeout: float | None = None,
    ) -> OrderChange:
        """See Client."""
        return self._run(
            self._client.record_payment(
                order_id, payment, replicas=replicas, wait_for_decision=wait_for_decision, timeout=timeout
            )
        )

    def cancel_order(
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
        """See Client."""
        return self._run(
            self._client.cancel_order(
                order_id,
                lines,
                reason,
                request_id=request_id,
                replicas=replicas,
                wait_for_decision=wait_for_decision,
                timeout=timeout,
            )
        )

    def edit_order(
        self,
        order_id: str,
        changes: Mapping[str, EditValue],
        etag: str = "",
        *,
        request_id: str = "",
        replicas: int = 0,
        timeout: float | None = None,
    ) -> OrderChange:
        """See Client."""
        return self._run(
            self._client.edit_order(
                order_id, changes, etag, request_id=request_id, replicas=replicas, timeout=timeout
            )
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
        self,
        items: Items,
        receipt_id: str = "",
        node: str = "",
        *,
        split: Mapping[str, int] | None = None,
        replicas: int = 0,
        timeout: float | None = None,
    ) -> StockChange:
        """See Client."""
        return self._run(
            self._client.receive_stock(
                items, receipt_id, node, split=split, replicas=replicas, timeout=timeout
            )
        )

    def adjust_stock(
        self,
        items: Items,
        reason: str = "",
        adjustment_id: str = "",
        node: str = "",
        *,
        replicas: int = 0,
        timeout: float | None = None,
    ) -> StockChange:
        """See Client."""
        return self._run(
            self._client.adjust_stock(items, reason, adjustment_id, node, replicas=replicas, timeout=timeout)
        )

    def set_stock_policy(
        self,
        sku: str,
        overbooking_limit: int,
        *,
        location: str = "",
        node: str = "",
        request_id: str = "",
        replicas: int = 0,
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
                replicas=replicas,
                timeout=timeout,
            )
        )

    def move_tokens(
        self,
        items: Items,
        to: str,
        node: str = "",
        *,
        request_id: str = "",
        replicas: int = 0,
        timeout: float | None = None,
    ) -> StockChange:
        """See Client."""
        return self._run(
            self._client.move_tokens(
                items, to, node, request_id=request_id, replicas=replicas, timeout=timeout
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

    def list_tokens(
        self,
        *,
        sku_prefix: str = "",
        page_size: int = 100,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Iterator[ItemTokens]:
        """See Client."""
        return self._iterate(
            lambda: self._client.list_tokens(
                sku_prefix=sku_prefix,
                page_size=page_size,
                consistency_token=consistency_token,
                timeout=timeout,
            )
        )

    def status(self, *, timeout: float | None = None) -> NodeStatus:
        """See Client."""
        return self._run(self._client.status(timeout=timeout))

    def members(self, *, timeout: float | None = None) -> list[Member]:
        """See Client."""
        return self._run(self._client.members(timeout=timeout))

    def invite(self, valid_for: timedelta | None = None, *, timeout: float | None = None) -> Invitation:
        """See Client."""
        return self._run(self._client.invite(valid_for, timeout=timeout))

    def verify(self, *, timeout: float | None = None) -> Verification:
        """See Client."""
        return self._run(self._client.verify(timeout=timeout))
