"""A session's new bars against the last ones, and whole bulk answers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from rules_world import make_bars, replaced

from screener_collector.bars import Bars
from screener_collector.rules.batch import Batch, Before, judge_batch
from screener_collector.rules.day import judge_day, unchanged
from screener_collector.rules.model import DEFAULTS

SESSION = np.datetime64("2024-03-05")


@dataclass(frozen=True)
class Tails:
    lengths: NDArray[np.intp]
    dates: NDArray[np.datetime64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]


def tails(assets: int, bars: int = 20, seed: int = 1) -> Tails:
    rng = np.random.default_rng(seed)
    start = np.round(np.exp(rng.uniform(0, 5, assets)), 2)
    close = np.round(start[:, None] * np.exp(rng.normal(0, 0.01, (assets, bars)).cumsum(axis=1)), 2)
    return Tails(
        np.full(assets, bars),
        np.broadcast_to(np.busday_offset(SESSION, np.arange(-bars, 0)), (assets, bars)),
        close - 0.01,
        close + 0.02,
        close - 0.02,
        close,
        rng.integers(1000, 9000, (assets, bars)),
    )


def next_bars(before: Tails) -> Bars:
    assets = len(before.lengths)
    close = np.round(before.close[:, -1] * 1.01, 2)
    return make_bars(
        np.full(assets, SESSION),
        close - 0.01,
        close + 0.03,
        close - 0.03,
        close,
        close,
        before.volume[:, -1] + 1,
    )


def judge(bars: Bars, before: Tails, ratio: float = 1.0) -> dict[int, list[str]]:
    ratios = np.full(len(bars), np.log(ratio))
    found = judge_day(bars, before, ratios, np.zeros(len(bars), np.bool_), DEFAULTS)
    return {at: [finding.rule for finding in findings] for at, findings in found.items()}


def scaled(bars: Bars, at: int, factor: float, *names: str) -> Bars:
    columns = {}
    for name in names or ("open", "high", "low", "close", "adjusted_close"):
        columns[name] = getattr(bars, name).copy()
        columns[name][at] *= factor
    return replaced(bars, **columns)


def test_a_quiet_day_breaks_no_rule() -> None:
    before = tails(300)
    assert judge(next_bars(before), before) == {}


def test_an_asset_without_bars_yet_breaks_none() -> None:
    before = tails(2)
    nothing = Tails(
        np.zeros(2, np.intp),
        np.full((2, 20), "NaT", "datetime64[D]"),
        *(np.full((2, 20), np.nan) for _ in range(4)),
        np.zeros((2, 20), np.int64),
    )
    assert judge(next_bars(before), nothing) == {}


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_newest_bar_in_another_unit_is_found(factor: float) -> None:
    before = tails(50)
    assert judge(scaled(next_bars(before), 7, factor), before) == {7: ["unit_switch"]}


def test_two_units_in_the_newest_bar_are_found() -> None:
    before = tails(50)
    assert judge(scaled(next_bars(before), 7, 100.0, "high"), before) == {7: ["units_mixed"]}


@pytest.mark.parametrize("ratio", [0.01, 4.0, 100.0])
def test_a_recorded_split_is_no_fault(ratio: float) -> None:
    before = tails(1)
    assert judge(scaled(next_bars(before), 0, 1 / ratio), before, ratio) == {}


def test_a_crash_with_volume_is_none_and_one_without_is_flagged() -> None:
    before = tails(2)
    bars = scaled(scaled(next_bars(before), 0, 0.4), 1, 0.4)
    volume = bars.volume.copy()
    volume[0] = 100_000
    assert judge(replaced(bars, volume=volume), before) == {1: ["return_unexplained"]}


def test_a_bar_that_is_the_one_before_is_flagged() -> None:
    before = tails(3)
    bars = next_bars(before)
    columns = {}
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = getattr(bars, name).copy()
        columns[name][1] = getattr(before, name)[1, -1]
    repeated = replaced(bars, **columns)
    assert judge(repeated, before) == {1: ["bar_repeated"]}
    assert unchanged(repeated, before) == (3, 1)


NOW = datetime(2024, 3, 5, 23, tzinfo=UTC)
USUAL = [1000, 990, 1010, 1005, 995]


def part(rows: int, **counts: object) -> Batch:
    return Batch(**{"rows": rows, "of_session": rows, "asked_at": NOW, **counts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("batch", "rule"),
    [
        pytest.param(part(1000, known=900, unchanged=3), None, id="a usual day"),
        pytest.param(part(720), None, id="a quiet day"),
        pytest.param(part(690), "batch_partial", id="a part"),
        pytest.param(part(14), "batch_residue", id="residue of a closed day"),
        pytest.param(part(0), "batch_residue", id="nothing"),
        pytest.param(part(1000, of_session=20), "batch_wrong_date", id="another day"),
        pytest.param(part(1000, known=900, unchanged=880), "batch_echo", id="the day before again"),
        pytest.param(
            part(1000, expected=((400, 400), (10, 500))),
            "batch_residue",
            id="none that are waited for",
        ),
    ],
)
def test_a_bulk_answer_is_judged_by_the_days_before(batch: Batch, rule: str | None) -> None:
    verdict = judge_batch(batch, USUAL, [], DEFAULTS)
    assert (verdict.believed, verdict.rule) == (rule is None, rule)
    assert (verdict.reason is None) == verdict.believed


def test_a_part_that_is_the_same_a_day_later_is_all_there_is() -> None:
    day_before = Before(690, NOW - timedelta(days=1))
    assert judge_batch(part(690), USUAL, [day_before], DEFAULTS).believed
    assert not judge_batch(part(690), USUAL, [Before(400, day_before.asked_at)], DEFAULTS).believed
    hour_before = Before(690, NOW - timedelta(hours=1))
    assert not judge_batch(part(690), USUAL, [hour_before], DEFAULTS).believed


def test_the_first_answer_of_an_exchange_is_believed() -> None:
    assert judge_batch(part(14), [], [], DEFAULTS).believed
