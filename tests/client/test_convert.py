"""Values and messages: what goes out comes back, and no field is forgotten on the way in."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given

from tallystick.client import convert, convert_cluster, words
from tallystick.client.values import node, order, stock, write
from tallystick.v1 import cluster_service_pb2, order_pb2, order_service_pb2, stock_service_pb2, write_pb2
from tests.client.orders import ADDRESSES, DETAILS, ORDERS

WRITTEN = write.WriteResult(
    consistency_token=b"t", replicated_to=1, disposition=write.Disposition.DECIDED, replayed=True
)


@given(ORDERS)
def test_an_order_survives_the_way_there_and_back(value):
    message = order_pb2.Order()
    convert.fill_order(message, value)
    assert convert.order_value(order_pb2.Order.FromString(message.SerializeToString())) == value


@given(ORDERS, ORDERS)
def test_encoded_placings_put_end_to_end_are_one_request(first, second):
    header = order_service_pb2.PlaceOrdersRequest(actor="web").SerializeToString()
    joined = b"".join((header, convert.placing_bytes(7, first), convert.placing_bytes(8, second)))
    request = order_service_pb2.PlaceOrdersRequest.FromString(joined)
    assert request.actor == "web"
    assert [each.number for each in request.orders] == [7, 8]
    assert [convert.order_value(each.order) for each in request.orders] == [first, second]


@given(DETAILS)
def test_details_are_immutable_and_comparable(value):
    assert isinstance(value.tags, frozenset)
    with pytest.raises(AttributeError):
        value.note = "changed"


@given(ADDRESSES)
def test_an_address_survives(value):
    message = order_pb2.Order()
    details = order.Details(billing_address=value)
    convert.fill_order(message, order.Order(currency="EUR", lines=[], details=details))
    assert convert.order_value(message).details == details


CONVERSIONS: list[tuple[Any, type[msgspec.Struct], Callable[[Any], Any]]] = [
    (order_pb2.Order, order.Order, convert.order_value),
    (order_pb2.Line, order.Line, convert.line_value),
    (order_pb2.OrderEvent, order.OrderEvent, convert.event_value),
    (stock_service_pb2.Stock, stock.Stock, convert.stock_value),
    (stock_service_pb2.ItemTokens, stock.ItemTokens, convert_cluster.item_tokens),
    (stock_service_pb2.NodeTokens, stock.NodeTokens, convert_cluster.node_tokens),
    (cluster_service_pb2.GetStatusResponse, node.NodeStatus, convert_cluster.node_status),
    (cluster_service_pb2.PeerStatus, node.PeerStatus, convert_cluster.peer_status),
    (cluster_service_pb2.Member, node.Member, convert_cluster.member_value),
    (cluster_service_pb2.VerifyResponse, node.Verification, convert_cluster.verification_value),
    (write_pb2.WriteResult, write.WriteResult, convert.write_result),
    (order_pb2.Order, write.PlacedOrder, lambda message: convert.placed_order(message, WRITTEN)),
]


@pytest.mark.parametrize(("message", "value", "conversion"), CONVERSIONS)
def test_no_field_is_forgotten(message, value, conversion):
    """A message with every field set makes a value with no field at its default, all the way down."""
    assert defaults(conversion(filled(message()))) == []


@pytest.mark.parametrize(("message", "value"), [row[:2] for row in CONVERSIONS[:-1]])
def test_a_value_has_the_fields_of_its_message(message, value):
    names = {field.name for field in message.DESCRIPTOR.fields}
    assert set(value.__struct_fields__) == names


def filled(message: Any) -> Any:
    """The message with something in every field."""
    for field in message.DESCRIPTOR.fields:
        target = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            target["key"] = {str: "value", int: 4}[type(target["key"])]
        elif field.is_repeated:
            if field.message_type:
                filled(target.add())
            else:
                target.append("text")
        elif field.message_type:
            filled(target)
        else:
            setattr(message, field.name, SCALARS[field.cpp_type])
    return message


SCALARS: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_INT32: 3,
    FieldDescriptor.CPPTYPE_INT64: 5,
    FieldDescriptor.CPPTYPE_UINT64: 6,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
    FieldDescriptor.CPPTYPE_BOOL: True,
    FieldDescriptor.CPPTYPE_STRING: b"text",  # for bytes and text alike
    FieldDescriptor.CPPTYPE_ENUM: 2,
}


def defaults(value: Any, path: str = "") -> list[str]:
    """Paths of what is empty, unknown or absent in a value."""
    if isinstance(value, msgspec.Struct):
        return [
            found
            for name in value.__struct_fields__
            for found in defaults(getattr(value, name), f"{path}.{name}")
        ]
    if isinstance(value, tuple):
        return [path] if not value else [found for each in value for found in defaults(each, f"{path}[]")]
    return [] if value and value != "unknown" else [path]


WORDS = {
    "CONFIRM_WHEN": order_pb2.ConfirmWhen,
    "SHORTAGE_MODE": order_pb2.ShortageMode,
    "ORDER_STATE": order_pb2.OrderState,
    "ADJUSTMENT_KIND": order_pb2.AdjustmentKind,
    "PAYMENT_KIND": order_pb2.PaymentKind,
    "EVENT_KIND": order_pb2.OrderEventKind,
    "DISPOSITION": write_pb2.Disposition,
    "LINK_STATE": cluster_service_pb2.LinkState,
    "MEMBER_STATE": cluster_service_pb2.MemberState,
    "WRITE_STATE": cluster_service_pb2.WriteState,
}


@pytest.mark.parametrize("name", WORDS)
def test_every_word_of_the_contract_has_one_of_ours(name):
    table = getattr(words, name)
    numbers = [number for number in WORDS[name].values() if number]
    assert len({table[number] for number in numbers}) == len(numbers)
    assert "unknown" not in {table[number] for number in numbers}
    assert all(table.numbers[table[number]] == number for number in numbers)


def test_a_word_of_tomorrow_is_unknown():
    assert words.ORDER_STATE[99] is order.OrderState.UNKNOWN
    assert words.ORDER_STATE[0] is order.OrderState.UNKNOWN
    assert words.CONFIRM_WHEN[0] is order.ConfirmWhen.ON_PLACING


def test_times_are_utc_and_never_naive():
    message = order_pb2.Order(place_time=Timestamp(seconds=1_700_000_000, nanos=123_456_789))
    moment = convert.order_value(message).place_time
    assert moment == datetime.datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=datetime.UTC)
    assert convert.order_value(order_pb2.Order()).place_time is None
    with pytest.raises(ValueError, match="time zone"):
        convert.timestamp(datetime.datetime(2026, 1, 1))


def test_lists_are_frozen_into_values():
    lines = [order.Line("TEA", 1)]
    value = order.Order(currency="EUR", lines=lines, details=order.Details(tags={"a"}))
    lines.append(order.Line("CUP", 1))
    assert value.lines == (order.Line("TEA", 1),)
    assert hash(value.lines) == hash((order.Line("TEA", 1),))


def test_each_order_value_has_an_id_of_its_own():
    first, second = (order.Order(currency="EUR", lines=[]) for _ in range(2))
    assert first.id < second.id


@pytest.mark.parametrize("wrong", [2**63, -(2**63) - 1])
def test_a_number_beyond_int64_is_refused(wrong):
    with pytest.raises(ValueError, match="out of range"):
        convert.placing_bytes(1, order.Order(currency="EUR", lines=[order.Line("TEA", wrong)]))
