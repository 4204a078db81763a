"""The rules that only what is around a bar can break: each has a series that trips it at its cause,
and the same series without the fault, and real ones, that do not. No rule is without a case."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rules_made import CLEAN, Made, liquid
from rules_world import FAULTS, Asset, replaced, vendor_form

from screener_collector.bars import Bars
from screener_collector.calendars import Schedule, sessions
from screener_collector.rules.model import DEFAULTS, RULES, Actions, Finding, SeriesContext
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


def gap(seed: int, *, sessions: int = 15, missed_before: bool = True) -> Case:
    case = clean(seed)
    lacking = without(case, AT, AT + sessions)
    if missed_before:
        lacking = without(lacking, AT - 100, AT - 99)
    return replace(lacking, cause=case.asset.bars.dates[AT + sessions])


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


def contradicted(seed: int) -> Case:
    """A split on record and in the adjusted close; price and volume go on as before."""
    made = calm(seed)
    made.volume[AT] = int(np.median(made.volume[AT - 20 : AT]))
    factors = np.ones(len(made.days))
    factors[:AT] /= 10.0
    actions = Actions.of([(made.days[AT].item(), 10.0, math.nan, math.nan)])
    return Case(Asset(made.asset(factors).bars, actions), made.days, made.days[AT])


CASES: dict[str, tuple[str, Callable[[int], Case]]] = {
    "the same prices for six sessions, with volume": ("prices_stale", stale),
    "three weeks without volume": ("volume_missing", volumeless),
    "three weeks without a bar": ("session_gap", gap),
    "three sessions without a bar, of a stock that missed none": (
        "session_gap",
        lambda seed: gap(seed, sessions=3, missed_before=False),
    ),
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
    "a split that neither price nor volume shows": ("split_contradicted", contradicted),
}
RULES_OF_CASES = {rule for rule, _ in CASES.values()} | {"block_repeated"}


def judge(case: Case, *, calendar_known: bool = True) -> list[Finding]:
    context = SeriesContext(case.asset.actions, case.sessions, calendar_known=calendar_known)
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


def test_a_contradicted_split_breaks_one_rule_and_costs_what_it_adjusts() -> None:
    for seed in range(20):
        found = [each for each in judge(contradicted(seed)) if each.rule.startswith("split")]
        assert [each.rule for each in found] == ["split_contradicted"], (seed, found)
        assert found[0].bars.tolist() == list(range(AT)), seed


@pytest.mark.parametrize(
    ("count", "missed_before", "told"),
    [(2, False, False), (3, False, True), (9, True, False), (10, True, True)],
)
def test_who_trades_on_every_session_may_lack_fewer(
    count: int, missed_before: bool, told: bool
) -> None:
    for seed in range(20):
        found = judge(gap(seed, sessions=count, missed_before=missed_before))
        assert ("session_gap" in {each.rule for each in found}) == told, seed


@pytest.mark.parametrize(("count", "told"), [(3, False), (9, False), (10, True)])
def test_where_no_calendar_is_known_a_week_of_holidays_is_no_gap(count: int, told: bool) -> None:
    for seed in range(20):
        case = gap(seed, sessions=count, missed_before=False)
        found = judge(case, calendar_known=False)
        assert ("session_gap" in {each.rule for each in found}) == told, seed


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_illiquid_listing_lacks_no_session(share: float) -> None:
    """It has bars of the days on which it traded alone."""
    longest = 0
    for seed in range(20):
        case = clean(seed)
        traded = np.random.default_rng(seed).random(len(case.asset.bars)) < share
        thin = replace(case, asset=Asset(case.asset.bars.take(traded), case.asset.actions))
        longest = max(longest, int(np.diff(np.flatnonzero(traded)).max()) - 1)
        assert not {"session_gap", "last_bar_old"} & {each.rule for each in judge(thin)}, seed
    assert longest >= 3, "enough for one that trades every day"


@pytest.mark.parametrize("kind", ["penny", "seldom traded"])
def test_a_listing_that_seldom_trades_lacks_no_session(kind: str) -> None:
    days = np.busday_offset("2019-01-02", np.arange(1000), roll="forward")
    for seed in range(20):
        case = Case(CLEAN[kind](seed).asset(), days, days[0])
        assert not {"session_gap", "last_bar_old"} & {each.rule for each in judge(case)}, seed


def test_a_session_whose_bar_was_set_aside_is_not_missing() -> None:
    def change(name: str, column: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        if name not in ("dates", "volume"):
            column[AT : AT + 5] *= 100.0
        return column

    for seed in range(20):
        case = clean(seed)
        found = judge(
            replace(case, asset=Asset(columns(case.asset.bars, change), case.asset.actions))
        )
        rules = {each.rule for each in found}
        assert "unit_switch" in rules, seed
        assert "session_gap" not in rules, seed


CALENDARS = {
    "HK": "XHKG", "T": "XTKS", "DE": "XETR", "L": "XLON", "MI": "XMIL", "PA": "XPAR",
}  # fmt: skip
"""By the end of a ticker; those without one are of New York."""

CLEAN_FILES = sorted(
    path.stem for path in FAULTS.glob("*.csv") if path.stem.endswith(("-fixed", "-no-bad-divs"))
)


@cache
def broken_by(name: str) -> frozenset[str]:
    """The rules that a real series breaks, beside its exchange's true sessions of its time and of
    two weeks more."""
    asset = vendor_form(name, own=name.endswith("-fixed"))
    first, last = asset.bars.dates[0].item(), asset.bars.dates[-1].item()
    schedule = Schedule(calendar=CALENDARS.get(name.split("-")[1], "XNYS"))
    held = sessions(schedule, first, last + timedelta(days=14))
    days = np.array([session.day for session in held], "datetime64[D]")
    assert len(days) > len(asset.bars)
    return frozenset(finding.rule for finding in judge(Case(asset, days, days[0])))


@pytest.mark.skipif(not CLEAN_FILES, reason="no shared data")
@pytest.mark.parametrize("rule", sorted(RULES_OF_CASES))
def test_a_real_series_breaks_none_of_them(rule: str) -> None:
    """Two with many dividends, which are clean, and the twins of faulty ones."""
    assert [name for name in CLEAN_FILES if rule in broken_by(name)] == []


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
