"""From what gRPC reports to the SDK's errors: two tables, one by reason and one by status code.

A node's own refusals carry `google.rpc.ErrorInfo` with a stable reason and the metadata `definite`. What
comes without it was made up on the way, by gRPC, a proxy or a dying process, and only a few of those codes
prove that nothing happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from tallystick.client import errors
from tallystick.client.convert import shortages_of
from tallystick.v1 import write_pb2

DOMAIN = "tallystick"
_DETAILS_KEY = "grpc-status-details-bin"


class Failure(NamedTuple):
    """One attempt that failed.

    `retryable`: the same node may take it later. `verdict`: the node looked the id up, did not find it stored
    and judged the request; else it was turned away at the door, or never got there. `retry_after_s`: what the
    node advised; 0 if nothing. `elsewhere`: another node may take it; so it is with all that is retryable.
    `unwell`: the node had better be left alone for a while.
    """

    error: errors.TallystickError
    retryable: bool
    verdict: bool = False
    retry_after_s: float = 0.0
    elsewhere: bool = False
    unwell: bool = False

    @property
    def indefinite(self) -> bool:
        """Whether the attempt itself may have happened."""
        return isinstance(self.error, errors.IndefiniteError)


class _Rule(NamedTuple):
    error: type[errors.TallystickError]
    retryable: bool = False
    verdict: bool = False
    elsewhere: bool = False
    unwell: bool = False


_VERDICTS: Mapping[str, type[errors.TallystickError]] = {
    "LINE_NOT_FOUND": errors.LineNotFound,
    "STOCK_NOT_FOUND": errors.StockNotFound,
    "ORDER_ID_REUSED": errors.OrderIdReused,
    "REQUEST_ID_REUSED": errors.RequestIdReused,
    "INSUFFICIENT_STOCK": errors.InsufficientStock,
    "ORDER_CANCELLED": errors.OrderCancelled,
    "ORDER_EXPIRED": errors.OrderExpired,
    "ORDER_LOCKED": errors.OrderLocked,
    "ORDER_CONFIRMED": errors.PreconditionFailed,
    "ORDER_DUPLICATE": errors.PreconditionFailed,
    "QUANTITY_TOO_LARGE": errors.PreconditionFailed,
    "ETAG_MISMATCH": errors.EtagMismatch,
    "CURRENCY_MISMATCH": errors.InvalidRequest,
    "HISTORY_FULL": errors.LimitReached,
    "COUNTER_FULL": errors.LimitReached,
}

_REASONS: Mapping[str, _Rule] = {
    **{reason: _Rule(error, verdict=True) for reason, error in _VERDICTS.items()},
    # It may have been placed at another node, and not be here yet.
    "ORDER_NOT_FOUND": _Rule(errors.OrderNotFound, verdict=True, elsewhere=True),
    # Checked before the id is looked up.
    "INVALID_FIELD": _Rule(errors.InvalidRequest),
    "REQUEST_TOO_LARGE": _Rule(errors.InvalidRequest),
    "WRONG_NODE": _Rule(errors.WrongNode),
    "STORAGE_FULL": _Rule(errors.StorageFull, elsewhere=True, unwell=True),
    "TOO_MANY_CALLS": _Rule(errors.Overloaded, retryable=True, elsewhere=True, unwell=True),
    "NODE_STOPPING": _Rule(errors.Unavailable, retryable=True, elsewhere=True, unwell=True),
    "NODE_STARTING": _Rule(errors.Unavailable, retryable=True, elsewhere=True, unwell=True),
    "INSTALLING": _Rule(errors.Unavailable, retryable=True, elsewhere=True, unwell=True),
    "OWN_CHAIN_LOST": _Rule(errors.Unavailable, elsewhere=True, unwell=True),
    "NOT_STARTED": _Rule(errors.Unavailable, retryable=True, elsewhere=True, unwell=True),
    "BEHIND_TOKEN": _Rule(errors.BehindToken, retryable=True, elsewhere=True),
    "CORRUPT_RECORD": _Rule(errors.NodeFault, elsewhere=True),
    "INTERNAL": _Rule(errors.NodeFault, elsewhere=True),
}

# Codes that by themselves prove that nothing happened. RESOURCE_EXHAUSTED doesn't: gRPC also makes it of an
# answer that is too large to receive.
_DEFINITE_CODES: Mapping[StatusCode, type[errors.TallystickError]] = {
    StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    StatusCode.NOT_FOUND: errors.NotFound,
    StatusCode.ALREADY_EXISTS: errors.IdReused,
    StatusCode.FAILED_PRECONDITION: errors.PreconditionFailed,
    StatusCode.PERMISSION_DENIED: errors.DefiniteError,
    StatusCode.UNAUTHENTICATED: errors.DefiniteError,
    StatusCode.UNIMPLEMENTED: errors.NotServed,
}
# The deadline that passed may have been the attempt's, with time left for another.
_RETRYABLE_CODES = frozenset({StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.DEADLINE_EXCEEDED})
# Said by what is no node, or one of another version.
_ELSEWHERE_CODES = _RETRYABLE_CODES | {StatusCode.UNIMPLEMENTED}
_CODE_BY_NUMBER: Mapping[int, StatusCode] = {code.value[0]: code for code in StatusCode}


def failure_of_call(error: grpc.aio.AioRpcError) -> Failure:
    """What a call, or a whole stream, ended with."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            try:
                return failure_of_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break  # not a node's: judged by its code
    return _by_code(error.code(), error.details() or "")


def failure_of_status(status: status_pb2.Status) -> Failure:
    """What one order of a stream was answered with."""
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    short = write_pb2.InsufficientStock()
    for detail in status.details:
        # Unpack answers whether the detail is of the message's type, and fills the message if it is.
        _ = detail.Unpack(info) or detail.Unpack(retry) or detail.Unpack(short)
    if info.domain != DOMAIN:
        return _by_code(_CODE_BY_NUMBER.get(status.code, StatusCode.UNKNOWN), status.message)
    metadata = dict(info.metadata)
    delay = retry.retry_delay
    retry_after_s = delay.seconds + delay.nanos / 1e9
    rule = _rule(info.reason, metadata, status.code)
    error: errors.TallystickError
    if rule.error is errors.InsufficientStock:
        error = errors.InsufficientStock(
            status.message,
            metadata=metadata,
            shortages=shortages_of(short),
            retry_delay_s=retry_after_s,
        )
    else:
        error = rule.error(status.message, reason=info.reason, metadata=metadata)
    return Failure(error, rule.retryable, rule.verdict, retry_after_s, rule.elsewhere, rule.unwell)


def worth_trying_elsewhere(failure: Failure) -> Failure:
    """Being short of stock is final, unless the caller will have it from whoever has it."""
    short = isinstance(failure.error, errors.InsufficientStock)
    return failure._replace(elsewhere=True) if short else failure


def unreachable(error: errors.TallystickError) -> Failure:
    """An attempt that was never sent, because there was no connection to a node: `error` says why."""
    closed = isinstance(error, errors.ClientClosed)
    passing = isinstance(error, errors.Unavailable) and not closed
    return Failure(error, retryable=passing, elsewhere=not closed, unwell=not closed)


def unanswered(why: str, *, unwell: bool) -> Failure:
    """An attempt that was sent, and of which nothing will be heard any more."""
    return Failure(errors.OutcomeUnknown(why), retryable=True, elsewhere=True, unwell=unwell)


def _rule(reason: str, metadata: Mapping[str, str], code: int) -> _Rule:
    """The reason's row; what the node says of definiteness overrules it."""
    if metadata.get("definite") == "false":
        return _Rule(errors.OutcomeUnknown)
    known = _REASONS.get(reason)
    if known is not None:
        return known
    if metadata.get("definite") == "true":  # a newer node's word
        return _Rule(_DEFINITE_CODES.get(_CODE_BY_NUMBER[code], errors.DefiniteError))
    return _Rule(errors.OutcomeUnknown)


def _by_code(code: StatusCode, message: str) -> Failure:
    text = f"{code.name}: {message}" if message else code.name
    elsewhere = code in _ELSEWHERE_CODES
    error = _DEFINITE_CODES.get(code, errors.OutcomeUnknown)(text)
    return Failure(error, code in _RETRYABLE_CODES, elsewhere=elsewhere, unwell=elsewhere)
