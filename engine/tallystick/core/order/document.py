"""The order's document: what people edit together. The only importer of pycrdt.

Details have flat keys. The `note` is a text that merges by character; every other key is one value, of
which the last writer's stands. A document is made at the first edit, from an empty genesis; until then, and
for every key that was never edited, what the order was placed with is shown. Keeping each origin's order of
updates, and bringing none before those that it was made upon, is the frames' work (chain and deps): pycrdt
loses writes without the first, and what it holds back without the second is not in the state that it saves.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from pycrdt import Doc, Map, Text

from tallystick.core.codec import Record, encode

NOTE = "note"
_FIELDS = "fields"
_NOTE_EDITED = "note"

Details = Mapping[str, str]
Changes = Mapping[str, str | None]
"""Flat key → new value; None clears it."""


class DocumentRecord(Record, frozen=True, rename={"state": "s", "updates": "u"}):
    """A document at rest: the merged state, and the hashes of all updates in it, sorted.

    Two copies are equal iff their update hashes are: pycrdt's bytes may differ.
    """

    state: bytes = b""
    updates: tuple[bytes, ...] = ()


class DocumentUpdate(Record, frozen=True, rename={"update": "u"}):
    """What one edit adds: pycrdt's update."""

    update: bytes


class Edited(NamedTuple):
    """The outcome of an edit: what to send, and the record after it."""

    delta: DocumentUpdate
    record: DocumentRecord


EMPTY_DOCUMENT = DocumentRecord()


def edit(record: DocumentRecord, placed: Details, changes: Changes, client_id: int) -> Edited:
    """Apply `changes`. `client_id` must be fresh in every process: reusing one after losing state diverges
    in silence."""
    doc = _load(record, client_id)
    before = doc.get_state()
    fields: Map[Any] = doc.get(_FIELDS, type=Map)
    if NOTE in changes and _NOTE_EDITED not in fields:
        doc.apply_update(_placed_note(placed.get(NOTE, "")))
    with doc.transaction():
        for key in sorted(changes):
            value = changes[key]
            if key == NOTE:
                fields[_NOTE_EDITED] = "1"
                _edit_note(doc.get(NOTE, type=Text), value or "")
            else:
                # An empty string is a cleared field: deleting the key would show the placed value again.
                fields[key] = value or ""
    update = doc.get_update(before)
    hashes = tuple(sorted({*record.updates, _hash(update)}))
    return Edited(DocumentUpdate(update), DocumentRecord(doc.get_update(), hashes))


def apply_update(record: DocumentRecord, delta: DocumentUpdate) -> DocumentRecord:
    """Join an update. Updates must come in their origin's order and after those that they were made upon.
    Raises ValueError on bytes that are not an update."""
    name = _hash(delta.update)
    if name in record.updates:
        return record
    state = _merge(record, delta.update)
    return DocumentRecord(state, tuple(sorted({*record.updates, name})))


def join_documents(left: DocumentRecord, right: DocumentRecord) -> DocumentRecord:
    """Join two documents at rest. Raises ValueError if one is none."""
    if not right.updates or set(right.updates) <= set(left.updates):
        return left
    return DocumentRecord(_merge(left, right.state), tuple(sorted({*left.updates, *right.updates})))


def _merge(record: DocumentRecord, update: bytes) -> bytes:
    doc = _load(record)
    try:
        doc.apply_update(update)
        return doc.get_update()
    except BaseException as problem:
        # On some bytes pycrdt panics instead of raising: that is no Exception, and would end the process.
        if type(problem).__name__ != "PanicException":
            raise
        raise ValueError(f"not an update: {problem}") from problem


def show(record: DocumentRecord, placed: Details) -> dict[str, str]:
    """The details as they stand: edited values over placed ones, cleared fields left out."""
    if not record.updates:
        return {key: placed[key] for key in sorted(placed) if placed[key]}
    doc = _load(record)
    fields: Map[Any] = doc.get(_FIELDS, type=Map)
    merged = dict(placed)
    for key in fields.keys():  # noqa: SIM118 - a pycrdt Map is no Mapping
        if key != _NOTE_EDITED:
            merged[key] = str(fields[key])
    if _NOTE_EDITED in fields:
        merged[NOTE] = str(doc.get(NOTE, type=Text))
    return {key: merged[key] for key in sorted(merged) if merged[key]}


def etag(details: Details) -> str:
    """A short name of what is shown: equal details have equal etags."""
    return blake2b(encode(dict(details)), digest_size=8).hexdigest()


def _placed_note(placed: str) -> bytes:
    """The update that brings the placed note into a document. Whoever edits it first makes the same one,
    under an id drawn from the text, so that two who are first at once do not write it twice."""
    doc: Doc[Any] = Doc(client_id=int.from_bytes(_hash(placed.encode())[:6]))
    doc.get(NOTE, type=Text).insert(0, placed)
    return doc.get_update()


def _edit_note(text: Text, wanted: str) -> None:
    """Turn the text into `wanted` by the smallest edit, so that concurrent edits elsewhere survive."""
    current = str(text)
    start = 0
    while start < min(len(current), len(wanted)) and current[start] == wanted[start]:
        start += 1
    end = 0
    while end < min(len(current), len(wanted)) - start and current[-1 - end] == wanted[-1 - end]:
        end += 1
    # pycrdt counts in bytes of UTF-8.
    first = len(current[:start].encode())
    last = len(current[: len(current) - end].encode())
    if last > first:
        del text[first:last]
    if len(wanted) - end > start:
        text.insert(first, wanted[start : len(wanted) - end])


def _load(record: DocumentRecord, client_id: int | None = None) -> Doc[Any]:
    doc: Doc[Any] = Doc() if client_id is None else Doc(client_id=client_id)
    if record.state:
        doc.apply_update(record.state)
    return doc


def _hash(update: bytes) -> bytes:
    return blake2b(update, digest_size=16).digest()
