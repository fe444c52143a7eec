"""The store as `step` sees it, with the stock items that were looked at lately kept decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from tallystick.core.stock.rights import EMPTY_STOCK, Stock
from tallystick.store.port import Table
from tallystick.store.store import Store

_ITEMS_MAX = 200_000
decode_stock = msgspec.msgpack.Decoder(Stock).decode


class _Items(dict[bytes, Stock]):
    """Decoded stock items; one that is not here is read, and kept. A dict: finding one runs no Python."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def __missing__(self, key: bytes) -> Stock:
        found = self._store.get_lazy(Table.STOCK, key)
        if found is None:  # not kept: whoever asks for what is not there must not fill the memory
            return EMPTY_STOCK
        item = self[key] = load_stock(found)
        return item


class StoreSource:
    """Reads of the engine thread. What it caches is committed state, never more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._items = _Items(store)
        self.stock = self._items.__getitem__

    def order(self, key: bytes) -> bytes | None:
        return self._store.get(Table.ORDERS, key)

    def booking(self, key: bytes) -> bytes | None:
        return self._store.get(Table.RECEIPTS, key)

    def document(self, key: bytes) -> bytes | None:
        return self._store.get(Table.DOCUMENTS, key)

    def member(self, key: bytes) -> bytes | None:
        return self._store.get(Table.MEMBERS, key)

    def adopt(self, stock: Mapping[bytes, Stock]) -> None:
        """Take note of what a commit has made durable."""
        if len(self._items) > _ITEMS_MAX:
            self._items.clear()
        self._items.update(stock)


def load_stock(found: object | None) -> Stock:
    """A stock row as the store keeps it: the object while it is dirty, bytes at rest."""
    if found is None:
        return EMPTY_STOCK
    return decode_stock(found) if isinstance(found, bytes) else cast(Stock, found)
