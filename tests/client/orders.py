"""Orders as a caller may write them, for Hypothesis."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from tallystick.client.values.order import (
    Address,
    Adjustment,
    AdjustmentKind,
    ConfirmWhen,
    Details,
    Line,
    Order,
    ShortageMode,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=12)

LINES = st.builds(
    Line,
    sku=TEXT,
    quantity=INT64,
    amount=INT64,
    unit_price=INT64,
    location=TEXT,
    line_id=TEXT,
    untracked=st.booleans(),
    description=TEXT,
)
ADJUSTMENTS = st.builds(
    Adjustment, adjustment_id=TEXT, kind=st.sampled_from(AdjustmentKind), amount=INT64, description=TEXT
)
ADDRESSES = st.builds(
    Address, name=TEXT, organization=TEXT, street=TEXT, city=TEXT, region=TEXT, postal_code=TEXT, country=TEXT
)
DETAILS = st.builds(
    Details,
    shipping_address=st.none() | ADDRESSES,
    billing_address=st.none() | ADDRESSES,
    email=TEXT,
    phone=TEXT,
    note=TEXT,
    tags=st.frozensets(TEXT, max_size=3),
    attributes=st.dictionaries(TEXT, TEXT, max_size=3),
)
HOLDS = st.timedeltas(timedelta(days=-9_999), timedelta(days=9_999))
ORDERS = st.builds(
    Order,
    id=TEXT,
    customer=TEXT,
    currency=TEXT,
    lines=st.lists(LINES, max_size=3),
    adjustments=st.lists(ADJUSTMENTS, max_size=2),
    total=st.none() | INT64,
    confirm_when=st.sampled_from([each for each in ConfirmWhen if each is not ConfirmWhen.UNKNOWN]),
    hold=st.none() | HOLDS,
    shortage_mode=st.sampled_from([each for each in ShortageMode if each is not ShortageMode.UNKNOWN]),
    details=DETAILS,
)
