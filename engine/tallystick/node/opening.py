"""Opening a data directory: who we are, and where the chains in it end. A directory is one node's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

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


class OtherCluster(Exception):
    """The directory has a node of another cluster than the invitation is to."""


class Opened(NamedTuple):
    """A store ready to be driven. `installation`: it is a new node that has not come to its end."""

    store: Store
    identity: Identity
    vector: Vector
    hlc: int
    members: Mapping[int, Member]
    touched: bytes = b""
    """What touched the buckets of the digests up to `vector`."""
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
    """Open, found or join. Raises NoCluster, OtherCluster, and store.StoreError for what is wrong with the
    directory."""
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
        elif join is not None:
            _check_cluster(identity, join, place)
        vector = load_vector(store)
        vector.setdefault(identity.replica, EMPTY_HEAD)
        touched = replay(store, identity.replica, vector)
        members = load_members(store)
        installation = _unfinished(store, members.get(identity.replica), join)
        return Opened(store, identity, vector, load_clock(store), members, touched, installation)
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


def _check_cluster(identity: Identity, join: Join, place: str) -> None:
    """A directory that has a node is not made another's. Raises OtherCluster."""
    cluster = read_invitation(join.invitation).cluster
    if identity.cluster != cluster:
        raise OtherCluster(
            f"{place} holds a node of cluster {identity.cluster}, and the invitation is to {cluster}: "
            "name an empty directory, or start the node that is there without --join"
        )


def _unfinished(store: Store, own: Member | None, join: Join | None) -> Installation | None:
    """The installation of a node that is not an active member yet.

    It may be given another code or another seed: perhaps it was not let in with the first.
    """
    if own is not None and own.state >= MemberState.ACTIVE:
        return None
    installation = load_installation(store)
    if installation is None or join is None:
        return installation
    return replace(installation, seed=join.seed, invitation=join.invitation)


def load_members(store: Store) -> dict[int, Member]:
    """All members by replica id."""
    with store.read() as reader:
        rows = reader.scan(Table.MEMBERS)
        return {int.from_bytes(key): decode(bytes(data), Member) for key, data in rows}  # type: ignore[call-overload]


def load_installation(store: Store) -> Installation | None:
    """How far a new node has come; None for one that founded its cluster."""
    data = store.get(Table.META, INSTALLING_KEY)
    return None if data is None else decode(data, Installation)


_NO_CLUSTER = (
    "{} holds no node yet: pass --new-cluster to found a cluster there, or name the directory of a node"
)
