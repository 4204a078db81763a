"""Core: who gets the calls: what of a plan fits into a day, and on which day the rest comes.

Values in, values out: no clock, no database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from screener_operator.plan import (
    BULK_CALLS,
    DIVIDENDS,
    FUNDAMENTALS_CALLS,
    PRICES,
    SPLITS,
    Days,
    Pages,
    afford_pages,
)

FUNDAMENTALS_SHARE = 0.1
"""Of a budget that is too small for everything, what fundamentals get even while prices are due."""
REFRESH_RUNS = 21
"""In so many days with a run every history is fetched again, from calls that nothing else needs: 30
days have as many even where none has one on weekends."""
SCHEDULE_DAYS = 366
"""How far ahead a plan is told."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls by kind of work: prices (reference series too), actions, fundamentals."""

    prices: int = 0
    actions: int = 0
    fundamentals: int = 0

    @property
    def total(self) -> int:
        return self.prices + self.actions + self.fundamentals

    def __add__(self, other: "Calls") -> "Calls":
        return Calls(
            self.prices + other.prices,
            self.actions + other.actions,
            self.fundamentals + other.fundamentals,
        )

    def __sub__(self, other: "Calls") -> "Calls":
        return Calls(
            self.prices - other.prices,
            self.actions - other.actions,
            self.fundamentals - other.fundamentals,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """All that is due, by the cheapest ways. Exchanges by id."""

    reference: int = 0
    """Reference series."""
    days: Mapping[int, Mapping[str, Days]] = field(default_factory=dict)
    """Of each exchange the way to its prices, splits and dividends."""
    pages: Mapping[int, Pages] = field(default_factory=dict)

    @property
    def calls(self) -> Calls:
        return Calls(
            self.reference + self._of(PRICES),
            self._of(SPLITS) + self._of(DIVIDENDS),
            sum(way.calls for way in self.pages.values()),
        )

    def _of(self, kind: str) -> int:
        return sum(of[kind].calls for of in self.days.values() if kind in of)


@dataclass(frozen=True, slots=True)
class Fit:
    """What of the work fits into some calls."""

    reference: int
    bulk: frozenset[tuple[int, str]]
    """Exchange and kind (prices, splits, dividends) whose bulk days do."""
    prices: int
    """Single requests for prices; likewise the next two."""
    actions: int
    fundamentals: int
    pages: Mapping[int, Pages]
    calls: Calls
    rest: Calls
    """What is left, fundamentals by single requests."""


def share_calls(left: int, due: Calls) -> Calls:
    """Shares the calls that are left: prices first, then actions, then fundamentals; but while
    fundamentals are due they keep FUNDAMENTALS_SHARE, so that neither starves. What one kind does
    not need goes to the next.
    """
    left = max(0, left)
    kept = min(due.fundamentals, int(left * FUNDAMENTALS_SHARE))
    kept -= kept % FUNDAMENTALS_CALLS
    prices = min(due.prices, left - kept)
    actions = min(due.actions, left - kept - prices)
    fundamentals = min(due.fundamentals, left - prices - actions)
    if fundamentals < due.fundamentals:
        fundamentals -= fundamentals % FUNDAMENTALS_CALLS
    return Calls(prices, actions, fundamentals)


def fit(work: Work, left: int) -> Fit:
    """What of `work` to do with the calls that are `left`. Bulk days go before single requests of
    their kind, for they serve the most assets a call.
    """
    due = work.calls
    share = share_calls(left, due)
    left = max(0, left)
    kept = share.fundamentals
    reference = min(work.reference, share.prices)
    room = share.prices - reference
    prices_bulk, prices, room = _fit(work.days, (PRICES,), room)
    # What is too little for a whole bulk day goes to the next kind of work.
    room = min(due.actions, share.actions + room)
    actions_bulk, actions, _ = _fit(work.days, (SPLITS, DIVIDENDS), room)
    prices_calls = reference + _bulk_calls(work.days, prices_bulk) + prices
    actions_calls = _bulk_calls(work.days, actions_bulk) + actions
    room = max(kept, left - prices_calls - actions_calls)
    pages = afford_pages(work.pages, room)
    page_calls = sum(way.page_calls for way in pages.values())
    singles = sum(way.alone for way in pages.values())
    fundamentals = min(singles, (room - page_calls) // FUNDAMENTALS_CALLS)
    calls = Calls(prices_calls, actions_calls, page_calls + FUNDAMENTALS_CALLS * fundamentals)
    return Fit(
        reference=reference,
        bulk=frozenset(prices_bulk | actions_bulk),
        prices=prices,
        actions=actions,
        fundamentals=fundamentals,
        pages=pages,
        calls=calls,
        rest=Calls(
            due.prices - prices_calls,
            due.actions - actions_calls,
            FUNDAMENTALS_CALLS * (singles - fundamentals),
        ),
    )


def fit_beside(work: Work, left: int, corrections: int) -> tuple[Fit, int]:
    """What of `work` to do, and how many of the corrections, a bulk day each: these come after
    prices and actions, and before fundamentals.
    """
    for number in range(min(corrections, max(0, left) // BULK_CALLS), 0, -1):
        done = fit(work, left - BULK_CALLS * number)
        if not (done.rest.prices or done.rest.actions):
            return done, number
    return fit(work, left), 0


def _in_order(
    days: Mapping[int, Mapping[str, Days]], kinds: Sequence[str]
) -> list[tuple[int, str]]:
    """The bulk days of these kinds, those that serve an asset for the fewest calls first."""
    found = [(id_, kind) for id_, of in days.items() for kind in kinds if kind in of]
    return sorted(
        ((id_, kind) for id_, kind in found if days[id_][kind].sessions),
        key=lambda each: (
            days[each[0]][each[1]].bulk_calls / days[each[0]][each[1]].by_bulk,
            each[0],
            kinds.index(each[1]),
        ),
    )


def _fit(
    days: Mapping[int, Mapping[str, Days]], kinds: Sequence[str], room: int
) -> tuple[set[tuple[int, str]], int, int]:
    """The bulk days that fit, how many single requests do, and the calls that are then left."""
    bulk = set()
    for id_, kind in _in_order(days, kinds):
        if days[id_][kind].bulk_calls <= room:
            room -= days[id_][kind].bulk_calls
            bulk.add((id_, kind))
    wanted = sum(of[kind].alone for of in days.values() for kind in kinds if kind in of)
    alone = min(wanted, room)
    return bulk, alone, room - alone


def _bulk_calls(days: Mapping[int, Mapping[str, Days]], bulk: Iterable[tuple[int, str]]) -> int:
    return sum(days[id_][kind].bulk_calls for id_, kind in bulk)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the schedule and its calls."""

    day: date
    calls: Calls


def schedule(
    today: date, planned: Calls, rest: Calls, *, per_day: int, upkeep: int = 0
) -> tuple[Day, ...]:
    """Today's calls, then those of each day until `rest`, what is due now and does not fit, is
    done.

    `per_day`: what a later day has; `upkeep`: what it needs for its own session, which is left
    free, up to half of the day. Ends after SCHEDULE_DAYS, or where a day has too few calls.
    """
    days = [Day(today, planned)]
    per_day -= min(upkeep, max(0, per_day) // 2)
    while rest.total > 0 and len(days) < SCHEDULE_DAYS:
        share = share_calls(per_day, rest)
        if share.total <= 0:
            break
        days.append(Day(today + timedelta(days=len(days)), share))
        rest = rest - share
    return tuple(days)


@dataclass(frozen=True, slots=True)
class Later:
    """When what does not fit comes."""

    bulk: Mapping[tuple[int, str], date]
    """The day of an exchange's bulk days; none where the schedule does not tell."""
    prices: tuple[int, ...]
    """Of the queue of single requests for prices, how many are done at the end of each day after
    the first; likewise the next two.
    """
    actions: tuple[int, ...]
    fundamentals: tuple[int, ...]


def when(work: Work, done: Fit, days: Sequence[Day]) -> Later:
    """When each part of `work` comes that is not `done` on the first of `days`."""
    bulk: dict[tuple[int, str], date] = {}
    served = []
    for kinds, first, calls in (
        ((PRICES,), done.prices, [day.calls.prices for day in days[1:]]),
        ((SPLITS, DIVIDENDS), done.actions, [day.calls.actions for day in days[1:]]),
    ):
        ahead = work.reference - done.reference if PRICES in kinds else 0
        for each in _in_order(work.days, kinds):
            if each not in done.bulk:
                ahead += work.days[each[0]][each[1]].bulk_calls
                spent = 0
                for day, of_day in zip(days[1:], calls, strict=True):
                    spent += of_day
                    if spent >= ahead:
                        bulk[each] = day.day
                        break
        served.append(_served(calls, first=first, ahead=ahead, unit=1))
    fundamentals = _served(
        [day.calls.fundamentals for day in days[1:]],
        first=done.fundamentals,
        ahead=0,
        unit=FUNDAMENTALS_CALLS,
    )
    return Later(bulk, served[0], served[1], fundamentals)


def _served(calls: Sequence[int], *, first: int, ahead: int, unit: int) -> tuple[int, ...]:
    spent, result = -ahead, []
    for each in calls:
        spent += each
        result.append(first + max(0, spent) // unit)
    return tuple(result)


def refreshes(loaded: int, refreshed_today: int, spare: int) -> int:
    """How many histories to fetch again though nothing is known to have changed: the day's part of
    all that are loaded, from spare calls alone.
    """
    return max(0, min(spare, -(-loaded // REFRESH_RUNS) - refreshed_today))
