"""Tallystick: a geo-distributed order engine that never oversells.

The SDK's names are here, and are loaded when they are asked for: `import tallystick` alone costs nothing, and
the engine's own packages come without gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallystick.client import (
        Address,
        Adjustment,
        AdjustmentKind,
        Allocation,
        AvailableElsewhere,
        BehindToken,
        Claim,
        Client,
        ClientClosed,
        ConfirmWhen,
        Conflict,
        DefiniteError,
        Details,
        Disposition,
        EtagMismatch,
        IdReused,
        IndefiniteError,
        InsufficientStock,
        InvalidRequest,
        LimitReached,
        Line,
        LineNotFound,
        LineQuantity,
        NodeFault,
        NodeStatus,
        NotFound,
        Order,
        OrderCancelled,
        OrderChange,
        OrderEvent,
        OrderEventKind,
        OrderExpired,
        OrderIdReused,
        OrderLocked,
        OrderNotFound,
        OrderState,
        OutcomeUnknown,
        Overloaded,
        Pages,
        Payment,
        PaymentKind,
        PaymentSummary,
        PlacedOrder,
        PreconditionFailed,
        RequestIdReused,
        Shortage,
        ShortageMode,
        Stock,
        StockChange,
        StockNotFound,
        StockQuantity,
        StorageFull,
        StorageStatus,
        SyncClient,
        TallystickError,
        Unavailable,
        WriteResult,
        WriteState,
        WrongNode,
        new_id,
    )

__all__ = [
    "Address",
    "Adjustment",
    "AdjustmentKind",
    "Allocation",
    "AvailableElsewhere",
    "BehindToken",
    "Claim",
    "Client",
    "ClientClosed",
    "ConfirmWhen",
    "Conflict",
    "DefiniteError",
    "Details",
    "Disposition",
    "EtagMismatch",
    "IdReused",
    "IndefiniteError",
    "InsufficientStock",
    "InvalidRequest",
    "LimitReached",
    "Line",
    "LineNotFound",
    "LineQuantity",
    "NodeFault",
    "NodeStatus",
    "NotFound",
    "Order",
    "OrderCancelled",
    "OrderChange",
    "OrderEvent",
    "OrderEventKind",
    "OrderExpired",
    "OrderIdReused",
    "OrderLocked",
    "OrderNotFound",
    "OrderState",
    "OutcomeUnknown",
    "Overloaded",
    "Pages",
    "Payment",
    "PaymentKind",
    "PaymentSummary",
    "PlacedOrder",
    "PreconditionFailed",
    "RequestIdReused",
    "Shortage",
    "ShortageMode",
    "Stock",
    "StockChange",
    "StockNotFound",
    "StockQuantity",
    "StorageFull",
    "StorageStatus",
    "SyncClient",
    "TallystickError",
    "Unavailable",
    "WriteResult",
    "WriteState",
    "WrongNode",
    "new_id",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tallystick import client

    value = globals()[name] = getattr(client, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
