"""Everything that goes wrong, as one table: how a fault is drawn before a run, and how it is done in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from tallystick.core.clock import EMPTY_HEAD, Head
from tallystick.store.memory import Fault as DiskFault
from tallystick.store.port import Table
from tallystick_sim.cluster import Cluster
from tallystick_sim.node import Node
from tallystick_sim.plan import BEGIN_MS, Ambience, Fault, Size

Draw = Callable[[Random, Size, float], Fault]
"""Draws a fault of a kind at that time."""
Act = Callable[[Cluster, Fault], None]

SICK_SHARE = 0.06
"""The chance of each fault that no node survives: a run has one of them at most."""
KINDS_SHARE = 0.6
"""The chance of each other kind to be enabled in a run."""


class Kind(NamedTuple):
    """A kind of fault. `weight`: how often, beside the others. One that makes `sick` ends a node."""

    draw: Draw
    act: Act
    weight: float = 1.0
    sick: bool = False


# ---------------------------------------------------------------------------------------------------- drawing


def _some(kind: str, shortest_ms: float, longest_ms: float, least: float = 0.0, most: float = 0.0) -> Draw:
    """A fault of one node, that lasts."""

    def draw(random: Random, size: Size, at_ms: float) -> Fault:
        ms, amount = random.uniform(shortest_ms, longest_ms), random.uniform(least, most)
        return Fault(at_ms, kind, (random.randrange(size.nodes),), round(ms, 1), round(amount, 3))

    return draw


def _partition(random: Random, size: Size, at_ms: float) -> Fault:
    """The nodes named are cut off from the others."""
    nodes = tuple(sorted(random.sample(range(size.nodes), random.randint(1, size.nodes - 1))))
    return Fault(at_ms, "partition", nodes, round(random.uniform(100, 12_000), 1))


def _between(kind: str, longest_ms: float, least: float = 0.0, most: float = 0.0) -> Draw:
    """A fault of the way from one node to another."""

    def draw(random: Random, size: Size, at_ms: float) -> Fault:
        ms, amount = random.uniform(100, longest_ms), random.uniform(least, most)
        nodes = tuple(random.sample(range(size.nodes), 2))
        return Fault(at_ms, kind, nodes, round(ms, 1), round(amount, 3))

    return draw


# ------------------------------------------------------------------------------------------------------ doing


def _node(cluster: Cluster, fault: Fault) -> Node | None:
    """Whom it concerns; None if it is not there, or is ill already."""
    name = fault.nodes[0]
    node = cluster.nodes[name] if name < len(cluster.nodes) else None
    return node if node is not None and node.up and name not in cluster.sick else None


def _crash(cluster: Cluster, fault: Fault) -> None:
    if node := _node(cluster, fault):
        cluster.network.bitten["crash"] += 1
        cluster.crash(node, fault.ms)


def _crash_at_commit(kept: bool) -> Act:
    def act(cluster: Cluster, fault: Fault) -> None:
        if node := _node(cluster, fault):
            cluster.crash(node, fault.ms, kept=kept)

    return act


def _sync_failure(cluster: Cluster, fault: Fault) -> None:
    """The next commit's sync fails: nobody knows what is on the disk, and the process ends."""
    if node := _node(cluster, fault):
        cluster.crash(node, fault.ms, kept=fault.amount < 0.5, how=DiskFault.BROKEN)


def _restart(cluster: Cluster, fault: Fault) -> None:
    if node := _node(cluster, fault):
        cluster.network.bitten["restart"] += 1
        node.stop()
        cluster.start_later(node, fault.ms)


def _pause(cluster: Cluster, fault: Fault) -> None:
    if node := _node(cluster, fault):
        node.freeze(fault.ms)


def _cut(cluster: Cluster, fault: Fault) -> None:
    """From one to the other; back too, unless it is one way."""
    left, right = fault.nodes
    heal = cluster.network.part((left,), (right,), one_way=fault.kind == "one_way", why=fault.kind)
    cluster.world.after(fault.ms, heal)


def _part(cluster: Cluster, fault: Fault) -> None:
    """Whole: two halves that hear nothing of each other."""
    others = {node.name for node in cluster.nodes} - {*fault.nodes}
    heal = cluster.network.part(fault.nodes, sorted(others), why=fault.kind)
    cluster.world.after(fault.ms, heal)


def _flap(cluster: Cluster, fault: Fault) -> None:
    """Cut and healed again and again: `amount` times in all that time."""
    times = max(2, int(fault.amount))
    once = fault._replace(ms=fault.ms / times / 2)
    for number in range(times):
        cluster.world.after(number * fault.ms / times, lambda: _cut(cluster, once))


def _slow_link(cluster: Cluster, fault: Fault) -> None:
    left, right = fault.nodes
    heal = cluster.network.slow_down(((left, right), (right, left)), fault.amount)
    cluster.world.after(fault.ms, heal)


def _disk_full(cluster: Cluster, fault: Fault) -> None:
    if node := _node(cluster, fault):
        node.backend.fill(int(fault.amount))
        cluster.world.after(fault.ms, lambda: node.backend.empty())


def _disk_slow(cluster: Cluster, fault: Fault) -> None:
    if node := _node(cluster, fault):
        node.backend.slow_ms = fault.amount

        def heal() -> None:
            node.backend.slow_ms = 0.0

        cluster.world.after(fault.ms, heal)


def _clock_jump(cluster: Cluster, fault: Fault) -> None:
    if node := _node(cluster, fault):
        cluster.network.bitten["clock_jump"] += 1
        node.clock.jump(fault.amount)


def _join(cluster: Cluster, fault: Fault) -> None:
    """A new node asks one that is there to let it in."""
    cluster.join(seed=fault.nodes[0])


def _rot(cluster: Cluster, fault: Fault) -> None:
    """A bit of a stored order flips, and the node starts again some time later: it reads all it has then."""
    node = _node(cluster, fault)
    keys = node.backend.keys(Table.ORDERS) if node else []
    if node and keys:
        key = keys[int(fault.amount) % len(keys)]
        node.backend.rot(Table.ORDERS, key, bit=8 * 8)
        cluster.network.bitten["rot"] += 1
        cluster.fall_ill(node, "rot")
        cluster.crash(node, fault.ms)


def _rollback(cluster: Cluster, fault: Fault) -> None:
    """Somebody puts back a copy of the disk that is `ms` old, and peers have what was written since."""
    node = _node(cluster, fault)
    if node is None or not node.settled:
        return
    copy, copied = node.backend.clone(), node.head

    def restore() -> None:
        if node.up and not cluster.sick and _is_known_beyond(cluster, node, copied):
            cluster.network.bitten["rollback"] += 1
            cluster.fall_ill(node, "rollback")
            cluster.restore(node, copy)

    cluster.world.after(fault.ms, restore)


def _is_known_beyond(cluster: Cluster, node: Node, copied: Head) -> bool:
    """Whether a peer has more of the node's events than the copy; what nobody had is not missed."""
    others = [each for each in cluster.nodes if each is not node and each.up]
    return any(each.driver.vector.get(node.replica, EMPTY_HEAD).seq > copied.seq for each in others)


def _clone(cluster: Cluster, fault: Fault) -> None:
    """The machine is started twice from one image."""
    node = _node(cluster, fault)
    if node is not None and node.settled and not cluster.sick:
        cluster.network.bitten["clone"] += 1
        cluster.fall_ill(node, "clone")
        cluster.twin(node)


KINDS: Mapping[str, Kind] = {
    "crash": Kind(_some("crash", 50, 5_000), _crash, 1.5),
    "crash_before_commit": Kind(_some("crash_before_commit", 50, 2_000), _crash_at_commit(kept=False)),
    "crash_after_commit": Kind(_some("crash_after_commit", 50, 2_000), _crash_at_commit(kept=True)),
    "sync_failure": Kind(_some("sync_failure", 50, 2_000, 0, 1), _sync_failure),
    "restart": Kind(_some("restart", 50, 3_000), _restart),
    "pause": Kind(_some("pause", 100, 5_000), _pause),
    "partition": Kind(_partition, _part, 2.0),
    "partial": Kind(_between("partial", 12_000), _cut, 1.5),
    "one_way": Kind(_between("one_way", 8_000), _cut, 1.5),
    "flapping": Kind(_between("flapping", 8_000, 2, 8), _flap),
    "slow_link": Kind(_between("slow_link", 10_000, 100, 1_500), _slow_link),
    "disk_full": Kind(_some("disk_full", 500, 5_000, 0, 6_000), _disk_full),
    "disk_slow": Kind(_some("disk_slow", 500, 5_000, 5, 150), _disk_slow),
    "clock_jump": Kind(_some("clock_jump", 0, 0, -20_000, 20_000), _clock_jump),
    "join": Kind(_some("join", 0, 0), _join, 0.4),
    "rot": Kind(_some("rot", 500, 2_000, 0, 1_000), _rot, sick=True),
    "rollback": Kind(_some("rollback", 1_000, 6_000), _rollback, sick=True),
    "clone": Kind(_some("clone", 0, 0), _clone, sick=True),
}
SICK = frozenset(name for name, kind in KINDS.items() if kind.sick)
AMBIENT = ("lost", "doubled", "overtaken", "clock_skew", "clock_drift")
"""Kinds that have no time: they are there from the beginning."""
ALL_KINDS = (*KINDS, *AMBIENT)
_JOINS_MAX = 2


def draw_kinds(random: Random, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Which kinds a run has. All that are wanted if any are named, else some."""
    if wanted:
        return tuple(kind for kind in wanted if kind != "none")
    kinds = [kind for kind in ALL_KINDS if random.random() < KINDS_SHARE]
    chosen = [kind for kind in kinds if kind not in SICK]
    sick = [kind for kind in KINDS if kind in SICK and random.random() < SICK_SHARE]
    if not any(kind in KINDS for kind in chosen):
        chosen.append("partition")
    return (*chosen, *sick[:1])


def draw_faults(random: Random, size: Size, kinds: tuple[str, ...]) -> tuple[Fault, ...]:
    """When what goes wrong, how often each kind being drawn too."""
    timed = [kind for kind in kinds if kind in KINDS and kind not in SICK]
    rates = [KINDS[kind].weight * random.uniform(0.3, 1.7) for kind in timed]
    until_ms = (size.seconds - size.healing) * 1000
    count = random.randint(size.faults, 2 * size.faults)
    # Each kind that is enabled once at least; a run that had none of it would say nothing about it.
    drawn = [*timed, *random.choices(timed, rates, k=max(0, count - len(timed)))] if timed else []
    joins = [kind for kind in drawn if kind == "join"][:_JOINS_MAX]
    drawn = [kind for kind in drawn if kind != "join"] + joins
    drawn += [kind for kind in kinds if kind in SICK]
    faults = [KINDS[kind].draw(random, size, round(random.uniform(BEGIN_MS, until_ms), 1)) for kind in drawn]
    return tuple(sorted(faults))


def draw_ambience(random: Random, nodes: int, kinds: tuple[str, ...]) -> Ambience:
    """What is wrong all the time."""

    def rate(kind: str, most: float) -> float:
        drawn = random.uniform(0.005, most)
        return round(drawn, 4) if kind in kinds else 0.0

    def each(kind: str, most: float) -> tuple[float, ...]:
        drawn = tuple(round(random.uniform(-most, most), 6) for _ in range(nodes))
        return drawn if kind in kinds else ()

    return Ambience(
        random.choice((0.0, 0.1, 1.0, 1.0)),
        random.choice((1.0, 5.0, 60.0)),
        rate("lost", 0.12),
        rate("doubled", 0.12),
        rate("overtaken", 0.12),
        each("clock_skew", random.choice((5.0, 300.0, 5_000.0))),
        each("clock_drift", 0.002),
    )


def act(cluster: Cluster, fault: Fault) -> None:
    """Let it happen."""
    cluster.world.note("fault", *fault)
    KINDS[fault.kind].act(cluster, fault)
