"""Splits and dividends of a whole exchange: what they do to the history, when the vendor lists
them, when it rewrites the history for them, and what is wrong with either for a while. Pure.

By the vendor's convention an action multiplies what lies before its ex-date: a split of `new` for
`old` shares every adjusted_close by old / new and every volume by new / old; a dividend of D every
adjusted_close by 1 - D / c, c the close before the ex-date, D and c raw and in one unit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from screener_local.simulator.noise import Floats, Ints

Bools = npt.NDArray[np.bool_]

#: Seconds since 1970 that never come.
NEVER = 2**62


@dataclass(frozen=True)
class Dividend:
    """`amount` as paid a share; `adjusted` for the splits after it; days since the epoch.

    `currency` "" is the listing's own.
    """

    asset: int
    day: int
    amount: float
    adjusted: float
    currency: str = ""


@dataclass(frozen=True)
class Split:
    asset: int
    day: int
    new: float
    old: float


@dataclass(frozen=True)
class Table:
    """Every action of every asset, ascending by asset and day; columns of equal length.

    `log_step` is what the action does to a made-up raw price, `log_split` to its share count; both
    0 where the bars already contain it, or where it never was. `factor` multiplies every
    adjusted_close before it, `split` every volume. `amount` is in the listing's unit, `paid` what
    the list says, in `currency` (a place in `currencies`; -1 the listing's own). `list_at` and
    `apply_at` are seconds since 1970. Until `wrong_until` everything listed is `scale` times what
    it is, and with `scale_applied` the history too. `start` has the first row of each asset.
    """

    asset: Ints
    day: Ints
    is_split: Bools
    new: Floats
    old: Floats
    amount: Floats
    paid: Floats
    currency: Ints
    factor: Floats
    split: Floats
    log_step: Floats
    log_split: Floats
    list_at: Ints
    apply_at: Ints
    gone_at: Ints
    scale: Floats
    wrong_until: Ints
    scale_applied: Bools
    start: Ints
    currencies: tuple[str, ...] = ()

    def rows_of(self, asset: int) -> slice:
        return slice(int(self.start[asset]), int(self.start[asset + 1]))

    def times(self) -> Ints:
        """The moments, ascending, at which something about an action changes."""
        every = (self.list_at, self.apply_at, self.gone_at, self.wrong_until)
        times = np.unique(np.concatenate(every))
        return times[times < NEVER]

    def where(self, keep: Any, assets: int) -> Table:
        """Some of the rows, for an exchange of `assets` assets."""
        columns = {
            item.name: getattr(self, item.name)[keep]
            for item in fields(self)
            if item.name not in ("start", "currencies")
        }
        start = np.searchsorted(columns["asset"], np.arange(assets + 1))
        return Table(**columns, start=start, currencies=self.currencies)


@dataclass(frozen=True)
class Seen:
    """What is known of the actions at a moment. `visible` is the last published session's day.

    `listed` and `applied` mark rows of the table; `new`, `paid`, `factor` and `split` are the
    table's, as they are told at this moment.
    """

    visible: int
    listed: Bools
    applied: Bools
    new: Floats
    paid: Floats
    factor: Floats
    split: Floats


def seen_of(table: Table, visible: int, at: int | None) -> Seen:
    """What is known at `at`, seconds since 1970; None knows every action with its session."""
    shown = table.day <= visible
    if at is None:
        return Seen(visible, shown, shown, table.new, table.paid, table.factor, table.split)
    there = table.gone_at > at
    listed = there & (table.list_at <= at)
    applied = there & (table.apply_at <= at) & shown
    wrong = table.wrong_until > at
    new, paid, factor, split = table.new, table.paid, table.factor, table.split
    if wrong.any():
        scale = np.where(wrong, table.scale, 1.0)
        new = np.where(table.is_split, new * scale, new)
        paid = np.where(table.is_split, paid, paid * scale)
        used = np.where(table.scale_applied, scale, 1.0)
        of_dividend = np.maximum(1.0 - (1.0 - factor) * used, 1e-3)
        factor = np.where(table.is_split, factor / used, of_dividend)
        split = np.where(table.is_split, split * used, split)
    return Seen(visible, listed, applied, new, paid, factor, split)


def factors(table: Table, seen: Seen, asset: int, days: Ints) -> tuple[Floats, Floats]:
    """What the applied actions after each day make of its adjusted_close and of its volume."""
    rows = table.rows_of(asset)
    applied = seen.applied[rows]
    adjust = np.append(np.cumprod(seen.factor[rows][applied][::-1])[::-1], 1.0)
    split = np.append(np.cumprod(seen.split[rows][applied][::-1])[::-1], 1.0)
    at = np.searchsorted(table.day[rows][applied], days, side="right")
    return adjust[at], split[at]


def factors_of_day(table: Table, seen: Seen, day: int, assets: int) -> tuple[Floats, Floats]:
    """The same for one day of all assets."""
    adjust, split = np.ones(assets), np.ones(assets)
    later = np.flatnonzero((table.day > day) & seen.applied)[::-1]
    np.multiply.at(adjust, table.asset[later], seen.factor[later])
    np.multiply.at(split, table.asset[later], seen.split[later])
    return adjust, split


def dividends(table: Table, seen: Seen, rows: Ints) -> list[Dividend]:
    """The listed dividends among the rows, which are of one asset or of one day."""
    rows = rows[seen.listed[rows] & ~table.is_split[rows]]
    found = []
    for row in rows.tolist():
        asset = int(table.asset[row])
        _, split = factors(table, seen, asset, table.day[row : row + 1])
        paid = float(seen.paid[row])
        place = int(table.currency[row])
        currency = table.currencies[place] if place >= 0 else ""
        day = int(table.day[row])
        found.append(Dividend(asset, day, paid, paid / float(split[0]), currency))
    return found


def dividends_of(table: Table, seen: Seen, asset: int) -> list[Dividend]:
    """The listed dividends of one asset, ascending by ex-date."""
    rows = table.rows_of(asset)
    keep = seen.listed[rows] & ~table.is_split[rows]
    days = table.day[rows][keep]
    paid = seen.paid[rows][keep]
    _, split = factors(table, seen, asset, days)
    places = table.currency[rows][keep].tolist()
    return [
        Dividend(asset, day, amount, adjusted, table.currencies[place] if place >= 0 else "")
        for day, amount, adjusted, place in zip(
            days.tolist(), paid.tolist(), (paid / split).tolist(), places, strict=True
        )
    ]


def splits(table: Table, seen: Seen, rows: Ints) -> list[Split]:
    """The listed splits among the rows."""
    rows = rows[seen.listed[rows] & table.is_split[rows]]
    return [
        Split(int(table.asset[row]), int(table.day[row]), float(seen.new[row]), float(old))
        for row, old in zip(rows.tolist(), table.old[rows].tolist(), strict=True)
    ]
