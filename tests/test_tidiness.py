"""Tidiness is a test: the shape of the repository, and the proof that each rule of shape bites."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tallystick
from tests import tidiness

ROOT = Path(__file__).resolve().parent.parent

# The public names of the SDK: adding one is a promise, removing one breaks callers.
PUBLIC_NAMES = [
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
    "Difference",
    "Disposition",
    "EtagMismatch",
    "IdReused",
    "IndefiniteError",
    "InsufficientStock",
    "InvalidRequest",
    "Invitation",
    "ItemTokens",
    "LimitReached",
    "Line",
    "LineNotFound",
    "LineQuantity",
    "LinkState",
    "Member",
    "MemberState",
    "NodeFault",
    "NodeStatus",
    "NodeTokens",
    "NotFound",
    "NotServed",
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
    "PeerStatus",
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
    "Verification",
    "WriteResult",
    "WriteState",
    "WrongNode",
    "new_id",
]

ENTRY_POINTS = ("tallystick", "tallystick.__main__", "tallystick.cli.main")
SIM_ENTRY_POINTS = ("tallystick_sim", "tallystick_sim.__main__")

# Modules that nothing imports, and why they are there all the same.
UNREACHED: dict[str, str] = {}


def report(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


# ------------------------------------------------------------------------------------------- the repository


def test_imports_point_inward():
    report(tidiness.layer_problems(ROOT))


def test_files_and_functions_are_short():
    report(tidiness.size_problems(ROOT))


def test_nothing_is_unfinished_swallowed_or_slept_through():
    report(tidiness.habit_problems(ROOT))


def test_links_resolve():
    report(tidiness.link_problems(ROOT))


def test_no_module_is_dead():
    modules = tidiness.load_modules(ROOT)
    dead = set()
    if "tallystick.cli.main" in modules:
        dead |= {name for name in tidiness.unreached(modules, ENTRY_POINTS) if name.startswith("tallystick.")}
    if "tallystick_sim.__main__" in modules:
        reached_by_sim = tidiness.unreached(modules, SIM_ENTRY_POINTS)
        dead |= {name for name in reached_by_sim if name.startswith("tallystick_sim.")}
    report(
        [
            f"{modules[name].path.relative_to(ROOT)}:1: nothing imports it"
            for name in sorted(dead - set(UNREACHED))
        ]
        + [f"{name} is listed in UNREACHED, but isn't" for name in sorted(set(UNREACHED) - dead)]
    )


def test_public_names_are_pinned():
    names = getattr(tallystick, "__all__", [])
    assert sorted(names) == sorted(PUBLIC_NAMES)
    assert [name for name in names if not hasattr(tallystick, name)] == []


def test_the_lock_holds_every_dependency():
    """Whoever edits pyproject.toml runs `make lock`: the lock is what everybody installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = dict(
        line.split()[0].split("==") for line in lock.splitlines() if "==" in line and line[0].isalnum()
    )
    optional = project["project"].get("optional-dependencies", {}).values()
    wanted = [project["project"]["dependencies"], *optional, *project["dependency-groups"].values()]
    for text in (text for group in wanted for text in group):
        requirement = Requirement(text)
        pin = pins.get(canonicalize_name(requirement.name), "nothing")
        assert requirement.specifier.contains(pin), f"{text}: the lock has {pin}; mend it with: make lock"


# ----------------------------------------------------------------------------------------- every rule bites


def checkout(root: Path, **files: str) -> Path:
    """A tiny repository: `core__clock="…"` is engine/tallystick/core/clock.py, `README.md` itself."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


CORE = "engine/tallystick/core"

OUTWARD = [
    (f"{CORE}/clock.py", "import time", "the core is pure"),
    (f"{CORE}/clock.py", "def f():\n    from os import path", "the core is pure"),
    (f"{CORE}/clock.py", "from google import protobuf", "the core is pure"),
    (f"{CORE}/order/status.py", "import pycrdt", "only tallystick.core.order.document"),
    (f"{CORE}/clock.py", "from tallystick.core import stock", "core.clock is below core.stock"),
    (f"{CORE}/stock/rights.py", "from ..replica import step", "core.stock is below core.replica"),
    (f"{CORE}/stock/rights.py", "import tallystick.core", "not the core as a whole"),
    (f"{CORE}/puzzle.py", "", "has no rank"),
    (f"{CORE}/clock.py", "from tallystick.store import port", "tallystick.core may import nothing"),
    ("engine/tallystick/store/port.py", "import tallystick.node.driver", "may import tallystick.core"),
    ("engine/tallystick/store/port.py", "import tallystick", "front door"),
    ("engine/tallystick/client/sdk.py", "import tallystick.core.clock", "may import tallystick.v1"),
    ("engine/tallystick/rpc/orders.py", "import tallystick.client.ids", "tallystick.rpc may import"),
    ("engine/tallystick/node/driver.py", "import tallystick.cli.main", "tallystick.node may import"),
    (
        "engine/tallystick/node/driver.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tallystick.rpc.orders",
        "tallystick.node may import",
    ),
    ("engine/tallystick/puzzle.py", "", "in no layer"),
    ("sim/tallystick_sim/world.py", "import tallystick.rpc.links", "tallystick_sim may import"),
]


@pytest.mark.parametrize(("path", "source", "expected"), OUTWARD)
def test_an_import_outward_is_found(tmp_path, path, source, expected):
    root = checkout(tmp_path, **{f"{CORE}/stock/__init__.py": "", f"{CORE}/__init__.py": "", path: source})
    (problem,) = tidiness.layer_problems(root)
    assert problem.startswith(f"{path}:{max(1, len(source.splitlines()))}: ")
    assert expected in problem


INWARD = [
    (f"{CORE}/order/document.py", "import pycrdt"),
    (f"{CORE}/stock/rights.py", "from tallystick.core.clock import Dot"),
    (f"{CORE}/stock/rights.py", "from . import holds"),
    ("engine/tallystick/cli/main.py", "import tallystick.node.driver, tallystick_sim, tallystick"),
    ("engine/tallystick/rpc/orders.py", "from tallystick.v1 import order_pb2\nimport grpc, time"),
    ("engine/tallystick/__init__.py", "from tallystick.client import Client"),
    ("sim/tallystick_sim/world.py", "import random, tallystick.store.memory, tallystick.node.driver"),
]


@pytest.mark.parametrize(("path", "source"), INWARD)
def test_an_import_inward_is_welcome(tmp_path, path, source):
    assert tidiness.layer_problems(checkout(tmp_path, **{path: source})) == []


def test_a_circle_in_the_core_is_found(tmp_path):
    root = checkout(
        tmp_path,
        **{
            f"{CORE}/stock.py": "import tallystick.core.order",
            f"{CORE}/order.py": "import tallystick.core.members",
            f"{CORE}/members.py": "import tallystick.core.stock",
        },
    )
    assert tidiness.layer_problems(root) == [
        "engine/tallystick/core: units import each other: members → stock → order → members"
    ]


def test_what_is_too_long_is_found(tmp_path):
    body = "    x = 1\n"
    root = checkout(
        tmp_path,
        **{
            "engine/tallystick/a.py": "def f():\n" + body * 50,
            "engine/tallystick/b.py": "def f():\n" + body * 49,
            "engine/tallystick/c_pb2.py": "x = 1\n" * 401,
            "sim/tallystick_sim/d.py": "x = 1\n" * 401,
            "tests/e.py": "async def f():\n" + body * 60,
            "tests/f.py": "x = 1\n" * 400,
        },
    )
    found = [problem.partition(": ")[0] for problem in tidiness.size_problems(root)]
    assert found == ["engine/tallystick/a.py:1", "sim/tallystick_sim/d.py:401", "tests/e.py:1"]


def test_a_dead_module_is_found(tmp_path):
    root = checkout(
        tmp_path,
        **{
            "engine/tallystick/__init__.py": "",
            "engine/tallystick/cli/__init__.py": "import tallystick.live",
            "engine/tallystick/cli/main.py": "def f():\n    from tallystick.core import clock",
            "engine/tallystick/live.py": "",
            "engine/tallystick/dead.py": "import tallystick.deader",
            "engine/tallystick/deader.py": "",
            "engine/tallystick/core/__init__.py": "",
            "engine/tallystick/core/clock.py": "",
            "engine/tallystick/v1/x_pb2.py": "",
        },
    )
    dead = tidiness.unreached(tidiness.load_modules(root), ENTRY_POINTS)
    assert dead == {"tallystick.dead", "tallystick.deader"}


HABITS = [
    ("engine/tallystick/a.py", "# TO" + "DO: later", True),
    ("engine/tallystick/a.py", '"""FIX' + 'ME."""', True),
    ("engine/tallystick/a.py", 'CURRENCY = "XX' + 'X"', False),
    ("engine/tallystick/a.py", "try:\n    f()\nexcept:\n    raise", True),
    ("engine/tallystick/a.py", "try:\n    f()\nexcept (ValueError, Exception):\n    pass", True),
    ("engine/tallystick/a.py", "try:\n    f()\nexcept ValueError:\n    pass", False),
    ("engine/tallystick/a.py", "import contextlib\nwith contextlib.suppress(Exception):\n    f()", True),
    ("tests/a.py", "import time\ntime.sleep(0)", True),
    ("tests/a.py", "from time import sleep", True),
    ("tests/a.py", "async def f():\n    await asyncio.sleep(0.1)", True),
    ("tests/a.py", "async def f():\n    await asyncio.sleep(0)", False),
    ("engine/tallystick/a.py", "async def f():\n    await asyncio.sleep(0.1)", False),
]


@pytest.mark.parametrize(("path", "source", "found"), HABITS)
def test_a_bad_habit_is_found(tmp_path, path, source, found):
    assert bool(tidiness.habit_problems(checkout(tmp_path, **{path: source}))) is found


def test_a_broken_link_is_found(tmp_path):
    readme = (
        "[here](docs/a.md#top) [out](https://example.org) [up](#top) [gone](docs/b.md)\n"
        "```\n[code](nowhere)\n```\n`[more](nowhere)`\n[outside](../secret)\n"
    )
    root = checkout(tmp_path, **{"README.md": readme, "docs/a.md": "[back](../README.md) [self](a.md)"})
    assert tidiness.link_problems(root) == [
        "README.md:1: the link to docs/b.md leads nowhere",
        "README.md:6: the link to ../secret leads nowhere",
    ]
