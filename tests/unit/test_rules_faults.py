"""Real series with known faults, their mended twins, and clean ones with many dividends."""

from datetime import date

import numpy as np
import pytest
from rules_world import FAULTS, vendor_form

from screener_collector.rules.model import DEFAULTS, SeriesContext
from screener_collector.rules.series import judge_series

pytestmark = pytest.mark.skipif(not FAULTS.exists(), reason="no shared data")

FAULTY = {
    "1398-HK-1d-bad-div": {"dividend_not_adjusted": ["2024-07-08"]},
    "4063-T-1d-bad-div": {"dividend_mismatch": ["2023-03-30"]},
    "4063-T-1d-bad-stock-split": {"split_misapplied": ["2023-03-30"]},
    "8TRA-DE-1d-missing-div-adjust": {"dividend_not_adjusted": ["2023-06-02"]},
    "ABDP-L-1d-bad-div": {
        "dividend_unit": ["2022-05-05", "2022-12-29", "2023-05-04", "2024-02-08", "2024-05-02"]
    },
    "ADIG-L-1d-bad-div": {
        "dividend_unit": [
            *("2022-03-03", "2022-06-16", "2022-09-22", "2022-12-22", "2023-03-09", "2023-06-08"),
            *("2023-09-21", "2023-11-02", "2023-12-21", "2024-03-07", "2024-07-03"),
        ]
    },
    "AET-L-1d-100x-error": {"unit_switch": ["2022-05-03", "2022-05-20"]},
    "REL-L-1d-bad-div": {
        "dividend_unit": ["2022-04-28", "2022-08-04", "2023-04-27", "2023-08-03", "2024-05-02"],
        "dividend_not_adjusted": ["2024-08-01"],
    },
    "RGL-L-1d-bad-div": {
        "dividend_unit": [
            *("2022-03-03", "2022-06-01", "2022-09-01", "2022-11-17", "2023-03-02"),
            *("2023-06-01", "2023-09-21", "2023-11-16", "2024-02-29", "2024-05-30"),
        ]
    },
    "SAND-1d-bad-div": {
        "dividend_not_adjusted": ["2024-01-12"],
        "dividend_repeated": ["2024-01-12"],
        "dividend_adjusted_twice": ["2024-01-16"],
    },
    "SERE-L-1d-bad-div": {
        "dividend_unit": [
            *("2022-03-31", "2022-07-14", "2022-09-08", "2022-12-29", "2023-04-13"),
            *("2023-07-20", "2023-10-19", "2023-12-28", "2024-04-11", "2024-07-11"),
        ]
    },
    "SPM-MI-1d-bad-stock-split": {"split_misapplied": ["2022-06-13"]},
    "TEP-PA-1d-bad-div": {"dividend_repeated": ["2023-04-20"]},
}
"""By file the rules that its faults break, and the days of their causes."""

STILL_FAULTY = {"SAND-1d-bad-div-fixed": {"dividend_adjusted_twice": ["2024-01-16"]}}
"""Twins that hold a real fault: SAND's second record of one dividend is gone, but the adjusted
close still shows the dividend of 0.015 of 2024-01-16 as 0.030."""


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
