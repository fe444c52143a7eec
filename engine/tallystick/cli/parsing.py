"""What people type, as values: durations, times, pairs. Each function raises ValueError with advice."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", re.ASCII)


class Moment(NamedTuple):
    """A moment of a filter: absolute, or so long before now."""

    at: datetime | None
    ago: timedelta

    def resolve(self, now: datetime) -> datetime:
        return self.at if self.at is not None else now - self.ago


def parse_duration(text: str) -> timedelta:
    """ "15m", "90s", "1h30m", "250ms", "7d"; a plain number is seconds."""
    text = text.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text, re.ASCII):
        text += "s"
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration: write 90s, 15m, 1h30m or 7d")
    return timedelta(milliseconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def parse_moment(text: str) -> Moment:
    """An ISO 8601 date or time (local where it names no zone), or a duration: that long ago."""
    if _DURATION.match(text):
        return Moment(None, parse_duration(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write 2026-03-01, 2026-03-01T09:30, 2026-03-01T09:30:00+01:00, or 2h (ago)"
        ) from None
    return Moment(moment.astimezone(UTC), timedelta())


def parse_token(text: str) -> bytes:
    """A consistency token, as JSON answers hold it: base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("this is no consistency token: copy it from the JSON of a write's answer") from None


def parse_weight(text: str) -> tuple[str, int]:
    """ "NODE=WEIGHT", as 3f9c01ab27de=2."""
    node, _, weight = text.rpartition("=")
    if not node or not re.fullmatch(r"[1-9]\d{0,5}", weight, re.ASCII):
        raise ValueError(f"{text!r} is no share: write NODE=WEIGHT, as 3f9c01ab27de=2")
    return node, int(weight)


def parse_pair(text: str) -> tuple[str, str]:
    """ "KEY=VALUE" at the first "="."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ValueError(f"{text!r} is no pair: write KEY=VALUE")
    return key, value
