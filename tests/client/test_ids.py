"""UUIDv7: the layout of RFC 9562, and rising within a process."""

from __future__ import annotations

import threading
import time
import uuid

from tallystick.client import ids
from tallystick.client.ids import new_id


def test_it_is_a_uuid_of_version_7_with_the_time_in_front():
    before_ms = time.time_ns() // 1_000_000
    drawn = uuid.UUID(new_id())
    after_ms = time.time_ns() // 1_000_000
    assert (drawn.version, drawn.variant) == (7, uuid.RFC_4122)
    # A burst of draws within one millisecond may have run a little ahead of the clock.
    assert before_ms <= drawn.int >> 80 <= after_ms + 1


def test_ids_rise():
    drawn = [new_id() for _ in range(10_000)]
    assert drawn == sorted(set(drawn))


def test_ids_rise_when_the_clock_steps_back(monkeypatch):
    before = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    after = new_id()
    assert before < after
    assert uuid.UUID(after).version == 7


def test_the_version_survives_a_carry(monkeypatch):
    """A full random part carries into the milliseconds, and not into the version."""
    monkeypatch.setattr(ids, "_last", (1 << 122) - (1 << 74) + (1 << 74) - 2 - (1 << 80))
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    drawn = [uuid.UUID(new_id()) for _ in range(3)]
    assert [each.version for each in drawn] == [7, 7, 7]
    assert drawn == sorted(drawn)


def test_threads_never_draw_the_same():
    drawn: list[list[str]] = [[] for _ in range(4)]

    def draw(mine: list[str]) -> None:
        mine.extend(new_id() for _ in range(2_000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in drawn)
    assert len({each for mine in drawn for each in mine}) == 8_000
