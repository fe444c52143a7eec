"""What several attempts prove together: the rule of outcomes that are unknown."""

from __future__ import annotations

import pytest

from tallystick.client import errors
from tallystick.client.attempts import Attempts, backoff_s
from tallystick.client.failures import Failure

LOST = Failure(errors.OutcomeUnknown("connection reset"), True, False, 0.0)
SOLD_OUT = Failure(errors.InsufficientStock("none left"), False, True, 0.0)
REUSED = Failure(errors.OrderIdReused("other content", reason="ORDER_ID_REUSED"), False, True, 0.0)
BUSY = Failure(errors.Overloaded("too many calls"), True, False, 0.0)
STOPPING = Failure(errors.Unavailable("stopping"), True, False, 0.0)
FULL = Failure(errors.StorageFull("disk full"), False, False, 0.0)
MALFORMED = Failure(errors.InvalidRequest("no lines"), False, False, 0.0)
VERDICTS = [SOLD_OUT, REUSED]
AT_THE_DOOR = [BUSY, STOPPING, FULL, MALFORMED]


def judged(attempts: Attempts, failure: Failure, node: str) -> errors.TallystickError:
    """The error to raise if this was the last attempt."""
    attempts.note(failure, node)
    return attempts.conclude(failure)


@pytest.fixture
def attempts() -> Attempts:
    return Attempts("order-1", "order-1")


@pytest.mark.parametrize("failure", VERDICTS + AT_THE_DOOR)
def test_a_first_refusal_is_definite(attempts, failure):
    assert judged(attempts, failure, "a") is failure.error


@pytest.mark.parametrize("failure", VERDICTS)
def test_a_verdict_of_the_same_incarnation_settles_what_was_lost(attempts, failure):
    attempts.lose("a")
    assert judged(attempts, failure, "a") is failure.error


@pytest.mark.parametrize("failure", VERDICTS)
def test_a_verdict_from_elsewhere_settles_nothing(attempts, failure):
    """A node that came back from a backup does not know what its former self had stored."""
    attempts.lose("a")
    error = judged(attempts, failure, "b")
    assert isinstance(error, errors.OutcomeUnknown)
    assert (error.request_id, error.order_id, error.__cause__) == ("order-1", "order-1", failure.error)
    assert error.reason == failure.error.reason


def test_what_was_lost_at_two_nodes_takes_the_verdicts_of_both(attempts):
    attempts.lose("a")
    attempts.lose("b")
    assert isinstance(judged(attempts, SOLD_OUT, "b"), errors.OutcomeUnknown)
    assert isinstance(judged(attempts, BUSY, "a"), errors.OutcomeUnknown)
    assert judged(attempts, SOLD_OUT, "a") is SOLD_OUT.error


def test_a_verdict_is_overtaken_by_what_is_lost_after_it(attempts):
    """Short of stock here, tried elsewhere, and no answer from there."""
    attempts.note(SOLD_OUT, "a")
    attempts.note(LOST, "b")
    error = attempts.conclude(SOLD_OUT)
    assert isinstance(error, errors.OutcomeUnknown)
    assert error.__cause__ is SOLD_OUT.error


@pytest.mark.parametrize("failure", AT_THE_DOOR)
def test_being_turned_away_settles_nothing(attempts, failure):
    attempts.lose("a")
    assert isinstance(judged(attempts, failure, "a"), errors.OutcomeUnknown)


def test_a_lost_attempt_counts_by_itself(attempts):
    assert isinstance(judged(attempts, LOST, "a"), errors.OutcomeUnknown)
    assert judged(attempts, SOLD_OUT, "a") is SOLD_OUT.error


def test_giving_up_is_definite_only_if_nothing_was_ever_sent(attempts):
    never = attempts.give_up("no answer within 10 s", under_way=False)
    assert type(never) is errors.Unavailable
    closed = attempts.give_up("closed", under_way=False, if_never_sent=errors.ClientClosed)
    assert type(closed) is errors.ClientClosed
    assert type(attempts.give_up("no answer", under_way=True)) is errors.OutcomeUnknown
    attempts.lose("a")
    assert type(attempts.give_up("no answer", under_way=False)) is errors.OutcomeUnknown


def test_backing_off_doubles_to_a_second_and_heeds_the_node():
    longest = [backoff_s(tries, 0.0, luck=1.0) for tries in range(8)]
    assert longest == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert [backoff_s(tries, 0.0, luck=0.0) for tries in range(8)] == [each / 2 for each in longest]
    assert backoff_s(0, 0.7, luck=0.5) == 0.7
    assert backoff_s(10_000, 0.0, luck=1.0) == 1.0
