"""EditOrder: fields, masks, etags."""

import pytest

from tallystick.v1 import order_pb2
from tests.rpc.asking import edit, events_of, get, order, place, receive
from tests.rpc.refusals import refusal

PLACED = order_pb2.Details(
    note="ring twice",
    email="ann@example.org",
    tags=["gift", "rush"],
    attributes={"lane": "7", "wrap": "red"},
    shipping_address=order_pb2.Address(name="Ann", city="Bern", country="CH"),
)


@pytest.fixture
async def placed(served):
    await receive(served, tea=10)
    await place(served, order("o-1", ("tea", 1), details=PLACED))
    return served


async def test_without_a_mask_what_is_set_is_changed(placed):
    before = await get(placed, "o-1")
    answer = await edit(placed, "o-1", "e-1", phone="+41 31", attributes={"wrap": "blue", "card": "yes"})
    details = answer.order.details
    assert (details.phone, details.email, details.note) == ("+41 31", "ann@example.org", "ring twice")
    assert details.attributes == {"lane": "7", "wrap": "blue", "card": "yes"}
    assert list(details.tags) == ["gift", "rush"]
    assert answer.order.etag != before.etag
    assert await get(placed, "o-1", answer.write.consistency_token) == answer.order
    again = await edit(placed, "o-1", "e-1", phone="+41 31", attributes={"wrap": "blue", "card": "yes"})
    assert (again.write.replayed, again.order) == (True, answer.order)


async def test_a_mask_says_what_is_replaced_and_what_is_cleared(placed):
    mask = ("tags", "attributes.lane", "shipping_address.city", "email", "note")
    answer = await edit(placed, "o-1", "e-1", *mask, tags=["slow"], note="ring thrice", phone="not named")
    details = answer.order.details
    assert (details.email, details.phone, details.note) == ("", "", "ring thrice")
    assert list(details.tags) == ["slow"]
    assert details.attributes == {"wrap": "red"}
    assert details.shipping_address == order_pb2.Address(name="Ann", country="CH")
    whole = await edit(
        placed, "o-1", "e-2", "shipping_address", "attributes", shipping_address={"city": "Basel"}
    )
    assert whole.order.details.shipping_address == order_pb2.Address(city="Basel")
    assert not whole.order.details.attributes


async def test_an_etag_guards_against_edits_in_between(placed):
    first = await get(placed, "o-1")
    second = (await edit(placed, "o-1", "e-1", etag=first.etag, note="a")).order
    refused = await refusal(edit(placed, "o-1", "e-2", etag=first.etag, note="b"))
    assert (refused.code, refused.reason, refused.definite) == ("ABORTED", "ETAG_MISMATCH", True)
    assert refused.metadata["etag"] == second.etag
    assert await get(placed, "o-1") == second
    # The answer got lost: the retry is the same edit, although the etag has moved on.
    again = await edit(placed, "o-1", "e-1", etag=first.etag, note="a")
    assert (again.write.replayed, again.order) == (True, second)
    assert (await edit(placed, "o-1", "e-2", etag=second.etag, note="b")).order.details.note == "b"


async def test_the_same_id_with_other_contents_is_refused(placed):
    before = (await edit(placed, "o-1", "e-1", note="a")).order
    for mask, details in [((), {"note": "b"}), ((), {"phone": "1"}), (("tags",), {"note": "a"})]:
        refused = await refusal(edit(placed, "o-1", "e-1", *mask, **details))
        assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert await get(placed, "o-1") == before


@pytest.mark.parametrize(
    ("mask", "details", "field"),
    [
        (("sku",), {"note": "a"}, "update_mask"),
        (("shipping_address.planet",), {"note": "a"}, "update_mask"),
        (("attributes.",), {"note": "a"}, "details.attributes"),
        ((), {}, "details"),
        ((), {"attributes": {"": "x"}}, "details.attributes"),
        ((), {"tags": [""]}, "details.tags"),
        ((), {"email": "a\nb"}, "details.email"),
        ((), {"note": "a\x00b"}, "details.note"),
    ],
)
async def test_an_edit_that_cannot_be(placed, mask, details, field):
    before = await get(placed, "o-1")
    refused = await refusal(edit(placed, "o-1", "e-1", *mask, **details))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", [field])
    assert await get(placed, "o-1") == before


async def test_a_note_may_have_lines(placed):
    assert (await edit(placed, "o-1", "e-1", note="a\n\tb")).order.details.note == "a\n\tb"


async def test_text_beyond_ascii_is_edited_in_place(placed):
    """pycrdt counts bytes: an edit behind a wide letter once cut the letter in two."""
    for number, note in enumerate(["zwölf 🍵 Tassen", "zwölf 🍵🍵 Tassen", "elf 🍵 Tassen!", "", "🍵"]):
        answer = await edit(placed, "o-1", f"e-{number}", "note", note=note)
        assert answer.order.details.note == note


async def test_the_history_names_the_fields(placed):
    await edit(placed, "o-1", "e-1", "tags", "note", note="a")
    *_, event = (await events_of(placed, "o-1")).events
    assert (event.kind, event.request_id) == (order_pb2.ORDER_EVENT_KIND_EDITED, "e-1")
    assert list(event.fields) == ["note", "tags."]


async def test_an_edit_of_an_order_that_nobody_placed(served):
    assert (await refusal(edit(served, "o-9", "e-1", note="a"))).reason == "ORDER_NOT_FOUND"
