"""Messages between nodes, as protobuf: one table each way. Both directions look alike in bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from tallystick.core.clock import Head, Vector
from tallystick.core.replica.keys import split_stock_key, stock_key
from tallystick.core.replication import messages as core
from tallystick.core.replication.effects import Effect, Send
from tallystick.v1 import replication_service_pb2 as pb


class Bytes(NamedTuple):
    """A message ready to be written to a link."""

    link: int
    data: bytes


def encode_effect(effect: Effect) -> Effect | Bytes:
    """What the loop needs no more thought for: messages become bytes."""
    return Bytes(effect.link, encode_message(effect.message)) if isinstance(effect, Send) else effect


def encode_message(message: core.Message) -> bytes:
    """An ExchangeRequest, or an ExchangeResponse: they have the same bytes."""
    name, build = _TO_WIRE[type(message)]
    return bytes(pb.ExchangeRequest(message=pb.PeerMessage(**{name: build(message)})).SerializeToString())


def decode_message(data: bytes) -> core.Message:
    """Raises ValueError on what no node of this version says."""
    try:
        message = pb.ExchangeRequest.FromString(data).message
    except DecodeError as problem:
        raise ValueError("not a message between nodes") from problem
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ValueError("a message of a kind that this version does not know")
    return _FROM_WIRE[kind](getattr(message, kind))


def _entries(vector: Vector) -> list[pb.VectorEntry]:
    return [pb.VectorEntry(replica=r, sequence=h.seq, digest=h.digest) for r, h in vector.items()]


def _vector(entries: Iterable[pb.VectorEntry]) -> dict[int, Head]:
    return {entry.replica: Head(entry.sequence, entry.digest) for entry in entries}


def _demand(demand: core.Demand) -> pb.Demand:
    sku, location = split_stock_key(demand.key)
    return pb.Demand(sku=sku, location=location, units_per_second=demand.units_per_s)


def _ask(ask: core.Ask) -> pb.Ask:
    sku, location = split_stock_key(ask.key)
    return pb.Ask(number=ask.number, sku=sku, location=location, quantity=ask.units)


_TO_WIRE: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    core.Hello: (
        "hello",
        lambda m: pb.Hello(
            cluster=m.cluster,
            replica=m.replica,
            boot=m.boot,
            protocol_min=m.protocol[0],
            protocol_max=m.protocol[1],
            kinds=sorted(m.kinds),
            vector=_entries(m.vector),
            region=m.region,
            address=m.address,
            invitation=m.invitation,
            installing=m.installing,
        ),
    ),
    core.Frames: ("frames", lambda m: pb.Frames(frames=m.frames)),
    core.Ack: ("ack", lambda m: pb.Ack(vector=_entries(m.vector))),
    core.Want: ("want", lambda m: pb.Want(origin=m.origin, sequence=m.seq, until=m.until)),
    core.Digest: (
        "digest",
        lambda m: pb.Digest(
            vector=_entries(m.vector),
            first_bucket=m.first_bucket,
            buckets=m.buckets,
            demands=map(_demand, m.demands),
            counted_millis=m.stamp.counted_ms,
            sent_millis=m.stamp.sent_ms,
            echo_millis=m.stamp.echo_ms,
            echo_age_millis=m.stamp.echo_age_ms,
        ),
    ),
    core.Ask: ("ask", _ask),
    core.AskAnswer: (
        "ask_answer",
        lambda m: pb.AskAnswer(number=m.number, granted=m.granted, sequence=m.seq),
    ),
    core.SnapshotRequest: (
        "snapshot_request",
        lambda m: pb.SnapshotRequest(table=m.table, after=m.after),
    ),
    core.SnapshotChunk: (
        "snapshot_chunk",
        lambda m: pb.SnapshotChunk(
            table=m.table,
            rows=[pb.SnapshotRow(key=key, value=value) for key, value in m.rows],
            vector=_entries(m.vector),
            last=m.last,
            touched=m.touched,
            after=m.after,
        ),
    ),
    core.Goodbye: ("goodbye", lambda m: pb.Goodbye(reason=m.reason, message=m.message)),
    core.DigestRequest: (
        "digest_request",
        lambda m: pb.DigestRequest(first_bucket=m.first_bucket, count=m.buckets),
    ),
    core.Inspect: ("inspect", lambda m: pb.Inspect(buckets=m.buckets)),
    core.Inspected: (
        "inspected",
        lambda m: pb.Inspected(
            buckets=m.buckets,
            touched=m.touched,
            records=[pb.InspectedRecord(table=t, key=k, digest=d) for t, k, d in m.records],
            truncated=m.truncated,
        ),
    ),
}

_FROM_WIRE: Mapping[str, Callable[[Any], core.Message]] = {
    "hello": lambda m: core.Hello(
        m.cluster,
        m.replica,
        m.boot,
        m.region,
        m.address,
        _vector(m.vector),
        frozenset(m.kinds),
        (m.protocol_min, m.protocol_max),
        m.invitation,
        m.installing,
    ),
    "frames": lambda m: core.Frames(tuple(m.frames)),
    "ack": lambda m: core.Ack(_vector(m.vector)),
    "want": lambda m: core.Want(m.origin, m.sequence, m.until),
    "digest": lambda m: core.Digest(
        _vector(m.vector),
        m.first_bucket,
        m.buckets,
        tuple(core.Demand(stock_key(d.sku, d.location), d.units_per_second) for d in m.demands),
        core.Stamp(m.counted_millis, m.sent_millis, m.echo_millis, m.echo_age_millis),
    ),
    "ask": lambda m: core.Ask(m.number, stock_key(m.sku, m.location), m.quantity),
    "ask_answer": lambda m: core.AskAnswer(m.number, m.granted, m.sequence),
    "snapshot_request": lambda m: core.SnapshotRequest(m.table, m.after),
    "snapshot_chunk": lambda m: core.SnapshotChunk(
        m.table,
        tuple((row.key, row.value) for row in m.rows),
        _vector(m.vector),
        m.last,
        m.touched,
        m.after,
    ),
    "goodbye": lambda m: core.Goodbye(m.reason, m.message),
    "digest_request": lambda m: core.DigestRequest(m.first_bucket, m.count),
    "inspect": lambda m: core.Inspect(tuple(m.buckets)),
    "inspected": lambda m: core.Inspected(
        tuple(m.buckets), m.touched, tuple((r.table, r.key, r.digest) for r in m.records), m.truncated
    ),
}
