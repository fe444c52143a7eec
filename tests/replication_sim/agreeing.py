"""What must hold of a cluster that was healed and came to rest: everybody has the same, and it is right."""

from __future__ import annotations

from tallystick.core.clock import Head
from tallystick.core.frame import Frame, decode_frame, verify_chain
from tallystick.store.port import Table
from tallystick_sim.cluster import Cluster
from tallystick_sim.node import Node
from tests.node.checking import (
    COMPARED,
    Joined,
    Tables,
    check_indexes,
    check_rows_written_once,
    check_stock,
    documents,
    tables_of,
)


def check_agreement(cluster: Cluster) -> Tables:
    """All vectors and tables are equal, chains are unbroken, and the frames joined are the tables; answers
    these."""
    first, *others = cluster.nodes
    tables = tables_of(first.driver.store)
    for node in others:
        assert node.driver.vector == first.driver.vector
        theirs = tables_of(node.driver.store)
        for table in COMPARED:
            assert theirs[table] == tables[table], (node.name, table)
        assert documents(theirs) == documents(tables)
        check_chains(node, theirs)
    check_joined(check_chains(first, tables), tables)
    check_indexes(tables)
    check_stock(tables)
    return tables


def check_chains(node: Node, tables: Tables) -> list[Frame]:
    """Each origin's frames are one piece that ends at its head; answers all of them."""
    chains: dict[int, list[Frame]] = {}
    for data in tables[Table.FRAMES].values():
        frame = decode_frame(data)
        chains.setdefault(frame.origin, []).append(frame)
    for origin, frames in chains.items():
        before = Head(frames[0].first - 1, frames[0].previous)
        assert verify_chain(frames, before) == node.driver.vector[origin]
        check_rows_written_once(frames)
    return [frame for frames in chains.values() for frame in frames]


def check_joined(frames: list[Frame], tables: Tables) -> None:
    """Frames of all origins, joined causes first into nothing, are the tables."""
    joined, reached, waiting = Joined(), dict[int, int](), frames
    while waiting:
        later = []
        for frame in waiting:
            met = all(reached.get(origin, 0) >= seq for origin, seq, _ in frame.deps)
            if met and reached.get(frame.origin, 0) == frame.first - 1:
                joined.join(frame)
                reached[frame.origin] = frame.last
            else:
                later.append(frame)
        assert len(later) < len(waiting), "frames whose causes are nowhere"
        waiting = later
    for table in COMPARED:
        assert joined.tables[table] == tables[table], table
    assert documents(joined.tables) == documents(tables)
