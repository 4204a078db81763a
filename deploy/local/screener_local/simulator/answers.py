"""What the vendor answers to a request that it lets through: the shapes and oddities of each
endpoint.

Pure over the world: takes the endpoint, the subject of the path, the query and the data clock;
gives status and body. Knows nothing of tokens, plans, costs and limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from screener_local.simulator import events as ev
from screener_local.simulator import fundamentals, references
from screener_local.simulator.actions import Split
from screener_local.simulator.exchanges import EXCHANGES, Exchange, find
from screener_local.simulator.market import Bars
from screener_local.simulator.noise import key_of
from screener_local.simulator.render import as_csv, as_json, fraction, keyed
from screener_local.simulator.sessions import EPOCH, to_date, to_day
from screener_local.simulator.shown import View
from screener_local.simulator.universe import Listing
from screener_local.simulator.world import World

NOT_FOUND: Final = "Ticker Not Found."
FREE_WARNING: Final = "Data is limited by one year as you have free subscription."
BULK_FUNDAMENTALS_MAX: Final = 500

_TYPES: Final[dict[str, frozenset[str]]] = {
    "common_stock": frozenset({"Common Stock"}),
    "preferred_stock": frozenset({"Preferred Stock"}),
    "stock": frozenset({"Common Stock", "Preferred Stock"}),
    "etf": frozenset({"ETF"}),
    "fund": frozenset({"FUND"}),
}
_LAST: Final = ("date", "open", "high", "low", "close", "volume")

Query = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"


class _Refused(Exception):
    """Carries an answer that ends the request."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def text(status: int, body: str, content_type: str = "text/plain") -> Answer:
    return Answer(status, body.encode(), content_type)


def _not_found() -> _Refused:
    return _Refused(text(404, NOT_FOUND))


def _invalid(name: str, sentence: str) -> _Refused:
    return _Refused(Answer(422, as_json({"errors": {name: [sentence]}})))


def answer(
    world: World, endpoint: str, subject: str, query: Query, now: datetime, *, free: bool = False
) -> Answer:
    """The answer to one request as of the data clock.

    `free` limits `eod` to a year, with a warning in its last row.
    """
    try:
        if endpoint == "eod":
            return _eod(world, subject, query, now, free=free)
        return _ANSWERS[endpoint](world, subject, query, now)
    except _Refused as refused:
        return refused.answer


# -- reading the request --------------------------------------------------------------------------


def _is_json(query: Query) -> bool:
    return query.get("fmt", "csv").lower() == "json"


def _day(query: Query, name: str) -> int | None:
    value = query.get(name)
    if not value:
        return None
    try:
        return to_day(date.fromisoformat(value))
    except ValueError as error:
        raise _invalid(name, f"The {name} is not a valid date.") from error


def _asset(world: World, ticker: str, now: datetime) -> tuple[View, int]:
    """The listing that a ticker names; without an exchange it is a US one."""
    code, dot, suffix = ticker.rpartition(".")
    if not dot:
        code, suffix = ticker, "US"
    suffix = suffix.upper()
    exchange = EXCHANGES.get(suffix) or references.market_of(code.upper(), suffix)
    if exchange is None:
        raise _not_found()
    view = world.view(exchange, now)
    asset = view.find(code)
    if asset is None:
        raise _not_found()
    return view, asset


def _exchange(path_code: str) -> tuple[Exchange, str | None]:
    found = find(path_code.upper())
    if found is None:
        raise _not_found()
    return found


def _symbols(query: Query) -> list[str]:
    return [name for name in query.get("symbols", "").split(",") if name]


@lru_cache(maxsize=20_000)
def _iso(day: int) -> str:
    return to_date(day).isoformat()


# -- one ticker -----------------------------------------------------------------------------------


def _eod(world: World, ticker: str, query: Query, now: datetime, *, free: bool) -> Answer:
    if query.get("period", "d") != "d":
        raise _invalid("period", "The selected period is invalid.")
    view, asset = _asset(world, ticker, now)
    low = _day(query, "from") or 0
    high = _day(query, "to")
    if free:
        low = max(low, to_day(now.date() - timedelta(days=365)))
    wanted = query.get("filter", "")
    is_last = wanted.startswith("last_") and wanted[5:] in _LAST
    bars = view.history(asset, low, view.visible if high is None else high)
    if is_last and _is_json(query):
        column = {"date": "at"}.get(wanted[5:], wanted[5:])
        last = getattr(bars, column)[-1].item() if len(bars) else "NA"
        if column == "at" and len(bars):
            last = _iso(last)
        return Answer(
            200, as_json(int(last) if isinstance(last, float) and last.is_integer() else last)
        )
    rows = _eod_rows(bars)
    if free and rows:
        rows[-1] = rows[-1][:-1] + f',"warning":"{FREE_WARNING}"}}'
    if query.get("order", "a").lower() == "d":
        rows.reverse()
    if _is_json(query):
        return Answer(200, f"[{','.join(rows)}]".encode())
    header = ("Date", "Open", "High", "Low", "Close", "Adjusted_close", "Volume")
    values = [list(json.loads(row).values())[:7] for row in rows]
    return _csv(header, values, count_last=True)


#: Prices have at most 12 digits, so this writes each as it is, whole ones without a point.
_PRICES: Final = (
    '"open":%.12g,"high":%.12g,"low":%.12g,"close":%.12g,"adjusted_close":%.12g,"volume":%d}'
)
_EOD_ROW: Final = '{"date":"%s",' + _PRICES
_BULK_ROW: Final = '{"code":%s,"exchange_short_name":"%s","date":"%s",' + _PRICES


def _columns(bars: Bars) -> list[list[float]]:
    names = ("open", "high", "low", "close", "adjusted", "volume")
    return [getattr(bars, name).tolist() for name in names]


def _eod_rows(bars: Bars) -> list[str]:
    """JSON, a text a bar: dictionaries would cost most of the time of an answer."""
    days = [_iso(day) for day in bars.at.tolist()]
    return [_EOD_ROW % row for row in zip(days, *_columns(bars), strict=True)]


def _div(world: World, ticker: str, query: Query, now: datetime) -> Answer:
    view, asset = _asset(world, ticker, now)
    low, high = _day(query, "from") or 0, _day(query, "to")
    listing = view.row(asset)
    found = [
        item
        for item in view.dividends(asset)
        if low <= item.day and (high is None or item.day <= high)
    ]
    if not _is_json(query):
        header = ("Date", "Dividends")
        rows = [(to_date(item.day).isoformat(), f"{item.adjusted:.5f}") for item in found]
        return _csv(header, rows, count_last=True)
    american = listing.exchange == "US"
    return Answer(
        200,
        as_json(
            [
                {
                    "date": to_date(item.day).isoformat(),
                    "declarationDate": (to_date(item.day) - timedelta(days=14)).isoformat()
                    if american
                    else None,
                    "recordDate": to_date(item.day + 1).isoformat() if american else None,
                    "paymentDate": to_date(item.day + 14).isoformat() if american else None,
                    "period": "Quarterly" if american else None,
                    "value": _six(item.adjusted),
                    "unadjustedValue": _six(item.amount),
                    "currency": item.currency or listing.currency,
                }
                for item in found
            ]
        ),
    )


def split_text(item: Split) -> str:
    """A split as the vendor writes it."""
    return fraction(item.new, item.old)


def _six(value: float) -> int | float:
    rounded = round(value, 6)
    return int(rounded) if rounded.is_integer() else rounded


def _splits(world: World, ticker: str, query: Query, now: datetime) -> Answer:
    view, asset = _asset(world, ticker, now)
    low, high = _day(query, "from") or 0, _day(query, "to")
    rows = [
        (to_date(item.day).isoformat(), split_text(item))
        for item in view.splits(asset)
        if low <= item.day and (high is None or item.day <= high)
    ]
    if _is_json(query):
        return Answer(200, as_json([{"date": day, "split": split} for day, split in rows]))
    return _csv(("Date", "Stock Splits"), rows, count_last=True)


def _csv(header: Any, rows: Any, *, blank_first: bool = False, count_last: bool = False) -> Answer:
    body = as_csv(header, rows, blank_first=blank_first, count_last=count_last)
    return Answer(200, body, "text/csv")


def _payload(world: World, view: View, asset: int) -> dict[str, Any]:
    recent = view.history(asset, view.visible - 30, view.visible)
    close = float(recent.close[-1]) if len(recent) else None
    return fundamentals.payload(view.row(asset), view.exchange, world.seed, view.now.date(), close)


def _fundamentals(world: World, ticker: str, query: Query, now: datetime) -> Answer:
    view, asset = _asset(world, ticker, now)
    full: Any = _payload(world, view, asset)
    wanted = query.get("filter")
    return Answer(200, as_json(fundamentals.filtered(full, wanted) if wanted else full))


# -- whole exchanges ------------------------------------------------------------------------------


def _bulk_day(world: World, path_code: str, query: Query, now: datetime) -> Answer:
    exchange, venue = _exchange(path_code)
    kind = query.get("type", "eod")
    if kind not in ("eod", "splits", "dividends"):
        raise _invalid("type", "The selected type is invalid.")
    view = world.view(exchange, now)
    asked = _day(query, "date")
    names = _symbols(query) if kind == "eod" else []
    wanted = {name.removesuffix(f".{exchange.code}") for name in names}

    def kept(asset: int) -> bool:
        row = view.names.rows[asset]
        return (
            row is not None
            and (venue is None or row.venue == venue)
            and (not wanted or row.code in wanted)
        )

    day = view.visible if asked is None else asked
    if kind == "splits":
        return _bulk_splits(view, day, kept, query)
    if kind == "dividends":
        return _bulk_dividends(view, day, kept, query)
    bars, shown = _bulk_bars(view, day)
    keep = np.array([kept(asset) for asset in bars.at.tolist()], dtype=np.bool_)
    bars = bars.where(keep)
    codes = [view.row(asset).code for asset in bars.at.tolist()]
    dated = to_date(shown).isoformat()
    columns = _columns(bars)
    if not _is_json(query):
        header = ("Code", "Ex", "Date", "Open", "High", "Low", "Close", "Adjusted_close", "Volume")
        lines = [
            (code, exchange.code, dated, *(_number(value) for value in row))
            for code, *row in zip(codes, *columns, strict=True)
        ]
        return _csv(header, lines, blank_first=True, count_last=True)
    names = [json.dumps(code) for code in codes]
    rows = [
        _BULK_ROW % (name, exchange.code, dated, *row)
        for name, *row in zip(names, *columns, strict=True)
    ]
    return Answer(200, f"[{','.join(rows)}]".encode())


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _bulk_bars(view: View, day: int) -> tuple[Bars, int]:
    """The day's bars and the date they are given under.

    A session that is not published yet echoes the one before it. A day without session has nothing,
    or a handful of residue rows, unless a script says which.
    """
    nothing = view.market.day(view.visible + 1, view.seen)
    if view.is_published(day):
        return view.day(day), day
    before = view.last_published(day)
    scripted = [event for event in view.events if event.kind == ev.HOLIDAY and event.low == day]
    if view.is_session(day) and not scripted:
        echoes = day <= to_day(view.now.date()) + 1
        return (view.day(before), before) if echoes else (nothing, day)
    if day > to_day(view.now.date()) or before < 0:
        return nothing, day
    answer, rows = "nothing", 12
    if scripted:
        answer, rows = scripted[-1].say["answer"], scripted[-1].say["rows"]
    elif key_of("residue", view.exchange.code, day) % 3 == 0:
        answer = "residue"
    if answer == "nothing":
        return nothing, day
    bars = view.day(before)
    if answer == "echo":
        return bars, before
    return bars.where(np.arange(len(bars)) < rows), day


def _bulk_splits(view: View, day: int, kept: Callable[[int], bool], query: Query) -> Answer:
    found = [item for item in view.splits_on(day) if kept(item.asset)]
    rows = [
        (
            view.row(item.asset).code,
            view.exchange.code,
            to_date(item.day).isoformat(),
            split_text(item),
        )
        for item in found
    ]
    if not _is_json(query):
        return _csv(("Code", "Ex", "Date", "Split"), rows, count_last=True)
    keys = ("code", "exchange", "date", "split")
    return Answer(200, as_json([dict(zip(keys, row, strict=True)) for row in rows]))


def _bulk_dividends(view: View, day: int, kept: Callable[[int], bool], query: Query) -> Answer:
    found = [item for item in view.dividends_on(day) if kept(item.asset)]
    dated = to_date(day).isoformat()
    if not _is_json(query):
        rows = [
            (view.row(item.asset).code, view.exchange.code, dated, f"{item.amount:.5f}")
            for item in found
        ]
        return _csv(("Code", "Ex", "Date", "Dividend"), rows, count_last=True)
    return Answer(
        200,
        as_json(
            [
                {
                    "code": view.row(item.asset).code,
                    "exchange": view.exchange.code,
                    "date": dated,
                    "dividend": _six(item.adjusted),
                    "currency": item.currency or view.row(item.asset).currency,
                    "declarationDate": "",
                    "recordDate": "",
                    "paymentDate": "",
                    "period": "",
                    "unadjustedValue": _six(item.amount),
                }
                for item in found
            ]
        ),
    )


def _symbol_list(world: World, path_code: str, query: Query, now: datetime) -> Answer:
    kind = query.get("type")
    if kind and kind not in _TYPES:
        raise _invalid("type", "The selected type is invalid.")
    delisted = query.get("delisted") == "1"
    if path_code.upper() in references.PSEUDO:
        listed, venue = references.rows_of(path_code.upper()), None
        left = 1.0
    else:
        exchange, venue = _exchange(path_code)
        view = world.view(exchange, now)
        listed = [row for _, row in view.listed()]
        left = view.list_share()
    rows = [
        item
        for item in listed
        if item.delisted == delisted
        and (venue is None or item.venue == venue)
        and (not kind or item.type in _TYPES[kind])
    ]
    rows = rows[: int(len(rows) * left)] if left < 1.0 else rows
    if not _is_json(query):
        header = ("Code", "Name", "Country", "Exchange", "Currency", "Type", "Isin")
        return _csv(header, [list(_list_row(item).values())[:7] for item in rows])
    return Answer(200, as_json([_list_row(item) for item in rows]))


def _list_row(item: Listing) -> dict[str, Any]:
    row: dict[str, Any] = {
        "Code": item.code,
        "Name": item.name,
        "Country": item.country,
        "Exchange": item.venue,
        "Currency": item.currency,
        "Type": item.type,
        "Isin": item.isin,
    }
    return row | {"IsDelisted": True} if item.delisted else row


def _exchanges_list(world: World, subject: str, query: Query, now: datetime) -> Answer:
    rows = [
        {
            "Name": item.name,
            "Code": item.code,
            "OperatingMIC": item.operating_mic or None,
            "Country": item.country,
            "Currency": item.currency,
            "CountryISO2": item.iso2,
            "CountryISO3": item.iso3,
        }
        for item in (*EXCHANGES.values(), *references.PSEUDO.values())
    ]
    if _is_json(query):
        return Answer(200, as_json(rows))
    return _csv(list(rows[0]), [list(row.values()) for row in rows])


def _exchange_details(world: World, path_code: str, query: Query, now: datetime) -> Answer:
    exchange = EXCHANGES.get(path_code.upper())
    if exchange is None:
        raise _not_found()
    view = world.view(exchange, now)
    today = to_day(now.date())
    low, high = _day(query, "from"), _day(query, "to")
    low = today - 183 if low is None else low
    high = today + 183 if high is None else high
    zone = ZoneInfo(exchange.time_zone)
    local = now.astimezone(zone)
    is_open = view.is_session(to_day(local.date())) and (
        exchange.opens <= local.time() < exchange.closes
    )
    utc = [
        datetime.combine(local.date(), moment, zone)
        .astimezone(ZoneInfo("UTC"))
        .strftime("%H:%M:%S")
        for moment in (exchange.opens, exchange.closes)
    ]
    active = sum(not row.delisted for _, row in view.listed())
    holidays = _holidays(view, low, high)
    details: dict[str, Any] = {
        "Name": exchange.name,
        "Code": exchange.code,
        "OperatingMIC": exchange.operating_mic,
        "Country": exchange.country,
        "Currency": exchange.currency,
        "Timezone": exchange.time_zone,
        "ExchangeHolidays": keyed(holidays),
        "ExchangeEarlyCloseDays": keyed(
            {"Date": to_date(day).isoformat(), "Holiday": "Early close"}
            for day in sorted(view.sessions.early)
            if low <= day <= high
        ),
        "isOpen": is_open,
        "TradingHours": {
            "Open": exchange.opens.strftime("%H:%M:%S"),
            "Close": exchange.closes.strftime("%H:%M:%S"),
            "OpenUTC": utc[0],
            "CloseUTC": utc[1],
            "WorkingDays": "Mon,Tue,Wed,Thu,Fri",
        },
        "ActiveTickers": active,
        "PreviousDayUpdatedTickers": active,
        "UpdatedTickers": len(view.day(view.visible)) if view.visible == today else 0,
    }
    for event in view.events:
        if event.kind == ev.DETAILS and not event.mended(now):
            details |= event.say["set"]
            shape = event.say["holidays"]
            if shape is not None:
                shapes: dict[str, Any] = {"list": holidays, "object": keyed(holidays), "empty": []}
                details["ExchangeHolidays"] = shapes[shape]
    return Answer(200, as_json(details))


def _holidays(view: View, low: int, high: int) -> list[dict[str, str]]:
    """Weekdays without session, and one bank holiday a year, on which the exchange is open."""
    found = []
    for day in range(max(low, 0), high + 1):
        when = EPOCH + timedelta(days=day)
        closed = when.weekday() < 5 and not view.is_session(day)
        if closed:
            found.append(
                {"Holiday": "Exchange Holiday", "Date": when.isoformat(), "Type": "official"}
            )
        elif (when.month, when.day) == (10, 12):
            found.append({"Holiday": "Bank Holiday", "Date": when.isoformat(), "Type": "bank"})
    return found


def _bulk_fundamentals(world: World, path_code: str, query: Query, now: datetime) -> Answer:
    exchange, venue = _exchange(path_code)
    view = world.view(exchange, now)
    names = _symbols(query)
    if len(names) > BULK_FUNDAMENTALS_MAX:
        raise _invalid("symbols", f"Max number of symbols is {BULK_FUNDAMENTALS_MAX}.")
    if names:
        found = [view.find(name.removesuffix(f".{exchange.code}")) for name in names]
        assets = [asset for asset in found if asset is not None]
    else:
        limit = min(_whole(query, "limit", BULK_FUNDAMENTALS_MAX), BULK_FUNDAMENTALS_MAX)
        offset = _whole(query, "offset", 0)
        assets = [
            asset
            for asset, row in view.listed()
            if not row.delisted and (venue is None or row.venue == venue)
        ][offset : offset + limit]
    rows = keyed(fundamentals.bulk_row(_payload(world, view, asset)) for asset in assets)
    return Answer(200, as_json(rows))


def _symbol_changes(world: World, subject: str, query: Query, now: datetime) -> Answer:
    """Renamings, which the vendor tells of `US` only."""
    low, high = _day(query, "from"), _day(query, "to")
    rows = [
        {
            "exchange": "US",
            "old_symbol": change.old,
            "new_symbol": change.new,
            "company_name": change.name,
            "effective": to_date(change.day).isoformat(),
        }
        for change in world.changes(now)
        if (low is None or change.day >= low) and (high is None or change.day <= high)
    ]
    if _is_json(query):
        return Answer(200, as_json(rows))
    header = ("exchange", "old_symbol", "new_symbol", "company_name", "effective")
    return _csv(header, [list(row.values()) for row in rows])


def _whole(query: Query, name: str, default: int) -> int:
    value = query.get(name)
    if not value:
        return default
    if not value.isdigit():
        raise _invalid(name, f"The {name} must be an integer.")
    return int(value)


_ANSWERS: Final[dict[str, Callable[[World, str, Query, datetime], Answer]]] = {
    "div": _div,
    "splits": _splits,
    "exchange-symbol-list": _symbol_list,
    "exchanges-list": _exchanges_list,
    "exchange-details": _exchange_details,
    "fundamentals": _fundamentals,
    "eod-bulk-last-day": _bulk_day,
    "bulk-fundamentals": _bulk_fundamentals,
    "symbol-change-history": _symbol_changes,
}
