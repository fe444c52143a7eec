"""The relays between the nodes, driven from outside: they run on an event loop in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import permutations
from typing import Any, TypeVar

from tallystick.cli.relay import Relay

_CALL_S = 10.0
T = TypeVar("T")


class Roads:
    """A relay for each ordered pair of names: (who dials, who is dialled). Of two nodes only one dials."""

    def __init__(self, names: Sequence[str], rtt_ms: float) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()
        self._relays = {pair: Relay(delay_ms=rtt_ms / 2) for pair in permutations(names, 2)}
        for relay in self._relays.values():
            self._run(relay.start())

    def way(self, dialler: str, target: str) -> str:
        """Where to dial."""
        return self._relays[dialler, target].address

    def aim(self, name: str, address: str) -> None:
        """`name` listens there."""
        for (_, target), relay in self._relays.items():
            if target == name:
                relay.target = address

    def cut(self, *sides: Iterable[str]) -> None:
        """Nothing passes between the sides any more."""
        self._each(self._between(sides), Relay.cut)

    def heal(self) -> None:
        """All that was cut is connected anew."""
        self._each(self._relays.values(), Relay.heal)

    def slow(self, name: str, bytes_per_s: float | None) -> None:
        """So much passes each way on each road of `name`; None: as much as comes."""
        mine = [relay for pair, relay in self._relays.items() if name in pair]
        self._each(mine, lambda relay: relay.slow(bytes_per_s))

    def passed(self) -> int:
        """Bytes that were passed on so far, on all roads and both ways."""
        return _passed(self._relays.values())

    def passed_between(self, *sides: Iterable[str]) -> int:
        """The same between the sides alone."""
        return _passed(self._between(sides))

    def close(self) -> None:
        """End it all."""
        for relay in self._relays.values():
            self._run(relay.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _between(self, sides: Sequence[Iterable[str]]) -> list[Relay]:
        side_of = {name: number for number, side in enumerate(sides) for name in side}
        return [relay for (a, b), relay in self._relays.items() if side_of[a] != side_of[b]]

    def _each(self, relays: Iterable[Relay], do: Callable[[Relay], None]) -> None:
        async def all_of_them() -> None:
            for relay in relays:
                do(relay)

        self._run(all_of_them())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)


def _passed(relays: Iterable[Relay]) -> int:
    return sum(sum(relay.forwarded.values()) for relay in relays)
