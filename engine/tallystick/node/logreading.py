"""Reading frames back from the log, for a peer that lacks them."""

from __future__ import annotations

from tallystick.core.frame import frame_span
from tallystick.core.replica.keys import frame_key
from tallystick.core.replication.effects import ReadLog
from tallystick.store.port import Table
from tallystick.store.reader import Reader


def read_log(reader: Reader, wanted: ReadLog) -> tuple[bytes, ...]:
    """One unbroken piece of the chain, as its origin wrote it; none if it doesn't begin where it is to."""
    frames: list[bytes] = []
    size, seq = 0, wanted.seq
    start, stop = frame_key(wanted.origin, seq + 1, b""), frame_key(wanted.origin + 1, 0, b"")
    for _, value in reader.scan(Table.FRAMES, start, stop):
        data = bytes(value)  # type: ignore[call-overload]
        first, last = frame_span(data)
        if first != seq + 1 or (frames and size + len(data) > wanted.bytes_max) or first > wanted.until:
            break
        frames.append(data)
        size += len(data)
        seq = last
    return tuple(frames)
