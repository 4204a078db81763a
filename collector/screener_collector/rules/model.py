"""Core: what the rules of series, days and batches take and give. No I/O, no clock.

A rule is a name, a severity and numbers. Those of `RULES` are what the table `data_rules` is seeded
with; a worker reads the table, so a person can change a number or a severity there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Indexes = NDArray[np.intp]
Mask = NDArray[np.bool_]
Severity = Literal["quarantine", "flag"]
Scope = Literal["row", "series", "batch", "cross"]

QUARANTINE: Severity = "quarantine"
FLAG: Severity = "flag"


class Series(Protocol):
    """One asset's bars by ascending date, no date twice: arrays of one length, never written to.

    Open to close raw, in the listing's unit; `adjusted_close` for splits and dividends; `volume`
    for splits.
    """

    @property
    def dates(self) -> Days: ...
    @property
    def open(self) -> Floats: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...
    @property
    def adjusted_close(self) -> Floats: ...
    @property
    def volume(self) -> Counts: ...
    def __len__(self) -> int: ...
    def take(self, which: Mask | Indexes | slice) -> Self: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement.

    `date_from` to `date_to`: where its cause is. `bars`: indexes of the bars that it is about; of
    severity quarantine those that must not be stored, which may reach further back than the cause.
    """

    rule: str
    severity: Severity
    date_from: date
    date_to: date
    measured: float | None
    expected: float | None
    message: str
    bars: Indexes = field(compare=False)


@dataclass(frozen=True, slots=True)
class Actions:
    """An asset's splits and dividends: arrays of one length, by ascending ex-date.

    `ratio`: new shares for one old of a split, NaN for a dividend. `raw`: a dividend as paid then,
    which goes with raw closes; `adjusted`: the same adjusted for later splits; both in the
    listing's unit, NaN where unknown (without an exchange rate, or not served) and for a split.
    `converted`: whether an exchange rate is in the amount.
    """

    ex_dates: Days
    ratio: Floats
    raw: Floats
    adjusted: Floats
    converted: Mask

    def __len__(self) -> int:
        return len(self.ex_dates)

    @classmethod
    def none(cls) -> Self:
        """No action."""
        return cls.of(())

    @classmethod
    def of(
        cls, rows: Iterable[tuple[date, float, float, float]], converted: Iterable[date] = ()
    ) -> Self:
        """From rows of ex-date, ratio, raw and adjusted amount, and the ex-dates of converted."""
        ordered = sorted(rows, key=lambda row: row[0])
        days = np.array([row[0] for row in ordered], "datetime64[D]")
        numbers = np.array([row[1:] for row in ordered], np.float64).reshape(-1, 3).T
        rated = np.isin(days, np.array(sorted(converted), "datetime64[D]"))
        return cls(days, numbers[0].copy(), numbers[1].copy(), numbers[2].copy(), rated)


@dataclass(frozen=True, slots=True)
class SeriesContext:
    """What else is known of an asset.

    `splits_known`, `dividends_known`: whether `actions` has all of them; else their absence says
    nothing, and what only they explain is not judged. `sessions`: of its exchange, by date; empty:
    unknown, and nothing is said of days outside them. `calendar_known`: whether a calendar says so;
    else they are working days, and holidays look as if bars were missing.
    """

    actions: Actions = field(default_factory=Actions.none)
    sessions: Days = field(default_factory=lambda: np.empty(0, "datetime64[D]"))
    splits_known: bool = True
    dividends_known: bool = True
    calendar_known: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of `data_rules`."""

    name: str
    scope: Scope
    severity: Severity
    sentence: str
    parameters: Mapping[str, float] = field(default_factory=dict)


class Parameters:
    """Severity and numbers of the rules, by name."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: Mapping[str, Rule] = {rule.name: rule for rule in rules}

    def severity(self, rule: str) -> Severity:
        """Raises KeyError for an unknown rule."""
        return self.rules[rule].severity

    def value(self, rule: str, name: str) -> float:
        """Raises KeyError for an unknown rule or number."""
        return self.rules[rule].parameters[name]

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """From rows of `data_rules`. Raises KeyError when a rule or a number of it lacks."""
        found = {row["rule"]: row for row in rows}
        return cls(
            Rule(
                rule.name,
                rule.scope,
                found[rule.name]["severity"],
                found[rule.name]["sentence"],
                {name: float(found[rule.name]["parameters"][name]) for name in rule.parameters},
            )
            for rule in RULES
        )


def _rules() -> Iterable[Rule]:
    row: Scope = "row"
    yield Rule("row_invalid", row, QUARANTINE, "The row is no object.")
    yield Rule("date_invalid", row, QUARANTINE, "The date cannot be read.")
    yield Rule("date_future", row, QUARANTINE, "The date is in the future.")
    yield Rule("date_not_asked_for", row, QUARANTINE, "The date was not asked for.")
    yield Rule("date_repeated", row, QUARANTINE, "Two different bars have this date.")
    yield Rule("price_invalid", row, QUARANTINE, "A price is no number that a price can be.")
    yield Rule("price_not_positive", row, QUARANTINE, "A price is not above zero.")
    yield Rule(
        "low_high_order", row, QUARANTINE, "Open or close is not between the low and the high."
    )
    yield Rule("adjusted_close_invalid", row, QUARANTINE, "The adjusted close is none.")
    yield Rule("volume_invalid", row, QUARANTINE, "The volume is no count.")
    yield Rule("bar_withdrawn", row, QUARANTINE, "The vendor no longer has the bar.")
    yield from _series_rules()
    yield from _batch_rules()
    yield from _cross_rules()


def _series_rules() -> Iterable[Rule]:
    series: Scope = "series"
    yield Rule(
        "unit_switch",
        series,
        QUARANTINE,
        "Prices are 100 times what they are on the other side, up or down: another unit.",
        {
            # Natural logarithms. 0.35: a move of 42 % up or 30 % down may come with the switch.
            "factor": 100,
            "tolerance": 0.35,
            # A return to the old level is proof by itself and may move more meanwhile.
            "tolerance_back": 1.1,
            # With so few units in the last place a price is too coarse to be proof.
            "ticks": 10,
            # A series in which one day in twenty moves this much proves nothing by a jump.
            "noise": 1.1,
            # After so many traded bars the newest unit is taken for the listing's.
            "settled_bars": 250,
        },
    )
    yield Rule(
        "units_mixed",
        series,
        QUARANTINE,
        "Prices of one bar are 100 times the others.",
        {"tolerance": 0.5},
    )
    yield Rule(
        "no_session",
        series,
        QUARANTINE,
        "A bar without volume, or a copy of the one before, on a day without a session.",
        # More bars with volume on such days than this share: the calendar is wrong, not they.
        {"doubt_share": 0.005, "doubt_bars": 3},
    )
    yield Rule(
        "block_repeated",
        series,
        QUARANTINE,
        "Bars on end are exactly as many others, volume included.",
        # Fewer can be alike by chance in a stock that seldom trades.
        {"bars": 5, "leap": 3},
    )
    yield Rule(
        "split_misapplied",
        series,
        QUARANTINE,
        "The price steps by a recorded split; the adjusted close does not, or partly, or twice, or"
        " on another day.",
        {
            # Logarithms. Steps of k must equal the ratio so closely.
            "tolerance": 0.03,
            # Shares of the ratio: the price may differ so much from having stepped, or not.
            "price_share": 0.35,
            # A ratio is seen in prices from this factor on, and from so many usual moves on.
            "ratio": 1.3,
            "moves": 4,
            "search_bars": 10,
            # In its first sessions a split that is not applied yet is only flagged.
            "pending_bars": 5,
        },
    )
    yield Rule(
        "split_contradicted",
        series,
        QUARANTINE,
        "The adjusted close shows a recorded split that neither price nor volume does.",
        {"volume_step": 3},
    )
    yield Rule(
        "split_unclear",
        series,
        FLAG,
        "A recorded split that the adjusted close does not show, or not by its ratio, and prices do"
        " not decide.",
    )
    yield Rule(
        "split_unrecorded",
        series,
        FLAG,
        "Price and adjusted close show a split that is not on record.",
        {"ratio": 1.3},
    )
    yield Rule(
        "split_suspected",
        series,
        FLAG,
        "The price steps by a simple ratio and stays there without more volume; no split is on"
        " record and none in the adjusted close.",
        {"tolerance": 0.03, "moves": 8, "traded_share": 0.9, "ticks": 50, "volume_step": 3},
    )
    yield Rule(
        "dividend_unit",
        series,
        FLAG,
        "A dividend and its step in the adjusted close differ by a factor of 100.",
        {"factor": 100, "tolerance": 0.15},
    )
    yield Rule(
        "dividend_not_adjusted", series, FLAG, "A dividend is missing from the adjusted close."
    )
    yield Rule(
        "dividend_adjusted_twice",
        series,
        FLAG,
        "A dividend is in the adjusted close twice.",
        {"tolerance": 0.1},
    )
    yield Rule(
        "dividend_repeated",
        series,
        FLAG,
        "The same dividend is on record twice within days.",
        {"days": 4, "tolerance": 0.01},
    )
    yield Rule(
        "dividend_misdated",
        series,
        FLAG,
        "The adjusted close shows a dividend on another day than its ex-date.",
        {"bars": 5},
    )
    yield Rule(
        "dividend_mismatch",
        series,
        FLAG,
        "A dividend and its step in the adjusted close differ.",
        # Share of the step that may differ: amounts and closes are rounded on their own.
        # Of a converted one more: the rate that the vendor took is another day's.
        {"tolerance": 0.05, "tolerance_converted": 0.15},
    )
    yield Rule(
        "adjustment_unexplained",
        series,
        FLAG,
        "The adjusted close steps against the close on a day without an action.",
        {"step": 0.0005, "days": 366},
    )
    yield Rule(
        "return_unexplained",
        series,
        FLAG,
        "The adjusted close moves by more than half without an action and without more volume.",
        {"return": 0.5, "volume_step": 3, "usual_moves": 4, "gap_days": 30},
    )
    yield Rule(
        "bar_repeated",
        series,
        FLAG,
        "A bar with a range is exactly that of the session before, volume included.",
    )
    yield Rule(
        "prices_stale",
        series,
        FLAG,
        "A stock that usually moves has the same four prices for sessions on end, with volume.",
        {"bars": 5, "usual_share": 0.1},
    )
    yield Rule(
        "volume_missing",
        series,
        FLAG,
        "A stock that trades every day has no volume for sessions on end.",
        {"bars": 10, "traded_share": 0.95},
    )
    yield Rule(
        "session_gap",
        series,
        FLAG,
        "A stock that trades every day has no bar for sessions on end.",
        # One that traded on each of so many sessions before may lack fewer, by a known calendar.
        {"sessions": 10, "traded_share": 0.95, "sessions_of_steady": 3, "steady_bars": 250},
    )
    yield Rule(
        "last_bar_old",
        series,
        FLAG,
        "A stock that trades every day has no bar of the exchange's last sessions.",
        {"sessions": 10, "traded_share": 0.95},
    )
    yield Rule(
        "calendar_doubtful",
        series,
        FLAG,
        "Bars with volume are on days without a session by the calendar.",
    )
    yield Rule(
        "action_not_applied",
        series,
        FLAG,
        "After five sessions the adjusted close does not show a recorded action.",
    )


def _batch_rules() -> Iterable[Rule]:
    batch: Scope = "batch"
    yield Rule(
        "batch_wrong_date",
        batch,
        QUARANTINE,
        "Most rows of a bulk day are of another date.",
        {"share": 0.5},
    )
    yield Rule(
        "batch_residue",
        batch,
        QUARANTINE,
        "A bulk day has a handful of rows: no session, or not published.",
        {"share": 0.1, "rows": 50},
    )
    yield Rule(
        "batch_echo",
        batch,
        QUARANTINE,
        "A bulk day repeats the bars of the session before.",
        {"share": 0.5, "rows": 10},
    )
    yield Rule(
        "batch_partial",
        batch,
        QUARANTINE,
        "A bulk day has far fewer rows than those before it.",
        # Believed after all when the same comes again so long after.
        {"share": 0.7, "settled_hours": 20, "settled_share": 0.02},
    )
    yield Rule(
        "list_partial",
        batch,
        QUARANTINE,
        "A symbol list lacks more of what the one before had than leave in a day.",
        # More than so many, and more than that share.
        {"lacking": 20, "share": 0.05},
    )
    yield Rule(
        "code_reused",
        batch,
        QUARANTINE,
        "The code was given to another company, and the bar came after the last list that shows it"
        " as this one's.",
        # A close that differs by more is another; more than that share: all bars are doubtful.
        {"tolerance": 0.0001, "share": 0.05},
    )


def _cross_rules() -> Iterable[Rule]:
    cross: Scope = "cross"
    yield Rule(
        "dividend_currency",
        cross,
        FLAG,
        "A dividend is in another currency than the listing, and no rate is known.",
    )
    yield Rule(
        "listings_differ",
        cross,
        FLAG,
        "Listings of one ISIN in one currency differ in price.",
        {"tolerance": 0.25, "days": 5},
    )
    yield Rule(
        "market_cap_differs",
        cross,
        FLAG,
        "Market capitalisation is not shares times price.",
        {"factor": 3, "days": 40},
    )
    yield Rule(
        "year_range_differs",
        cross,
        FLAG,
        "The vendor's 52-week high or low is not that of the bars.",
        {"factor": 1.5, "days": 40},
    )
    yield Rule("currency_missing", cross, FLAG, "Fundamentals state no currency.")
    yield Rule("shares_missing", cross, FLAG, "Fundamentals state no shares outstanding.")
    yield Rule("quarter_old", cross, FLAG, "The most recent quarter is long past.", {"days": 400})
    yield Rule(
        "balance_unequal",
        cross,
        FLAG,
        "Assets are not liabilities and equity together.",
        # What minorities hold is in neither, and seldom stated.
        {"tolerance": 0.1},
    )


RULES: tuple[Rule, ...] = tuple(_rules())
"""All rules, as `data_rules` is seeded."""
DEFAULTS = Parameters(RULES)
