"""`tally import-orders` against real nodes: one of its own, and one that --target names."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.importing.files import file_text, row
from tests.nodes import clean_env, start_node

SHOP = [
    row("536365", "85123A", 6, "2.55", time="2010-12-01 08:26:00"),
    row("536365", "85123A", 2, "2.550", time="2010-12-01 08:27:00"),
    row("536365", "85123A", 4, "1.95", time="2010-12-01 08:26:00"),
    row("536365", "85123a", 1, "0.085", time="2010-12-01 08:26:00", description="Café – naïve £"),
    row("536365", "POST", 1, "18.00", time="2010-12-01 08:26:00"),
    row("536366", "85123A", 8, "2.55", "12347.0", time="2010-12-01 08:30:00", country="EIRE"),
    row("C536367", "85123A", -5, "2.55", time="2010-12-01 09:00:00"),
    row("C536367", "D", -1, "27.50", time="2010-12-01 09:00:00"),
    row("C536368", "85123A", -1, "2.55", "", time="2010-12-01 09:01:00"),
    # Without the cancellations there would not be enough for this one.
    row("536369", "85123A", 3, "2.55", "", time="2010-12-01 09:30:00"),
    # There are 18 of the second, whatever was cancelled.
    row("536370", "85123A", 2, "2.55", "12348.0", time="2010-12-01 09:31:00"),
    row("536370", "85123a", 19, "0.085", "12348.0", time="2010-12-01 09:31:00"),
    row("C536371", "POST", -1, "18.00", time="2010-12-01 09:40:00"),
    row("C536371", "85123a", -1, "0.085", time="2010-12-01 09:40:00"),
    row("536372", "85123A", -3, "0.0", "", time="2010-12-01 10:00:00", description="damaged"),
    row("A536373", "B", 1, "11062.06", "", time="2010-12-01 10:00:00"),
    row("536374", "85123A", 1, "0.0", "", time="2010-12-01 10:00:00"),
]

TOLD = {
    "orders_sent": 4,
    "orders_accepted": 3,
    "orders_refused": 1,
    "cancellations": 5,
    "cancellations_unmatched": 2,
    "lines_reported": 3,
    "oversold_units": 0,
    "audit": "ok",
}

pytestmark = pytest.mark.process


def import_orders(*arguments: object) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "tallystick", "import-orders", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_env())
    return (
        done.returncode,
        json.loads(done.stdout) if "--json" in arguments else {},
        done.stdout + done.stderr,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv.gz"
    path.write_bytes(gzip.compress(file_text(SHOP).encode()))
    return path


def test_an_import_into_a_node_of_its_own(tmp_path, shop):
    """Of 85123A 25 are asked for, 22 received: 20 are sold, 5 come back, 3 more are sold."""
    report = tmp_path / "report.csv"
    code, told, _ = import_orders(shop, "--json", "--report", report)
    assert {key: told[key] for key in TOLD} == TOLD
    assert code == 0
    assert told["orders_per_second"] > 0
    assert 0 < told["p50_ms"] <= told["p99_ms"]
    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    kinds = [(fields[1], fields[3]) for fields in rows[1:]]
    assert kinds == [
        ("negative", "536372"),
        ("adjustment", "A536373"),
        ("no_price", "536374"),
        ("cancellation_unmatched", "C536367"),
        ("cancellation_unmatched", "C536368"),
    ]
    assert not list(tmp_path.glob("tally-*"))


def test_an_import_into_a_node_that_is_there_and_again(tmp_path, shop):
    """The second run finds everything done: what was refused is refused again, and nothing is doubled."""
    with start_node(tmp_path / "node") as node:
        for _ in range(2):
            code, told, _ = import_orders(shop, "--json", "--target", node.address, "--concurrency", 2)
            assert {key: told[key] for key in TOLD} == TOLD
            assert code == 0


def test_what_is_kept_can_be_audited_again_and_an_audit_that_fails_is_told(tmp_path, shop):
    """Somebody cancels an order that the import had placed: the second audit finds that less is sold."""
    code, _, said = import_orders(shop, "--data", tmp_path / "kept")
    assert code == 0, said
    assert "nothing oversold" in said
    assert "1 INSUFFICIENT_STOCK" in said
    assert "A536373" in said
    with start_node(tmp_path / "kept") as node:
        cancel = [sys.executable, "-m", "tallystick", "order", "cancel", "536366", "--target", node.address]
        subprocess.run(cancel, check=True, capture_output=True, timeout=30, env=clean_env())
        code, _, said = import_orders(shop, "--target", node.address)
    assert code == 7
    assert "3 were there already" in said
    assert "85123A: " in said


def test_a_file_of_another_format_is_a_usage_error(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    code, _, said = import_orders(path)
    assert code == 2
    assert "not a file of the format" in said
