"""Runs that the day's calls do not reach for survive whatever goes wrong, and stay within them."""

import pytest
from chaos_scenarios import assert_survives, seeds
from chaos_world import Chaos

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", seeds("scarce", 25))
def test_runs_without_enough_calls_end_as_if_nothing_had_gone_wrong(
    chaos: Chaos, seed: int
) -> None:
    assert_survives(chaos, "scarce", seed)
