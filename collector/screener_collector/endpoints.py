"""Core: the vendor's endpoints: where each is, what it is asked, what it costs.

The one place in the collector that knows what a request costs. No I/O.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from urllib.parse import quote

Shape = Literal["rows", "object"]
"""What a good answer is: a list of rows (maybe empty), or one object that is never empty."""

UNKNOWN_NAME_CALLS = 1
"""What the vendor charges for a request that names something it does not have (404)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One request of the vendor, ready to be sent but for its address and token."""

    name: str
    """As in `api_usage_log` and `vendor_endpoints`."""
    path: str
    """Below the base address; starts with a slash, already quoted."""
    calls: int
    """What an answer costs."""
    shape: Shape
    params: Mapping[str, str] = field(default_factory=dict)


def _endpoint(name: str, subject: str | None, calls: int, shape: Shape, **params: str) -> Endpoint:
    path = f"/{name}" if subject is None else f"/{name}/{quote(subject, safe='')}"
    # Without it most endpoints answer in CSV.
    return Endpoint(name, path, calls, shape, {"fmt": "json", **params})


def user() -> Endpoint:
    """The account: calls used, the day's limit."""
    return _endpoint("user", None, 1, "object")


def exchanges_list() -> Endpoint:
    """Every exchange that the vendor has."""
    return _endpoint("exchanges-list", None, 1, "rows")


def exchange_symbol_list(exchange: str) -> Endpoint:
    """What is listed on an exchange, of every type."""
    return _endpoint("exchange-symbol-list", exchange, 1, "rows")


def delisted_symbol_list(exchange: str) -> Endpoint:
    """What was listed on an exchange and is no more; companies whose code was given away too."""
    return _endpoint("exchange-symbol-list", exchange, 1, "rows", delisted="1")


def symbol_change_history(first: date, last: date) -> Endpoint:
    """Which symbols of the US became which, from `first` to `last`, both included."""
    return _endpoint(
        "symbol-change-history",
        None,
        5,
        "rows",
        **{"from": first.isoformat(), "to": last.isoformat()},
    )


def exchange_details(exchange: str) -> Endpoint:
    """Hours, holidays and ticker counts of an exchange."""
    return _endpoint("exchange-details", exchange, 5, "object")


def eod(ticker: str, first: date, last: date) -> Endpoint:
    """The bars of a ticker (`BRK-B.US`) from `first` to `last`, both included; any length."""
    return _endpoint(
        "eod",
        ticker,
        1,
        "rows",
        period="d",
        order="a",
        **{"from": first.isoformat(), "to": last.isoformat()},
    )


def splits(ticker: str, first: date, last: date) -> Endpoint:
    """The splits of a ticker with ex-dates from `first` to `last`, both included."""
    return _endpoint(
        "splits", ticker, 1, "rows", **{"from": first.isoformat(), "to": last.isoformat()}
    )


def dividends(ticker: str, first: date, last: date) -> Endpoint:
    """The dividends of a ticker with ex-dates from `first` to `last`, both included."""
    return _endpoint(
        "div", ticker, 1, "rows", **{"from": first.isoformat(), "to": last.isoformat()}
    )


def fundamentals(ticker: str) -> Endpoint:
    """Everything that is known of a company or fund; a filter would cost the same."""
    return _endpoint("fundamentals", ticker, 10, "object")


BulkType = Literal["eod", "splits", "dividends"]


def eod_bulk_last_day(exchange: str, session: date, kind: BulkType) -> Endpoint:
    """The bars, splits or dividends of a whole exchange on one session."""
    return _endpoint(
        "eod-bulk-last-day", exchange, 100, "rows", date=session.isoformat(), type=kind
    )


BULK_FUNDAMENTALS_PAGE = 500
"""Assets of a page of fundamentals, at most."""


def bulk_fundamentals(
    exchange: str, *, symbols: Sequence[str] | None = None, offset: int = 0
) -> Endpoint:
    """Short fundamentals of some of an exchange's symbols, or of the page that begins at `offset`.

    The answer is an object keyed "0", "1", …, one value an asset. Raises ValueError for more
    symbols than a page holds.
    """
    if symbols is None:
        calls, chosen = 100, {"offset": str(offset), "limit": str(BULK_FUNDAMENTALS_PAGE)}
    elif len(symbols) > BULK_FUNDAMENTALS_PAGE:
        raise ValueError(f"{len(symbols)} symbols: a page holds {BULK_FUNDAMENTALS_PAGE}")
    else:
        names = ",".join(f"{symbol}.{exchange}" for symbol in symbols)
        calls, chosen = 100 + len(symbols), {"symbols": names}
    return _endpoint("bulk-fundamentals", exchange, calls, "rows", version="1.2", **chosen)
