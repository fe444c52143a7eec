"""From gRPC's reports to errors: both tables, and what the node's own reasons become."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tallystick.client import errors
from tallystick.client.failures import failure_of_call, failure_of_status
from tallystick.client.values.write import Shortage
from tallystick.core.errors import Refused
from tallystick.rpc.errors import CODES, status_of
from tallystick.v1 import write_pb2


def status(reason: str, *details: object, code: int = code_pb2.FAILED_PRECONDITION, **metadata: str):
    info = error_details_pb2.ErrorInfo(reason=reason, domain="tallystick", metadata=metadata)
    packed = [Any() for _ in (info, *details)]
    for each, detail in zip(packed, (info, *details), strict=True):
        each.Pack(detail)
    return status_pb2.Status(code=code, message="it says why", details=packed)


def call_error(code: grpc.StatusCode, rich: status_pb2.Status | bytes | None = None) -> grpc.aio.AioRpcError:
    data = rich.SerializeToString() if isinstance(rich, status_pb2.Status) else rich
    trailing = grpc.aio.Metadata(*([("grpc-status-details-bin", data)] if data is not None else []))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details="gRPC says why")


@pytest.mark.parametrize("reason", CODES)
def test_every_reason_of_the_node_is_a_definite_error_of_its_own_kind(reason):
    failure = failure_of_status(status_of(Refused(reason, "no")))
    assert isinstance(failure.error, errors.DefiniteError)
    assert type(failure.error) is not errors.DefiniteError
    assert (failure.error.reason, str(failure.error)) == (reason, "no")


EXPECTED = {
    "INVALID_FIELD": (errors.InvalidRequest, False, False),
    "ORDER_ID_REUSED": (errors.OrderIdReused, False, True),
    "REQUEST_ID_REUSED": (errors.RequestIdReused, False, True),
    "ORDER_NOT_FOUND": (errors.OrderNotFound, False, True),
    "LINE_NOT_FOUND": (errors.LineNotFound, False, True),
    "STOCK_NOT_FOUND": (errors.StockNotFound, False, True),
    "INSUFFICIENT_STOCK": (errors.InsufficientStock, False, True),
    "ORDER_CANCELLED": (errors.OrderCancelled, False, True),
    "ORDER_EXPIRED": (errors.OrderExpired, False, True),
    "ORDER_LOCKED": (errors.OrderLocked, False, True),
    "ETAG_MISMATCH": (errors.EtagMismatch, False, True),
    "WRONG_NODE": (errors.WrongNode, False, False),
    "STORAGE_FULL": (errors.StorageFull, False, False),
    "TOO_MANY_CALLS": (errors.Overloaded, True, False),
    "REQUEST_TOO_LARGE": (errors.InvalidRequest, False, False),
    "NODE_STOPPING": (errors.Unavailable, True, False),
    "NODE_STARTING": (errors.Unavailable, True, False),
    "INSTALLING": (errors.Unavailable, True, False),
    "OWN_CHAIN_LOST": (errors.Unavailable, False, False),
    "BEHIND_TOKEN": (errors.BehindToken, True, False),
    "NOT_STARTED": (errors.Unavailable, True, False),
    "INTERNAL": (errors.NodeFault, False, False),
}


@pytest.mark.parametrize("reason", EXPECTED)
def test_what_a_reason_means(reason):
    kind, retryable, verdict = EXPECTED[reason]
    failure = failure_of_status(status(reason, definite="true"))
    assert (type(failure.error), failure.retryable, failure.verdict) == (kind, retryable, verdict)


ELSEWHERE = {
    *("ORDER_NOT_FOUND", "STORAGE_FULL", "TOO_MANY_CALLS", "NODE_STOPPING", "NOT_STARTED", "BEHIND_TOKEN"),
    *("CORRUPT_RECORD", "INTERNAL", "NODE_STARTING", "INSTALLING", "OWN_CHAIN_LOST"),
}
UNWELL = {
    *("STORAGE_FULL", "TOO_MANY_CALLS", "NODE_STOPPING", "NOT_STARTED", "NODE_STARTING", "INSTALLING"),
    "OWN_CHAIN_LOST",
}


@pytest.mark.parametrize("reason", CODES)
def test_what_a_reason_means_for_other_nodes(reason):
    failure = failure_of_status(status(reason, definite="true"))
    assert (failure.elsewhere, failure.unwell) == (reason in ELSEWHERE, reason in UNWELL)
    assert failure.elsewhere or not failure.retryable


@pytest.mark.parametrize("reason", ["INTERNAL", "INSUFFICIENT_STOCK", "A_WORD_OF_TOMORROW"])
def test_what_the_node_says_of_definiteness_overrules_the_table(reason):
    failure = failure_of_status(status(reason, definite="false"))
    assert failure.indefinite
    assert not failure.verdict


def test_a_reason_of_tomorrow_is_as_definite_as_the_node_says():
    failure = failure_of_status(status("A_WORD_OF_TOMORROW", definite="true", code=code_pb2.NOT_FOUND))
    assert isinstance(failure.error, errors.NotFound)
    assert failure_of_status(status("A_WORD_OF_TOMORROW")).indefinite


def test_shortages_and_the_delay_come_as_values():
    short = write_pb2.InsufficientStock(
        shortages=[
            write_pb2.Shortage(
                sku="TEA",
                location="berlin",
                asked=5,
                available_here=2,
                available_elsewhere=7,
                as_of=Timestamp(seconds=1_760_000_000),
                unreachable_regions=["us"],
                suggested_region="ap",
            )
        ]
    )
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
    failure = failure_of_status(status("INSUFFICIENT_STOCK", short, retry, definite="true"))
    assert isinstance(failure.error, errors.InsufficientStock)
    assert failure.error.shortages == (
        Shortage(
            sku="TEA",
            location="berlin",
            asked=5,
            available_here=2,
            available_elsewhere=7,
            as_of=datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC),
            unreachable_regions=("us",),
            suggested_region="ap",
        ),
    )
    assert failure.error.retry_delay_s == failure.retry_after_s == 1.5


def test_metadata_names_the_field_and_the_node():
    invalid = failure_of_status(status("INVALID_FIELD", definite="true", field="order.lines[3].sku")).error
    assert isinstance(invalid, errors.InvalidRequest)
    assert invalid.field == "order.lines[3].sku"
    wrong = failure_of_status(status("WRONG_NODE", definite="true", node="0a0b0c0d0e0f")).error
    assert isinstance(wrong, errors.WrongNode)
    assert wrong.node == "0a0b0c0d0e0f"


DEFINITE = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.IdReused,
    grpc.StatusCode.FAILED_PRECONDITION: errors.PreconditionFailed,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    grpc.StatusCode.UNIMPLEMENTED: errors.NotServed,
    grpc.StatusCode.UNAUTHENTICATED: errors.DefiniteError,
    grpc.StatusCode.PERMISSION_DENIED: errors.DefiniteError,
}
RETRYABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_a_code_alone_is_indefinite_unless_it_proves_that_nothing_happened(code):
    failure = failure_of_call(call_error(code))
    assert type(failure.error) is DEFINITE.get(code, errors.OutcomeUnknown)
    assert failure.retryable is (code in RETRYABLE)
    assert failure.elsewhere is failure.unwell is (code in {*RETRYABLE, grpc.StatusCode.UNIMPLEMENTED})
    assert not failure.verdict
    assert "gRPC says why" in str(failure.error)


def test_the_details_of_a_call_are_read():
    rich = status("ORDER_NOT_FOUND", definite="true", code=code_pb2.NOT_FOUND)
    failure = failure_of_call(call_error(grpc.StatusCode.NOT_FOUND, rich))
    assert isinstance(failure.error, errors.OrderNotFound)


def test_details_that_are_none_of_ours_leave_the_code():
    foreign = error_details_pb2.ErrorInfo(reason="RATE_LIMITED", domain="proxy.example")
    packed = Any()
    packed.Pack(foreign)
    rich = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="slow down", details=[packed])
    assert failure_of_call(call_error(grpc.StatusCode.UNAVAILABLE, rich)).retryable
    assert failure_of_call(call_error(grpc.StatusCode.NOT_FOUND, b"\xff\xff")).error.reason == ""


def test_every_error_is_definite_or_not():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    ours = [kind for kind in kinds if issubclass(kind, errors.TallystickError)]
    assert len(ours) > 20
    for kind in ours:
        if kind is not errors.TallystickError:
            assert issubclass(kind, errors.DefiniteError) is not issubclass(kind, errors.IndefiniteError)


def test_the_tree_that_is_drawn_is_the_tree():
    assert errors.__doc__
    lines = [line for line in errors.__doc__.split("\n\n")[1].splitlines() if line]
    drawn: dict[str, int] = {}
    for line in lines:
        indented = line.lstrip("│├└─ ")
        drawn[indented.split()[0]] = (len(line) - len(indented)) // 3
    defined = {
        name: len(kind.__mro__) - len(errors.TallystickError.__mro__)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.TallystickError)
    }
    assert drawn == defined
