"""Amounts are exact or refused: a price that was silently rounded is a price that is wrong."""

import pytest

from tallystick.cli.money import EXPONENTS, check_currency, example, format_amount, parse_amount

EXACT = [
    ("12.50", "EUR", 1250, "12.50 EUR"),
    ("12.5", "EUR", 1250, "12.50 EUR"),
    ("12", "EUR", 1200, "12.00 EUR"),
    ("-2.00", "USD", -200, "-2.00 USD"),
    ("0.01", "GBP", 1, "0.01 GBP"),
    ("-0.01", "GBP", -1, "-0.01 GBP"),
    ("0", "EUR", 0, "0.00 EUR"),
    ("1200", "JPY", 1200, "1200 JPY"),
    ("1.234", "KWD", 1234, "1.234 KWD"),
    ("1.2345", "CLF", 12345, "1.2345 CLF"),
    ("0.29", "EUR", 29, "0.29 EUR"),  # 0.29 × 100 is 28.999… in floats
    ("92233720368547758.07", "EUR", (1 << 63) - 1, "92233720368547758.07 EUR"),
]


@pytest.mark.parametrize(("text", "currency", "minor", "shown"), EXACT)
def test_an_amount_is_read_and_shown_exactly(text, currency, minor, shown):
    assert parse_amount(text, currency) == minor
    assert format_amount(minor, currency) == shown


WRONG = [
    ("12.505", "EUR", "3 decimals, and EUR has 2"),
    ("1.5", "JPY", "no decimals"),
    ("12,50", "EUR", "12.50"),
    ("1.200,00", "EUR", "is no amount"),
    ("1e3", "EUR", "is no amount"),
    ("NaN", "EUR", "is no amount"),
    ("", "EUR", "is no amount"),
    ("١٢", "EUR", "is no amount"),  # digits of another script
    (".5", "EUR", "is no amount"),
    ("92233720368547758.08", "EUR", "too large"),
]


@pytest.mark.parametrize(("text", "currency", "problem"), WRONG)
def test_what_is_no_amount_of_the_currency_is_refused(text, currency, problem):
    with pytest.raises(ValueError, match=problem):
        parse_amount(text, currency)


def test_examples_are_amounts():
    for currency in ("EUR", "JPY", "KWD", "CLF"):
        parse_amount(example(currency), currency)


@pytest.mark.parametrize("text", ["eur", "EURO", "E1R", ""])
def test_a_currency_is_three_capitals(text):
    with pytest.raises(ValueError, match="ISO 4217"):
        check_currency(text)


def test_exponents_are_of_known_currencies():
    assert all(check_currency(code) and digits in (0, 3, 4) for code, digits in EXPONENTS.items())
