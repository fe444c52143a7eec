"""The walk objects: engines that are wrong on purpose, each found by the shortest story that shows it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.main import tally
from tallystick.core.clock import Head
from tallystick.core.errors import IdReused
from tallystick.core.order.facts import DecisionKind
from tallystick.core.order.status import State
from tallystick.core.replica import granting, place, tokens
from tallystick.core.replication import holdback
from tallystick.core.replication.replicator import Replicator
from tallystick.core.stock import moves
from tallystick.core.stock.rights import standing
from tallystick_sim.exhaustive.walk import walk
from tallystick_sim.exhaustive.worlds import WORLDS


@pytest.fixture
def frees_nothing(monkeypatch):
    """An entry of the table is missing: a rival that yields keeps its unit for ever."""
    monkeypatch.delitem(tokens.TOKEN_MOVES, (DecisionKind.DUPLICATE, State.HELD))


@pytest.fixture
def frees_twice(monkeypatch):
    """A rival whose hold has ended frees its unit once more when it yields."""
    monkeypatch.setitem(tokens.TOKEN_MOVES, (DecisionKind.DUPLICATE, State.EXPIRED), moves.free)


@pytest.fixture
def sells_unchecked(monkeypatch):
    """Placing looks at no rights."""
    monkeypatch.setattr(place, "standing", lambda stock, me: (9, standing(stock, me)[1]))


@pytest.fixture
def gives_unchecked(monkeypatch):
    """A grant gives what is asked for, here or not."""

    def send(view, me, key, to, units):
        stock = view.stock_of(key)
        view.put_stock(key, stock.with_row(me, moves.move(stock.row(me), to, units)))
        return units

    monkeypatch.setattr(granting, "send_tokens", send)
    monkeypatch.setattr(granting, "spare_tokens", lambda view, me, key: 9)


@pytest.fixture
def applies_early(monkeypatch):
    """Frames are joined before what they depend on."""
    monkeypatch.setattr(holdback, "_met", lambda frame, vector: True)


@pytest.fixture
def knows_no_retry(monkeypatch):
    """Who places an order again is told that the id is taken."""

    def refuse(order_id, record, data):
        raise IdReused("ORDER_ID_REUSED", "it is taken")

    monkeypatch.setattr(place, "_placed_before", refuse)


@pytest.fixture
def loses_the_vector(monkeypatch):
    """A frame that was joined before is joined again when it comes again."""
    monkeypatch.setattr(Replicator, "_take_frame", _taken_again)


def _taken_again(self, peer, frame, now_ms):
    if frame.origin != self.me.replica:
        self.held.add(frame, Head(frame.first - 1, frame.previous))


@pytest.fixture
def forgets_to_settle(monkeypatch):
    """An owner who hears of a wish decides nothing."""
    monkeypatch.setattr("tallystick.core.replica.deciding.open_wishes", lambda record, claim: [])


MUTANTS = [
    ("frees_nothing", "rivals", "at us, us's row says 0 freed, its orders say 1", 6),
    ("frees_twice", "rivals", "at eu, eu's row says 2 freed, its orders say 1", 5),
    ("sells_unchecked", "transfers", "as us sees it, the rights of us to tea are -1", 1),
    ("gives_unchecked", "transfers", "as eu sees it, the rights of eu to tea are -2", 2),
    ("applies_early", "relay", "as ap sees it, the rights of us to tea are -1", 4),
    ("knows_no_retry", "crashes", "eu refuses PlaceOrder, and need not: it is taken", 2),
    ("loses_the_vector", "rivals", "a frame that comes twice changes something", 1),
    ("forgets_to_settle", "rivals-sold", "order o was asked to be cancelled, and is confirmed", 4),
]


@pytest.mark.parametrize(("mutant", "world", "problem", "steps"), MUTANTS)
def test_a_wrong_engine_is_found(request, mutant, world, problem, steps):
    request.getfixturevalue(mutant)
    walked = walk(WORLDS[world], 30_000)
    assert (walked.broken, len(walked.story)) == (problem, steps)
    assert len(walked.scene) == len(WORLDS[world].nodes)


def test_the_command_tells_the_story(sells_unchecked):
    run = CliRunner().invoke(tally, ["sim", "exhaustive", "transfers"])
    assert run.exit_code == ExitCode.AUDIT_FAILED
    assert "BROKEN" in run.stdout
    assert "  1. us: sell 2 as a" in run.stdout
