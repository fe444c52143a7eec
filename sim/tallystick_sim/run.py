"""One run: a seed's plan carried out, watched by the jury.

    result = run_seed(7)
    assert not result.violations

`patch` is entered before the first node is made and left after the last turn: what it changes in the engine
is in force for this run alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import process_time
from typing import NamedTuple

import structlog

from tallystick_sim.cluster import Cluster
from tallystick_sim.drawing import Wanted, draw_plan
from tallystick_sim.faults import act
from tallystick_sim.network import Weather
from tallystick_sim.node import Node
from tallystick_sim.oracle.events import Ended, RawFrame
from tallystick_sim.oracle.jury import Jury, Violation
from tallystick_sim.plan import SIZES, Plan
from tallystick_sim.probes import Probes
from tallystick_sim.recording import Recorder
from tallystick_sim.world import Listener

Patch = Callable[[], AbstractContextManager[object]]

LOOK_MS = 5_000.0
"""How often who has equal frames is compared."""
SETTLES_MS = 60_000.0
"""What never takes so long, once all is healed."""
HASTE_MS = 250.0
"""How often who is in haste looks whether something is wrong."""
FINDS_MS = 60_000.0
"""How long peers may take to find out a node whose disk lies."""


class Result(NamedTuple):
    """What came of a run."""

    seed: int
    violations: tuple[Violation, ...]
    trace_hash: str
    simulated_seconds: float
    cpu_seconds: float
    orders: int
    faults: Mapping[str, int]
    """How often each kind was felt."""
    enabled: tuple[str, ...]
    timed: int
    """Faults of the plan."""
    probes: Mapping[str, int]
    """How often each rare path was taken."""


def run_seed(
    seed: int,
    size: str = "small",
    *,
    wanted: Wanted | None = None,
    patch: Patch = nullcontext,
    listener: Listener | None = None,
    hasty: bool = False,
) -> Result:
    """Run a seed. The result is the same each time, but for `cpu_seconds`. `hasty`: no further than to the
    first promise that is broken."""
    plan = draw_plan(seed, wanted or Wanted(SIZES[size]))
    return run_plan(plan, patch=patch, listener=listener, hasty=hasty)


def run_plan(
    plan: Plan,
    *,
    patch: Patch = nullcontext,
    listener: Listener | None = None,
    frames: dict[bytes, RawFrame] | None = None,
    hasty: bool = False,
) -> Result:
    """Run what was drawn, or what is left of it. `frames` gets all that were written, by their hashes."""
    began = process_time()
    try:
        with _quiet(), patch():
            run = _Run(plan, listener, {} if frames is None else frames)
            run.live(hasty)
    except Exception as bug:
        bug.add_note(f"this happened in the simulator, at seed {plan.seed}")
        raise
    network, world = run.cluster.network, run.cluster.world
    return Result(
        plan.seed,
        tuple(run.jury.violations),
        world.trace,
        world.now_ms / 1000,
        process_time() - began,
        len(run.jury.court.books.claims),
        dict(sorted(network.bitten.items())),
        plan.enabled,
        len(plan.faults),
        dict(sorted(run.probes.counts.items())),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """What nodes log is of no use here, and takes time: a timeline says more."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


class _Run:
    """A run under way."""

    def __init__(self, plan: Plan, listener: Listener | None, frames: dict[bytes, RawFrame]) -> None:
        self.plan = plan
        self.jury = Jury()
        self.probes = Probes()
        self.recorder = Recorder(self.jury, self.probes, frames)
        ambience = plan.ambience
        self.cluster = Cluster(
            plan.seed,
            Weather((0.5, 0.5 + ambience.jitter_ms)),
            swapped=plan.swapped,
            stretch=ambience.stretch,
            prepare=self._prepare,
            listener=listener,
        )
        self.recorder.begin(self.cluster)

    def _prepare(self, node: Node) -> None:
        """A node is made, and not started yet."""
        ambience, name = self.plan.ambience, node.name
        bitten = node.network.bitten
        if name < len(ambience.skews_ms):
            node.clock.skew_ms = ambience.skews_ms[name]
            bitten["clock_skew"] += 1
        if name < len(ambience.drifts):
            node.clock.drift = ambience.drifts[name]
            bitten["clock_drift"] += 1
        node.rebalance = self.plan.rebalance
        node.observer = self.recorder

    def live(self, hasty: bool) -> None:
        """All of it: found, fail, heal, settle. `hasty`: until something is wrong."""
        plan, cluster, world = self.plan, self.cluster, self.cluster.world
        cluster.join(plan.size.nodes - 1)
        for request in plan.requests:
            world.at(request.at_ms, lambda request=request: self.recorder.ask(request))  # type: ignore[misc]
        for fault in plan.faults:
            world.at(fault.at_ms, lambda fault=fault: act(cluster, fault))  # type: ignore[misc]
        world.at(plan.requests[0].at_ms if plan.requests else 0.0, self._begin_weather)
        self._look()
        if self._is_wrong_before((plan.size.seconds - plan.size.healing) * 1000, hasty):
            return
        world.note("healed")
        cluster.heal()
        if self._is_wrong_before(plan.size.seconds * 1000, hasty):
            return
        if cluster.sick:
            self._find_out()
        else:
            quiet = world.run_until(cluster.is_quiet, SETTLES_MS)
            self.recorder.finish(cluster, quiet)
            self.jury.see(Ended(world.now_ms, quiet, "" if quiet else _unrest(cluster)))

    def _is_wrong_before(self, at_ms: float, hasty: bool) -> bool:
        """Let time pass until then; who is in haste stops when something is wrong, and hears of it."""
        world, violations = self.cluster.world, self.jury.violations
        if not hasty:
            world.run(at_ms - world.now_ms)
            return False
        while not violations and world.now_ms < at_ms:
            world.run(min(HASTE_MS, at_ms - world.now_ms))
        return bool(violations)

    def _find_out(self) -> None:
        """A disk lies. Two branches of one chain are mended by operators, so nothing need settle; but
        somebody must have noticed."""
        cluster, world = self.cluster, self.cluster.world
        found = world.run_until(lambda: self.recorder.found_out(cluster), FINDS_MS, 500.0)
        why = "" if found else f"nobody has noticed what is wrong with {cluster.sick}"
        self.jury.see(Ended(world.now_ms, found, why))

    def _begin_weather(self) -> None:
        ambience = self.plan.ambience
        self.cluster.network.weather = Weather(
            (0.5, 0.5 + ambience.jitter_ms), ambience.lost, ambience.doubled, ambience.overtaken
        )

    def _look(self) -> None:
        """Compare who can be compared, every now and then."""
        self.recorder.compare(self.cluster, roots=False)
        self.cluster.world.after(LOOK_MS, self._look)


def _unrest(cluster: Cluster) -> str:
    """Why a cluster does not come to rest, as far as can be said."""
    if not cluster.is_linked():
        return "the nodes do not find each other again"
    busy = [node.name for node in cluster.healthy() if node.calls or node.driver.waiting or node.driver.busy]
    heads = {node.name: {o: h.seq for o, h in node.driver.vector.items()} for node in cluster.healthy()}
    return f"busy: {busy}, on disk: {heads}"
