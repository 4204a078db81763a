"""Made series: those without a fault break no rule, those with one break it at its cause."""

from collections.abc import Callable

import numpy as np
import pytest
from rules_made import (
    CLEAN,
    Fault,
    Made,
    at_most,
    dividend_missing,
    dividend_of_a_hundredfold,
    dividend_of_a_hundredth,
    dividend_twice,
    flat,
    liquid,
    penny,
    split_in_part,
    split_late,
    split_not_applied,
    split_that_was_none,
    split_twice,
    unit_switch,
    units_mixed,
    with_split,
)
from rules_world import Asset

from screener_collector.rules.model import DEFAULTS, Finding, SeriesContext
from screener_collector.rules.series import judge_series

SEEDS = range(30)
NOT_OF_CLEAN = ("unit", "split", "dividend")


def judge(asset: Asset, *, known: bool = True) -> list[Finding]:
    context = SeriesContext(asset.actions, splits_known=known, dividends_known=known)
    return judge_series(asset.bars, context, DEFAULTS)


@pytest.mark.parametrize("decimals", [4, 2], ids=["adjusted in 4 decimals", "in 2"])
@pytest.mark.parametrize("kind", CLEAN)
def test_a_clean_series_has_a_flag_a_year_at_most_and_none_of_actions(
    kind: str, decimals: int
) -> None:
    if kind == "penny" and decimals == 2:
        pytest.skip("in cents it has no price at all")
    for seed in SEEDS:
        asset = CLEAN[kind](seed).asset(adjusted_decimals=decimals)
        for known in (True, False):
            found = judge(asset, known=known)
            assert not [f for f in found if f.severity == "quarantine"], (seed, found)
            assert not [f for f in found if f.rule.startswith(NOT_OF_CLEAN)], (seed, found)
            assert at_most(asset.bars, len(found)) <= 1, (seed, found)


def of_units(make: Callable[[int], Made]) -> Callable[[int], Fault]:
    return lambda seed: unit_switch(make(seed), seed)


FAULTS: dict[str, tuple[Callable[[int], Fault], set[str]]] = {
    "prices in another unit": (of_units(liquid), {"unit_switch"}),
    "prices of a seldom traded listing in another unit": (
        of_units(lambda seed: flat(2 * seed + 1)),
        {"unit_switch"},
    ),
    "two units in one bar": (lambda seed: units_mixed(liquid(seed), seed), {"units_mixed"}),
    "a split not applied": (split_not_applied, {"split_misapplied"}),
    "a split applied in part": (split_in_part, {"split_misapplied"}),
    "a split applied twice": (split_twice, {"split_misapplied"}),
    "prices late to a split": (split_late, {"split_misapplied", "split_contradicted"}),
    "a split that was none": (split_that_was_none, {"split_contradicted", "split_unclear"}),
    "a dividend missing": (dividend_missing, {"dividend_not_adjusted"}),
    "a dividend twice": (dividend_twice, {"dividend_adjusted_twice"}),
    "a hundredth of dividends": (dividend_of_a_hundredth, {"dividend_unit"}),
    "a hundred times a dividend": (dividend_of_a_hundredfold, {"dividend_unit"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_within_five_sessions_of_its_cause(fault: str) -> None:
    make, rules = FAULTS[fault]
    for seed in SEEDS:
        made = make(seed)
        found = [finding for finding in judge(made.asset) if finding.rule in rules]
        days = [finding.date_from for finding in found]
        for cause in made.causes[:1] if made.wrong.size else made.causes:
            assert any(abs(np.busday_count(day, cause)) <= 5 for day in days), (seed, cause, days)
        aside = [finding.bars for finding in found if finding.severity == "quarantine"]
        if fault == "a split that was none" and not aside:
            continue  # much volume on the day: a crash of just that size cannot be ruled out
        assert set(np.concatenate([np.empty(0, int), *aside])) == set(made.wrong), seed


def test_a_series_that_jumps_by_whole_ticks_proves_nothing_about_units() -> None:
    for seed in range(50):
        assert "unit_switch" not in {finding.rule for finding in judge(penny(seed).asset())}


def test_a_split_is_pending_in_its_first_sessions() -> None:
    made = with_split(3)
    ((at, _),) = made.splits.items()
    fault = split_not_applied(3).asset
    fresh = Asset(fault.bars.take(slice(0, at + 3)), fault.actions)
    (finding,) = judge(fresh)
    assert (finding.rule, finding.severity) == ("split_unclear", "flag")


def test_a_split_without_a_record_that_k_shows_is_flagged_and_no_more() -> None:
    asset = with_split(4).asset()
    known = asset.actions
    paid = np.isnan(known.ratio)
    bare = type(known)(
        known.ex_dates[paid],
        known.ratio[paid],
        known.raw[paid],
        known.adjusted[paid],
        known.converted[paid],
    )
    assert [f.rule for f in judge(Asset(asset.bars, bare))] == ["split_unrecorded"]


def test_judging_the_same_again_finds_the_same() -> None:
    asset = split_in_part(5).asset
    first, second = judge(asset), judge(asset)
    assert first == second
    assert all(np.array_equal(a.bars, b.bars) for a, b in zip(first, second, strict=True))
