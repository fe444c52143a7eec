"""Opening a data directory: who we are, and where the chains in it end. A directory is one node's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tallystick.core.clock import EMPTY_HEAD, Head, Vector
from tallystick.core.codec import decode, encode
from tallystick.core.invitations import read_invitation
from tallystick.core.members import Member, MemberState
from tallystick.node.identity import (
    Identity,
    draw_identity,
    head_of,
    identity_rows,
    load_clock,
    load_identity,
    load_vector,
)
from tallystick.node.replaying import replay
from tallystick.node.snapshots import INSTALLING_KEY, Installation
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import Table
from tallystick.store.store import Store

ENCODERS = {Table.STOCK: msgspec.msgpack.Encoder(order="sorted").encode}


class NoCluster(Exception):
    """The directory is empty and nobody asked to found a cluster."""


class Opened(NamedTuple):
    """A store ready to be driven. `installation`: it is a new node that has not come to its end."""

    store: Store
    identity: Identity
    vector: Vector
    hlc: int
    members: Mapping[int, Member]
    installation: Installation | None = None

    @property
    def head(self) -> Head:
        """Where our own chain ends."""
        return head_of(self.vector, self.identity.replica)


class Join(NamedTuple):
    """How a new directory becomes a node of a cluster that is there."""

    seed: str
    """The address of a member."""
    invitation: str


def open_store(
    path: Path,
    region: str,
    *,
    new_cluster: bool,
    map_size: int,
    reserve: int | None,
    backlog: int,
    join: Join | None = None,
) -> Opened:
    """Open, found or join. Raises NoCluster, and store.StoreError for what is wrong with the directory."""
    if not new_cluster and join is None and not path.exists():
        raise NoCluster(_NO_CLUSTER.format(path))
    backend = LmdbBackend(path, map_bytes=map_size, reserve_bytes=reserve)
    store = Store(backend, ENCODERS, backlog_events=backlog)
    return open_on(store, region, new_cluster=new_cluster, place=str(path), join=join)


def open_on(store: Store, region: str, *, new_cluster: bool, place: str, join: Join | None = None) -> Opened:
    """`open_store` on a store that is there already. Closes it if it can't be opened."""
    try:
        identity = load_identity(store)
        if identity is None:
            identity = _begin(store, region, new_cluster, place, join)
        vector = load_vector(store)
        vector.setdefault(identity.replica, EMPTY_HEAD)
        replay(store, identity.replica, vector)
        members = load_members(store)
        installation = load_installation(store, members.get(identity.replica))
        return Opened(store, identity, vector, load_clock(store), members, installation)
    except BaseException:
        store.close()
        raise


def _begin(store: Store, region: str, new_cluster: bool, place: str, join: Join | None) -> Identity:
    """Draw an identity for an empty directory."""
    meta: dict[bytes, bytes | None] = {}
    if join is not None:
        identity = draw_identity(region, read_invitation(join.invitation).cluster)
        meta[INSTALLING_KEY] = encode(Installation(join.seed, join.invitation))
    elif new_cluster:
        identity = draw_identity(region)
    else:
        raise NoCluster(_NO_CLUSTER.format(place))
    store.commit({Table.META: {**identity_rows(identity), **meta}}, {}, 0, b"")
    return identity


def load_members(store: Store) -> dict[int, Member]:
    """All members by replica id."""
    with store.read() as reader:
        rows = reader.scan(Table.MEMBERS)
        return {int.from_bytes(key): decode(bytes(data), Member) for key, data in rows}  # type: ignore[call-overload]


def load_installation(store: Store, me: Member | None) -> Installation | None:
    """How far a new node has come; None for one that is new no more: its own record says so, since that is
    written last."""
    data = store.get(Table.META, INSTALLING_KEY)
    if data is None or (me is not None and me.state >= MemberState.ACTIVE):
        return None
    return decode(data, Installation)


_NO_CLUSTER = (
    "{} holds no node yet: pass --new-cluster to found a cluster there, or name the directory of a node"
)
