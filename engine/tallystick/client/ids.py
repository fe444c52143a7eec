"""Ids drawn by the client: UUIDv7 (RFC 9562), rising within a process.

They rise with time, so inserts stay at the right edge of the server's B-tree, and an id that is drawn here
makes a write safe to repeat.
"""

from __future__ import annotations

import os
import threading
import time

_RANDOM_BITS = 74  # below the 48 bits of milliseconds; version and variant are put in between
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A new UUIDv7, greater than every one that this process has drawn before; safe in any thread."""
    global _last
    # Not from `random`: two processes that seed it alike must not draw one id twice.
    noise = int.from_bytes(os.urandom(9))
    with _lock:
        fresh = time.time_ns() // 1_000_000 << _RANDOM_BITS | noise
        # In the same millisecond, or when the clock stepped back: a random step beyond the last.
        _last = fresh if fresh >> _RANDOM_BITS > _last >> _RANDOM_BITS else _last + 1 + (noise >> 40)
        drawn = _last
    version_7 = (drawn >> 74) << 80 | 7 << 76 | (drawn >> 62 & 0xFFF) << 64
    digits = f"{version_7 | 1 << 63 | drawn & (1 << 62) - 1:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
