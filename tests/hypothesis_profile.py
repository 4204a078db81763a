"""How Hypothesis searches: by the same examples in every run, so that none fails by chance.

`make fuzz` sets FUZZ: so many times the examples, new ones in each run.
"""

import os
import random

from hypothesis import HealthCheck, settings

_FUZZ = int(os.environ.get("FUZZ") or 0)
TIMES = max(1, _FUZZ)
"""How many times the usual examples."""
FIRST_SEED = int(
    os.environ.get("FUZZ_SEED") or (random.SystemRandom().getrandbits(32) * bool(_FUZZ))
)
"""Of what counts its seeds by itself; FUZZ_SEED names one that has failed."""


def load() -> None:
    """Makes it the profile of all tests."""
    settings.register_profile(
        "tests",
        max_examples=100 * TIMES,
        derandomize=not _FUZZ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("tests")
