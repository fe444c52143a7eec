"""Where the money of an order stands: sums over payment facts, in minor units of the order's currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tallystick.core.order.facts import Body, Intent, PaymentKind


class Payments(NamedTuple):
    """Sums of payment facts by kind; each payment id counts once."""

    authorized: int = 0
    captured: int = 0
    voided: int = 0
    refunded: int = 0
    charged_back: int = 0

    @property
    def kept(self) -> int:
        """Money that came in and was not given back."""
        return self.captured - self.refunded - self.charged_back

    @property
    def open_authorization(self) -> int:
        """Authorised and neither voided nor captured."""
        return max(0, self.authorized - self.voided - self.captured)

    @property
    def secured(self) -> int:
        """Money that is in, or promised by a provider."""
        return self.kept + self.open_authorization


NO_PAYMENTS = Payments()

_FIELD: Mapping[int, str] = {
    PaymentKind.AUTHORIZED: "authorized",
    PaymentKind.CAPTURED: "captured",
    PaymentKind.VOIDED: "voided",
    PaymentKind.REFUNDED: "refunded",
    PaymentKind.CHARGED_BACK: "charged_back",
}


def sum_payments(facts: Iterable[Intent]) -> Payments:
    """Add up payment facts that were told apart by id already. A failed payment moves nothing, nor does one
    of a kind that this version does not know."""
    sums: dict[str, int] = {}
    for fact in facts:
        field = _FIELD.get(fact.payment_kind)
        if field:
            sums[field] = sums.get(field, 0) + fact.amount
    return Payments(**sums)


def amount_due(body: Body, cancelled: Mapping[str, int]) -> int:
    """The total less the cancelled share of each line; never below 0: a discount that outlives its lines is
    no debt of the shop's. Adjustments stand as long as the order does."""
    gone = sum(
        share(line.amount, cancelled[line.line_id], line.quantity)
        for line in (body.lines if cancelled else ())
        if cancelled.get(line.line_id) and line.quantity > 0
    )
    return max(0, body.total - gone)


def share(amount: int, units: int, of: int) -> int:
    """`amount × units / of`, rounded half to even."""
    quotient, remainder = divmod(amount * units, of)
    doubled = 2 * remainder
    if doubled > of or (doubled == of and quotient % 2):
        quotient += 1
    return quotient
