"""Core: fetches, what came of them, and how the items that they serve end. No I/O, no clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from screener_collector import endpoints, fundamentals, parse
from screener_collector.answers import FAILURES, TABLE, Judged, Meaning, Symptom, Then
from screener_collector.bars import Sorted, sort_out
from screener_collector.endpoints import Endpoint
from screener_collector.fundamentals import Fundamentals
from screener_collector.parse import Action, ActionRows, BadRow, BulkRows, OtherSubject
from screener_sql.model import TRANSIENT, ErrorCode, Operation

BULK_ENDPOINT, PAGE_ENDPOINT = "eod-bulk-last-day", "bulk-fundamentals"
ACTION_KINDS = ("bulk_dividends", "bulk_splits")
PROBE, DROPPED, READING = "vendor_probe", "dropped_requests", "counter_reading"
"""Operations of detail rows: looks whether the vendor is back; what was asked for in vain; readings
of the vendor's counter during a group's work."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A planned request, as claimed."""

    id: int
    ordinal: int
    kind: str
    exchange_id: int
    exchange: str
    asset_id: int | None
    code: str | None
    session: date | None
    date_from: date | None
    date_to: date | None
    calls: int
    purpose: str = "due"
    """`due`, `reference`, `correction` or `refresh`, as in `plan_fetches`."""
    symbols: tuple[str, ...] | None = None
    page_offset: int | None = None

    @property
    def is_bulk(self) -> bool:
        """Whether it serves many assets of an exchange."""
        return self.asset_id is None

    @property
    def is_page(self) -> bool:
        """Whether it is a page of fundamentals, not a bulk day."""
        return self.kind == "bulk_fundamentals"

    @property
    def is_due_day(self) -> bool:
        """Whether it is a bulk day that items wait for."""
        return self.session is not None and self.purpose == "due"

    @property
    def subject(self) -> str:
        """Ticker or exchange, for people."""
        return self.exchange if self.is_bulk else f"{self.code}.{self.exchange}"

    @property
    def endpoint(self) -> Endpoint:
        """The request that it is. Raises ValueError for an unknown kind, or without dates."""
        ticker = f"{self.code}.{self.exchange}"
        if self.kind == "fundamentals":
            return endpoints.fundamentals(ticker)
        if self.date_from and self.date_to:
            for kind, of_asset in _SPANS.items():
                if self.kind == kind:
                    return of_asset(ticker, self.date_from, self.date_to)
        if self.is_page:
            return endpoints.bulk_fundamentals(
                self.exchange, symbols=self.symbols, offset=self.page_offset or 0
            )
        if self.session is not None:
            for kind, bulk in _BULK_TYPES.items():
                if self.kind == kind:
                    return endpoints.eod_bulk_last_day(self.exchange, self.session, bulk)
        raise ValueError(f"fetch {self.id}: {self.kind} without what it needs")


_SPANS: dict[str, Callable[[str, date, date], Endpoint]] = {
    "prices": endpoints.eod,
    "splits": endpoints.splits,
    "dividends": endpoints.dividends,
}

_BULK_TYPES: dict[str, endpoints.BulkType] = {
    "bulk_dividends": "dividends",
    "bulk_splits": "splits",
    "bulk_prices": "eod",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Nothing came. `state`: `failed` or `deferred`."""

    error_code: ErrorCode
    message: str
    state: str = "failed"


@dataclass(frozen=True, slots=True)
class BulkBars:
    """The rows of a bulk day, not checked yet: which are wanted is known when they are stored."""

    rows: BulkRows[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Actions:
    """The splits or the dividends of a bulk day, or of an asset."""

    rows: BulkRows[Action]


@dataclass(frozen=True, slots=True)
class Page:
    """Short fundamentals of many assets, by code."""

    by_code: Mapping[str, Fundamentals]
    unreadable: int
    """Entries that are no fundamentals, or of nobody."""


Came = Sorted | Fundamentals | BulkBars | Actions | Page | Failure


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a fetch, what it cost in all its tries, and when it was asked and answered."""

    fetch: Fetch
    came: Came
    calls: int
    started_at: datetime
    ended_at: datetime


def read(fetch: Fetch, judged: Judged, today: date, *, maintenance: bool = False) -> Came:
    """What the judged answer to a fetch brought: data, or the failure that it is.

    `maintenance`: the vendor's was on, when a spoilt answer says nothing of its asset.
    """
    if judged.meaning in FAILURES:
        code = judged.row.error_code_during(maintenance)
        return Failure(code or FAILURES[judged.meaning], judged.message or judged.meaning)
    rows = judged.data if judged.meaning is Meaning.ROWS else []
    try:
        return _read_rows(fetch, rows, today)
    except OtherSubject as error:
        return _failure(Symptom.WRONG_SUBJECT, f": {error}", maintenance)
    except BadRow as error:
        return _failure(Symptom.WRONG_ROWS, f": {error}", maintenance)


def _failure(symptom: Symptom, more: str, maintenance: bool = False) -> Failure:
    """What the table says of a symptom that only a reader sees, in its words and `more`."""
    row = TABLE[symptom]
    code = row.error_code_during(maintenance)
    assert code is not None  # such a symptom has one
    state = "deferred" if row.then is Then.DEFER_EXCHANGE else "failed"
    return Failure(code, row.says + more, state)


def _read_rows(fetch: Fetch, rows: Any, today: date) -> Came:
    if fetch.kind == "fundamentals":
        return fundamentals.read(rows, fetch.code or "", fetch.exchange)
    if fetch.is_page:
        return Page(*fundamentals.read_page(rows, fetch.exchange))
    if fetch.asset_id is not None:
        assert fetch.date_from is not None and fetch.date_to is not None  # endpoint saw to it
        if fetch.kind == "prices":
            if not rows:
                return Failure(ErrorCode.EMPTY_HISTORY, "the vendor knows it but has no bar of it")
            return sort_out(rows, fetch.date_from, fetch.date_to, today)
        return Actions(_READERS[fetch.kind](rows, fetch.date_from, fetch.date_to, fetch.code))
    assert fetch.session is not None  # a constraint of plan_fetches
    if fetch.kind == "bulk_prices":
        bars = parse.bulk_bars(rows, fetch.session)
        if not bars.rows:
            others = f"; {bars.refused} rows of other days were refused" if bars.refused else ""
            more = f": {fetch.session} of {fetch.exchange}{others}"
            return _failure(Symptom.WRONG_DATE, more)
        return BulkBars(bars)
    actions = _READERS[fetch.kind](rows, fetch.session, fetch.session, None)
    # A row that cannot be read costs its own asset; an answer that is mostly such rows is none.
    if actions.unreadable > len(actions.rows) + actions.refused:
        raise BadRow(f"{actions.unreadable} rows cannot be read")
    return Actions(actions)


_READERS: dict[str, Callable[[Any, date, date, str | None], ActionRows]] = {
    "splits": parse.splits,
    "dividends": parse.dividends,
    "bulk_splits": parse.splits,
    "bulk_dividends": parse.dividends,
}


@dataclass(frozen=True, slots=True)
class Served:
    """An item that an asset's own fetch serves, and what is known of the asset.

    `item_id` None: no item, as of a reference series; `kind` as in `assets`.
    """

    item_id: int | None
    asset_id: int
    ticker: str
    operation: str
    expected_to: date | None
    last_date: date | None
    needs_reprocess: bool
    kind: str = "listing"


@dataclass(frozen=True, slots=True)
class End:
    """How an item ends."""

    state: str
    error_code: ErrorCode | None = None
    message: str | None = None
    inserted: int = 0
    updated: int = 0

    @property
    def counted(self) -> bool:
        """Whether it is a failure that says something about the asset."""
        return self.state == "failed" and self.error_code not in TRANSIENT


def end(item: Served, came: Came, inserted: int, updated: int, *, shows_all: bool = True) -> End:
    """How the item of an asset's own fetch ends; `inserted`, `updated`: rows that it changed.

    `shows_all`: whether a history shows every split and dividend that is known.
    """
    if isinstance(came, Failure):
        return End(came.state, came.error_code, came.message)
    if isinstance(came, Fundamentals):
        unread = f"unreadable: {', '.join(came.unreadable)}" if came.unreadable else None
        return End("succeeded", message=unread, updated=1)
    if isinstance(came, Actions):
        if not came.rows.unreadable:
            return End("succeeded", inserted=inserted)
        message = f"{came.rows.unreadable} rows of the list cannot be read"
        return End("failed", TABLE[Symptom.WRONG_ROWS].error_code, message, inserted)
    if not isinstance(came, Sorted):
        raise TypeError(f"{type(came).__name__} serves no single asset")
    set_aside = f"{len(came.bad)} bars are in quarantined_bars" if came.bad else None
    if not len(came.bars):
        return End("failed", ErrorCode.BAD_DATA, f"no bar kept the rules; {set_aside}")
    brings_newer = item.last_date is None or came.bars.last_date > item.last_date
    if (
        item.operation == Operation.PRICES_INCREMENTAL
        and not (brings_newer or item.needs_reprocess)
        and inserted == 0
    ):
        message = "no bar is newer than the last one stored"
        return End(
            "skipped",
            ErrorCode.NO_TRADE,
            f"{message}; {set_aside}" if set_aside else message,
            updated=updated,
        )
    unshown = None if shows_all else "the adjusted closes do not show a split or dividend yet"
    remarks = "; ".join(remark for remark in (set_aside, unshown) if remark)
    return End("succeeded", message=remarks or None, inserted=inserted, updated=updated)


@dataclass(slots=True)
class Usage:
    """What was asked of an endpoint on a GMT day and is not logged yet."""

    requests: int = 0
    calls: int = 0
    errors: int = 0

    def add(self, calls: int, error: bool) -> None:
        """Counts one request."""
        self.requests += 1
        self.calls += calls
        self.errors += error


@dataclass(frozen=True, slots=True)
class Spending:
    """What a transaction has to record of the ledger: see `ledger.Ledger.spending`."""

    leases: tuple[tuple[int, int, int], ...] = ()
    """Lease id, calls spent in all, and of these for requests of which no end was seen."""
    usage: Mapping[tuple[date, str], Usage] = field(default_factory=dict)
    """By GMT day and endpoint."""
