"""Reading rich errors: what every refusal must carry, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tallystick.v1 import write_pb2

_KNOWN = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
    write_pb2.InsufficientStock,
)


@dataclass(frozen=True)
class Refusal:
    """A `google.rpc.Status`, read."""

    code: str
    reason: str
    message: str
    metadata: Mapping[str, str]
    details: Mapping[str, Any] = field(repr=False)

    @property
    def definite(self) -> bool:
        return {"true": True, "false": False}[self.metadata["definite"]]

    @property
    def fields(self) -> list[str]:
        """The fields that a BadRequest complains of."""
        detail = self.details.get("BadRequest")
        return [violation.field for violation in detail.field_violations] if detail else []

    @property
    def retry_ms(self) -> int | None:
        """The delay that a RetryInfo advises."""
        detail = self.details.get("RetryInfo")
        return detail.retry_delay.ToMilliseconds() if detail else None

    @property
    def shortages(self) -> list[Any]:
        return list(self.details["InsufficientStock"].shortages)


def read_status(status: Any) -> Refusal:
    """Read a status; what every one of ours carries is checked here."""
    details: dict[str, Message] = {}
    for packed in status.details:
        (kind,) = [kind for kind in _KNOWN if packed.Is(kind.DESCRIPTOR)]
        details[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    info: Any = details["ErrorInfo"]
    assert len(details) == len(status.details)
    assert info.domain == "tallystick"
    assert info.metadata["definite"] in ("true", "false")
    assert status.message
    return Refusal(code_pb2.Code.Name(status.code), info.reason, status.message, dict(info.metadata), details)


def status_of_call(error: grpc.aio.AioRpcError) -> Any:
    """The rich status that came with a failed call."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert (status.code, status.message) == (error.code().value[0], error.details())
            return status
    raise AssertionError(f"no rich error: {error.code()}: {error.details()}")


async def refusal(call: Awaitable[Any]) -> Refusal:
    """Await a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_status(status_of_call(caught.value))
