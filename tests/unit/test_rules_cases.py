"""The rules that only what is around a bar can break: each has a series that trips it at its cause,
and the same series without the fault, and real ones, that do not. No rule is without a case."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from rules_made import Made, liquid
from rules_world import FAULTS, Asset, replaced, vendor_form

from screener_collector.bars import Bars
from screener_collector.rules.model import DEFAULTS, RULES, Finding, SeriesContext
from screener_collector.rules.series import judge_series

DAY = np.timedelta64(1, "D")
AT = 500
"""The bar at which each fault begins."""


@dataclass(frozen=True)
class Case:
    """A series with its exchange's sessions, and the day of its fault."""

    asset: Asset
    sessions: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    cause: np.datetime64


def calm(seed: int) -> Made:
    """A daily traded stock without a split; the crash of its kind is far from the fault."""
    made = liquid(2 * seed)
    made.splits.clear()
    made.dividends.clear()
    # In cents a price of a few units stands still on many days.
    for column in (made.open, made.high, made.low, made.close):
        column *= 100.0 / made.close[AT]
    return made


def columns(bars: Bars, change: Callable[[str, np.ndarray], np.ndarray]) -> Bars:  # type: ignore[type-arg]
    names = ("dates", "open", "high", "low", "close", "adjusted_close", "volume")
    return Bars(*(change(name, getattr(bars, name).copy()) for name in names))


def clean(seed: int) -> Case:
    made = calm(seed)
    return Case(made.asset(), made.days, made.days[AT])


def without(case: Case, first: int, last: int) -> Case:
    keep = np.ones(len(case.asset.bars), np.bool_)
    keep[first:last] = False
    return replace(case, asset=Asset(case.asset.bars.take(keep), case.asset.actions))


def inserted(case: Case, at: int, day: np.datetime64, **values: float) -> Bars:
    """A copy of the bar before a place, on another day, with other values."""

    def change(name: str, column: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.insert(column, at, day if name == "dates" else values.get(name, column[at - 1]))

    return columns(case.asset.bars, change)


def off_days(case: Case, count: int) -> list[tuple[int, np.datetime64]]:
    """Places of bars after a day without a session, and that day."""
    days = case.asset.bars.dates
    places = np.flatnonzero(days[1:] - days[:-1] > DAY) + 1
    return [(int(at), days[at] - DAY) for at in places[places > AT][:count]]


def stale(seed: int) -> Case:
    case = clean(seed)
    names = ("open", "high", "low", "close", "adjusted_close")

    def change(name: str, column: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        if name in names:
            column[AT : AT + 6] = column[AT]
        return column

    return replace(case, asset=Asset(columns(case.asset.bars, change), case.asset.actions))


def volumeless(seed: int) -> Case:
    case = clean(seed)
    volume = case.asset.bars.volume.copy()
    volume[AT : AT + 15] = 0
    return replace(case, asset=Asset(replaced(case.asset.bars, volume=volume), case.asset.actions))


def gap(seed: int) -> Case:
    case = clean(seed)
    return replace(without(case, AT, AT + 15), cause=case.asset.bars.dates[AT + 15])


def ended(seed: int) -> Case:
    case = clean(seed)
    return replace(without(case, AT + 1, len(case.asset.bars)), cause=case.asset.bars.dates[AT])


def empty_off_day(seed: int) -> Case:
    case = clean(seed)
    ((at, day),) = off_days(case, 1)
    bars = inserted(case, at, day, volume=0)
    return replace(case, asset=Asset(bars, case.asset.actions), cause=day)


def copied_off_day(seed: int) -> Case:
    case = clean(seed)
    ((at, day),) = off_days(case, 1)
    return replace(case, asset=Asset(inserted(case, at, day), case.asset.actions), cause=day)


def copied_block(seed: int, length: int, lag: int) -> Case:
    """Bars are those of some time before, or after where `lag` is negative."""
    case = clean(seed)

    def change(name: str, column: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        if name != "dates":
            column[AT : AT + length] = column[AT - lag : AT - lag + length].copy()
        return column

    return replace(case, asset=Asset(columns(case.asset.bars, change), case.asset.actions))


def traded_off_days(seed: int) -> Case:
    case = clean(seed)
    places = off_days(case, 8)
    for at, day in reversed(places):
        close = float(case.asset.bars.close[at])
        bars = inserted(
            case, at, day, open=close, high=close, low=close, close=close,
            adjusted_close=float(case.asset.bars.adjusted_close[at]), volume=4711 + at,
        )  # fmt: skip
        case = replace(case, asset=Asset(bars, case.asset.actions))
    return replace(case, cause=places[0][1])


def paid(seed: int, recorded: list[int], shown: list[int]) -> Case:
    """Dividends on record at some bars, and others in the adjusted close."""
    made = calm(seed)
    amount = round(float(made.close[AT]) * 0.01, 4)
    made.dividends.update(dict.fromkeys(shown, amount))
    bars = made.asset().bars
    made.dividends.clear()
    made.dividends.update(dict.fromkeys(recorded, amount))
    actions = made.asset().actions
    return Case(Asset(bars, actions), made.days, made.days[min(recorded + shown)])


def unrecorded_split(seed: int) -> Case:
    """The price steps by a split that is on no record and not in the adjusted close."""
    made = calm(seed)
    # A day that moves much by itself hides the ratio.
    own = made.close[AT] / made.close[AT - 1]
    for column in (made.open, made.high, made.low, made.close):
        column[AT:] *= 1.004 / own / 4.0
    return Case(made.asset(), made.days, made.days[AT])


CASES: dict[str, tuple[str, Callable[[int], Case]]] = {
    "the same prices for six sessions, with volume": ("prices_stale", stale),
    "three weeks without volume": ("volume_missing", volumeless),
    "three weeks without a bar": ("session_gap", gap),
    "no bar since long": ("last_bar_old", ended),
    "a bar without volume on a day off": ("no_session", empty_off_day),
    "a copy on a day off": ("no_session", copied_off_day),
    "traded bars on days off": ("calendar_doubtful", traded_off_days),
    "a dividend on record twice": (
        "dividend_repeated",
        lambda seed: paid(seed, [AT, AT + 1], [AT, AT + 1]),
    ),
    "a dividend shown three sessions late": (
        "dividend_misdated",
        lambda seed: paid(seed, [AT], [AT + 3]),
    ),
    "a dividend shown four sessions early": (
        "dividend_misdated",
        lambda seed: paid(seed, [AT], [AT - 4]),
    ),
    "a step of the adjusted close without an action": (
        "adjustment_unexplained",
        lambda seed: replace(paid(seed, [AT - 90], [AT - 90, AT]), cause=calm(seed).days[AT]),
    ),
    "a split that nobody has recorded": ("split_suspected", unrecorded_split),
}
RULES_OF_CASES = {rule for rule, _ in CASES.values()} | {"block_repeated"}


def judge(case: Case) -> list[Finding]:
    context = SeriesContext(case.asset.actions, case.sessions)
    return judge_series(case.asset.bars, context, DEFAULTS)


@pytest.mark.parametrize("name", CASES)
def test_a_fault_breaks_its_rule_within_five_sessions_of_its_cause(name: str) -> None:
    rule, make = CASES[name]
    for seed in range(20):
        case = make(seed)
        found = [finding for finding in judge(case) if finding.rule == rule]
        assert len(found) == 1, (seed, judge(case))
        apart = np.busday_count(found[0].date_from, case.cause.item())
        assert abs(int(apart)) <= 5, (seed, found)
        assert found[0].severity == DEFAULTS.severity(rule)


def test_the_same_series_without_the_fault_breaks_none_of_them() -> None:
    for seed in range(20):
        assert not RULES_OF_CASES & {finding.rule for finding in judge(clean(seed))}, seed


@pytest.mark.parametrize(
    ("length", "lag"), [(10, 63), (10, -63), (6, -400), (5, 20), (10, 10)], ids=str
)
def test_a_copied_stretch_is_set_aside_and_the_other_too_where_nothing_tells_them_apart(
    length: int, lag: int
) -> None:
    """An original that by chance leaps three times as far as its copy is taken for it."""
    right = both = 0
    for seed in range(40):
        found = judge(copied_block(seed, length, lag))
        found = [each for each in found if each.rule == "block_repeated"]
        aside = {int(at) for each in found for at in each.bars}
        copied = set(range(AT, AT + length))
        assert aside, seed
        assert aside <= copied | set(range(AT - lag, AT - lag + length)), (seed, found)
        right += copied <= aside
        both += len(found) > 1
    assert right >= 36, "the copy is set aside"
    assert both <= 20, "most are told apart"


@pytest.mark.parametrize("length", [1, 4])
def test_a_few_bars_alike_prove_nothing(length: int) -> None:
    for seed in range(20):
        found = judge(copied_block(seed, length, 63))
        assert "block_repeated" not in {each.rule for each in found}, seed


def test_a_stock_with_the_same_few_bars_again_and_again_repeats_no_block() -> None:
    """It trades a lot or two, at one price or the next, as those of few cents do."""
    for seed in range(20):
        case = clean(seed)
        draw = np.random.default_rng(seed).integers(0, 3, len(case.asset.bars))
        bars = replaced(
            case.asset.bars,
            open=np.full(len(draw), 0.01), low=np.full(len(draw), 0.01),
            high=np.full(len(draw), 0.02), close=np.where(draw == 1, 0.01, 0.02),
            adjusted_close=np.where(draw == 1, 0.01, 0.02), volume=100 * (1 + draw),
        )  # fmt: skip
        found = judge(replace(case, asset=Asset(bars, case.asset.actions)))
        assert "block_repeated" not in {each.rule for each in found}, seed


@pytest.mark.skipif(not FAULTS.exists(), reason="no shared data")
@pytest.mark.parametrize("rule", sorted(RULES_OF_CASES))
def test_a_real_series_breaks_none_of_them(rule: str) -> None:
    """Two with many dividends, which are clean, and the twins of faulty ones."""
    for path in sorted(FAULTS.glob("*.csv")):
        if not path.stem.endswith(("-fixed", "-no-bad-divs")):
            continue
        asset = vendor_form(path.stem, own=path.stem.endswith("-fixed"))
        case = Case(asset, asset.bars.dates, asset.bars.dates[0])
        assert rule not in {finding.rule for finding in judge(case)}, path.stem


def test_every_rule_has_a_case_that_trips_it() -> None:
    """Its name stands in a test beside the one of the table, or in the cases above."""
    tests = Path(__file__).parents[1]
    told = "\n".join(
        path.read_text()
        for path in tests.rglob("test_*.py")
        if path.name not in ("test_rules_table.py", Path(__file__).name)
    )
    missing = [
        rule.name
        for rule in RULES
        if rule.name not in RULES_OF_CASES and not re.search(f"""['"]{rule.name}['"]""", told)
    ]
    assert missing == []
