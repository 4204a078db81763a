"""One run of few assets survives whatever goes wrong."""

import pytest
from chaos_scenarios import assert_survives, seeds
from chaos_world import Chaos

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", seeds("one", 75))
def test_one_run_ends_as_if_nothing_had_gone_wrong(chaos: Chaos, seed: int) -> None:
    assert_survives(chaos, "one", seed)
