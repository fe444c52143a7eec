"""`tally import-orders --regions`: real nodes, relays that are cut, and an audit of each region."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.importing.files import Fields, file_text, row
from tests.importing.test_import_orders import import_orders

pytestmark = pytest.mark.process

COUNTRIES = ["United Kingdom"] * 4 + ["Germany", "EIRE", "France"]


def shop_rows(orders: int) -> list[Fields]:
    """Orders of two items, minute by minute; of every third a part is taken back, wherever that comes in."""
    rows = []
    for number in range(orders):
        customer, country = str(12_000 + number % 5), COUNTRIES[number % len(COUNTRIES)]
        time = f"2010-12-01 {8 + number // 60:02}:{number % 60:02}:00"
        rows += [
            row(f"{536_365 + number}", sku, 2 + number % 3, "2.55", customer, time=time, country=country)
            for sku in ("TEA", "CUP")
        ]
        if number % 3 == 2:
            rows.append(row(f"C{536_365 + number}", "TEA", -1, "2.55", customer, time=time, country=country))
    return rows


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    path.write_text(file_text(shop_rows(90)), encoding="utf-8")
    return path


def test_three_regions_and_one_of_them_cut_off(tmp_path, shop):
    """All have enough to go on. What was cancelled elsewhere meanwhile is decided afterwards."""
    code, told, said = import_orders(
        shop, "--regions", 3, "--cut", "--stock", 3, "--concurrency", 2, "--data", tmp_path / "kept", "--json"
    )
    assert code == 0, said
    assert (told["audit"], told["oversold_units"], told["digests_equal"]) == ("ok", 0, True)
    assert (told["orders_sent"], told["orders_accepted"], told["orders_refused"]) == (90, 90, 0)
    assert (told["cancellations"], told["cancellations_unmatched"]) == (30, 0)
    assert told["regions"] == ["eu", "us", "ap"]
    # Of the 30 in the middle one may have been on its way at either end, with what came beside it.
    in_cut = told["accepted_during_cut"]
    assert min(in_cut.values()) > 0
    assert 26 <= sum(in_cut.values()) <= 30
    assert told["seconds_to_converge"] > 0
    assert {each.name for each in (tmp_path / "kept").iterdir() if each.is_dir()} == {"eu", "us", "ap"}


def test_two_regions_share_what_is_short(shop):
    code, _, said = import_orders(shop, "--regions", 2, "--stock", "0.5", "--concurrency", 4)
    assert code == 0, said
    for words in ("nothing oversold", "INSUFFICIENT_STOCK", "there was no cut", "digests:", "equal"):
        assert words in said


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--cut",), "--cut needs --regions 2 or more"),
        (("--regions", 2, "--target", "127.0.0.1:1"), "--regions starts nodes of its own"),
        (("--regions", 2, "--data", "."), "is not empty"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(shop, monkeypatch, arguments, problem):
    monkeypatch.chdir(shop.parent)
    code, _, said = import_orders(shop, *arguments)
    assert code == 2
    assert problem in " ".join(said.split())
