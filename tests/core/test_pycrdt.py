"""What pycrdt does that our design rests on. A test that fails after an upgrade means: look at the design."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from pycrdt import Doc, Map


def updates_of_one_origin(*keys: str) -> list[bytes]:
    """One update for each key, in turn set to "1", "2", …"""
    doc: Doc[Any] = Doc(client_id=7)
    fields: Map[Any] = doc.get("fields", type=Map)
    updates = []
    for number, key in enumerate(keys, 1):
        before = doc.get_state()
        fields[key] = str(number)
        updates.append(doc.get_update(before))
    return updates


def applied(updates: list[bytes], order: tuple[int, ...]) -> tuple[dict[str, str], Doc[Any]]:
    doc: Doc[Any] = Doc()
    for number in order:
        doc.apply_update(updates[number - 1])
    fields: Map[Any] = doc.get("fields", type=Map)
    return {key: fields[key] for key in fields.keys()}, doc  # noqa: SIM118 - a pycrdt Map is no Mapping


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_updates_of_one_origin_out_of_order_lose_writes(order):
    """Key b, key b, key a: if the last two come before the first, what b was set to is gone.

    It comes back when the second is applied once more, but nobody knows that it must be. The frames' chains
    keep each origin's order: nothing else protects a document.
    """
    updates = updates_of_one_origin("b", "b", "a")
    found, doc = applied(updates, order)
    lost = order in {(2, 3, 1), (3, 2, 1)}
    assert found == ({"a": "3"} if lost else {"b": "2", "a": "3"})
    again = [number for number in (1, 2, 3) if applied(updates, (*order, number))[0] == {"b": "2", "a": "3"}]
    assert again == ([2] if lost else [1, 2, 3])
    assert (doc.get_state() == b"\x01\x07\x03") is not lost


def test_a_document_that_is_saved_forgets_updates_that_came_before_their_cause():
    """So a frame waits until its deps are met. In memory alone the update would be held back, not lost."""
    first: Doc[Any] = Doc(client_id=1)
    first.get("fields", type=Map)["a"] = "first"
    cause = first.get_update()
    second: Doc[Any] = Doc(client_id=2)
    second.apply_update(cause)
    before = second.get_state()
    second.get("fields", type=Map)["a"] = "second"
    effect = second.get_update(before)
    kept: Doc[Any] = Doc()
    kept.apply_update(effect)
    saved: Doc[Any] = Doc()
    saved.apply_update(kept.get_update())
    for doc in (kept, saved):
        doc.apply_update(cause)
    assert kept.get("fields", type=Map)["a"] == "second"
    assert saved.get("fields", type=Map)["a"] == "first"


def test_equal_state_vectors_do_not_prove_equal_documents():
    """So two documents are compared by the hashes of their updates: deleting counts in no vector."""
    (update,) = updates_of_one_origin("b")
    kept, deleted = applied([update], (1,))[1], applied([update], (1,))[1]
    del deleted.get("fields", type=Map)["b"]
    assert kept.get_state() == deleted.get_state()
    assert len(kept.get("fields", type=Map)) > len(deleted.get("fields", type=Map))


def test_a_client_id_used_twice_diverges_in_silence():
    """So every process draws its own."""
    (one,), (other,) = updates_of_one_origin("a"), updates_of_one_origin("b")
    there: Doc[Any] = Doc()
    back: Doc[Any] = Doc()
    for doc, updates in ((there, (one, other)), (back, (other, one))):
        for update in updates:
            doc.apply_update(update)
    assert there.get_state() == back.get_state()
    assert set(there.get("fields", type=Map).keys()) == {"a"}
    assert set(back.get("fields", type=Map).keys()) == {"b"}


def test_an_integer_comes_back_as_a_float():
    """So details are strings."""
    doc: Doc[Any] = Doc()
    doc.get("fields", type=Map)["n"] = 5
    assert type(doc.get("fields", type=Map)["n"]) is float
