"""Amounts: people write major units ("12.50"), the contract counts minor units (1250). Always exact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

_NO_MINOR_UNIT = """
BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
"""

EXPONENTS: Mapping[str, int] = {
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
"""ISO 4217: how many decimals a currency's minor unit has. Every other has two."""

_AMOUNT = re.compile(r"-?\d{1,19}(\.\d{1,4})?", re.ASCII)
_CURRENCY = re.compile("[A-Z]{3}", re.ASCII)
_MINOR_MAX = (1 << 63) - 1


def exponent(currency: str) -> int:
    """The decimals of a currency's minor unit."""
    return EXPONENTS.get(currency, 2)


def check_currency(text: str) -> str:
    """A currency code. Raises ValueError for what is not three capital letters."""
    if not _CURRENCY.fullmatch(text):
        raise ValueError(f"{text!r} is no ISO 4217 code: three capital letters, such as EUR")
    return text


def parse_amount(text: str, currency: str) -> int:
    """Minor units of an amount such as "12.50" or "-3". Raises ValueError rather than round."""
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"{text!r} is no amount: write {example(currency)}, a point before the decimals")
    decimals = len(text.partition(".")[2])
    digits = exponent(currency)
    if decimals > digits:
        allowed = f"{digits} decimals" if digits else "no decimals"
        raise ValueError(f"{text!r} has {decimals} decimals, and {currency} has {allowed}")
    minor = int(Decimal(text).scaleb(digits))
    if abs(minor) > _MINOR_MAX:
        raise ValueError(f"{text!r} is too large")
    return minor


def format_amount(minor: int, currency: str) -> str:
    """ "12.50 EUR" for 1250 and EUR."""
    digits = exponent(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f} {currency}".rstrip()


def example(currency: str) -> str:
    """An amount as it is written in the currency, for messages."""
    return format_amount(1250 * 10 ** max(0, exponent(currency) - 2), currency).split()[0]
