"""Real series with known faults, their mended twins, and clean ones with many dividends."""

from datetime import date

import numpy as np
import pytest
from rules_world import FAULTS, FAULTY, STILL_FAULTY, vendor_form

from screener_collector.rules.model import DEFAULTS, SeriesContext
from screener_collector.rules.series import judge_series

pytestmark = pytest.mark.skipif(not FAULTS.exists(), reason="no shared data")


def found_in(name: str, decimals: int | None) -> dict[str, list[str]]:
    asset = vendor_form(name, own=name.endswith("-fixed"), decimals=decimals)
    found: dict[str, list[str]] = {}
    for finding in judge_series(asset.bars, SeriesContext(asset.actions), DEFAULTS):
        found.setdefault(finding.rule, []).append(str(finding.date_from))
    return found


@pytest.mark.parametrize("decimals", [4, None], ids=["as served", "unrounded"])
@pytest.mark.parametrize("name", FAULTY)
def test_each_real_fault_breaks_its_rule_at_its_cause(name: str, decimals: int | None) -> None:
    found = found_in(name, decimals)
    assert set(found) == set(FAULTY[name])
    for rule, causes in FAULTY[name].items():
        assert len(found[rule]) == len(causes)
        for at, cause in zip(found[rule], causes, strict=True):
            assert abs(np.busday_count(date.fromisoformat(at), date.fromisoformat(cause))) <= 5


@pytest.mark.parametrize("decimals", [4, 2, None], ids=["as served", "in cents", "unrounded"])
@pytest.mark.parametrize(
    "name", [*(f"{name}-fixed" for name in FAULTY), "CALM-1d-no-bad-divs", "EWG-1d-no-bad-divs"]
)
def test_mended_and_clean_series_break_no_rule(name: str, decimals: int | None) -> None:
    still = STILL_FAULTY.get(name, {})
    # In cents its 0.030 of 5 cannot be told from 0.015.
    assert found_in(name, decimals) == (still if decimals != 2 else {})


def test_of_prices_in_two_units_those_that_nobody_traded_at_are_set_aside() -> None:
    asset = vendor_form("AET-L-1d-100x-error")
    found = judge_series(asset.bars, SeriesContext(asset.actions), DEFAULTS)
    aside = np.concatenate([finding.bars for finding in found])
    assert set(np.flatnonzero(asset.bars.close < 1)) == set(aside)


def test_a_split_applied_in_part_costs_the_bars_before_the_break_alone() -> None:
    asset = vendor_form("4063-T-1d-bad-stock-split")
    (finding,) = judge_series(asset.bars, SeriesContext(asset.actions), DEFAULTS)
    assert finding.severity == "quarantine"
    assert [str(day) for day in asset.bars.dates[finding.bars][[0, -1]]] == [
        "2023-03-15",
        "2023-03-28",
    ]
