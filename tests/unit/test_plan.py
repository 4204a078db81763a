"""The planner's two decisions: bulk days or one request an asset, and who gets the calls."""

import pytest

from screener_operator.plan import Budget, sessions_by_bulk, share_budget


@pytest.mark.parametrize(
    ("assets_by_gap", "sessions"),
    [
        pytest.param({}, 0, id="nothing due: nothing by bulk"),
        pytest.param({1: 301}, 1, id="301 assets lack a session: a bulk day is cheaper"),
        pytest.param({1: 300}, 0, id="300 assets cost the same: whole histories win"),
        pytest.param({1: 218}, 0, id="a small exchange goes one by one"),
        pytest.param({1: 10_000, 7: 209}, 1, id="the few with a long gap go one by one"),
        pytest.param({1: 5_000, 2: 5_000}, 2, id="both sessions by bulk for both halves"),
        pytest.param({5: 10_209}, 5, id="a week missing of a large exchange: five bulk days"),
        pytest.param({40: 10_209}, 0, id="40 sessions cost more than one request an asset"),
        pytest.param({0: 10_000, 1: 5}, 0, id="assets without a gap do not count"),
    ],
)
def test_the_cheapest_way_wins(assets_by_gap: dict[int, int], sessions: int) -> None:
    assert sessions_by_bulk(assets_by_gap) == sessions


@pytest.mark.parametrize("seed", range(20))
def test_no_other_number_of_bulk_days_is_cheaper(seed: int) -> None:
    import random

    rng = random.Random(seed)
    gaps = {rng.randint(1, 30): rng.randint(1, 4000) for _ in range(6)}

    def calls(sessions: int) -> int:
        return 300 * sessions + sum(n for gap, n in gaps.items() if gap > sessions)

    assert calls(sessions_by_bulk(gaps)) == min(calls(sessions) for sessions in range(31))


@pytest.mark.parametrize(
    ("facts", "budget"),
    [
        pytest.param(
            {"day_left": 100_000, "run_left": None, "prices_due": 463, "fundamentals_due": 4_630},
            Budget(463, 4_630, "daily_limit"),
            id="everything fits",
        ),
        pytest.param(
            {
                "day_left": 100_000,
                "run_left": None,
                "prices_due": 21_817,
                "fundamentals_due": 218_170,
            },
            Budget(21_817, 78_183, "daily_limit"),
            id="on the first day all prices come first, fundamentals take the rest",
        ),
        pytest.param(
            {"day_left": 1_000, "run_left": None, "prices_due": 21_817, "fundamentals_due": 500},
            Budget(900, 100, "daily_limit"),
            id="a share is kept, so that fundamentals do not starve",
        ),
        pytest.param(
            {"day_left": 1_000, "run_left": None, "prices_due": 21_817, "fundamentals_due": 30},
            Budget(970, 30, "daily_limit"),
            id="the share is no more than what is due",
        ),
        pytest.param(
            {"day_left": 1_000, "run_left": 50, "prices_due": 80, "fundamentals_due": 0},
            Budget(50, 0, "run_limit"),
            id="maxCalls binds",
        ),
        pytest.param(
            {"day_left": 40, "run_left": 50, "prices_due": 80, "fundamentals_due": 0},
            Budget(40, 0, "daily_limit"),
            id="the day binds before maxCalls",
        ),
        pytest.param(
            {"day_left": -7, "run_left": None, "prices_due": 80, "fundamentals_due": 10},
            Budget(0, 0, "daily_limit"),
            id="keepCalls is more than what is left",
        ),
        pytest.param(
            {"day_left": 100, "run_left": -1, "prices_due": 80, "fundamentals_due": 10},
            Budget(0, 0, "run_limit"),
            id="the preflight already used all of maxCalls",
        ),
    ],
)
def test_calls_are_shared(facts: dict[str, int | None], budget: Budget) -> None:
    assert share_budget(**facts) == budget  # type: ignore[arg-type]
