"""The client's calls about stock."""

from __future__ import annotations

from collections.abc import Mapping

from tallystick.client import convert, convert_cluster
from tallystick.client.attempts import Attempts
from tallystick.client.base import ClientBase
from tallystick.client.convert import Items
from tallystick.client.ids import new_id
from tallystick.client.pages import Pages
from tallystick.client.values.stock import ItemTokens, Stock
from tallystick.client.values.write import StockChange
from tallystick.v1 import stock_service_pb2 as contract


class StockCalls(ClientBase):
    """Stock: received, corrected, read.

    Goods lie at one place, so a write names its node: `node`, or whoever is at the preferred address when the
    call begins. It goes to the address of that node and never to another; all retries keep the name, and
    another node refuses them (WrongNode). `replicas`: as in OrderCalls.
    """

    async def receive_stock(
        self,
        items: Items,
        receipt_id: str = "",
        node: str = "",
        *,
        split: Mapping[str, int] | None = None,
        replicas: int = 0,
        timeout: float | None = None,
    ) -> StockChange:
        """Book goods in: `{"TEA": 40}`, or StockQuantity values. The same receipt is never counted twice.

        The right to sell them stays with the node, or is shared over nodes by weight: `split={node: weight}`.
        """
        session = self._open()
        name, at, seconds = await session.node_to_name(node, self._seconds(timeout))
        attempts = Attempts(receipt_id or new_id())
        request = contract.ReceiveStockRequest(
            receipt_id=attempts.request_id,
            node=name,
            items=convert.stock_quantities(items),
            actor=self._actor,
            split=convert_cluster.token_shares(split or {}),
            replicas=replicas,
        )
        response = await session.calls.write(
            lambda to: to.stock.ReceiveStock, request, attempts, seconds, only=at
        )
        return convert.stock_change(response)

    async def adjust_stock(
        self,
        items: Items,
        reason: str = "",
        adjustment_id: str = "",
        node: str = "",
        *,
        replicas: int = 0,
        timeout: float | None = None,
    ) -> StockChange:
        """Correct stock, up or down. What is missing and sold already stays visible as `owed`."""
        session = self._open()
        name, at, seconds = await session.node_to_name(node, self._seconds(timeout))
        attempts = Attempts(adjustment_id or new_id())
        request = contract.AdjustStockRequest(
            adjustment_id=attempts.request_id,
            node=name,
            items=convert.stock_quantities(items),
            reason=reason,
            actor=self._actor,
            replicas=replicas,
        )
        response = await session.calls.write(
            lambda to: to.stock.AdjustStock, request, attempts, seconds, only=at
        )
        return convert.stock_change(response)

    async def set_stock_policy(
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
        """Say how many units the node may sell of an item beyond what was received."""
        session = self._open()
        name, at, seconds = await session.node_to_name(node, self._seconds(timeout))
        attempts = Attempts(request_id or new_id())
        request = contract.SetStockPolicyRequest(
            request_id=attempts.request_id,
            node=name,
            sku=sku,
            location=location,
            overbooking_limit=overbooking_limit,
            actor=self._actor,
            replicas=replicas,
        )
        response = await session.calls.write(
            lambda to: to.stock.SetStockPolicy, request, attempts, seconds, only=at
        )
        return convert.policy_change(response)

    async def move_tokens(
        self,
        items: Items,
        to: str,
        node: str = "",
        *,
        request_id: str = "",
        replicas: int = 0,
        timeout: float | None = None,
    ) -> StockChange:
        """Give another node the right to sell so many units; the goods stay where they are.

        Raises InsufficientStock if the node that gives has fewer.
        """
        session = self._open()
        name, at, seconds = await session.node_to_name(node, self._seconds(timeout))
        attempts = Attempts(request_id or new_id())
        request = contract.MoveTokensRequest(
            request_id=attempts.request_id,
            node=name,
            to=to,
            items=convert.stock_quantities(items),
            actor=self._actor,
            replicas=replicas,
        )
        response = await session.calls.write(
            lambda giver: giver.stock.MoveTokens, request, attempts, seconds, only=at
        )
        return convert.stock_change(response)

    async def get_stock(
        self,
        sku: str,
        location: str = "",
        *,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Stock:
        """One item. Raises StockNotFound."""
        request = contract.GetStockRequest(sku=sku, location=location)
        response = await self._open().calls.read(
            lambda at: at.stock.GetStock, request, self._token(consistency_token), self._seconds(timeout)
        )
        return convert.stock_value(response.stock)

    def list_stock(
        self,
        *,
        sku_prefix: str = "",
        page_size: int = 100,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Pages[Stock]:
        """Items by sku and location: `async for item in client.list_stock(): …`"""
        request = contract.ListStockRequest(sku_prefix=sku_prefix, page_size=page_size)

        def values(response: contract.ListStockResponse) -> list[Stock]:
            return [convert.stock_value(each) for each in response.stock]

        return self._list(lambda at: at.stock.ListStock, request, values, consistency_token, timeout)

    def list_tokens(
        self,
        *,
        sku_prefix: str = "",
        page_size: int = 100,
        consistency_token: bytes | None = None,
        timeout: float | None = None,
    ) -> Pages[ItemTokens]:
        """Who may sell how many units of each item, and how long that lasts there."""
        request = contract.ListTokensRequest(sku_prefix=sku_prefix, page_size=page_size)

        def values(response: contract.ListTokensResponse) -> list[ItemTokens]:
            return [convert_cluster.item_tokens(each) for each in response.items]

        return self._list(lambda at: at.stock.ListTokens, request, values, consistency_token, timeout)
