"""The event loop of all synchronous clients: one a process, in a daemon thread.

One, because grpc.aio wakes every loop of a process for the events of each. Never stopped, because its poller
goes on to hold loops that it has seen.
"""

from __future__ import annotations

import asyncio
import os
import threading

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_process = 0


def shared_loop() -> asyncio.AbstractEventLoop:
    """The loop, running; another one in a forked child, which has not inherited the thread."""
    global _loop, _process
    with _lock:
        if _loop is None or _process != os.getpid():
            _loop = asyncio.new_event_loop()
            _process = os.getpid()
            threading.Thread(target=_loop.run_forever, name="tallystick-client", daemon=True).start()
        return _loop
