"""The base of all values, and the way collections in them are frozen."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Value(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """An immutable record: compared by content, printed without its defaults.

    `msgspec.structs.replace(value, field=...)` makes a changed copy.
    """

    def _freeze(self, field: str, kind: type[tuple[object, ...]] | type[frozenset[object]]) -> None:
        """Turn a list or set that the caller gave into one that cannot change under the value."""
        given: Iterable[object] = getattr(self, field)
        if type(given) is not kind:
            msgspec.structs.force_setattr(self, field, kind(given))
