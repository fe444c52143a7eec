"""What every figure is given: the settings, a folder of its own, a voice, and loads to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks.figures import Figures
from benchmarks.load.spec import BATCH, PACED, SDK, Report, Spec
from benchmarks.node import BUILT_PER_S, load
from benchmarks.workload import Shape

SHAPE = Shape(lines=3)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and for how long."""

    only: tuple[str, ...] = ()
    """Names of figures; all if empty."""
    rounds: int = 5
    seconds: float = 5.0
    warm_s: float = 1.0
    rtt_ms: float = 80.0
    orders_per_s: float = 200.0
    """At each region, where the load is an open loop."""
    cut_orders: int = 10_000
    """Orders on each side of a cut that has to be caught up with."""
    batches_in_flight: int = 8
    sdk_in_flight: int = 128
    peer: str = ""
    cores: int = 2


class Bench:
    """One figure's run."""

    def __init__(self, settings: Settings, folder: Path, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.folder = folder
        self.say = say
        self.units = 0
        """Units that were acknowledged as sold so far, by all loads."""
        self._seed = 0

    def rounds(self, name: str) -> Iterator[int]:
        """The numbers of the rounds, said aloud."""
        for number in range(self.settings.rounds):
            self.say(f"{name}: round {number + 1} of {self.settings.rounds}")
            yield number

    def paced(self, targets: tuple[str, ...]) -> Figures:
        """An open loop at all of them."""
        return self._window(PACED, targets, per_s=self.settings.orders_per_s)

    def batches(self, targets: tuple[str, ...]) -> Figures:
        """As many batches of 100 as they take."""
        return self._window(BATCH, targets, in_flight=self.settings.batches_in_flight)

    def sdk(self, targets: tuple[str, ...], shape: Shape = SHAPE) -> Figures:
        """As many calls of the SDK as they take."""
        return self._window(SDK, targets, in_flight=self.settings.sdk_in_flight, shape=shape)

    def place(self, targets: tuple[str, ...], orders: int) -> None:
        """At least so many orders, in batches, whatever the time."""
        warm = 100
        self._load(
            Spec(
                mode=BATCH,
                target=targets[0],
                also=targets[1:],
                shape=SHAPE,
                in_flight=4,
                warm_orders=warm,
                window_orders=orders - warm,
                seed=self._next_seed(),
            )
        )

    def _window(self, mode: str, targets: tuple[str, ...], shape: Shape = SHAPE, **how: float) -> Figures:
        settings = self.settings
        spec = Spec(
            mode=mode,
            target=targets[0],
            also=targets[1:],
            shape=shape,
            warm_s=settings.warm_s,
            window_s=settings.seconds,
            built=round(BUILT_PER_S.get(mode, 0) * settings.seconds / 2),
            seed=self._next_seed(),
            **how,  # type: ignore[arg-type]
        )
        return self._load(spec).windows[0]

    def _load(self, spec: Spec) -> Report:
        report = load(spec)
        self.units += report.accepted * spec.shape.lines
        return report

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed
