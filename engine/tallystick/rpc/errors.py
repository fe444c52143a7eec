"""From refusals to `google.rpc.Status`: one table, and the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tallystick.core.errors import InsufficientStock, Refused
from tallystick.v1 import write_pb2

DOMAIN = "tallystick"
RETRY_DELAY_MS = 100

CODES: Mapping[str, int] = {
    "INVALID_FIELD": code_pb2.INVALID_ARGUMENT,
    "CURRENCY_MISMATCH": code_pb2.INVALID_ARGUMENT,
    "LINE_NOT_FOUND": code_pb2.INVALID_ARGUMENT,
    "QUANTITY_TOO_LARGE": code_pb2.FAILED_PRECONDITION,
    "ORDER_NOT_FOUND": code_pb2.NOT_FOUND,
    "STOCK_NOT_FOUND": code_pb2.NOT_FOUND,
    "ORDER_ID_REUSED": code_pb2.ALREADY_EXISTS,
    "REQUEST_ID_REUSED": code_pb2.ALREADY_EXISTS,
    "INSUFFICIENT_STOCK": code_pb2.FAILED_PRECONDITION,
    "ORDER_CONFIRMED": code_pb2.FAILED_PRECONDITION,
    "ORDER_CANCELLED": code_pb2.FAILED_PRECONDITION,
    "ORDER_EXPIRED": code_pb2.FAILED_PRECONDITION,
    "ORDER_DUPLICATE": code_pb2.FAILED_PRECONDITION,
    "WRONG_NODE": code_pb2.FAILED_PRECONDITION,
    "ETAG_MISMATCH": code_pb2.ABORTED,
    "COUNTER_FULL": code_pb2.FAILED_PRECONDITION,
    "HISTORY_FULL": code_pb2.FAILED_PRECONDITION,
    "STORAGE_FULL": code_pb2.RESOURCE_EXHAUSTED,
    "REQUEST_TOO_LARGE": code_pb2.RESOURCE_EXHAUSTED,
    "TOO_MANY_CALLS": code_pb2.RESOURCE_EXHAUSTED,
    "NODE_STOPPING": code_pb2.UNAVAILABLE,
    "NODE_STARTING": code_pb2.UNAVAILABLE,
    "INSTALLING": code_pb2.UNAVAILABLE,
    "OWN_CHAIN_LOST": code_pb2.UNAVAILABLE,
    "NOT_A_MEMBER": code_pb2.FAILED_PRECONDITION,
    "BEHIND_TOKEN": code_pb2.UNAVAILABLE,
    "CORRUPT_RECORD": code_pb2.DATA_LOSS,
    "DOCUMENT_FULL": code_pb2.FAILED_PRECONDITION,
    "NOT_STARTED": code_pb2.DEADLINE_EXCEEDED,
    "INTERNAL": code_pb2.INTERNAL,
}
"""Reason → gRPC code. A reason that is not here would be a bug: the tests walk all of them."""

_MESSAGE_CHARS = 500
_VALUE_CHARS = 160
_SHORTAGES_BYTES = 3_000
_REGIONS_MAX = 8
"""An error says what was wrong, it does not send everything back."""

_RETRIABLE = {
    *("STORAGE_FULL", "TOO_MANY_CALLS", "NODE_STOPPING", "NODE_STARTING", "INSTALLING", "BEHIND_TOKEN"),
}


class TooManyCalls(Refused):
    """The node has as many calls in flight as it takes."""

    def __init__(self, limit: int) -> None:
        super().__init__("TOO_MANY_CALLS", f"{limit} calls are in flight, the most this node takes")


class RequestTooLarge(Refused):
    """A message beyond what the node takes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            "REQUEST_TOO_LARGE",
            f"the request has {size} bytes, the most is {limit}: send less at once",
            {"limit": str(limit)},
        )


def status_of(refused: Refused) -> status_pb2.Status:
    """The rich error of a refusal."""
    definite = getattr(refused, "definite", True)
    message = _clip(refused.message, _MESSAGE_CHARS)
    metadata = {key: _clip(value, _VALUE_CHARS) for key, value in refused.metadata.items()}
    details: list[Any] = [
        error_details_pb2.ErrorInfo(
            reason=refused.reason,
            domain=DOMAIN,
            metadata={**metadata, "definite": "true" if definite else "false"},
        )
    ]
    if "field" in refused.metadata:
        violation = error_details_pb2.BadRequest.FieldViolation(field=metadata["field"], description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(refused, InsufficientStock):
        details.append(_insufficient(refused))
    if refused.reason in _RETRIABLE:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(RETRY_DELAY_MS)
        details.append(retry)
    return status_pb2.Status(
        code=CODES[refused.reason], message=message, details=[_pack(detail) for detail in details]
    )


def _insufficient(refused: InsufficientStock) -> write_pb2.InsufficientStock:
    """As many rows as fit: an error travels in trailers, and receivers take 8 KiB of those."""
    detail = write_pb2.InsufficientStock()
    size = 0
    for row in refused.shortages:
        size += len(row.sku.encode()) + len(row.location.encode()) + 48
        size += sum(map(len, row.unreachable_regions[:_REGIONS_MAX])) + len(row.suggested_region)
        if size > _SHORTAGES_BYTES:
            break
        added = detail.shortages.add(
            sku=row.sku,
            location=row.location,
            asked=row.asked,
            available_here=row.available_here,
            available_elsewhere=row.available_elsewhere,
            unreachable_regions=row.unreachable_regions[:_REGIONS_MAX],
            suggested_region=row.suggested_region,
        )
        if row.as_of_ms:
            added.as_of.FromMilliseconds(row.as_of_ms)
    detail.shortages_total = len(refused.shortages)
    return detail


def _clip(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _pack(detail: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
