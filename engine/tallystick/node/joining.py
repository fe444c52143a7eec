"""A peer's frame, joined into a view."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from tallystick.core.digest import touches_of
from tallystick.core.frame import Frame, FrameError, decode_events
from tallystick.core.replica.apply import UnknownKind, apply_entries
from tallystick.core.replica.view import View
from tallystick.core.replication.forks import fork_of
from tallystick.node.installing import Installer
from tallystick.store.port import StoreBroken

log = structlog.get_logger("peers")


_REMEDY = "What this new node got before is of the other chain: empty its directory, and let it join anew"


class Unjoinable(NamedTuple):
    """Why a frame can't be joined: a reason and a sentence."""

    reason: str
    message: str


def join_frame(frame: Frame, view: View, me: int, installer: Installer | None = None) -> Unjoinable | None:
    """Join all entries at the replica `me`. If it answers why that failed, the view is worth nothing."""
    if installer is not None and installer.contradicts(frame):
        _, reason, message = fork_of(frame.origin, frame.last)
        return Unjoinable(reason, f"{message}. {_REMEDY}")
    try:
        for place, entries in enumerate(decode_events(frame)):
            for skipped in apply_entries(frame.dot(place), entries, view, me):
                log.error("an entry was skipped", dot=str(frame.dot(place)), problem=skipped.problem)
    except FrameError as problem:
        # Judged from the frame's bytes alone, so everybody passes over the same.
        log.error("a frame says nothing", dot=str(frame.dot(0)), problem=str(problem))
    except UnknownKind as problem:
        return Unjoinable("UPGRADE_REQUIRED", f"{problem}: upgrade this node")
    except StoreBroken:
        raise
    except Exception as bug:
        log.exception("a frame could not be applied", dot=str(frame.dot(0)))
        text = f"applying event {frame.dot(0)} failed: {bug!r}; the log says more"
        return Unjoinable("QUARANTINED", text)
    view.touches += touches_of(frame.digest, view.names)
    view.names.clear()
    return None
