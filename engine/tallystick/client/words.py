"""The enums of the contract, and the SDK's words for them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from tallystick.client.values import node, order, write
from tallystick.v1 import cluster_service_pb2, order_pb2, write_pb2

Word = TypeVar("Word", bound=enum.StrEnum)
Number = TypeVar("Number", bound=int)


class Words(dict[int, Word], Generic[Word, Number]):
    """An enum's words by their numbers in the contract. A number that it doesn't know is UNKNOWN."""

    def __init__(
        self,
        words: type[Word],
        prefix: str,
        contract: Iterable[tuple[str, Number]],
        unspecified: str = "UNKNOWN",
    ) -> None:
        numbers = {name.removeprefix(prefix): number for name, number in contract}
        self._unknown = words["UNKNOWN"]
        self.numbers: Mapping[Word, Number] = {
            word: numbers.get(name, numbers["UNSPECIFIED"]) for name, word in words.__members__.items()
        }
        super().__init__((number, word) for word, number in self.numbers.items() if number)
        self[0] = words[unspecified]

    def __missing__(self, number: int) -> Word:
        return self._unknown


CONFIRM_WHEN = Words(order.ConfirmWhen, "CONFIRM_WHEN_", order_pb2.ConfirmWhen.items(), "ON_PLACING")
SHORTAGE_MODE = Words(order.ShortageMode, "SHORTAGE_MODE_", order_pb2.ShortageMode.items(), "ALL_OR_NONE")
ORDER_STATE = Words(order.OrderState, "ORDER_STATE_", order_pb2.OrderState.items())
ADJUSTMENT_KIND = Words(order.AdjustmentKind, "ADJUSTMENT_KIND_", order_pb2.AdjustmentKind.items())
PAYMENT_KIND = Words(order.PaymentKind, "PAYMENT_KIND_", order_pb2.PaymentKind.items())
EVENT_KIND = Words(order.OrderEventKind, "ORDER_EVENT_KIND_", order_pb2.OrderEventKind.items())
DISPOSITION = Words(write.Disposition, "DISPOSITION_", write_pb2.Disposition.items())
LINK_STATE = Words(node.LinkState, "LINK_STATE_", cluster_service_pb2.LinkState.items())
MEMBER_STATE = Words(node.MemberState, "MEMBER_STATE_", cluster_service_pb2.MemberState.items())
WRITE_STATE = Words(node.WriteState, "WRITE_STATE_", cluster_service_pb2.WriteState.items())
