"""Indices and rates of exchange: the vendor's pseudo exchanges `INDX` and `FOREX`. Pure data.

An index has the sessions of its exchange, a rate every weekday; neither has actions.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import Final

from screener_local.simulator.exchanges import EXCHANGES, WEEKDAYS, Exchange
from screener_local.simulator.universe import Listing

INDEX: Final = "INDEX"
RATE: Final = "Currency"
INDICES: Final = "INDX"
RATES: Final = "FOREX"

#: (code, name, exchange whose days it has, level in the year 2000)
_INDICES: Final = (
    ("GSPC", "S&P 500", "US", 1400.0),
    ("IXIC", "NASDAQ Composite", "US", 3900.0),
    ("DJI", "Dow Jones Industrial Average", "US", 11000.0),
    ("FTSE", "FTSE 100", "LSE", 6500.0),
    ("GDAXI", "DAX", "XETRA", 6900.0),
    ("FCHI", "CAC 40", "PA", 5900.0),
    ("AEX", "AEX Amsterdam", "AS", 670.0),
    ("BFX", "BEL 20", "BR", 3300.0),
    ("PSI20", "PSI 20", "LS", 12000.0),
    ("IBEX", "IBEX 35", "MC", 11600.0),
    ("SSMI", "Swiss Market Index", "SW", 7500.0),
    ("ATX", "Austrian Traded Index", "VI", 1200.0),
    ("ISEQ", "ISEQ All Share", "IR", 5000.0),
    ("HSI", "Hang Seng", "HK", 17000.0),
    ("N225", "Nikkei 225", "TSE", 19000.0),
)
#: Dollars for one of each.
_RATES: Final = (
    ("EUR", 1.08),
    ("GBP", 1.45),
    ("CHF", 0.9),
    ("SEK", 0.115),
    ("NOK", 0.12),
    ("DKK", 0.145),
    ("HKD", 0.128),
    ("JPY", 0.0088),
    ("ZAR", 0.085),
    ("ILS", 0.26),
    ("KES", 0.0095),
    ("CAD", 0.75),
    ("AUD", 0.72),
)

LEVELS: Final[dict[str, float]] = {
    **{code: level for code, _, _, level in _INDICES},
    **{f"{currency}USD": level for currency, level in _RATES},
}


def _pseudo(code: str, name: str) -> Exchange:
    """What the list of exchanges says of it, and the hours of a rate."""
    return Exchange(
        code,
        name,
        "",
        WEEKDAYS,
        "Unknown",
        "",
        "",
        "Unknown",
        "UTC",
        time(23, 59),
        time(23, 59),
        0,
        timedelta(minutes=30),
    )


PSEUDO: Final[dict[str, Exchange]] = {
    INDICES: _pseudo(INDICES, "Indices"),
    RATES: _pseudo(RATES, "FOREX"),
}


def _listing(code: str, exchange: str, name: str, currency: str, kind: str) -> Listing:
    return Listing(code, exchange, exchange, name, "Unknown", currency, kind, None)


def _markets() -> dict[Exchange, list[Listing]]:
    """The listings of each pseudo exchange by the days that they have."""
    markets: dict[Exchange, list[Listing]] = {}
    for code, name, home, _ in sorted(_INDICES):
        at = replace(EXCHANGES[home], code=INDICES, name=f"Indices of {home}")
        currency = EXCHANGES[home].currency
        markets.setdefault(at, []).append(_listing(code, INDICES, name, currency, INDEX))
    markets[PSEUDO[RATES]] = [
        _listing(f"{currency}USD", RATES, f"{currency}/USD", "USD", RATE)
        for currency, _ in sorted(_RATES)
    ]
    return markets


MARKETS: Final = _markets()


def market_of(code: str, suffix: str) -> Exchange | None:
    """The pseudo exchange, with its days, that has this index or rate."""
    for exchange, rows in MARKETS.items():
        if exchange.code == suffix and any(row.code == code for row in rows):
            return exchange
    return None


def rows_of(suffix: str) -> list[Listing]:
    """Everything that `INDX` or `FOREX` lists."""
    rows = [row for exchange, part in MARKETS.items() if exchange.code == suffix for row in part]
    return sorted(rows, key=lambda row: row.code)
