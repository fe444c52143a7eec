"""Profiles of Hypothesis: `gate` gives everybody the same examples, `nightly` looks for new ones.

pytest --hypothesis-profile=nightly
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

# Generating whole worlds is slow by Hypothesis's measure, and meant to be.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)

settings.register_profile(
    "gate",
    deadline=None,
    derandomize=True,
    max_examples=100,
    stateful_step_count=40,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=_SLOW,
)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=2_000,
    stateful_step_count=100,
    print_blob=True,
    suppress_health_check=_SLOW,
)
settings.load_profile("gate")
