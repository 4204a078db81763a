"""Runs that the day's calls do not reach for survive whatever goes wrong, and stay within them."""

import pytest
from chaos_scenarios import assert_same, assert_survives, scarce, seeds
from chaos_schedule import Blow, Schedule, Stage
from chaos_world import Chaos

pytestmark = pytest.mark.integration

QUIET = Stage(1, (1,), (), ())
SLOW = {
    "endpoint": ["eod", "splits", "div", "fundamentals"],
    "latency_s": {"median_s": 1.3, "p99_s": 1.4},
    "count": 60,
}


@pytest.mark.parametrize("seed", seeds("scarce", 25))
def test_runs_without_enough_calls_end_as_if_nothing_had_gone_wrong(
    chaos: Chaos, seed: int
) -> None:
    assert_survives(chaos, "scarce", seed)


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(Stage(1, (1,), (), (), ((0.0, 30),)), id="before any reading"),
        # One run's worker has leased and sends slowly; the other run's preflight, which was frozen,
        # reads the counter meanwhile.
        pytest.param(
            Stage(1, (1,), (Blow(0.01, "freeze", 1, 0.6),), (SLOW,), ((0.55, 45),)),
            id="between one run's leases and the other's reading",
        ),
    ],
)
def test_what_others_call_is_taken_into_account(chaos: Chaos, stage: Stage) -> None:
    assert_same(chaos, scarce(chaos.simulator), Schedule(0, (stage, QUIET, QUIET), soft=True))
