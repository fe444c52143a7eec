"""Rows of a snapshot and the frames after it are of one chain, or the node says so."""

from __future__ import annotations

import msgspec

from tallystick.core.clock import EMPTY_HEAD, Head
from tallystick.core.codec import encode
from tallystick.core.frame import Frame, encode_frame
from tallystick.core.replica.view import View
from tallystick.core.replication.forks import FORK
from tallystick.node.installing import Installer
from tallystick.node.joining import join_frame
from tallystick.node.snapshots import Installation
from tallystick.node.waypoints import Waypoints
from tests.kit.node import Tables

ORIGIN = 2
NOTHING = msgspec.Raw(encode(()))


def chain(*lengths: int, hlc: int = 1) -> list[Frame]:
    """Frames of so many events each; another `hlc` makes another chain."""
    frames: list[Frame] = []
    for length in lengths:
        head = frames[-1].head if frames else EMPTY_HEAD
        frames.append(encode_frame(ORIGIN, head, hlc, [NOTHING] * length, ()))
    return frames


def passes(waypoints: Waypoints, frames: list[Frame]) -> bool:
    return not any(waypoints.contradict(frame) for frame in frames)


def test_the_chain_that_the_rows_were_read_on_goes_by():
    frames, waypoints = chain(2, 3, 1, 4), Waypoints()
    for frame in (frames[2], frames[0], frames[2]):
        waypoints.note({ORIGIN: frame.head, 7: Head(1, b"x" * 32)})
    assert passes(waypoints, frames)


def test_a_chain_that_ends_there_otherwise_does_not():
    waypoints = Waypoints()
    waypoints.note({ORIGIN: chain(2, 3)[-1].head})
    assert not passes(waypoints, chain(2, 3, hlc=9))


def test_nor_does_one_that_passes_by():
    waypoints = Waypoints()
    waypoints.note({ORIGIN: chain(2, 3)[-1].head})
    assert not passes(waypoints, chain(2, 4))


def test_rows_of_two_chains_let_neither_by():
    one, two, waypoints = chain(2, 3), chain(2, 3, hlc=9), Waypoints()
    for frames in (one, two):
        waypoints.note({ORIGIN: frames[-1].head})
    assert not passes(waypoints, one)
    assert not passes(waypoints, two)


def test_what_lies_behind_is_passed_over():
    frames, waypoints = chain(2, 3, 1), Waypoints()
    waypoints.note({ORIGIN: frames[0].head})
    assert passes(waypoints, frames[1:])


def test_a_node_that_is_being_made_stops_such_a_chain():
    rows_of, frames_of = chain(3), chain(3, hlc=9)
    high = ((ORIGIN, *rows_of[0].head),)
    installer = Installer(Installation("seed", "code", ((ORIGIN, *EMPTY_HEAD),), high))
    assert join_frame(rows_of[0], View(Tables()), 1, installer) is None
    problem = join_frame(frames_of[0], View(Tables()), 1, installer)
    assert problem is not None
    assert problem.reason == FORK
