"""When what happens in a sale over several regions. Pure."""

from __future__ import annotations

import enum
from typing import NamedTuple

_CUT_AT = 0.3
_HEAL_AT = 0.7


class Phase(enum.Enum):
    """What a sale goes through, in this order."""

    WHOLE = "before the cut"
    CUT = "during the cut"
    HEALED = "after the cut"


class Timeline(NamedTuple):
    """Seconds since the doors opened."""

    cut_at: float
    heal_at: float
    end_at: float

    @classmethod
    def lasting(cls, seconds: float) -> Timeline:
        """The phases of a sale of so many seconds."""
        return cls(seconds * _CUT_AT, seconds * _HEAL_AT, seconds)
