"""A first load, and the session after it, survive whatever goes wrong."""

import pytest
from chaos_scenarios import assert_survives, seeds
from chaos_world import Chaos

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", seeds("first", 24))
def test_first_load_ends_as_if_nothing_had_gone_wrong(chaos: Chaos, seed: int) -> None:
    assert_survives(chaos, "first", seed)
