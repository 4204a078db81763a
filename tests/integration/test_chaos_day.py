"""A steady day by bulk survives whatever goes wrong."""

import pytest
from chaos_scenarios import assert_survives, seeds
from chaos_world import Chaos

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", seeds("day", 52))
def test_a_steady_day_ends_as_if_nothing_had_gone_wrong(chaos: Chaos, seed: int) -> None:
    assert_survives(chaos, "day", seed)
