"""Core: what a plan is made of, and which way to the data is the cheapest.

Values in, values out: no clock, no database. `budget` says who gets the calls; `planning` finds the
facts and stores the decisions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

BULK_CALLS = 100
"""A request for a whole exchange: a session's bars, splits or dividends, or a page of
fundamentals."""
PAGE_SIZE = 500
"""Assets on a page of fundamentals at most."""
FUNDAMENTALS_CALLS = 10
"""An asset's fundamentals in one request; its history, its splits, its dividends: 1 each."""

PRICES, SPLITS, DIVIDENDS = "prices", "splits", "dividends"
BY_SESSION = (PRICES, SPLITS, DIVIDENDS)
"""What comes by session of an exchange, or by request of an asset."""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A group of the run: one Job's worth of exchanges. `symbols`: None for all that are listed."""

    name: str
    exchanges: tuple[str, ...]
    symbols: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a CollectionRun asks for. `operations` holds `prices`, `fundamentals` or both."""

    execution_id: str
    groups: tuple[GroupSpec, ...]
    operations: tuple[str, ...]
    history_from: date
    as_of: date | None = None
    max_calls: int | None = None
    keep_calls: int = 0
    dry_run: bool = False
    asset_types: tuple[str, ...] = ("Common Stock",)


@dataclass(frozen=True, slots=True)
class Needs:
    """What the assets of an exchange need. `gaps`: of prices, splits and dividends, how many assets
    lack how many sessions; None for a whole history.
    """

    gaps: Mapping[str, Mapping[int | None, int]] = field(default_factory=dict)
    fundamentals: int = 0
    loaded: int = 0
    """Assets with a history."""
    refreshed_today: int = 0
    """Of these, whose whole history came in on this GMT day."""


def sessions_by_bulk(assets_by_gap: Mapping[int | None, int]) -> int:
    """How many of an exchange's latest sessions by bulk make the fewest calls; 0 for none.

    Assets that lack more sessions, or a whole history (gap None), are asked for one by one, for a
    call each. Where both cost the same, one by one wins: it brings whole histories.
    """
    gaps = sorted(gap for gap, assets in assets_by_gap.items() if gap and assets)

    def calls(sessions: int) -> int:
        alone = sum(assets_by_gap[gap] for gap in gaps if gap > sessions)
        return BULK_CALLS * sessions + alone

    return min([0, *gaps], key=lambda sessions: (calls(sessions), sessions))


@dataclass(frozen=True, slots=True)
class Days:
    """The way to an exchange's prices, splits or dividends."""

    sessions: int = 0
    """The latest sessions by bulk."""
    by_bulk: int = 0
    """Assets that these serve."""
    alone: int = 0
    """Assets with a request of their own."""

    @property
    def bulk_calls(self) -> int:
        return BULK_CALLS * self.sessions

    @property
    def calls(self) -> int:
        return self.bulk_calls + self.alone


def choose_days(assets_by_gap: Mapping[int | None, int], *, bulk_in_plan: bool = True) -> Days:
    """The cheapest way; without `bulk_in_plan`, one by one."""
    sessions = sessions_by_bulk(assets_by_gap) if bulk_in_plan else 0
    by_bulk = sum(n for gap, n in assets_by_gap.items() if gap and gap <= sessions)
    return Days(sessions, by_bulk, sum(assets_by_gap.values()) - by_bulk)


@dataclass(frozen=True, slots=True)
class Pages:
    """The way to an exchange's fundamentals: pages of the whole exchange or of named symbols, and
    requests of single assets for the rest.
    """

    due: int = 0
    whole: int = 0
    named: int = 0
    on_pages: int = 0

    @property
    def alone(self) -> int:
        return self.due - self.on_pages

    @property
    def page_calls(self) -> int:
        return BULK_CALLS * (self.whole + self.named) + (self.on_pages if self.named else 0)

    @property
    def calls(self) -> int:
        return self.page_calls + FUNDAMENTALS_CALLS * self.alone


def choose_pages(due: int, listed_rows: int | None) -> Pages:
    """The least of single requests, pages of named symbols (100 calls and 1 a symbol; a page only
    where it costs less than its symbols alone) and pages of the whole exchange, whose symbol list
    has `listed_rows` of all types (None: not known).
    """
    ways = [Pages(due), _named(due, due)]
    if listed_rows and due:
        ways.append(Pages(due, whole=-(-listed_rows // PAGE_SIZE), on_pages=due))
    return min(ways, key=lambda way: way.calls)


def _named(due: int, most: int) -> Pages:
    """Pages of named symbols for up to `most` of the assets that are due."""
    full, rest = divmod(min(due, most), PAGE_SIZE)
    if BULK_CALLS + rest >= FUNDAMENTALS_CALLS * rest:
        rest = 0
    return Pages(due, named=full + bool(rest), on_pages=full * PAGE_SIZE + rest)


def probe(due: Mapping[int, int]) -> dict[int, Pages]:
    """While nobody knows whether the vendor's plan has pages: one page as a probe where it saves
    most, single requests for the rest. `due`: assets by exchange.
    """
    ways = {exchange: Pages(assets) for exchange, assets in due.items()}
    best = max(due, key=lambda exchange: (due[exchange], -exchange), default=None)
    if best is not None:
        ways[best] = _named(due[best], PAGE_SIZE)
    return ways


def afford_pages(ways: Mapping[int, Pages], calls: int) -> dict[int, Pages]:
    """The pages that fit into `calls`, those that serve an asset for the fewest calls first."""

    def cost(exchange: int) -> tuple[float, int]:
        way = ways[exchange]
        return (way.page_calls / way.on_pages if way.on_pages else 0.0, exchange)

    result = {}
    for exchange in sorted(ways, key=cost):
        way = ways[exchange]
        if way.whole and way.page_calls > calls:
            way = _named(way.due, way.due)
        while way.page_calls > calls:
            way = _named(way.due, (way.named - 1) * PAGE_SIZE)
        calls -= way.page_calls
        result[exchange] = way
    return result


def choice_sentence(exchange: str, days: Mapping[str, Days], pages: Pages) -> str:
    """What was chosen for an exchange and what it costs, in one sentence."""
    same = days.get(SPLITS) == days.get(DIVIDENDS)
    parts = [
        _days_part(what, [days[each] for each in of if each in days])
        for what, of in (
            ("prices", (PRICES,)),
            *(
                (("splits and dividends", (SPLITS, DIVIDENDS)),)
                if same
                else (("splits", (SPLITS,)), ("dividends", (DIVIDENDS,)))
            ),
        )
    ]
    if pages.on_pages:
        number = pages.whole + pages.named
        parts.append(
            f"fundamentals by {_number(number, 'page')} for {_number(pages.on_pages, 'asset')}"
            f" ({pages.page_calls:,} calls) rather than {FUNDAMENTALS_CALLS * pages.on_pages:,}"
            + (f", {_number(pages.alone, 'asset')} alone" if pages.alone else "")
        )
    elif pages.due:
        parts.append(f"fundamentals of {_number(pages.due, 'asset')} alone ({pages.calls:,} calls)")
    total = sum(each.calls for each in days.values()) + pages.calls
    said = "; ".join(part for part in parts if part)
    return f"{exchange}: {said or 'nothing due'}; {total:,} calls in all"


def _days_part(what: str, ways: Sequence[Days]) -> str:
    """`ways` are alike: of prices, of one kind of actions, or of both."""
    if not ways or not ways[0].calls:
        return ""
    way, times = ways[0], len(ways)
    alone = f"{_number(way.alone, 'asset')} alone"
    if not way.sessions:
        return f"{what} of {alone} ({times * way.alone:,} calls)"
    return (
        f"{what} by {_number(way.sessions, 'bulk day')} for {_number(way.by_bulk, 'asset')}"
        f" ({times * way.bulk_calls:,} calls) rather than {times * way.by_bulk:,}"
        + (f", {alone}" if way.alone else "")
    )


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
