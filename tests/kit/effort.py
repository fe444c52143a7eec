"""How hard the tests of properties look."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

GATE_EXAMPLES = 100
"""What the gate's profile gives a test that says nothing; see tests/conftest.py."""


def effort(examples: int, **more: Any) -> settings:
    """So many examples in the gate, and in proportion in any other profile."""
    return settings(max_examples=max(1, examples * settings().max_examples // GATE_EXAMPLES), **more)
