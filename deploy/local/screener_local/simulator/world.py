"""The vendor's data as of its data clock: exchanges, listings, sessions and markets, made when
first asked for.

Reads the code lists and the companies' file; otherwise pure. Not safe for several threads at once:
the server asks from one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from screener_local.simulator import sessions as calendar
from screener_local.simulator.companies import RealBars, load_companies
from screener_local.simulator.exchanges import Exchange
from screener_local.simulator.market import Market
from screener_local.simulator.sessions import Sessions
from screener_local.simulator.universe import Listing, listings


@dataclass(frozen=True)
class View:
    """One exchange as of a moment. `visible` is the day of the last published session."""

    exchange: Exchange
    listings: list[Listing]
    market: Market
    sessions: Sessions
    visible: int
    now: datetime

    def find(self, code: str) -> int | None:
        """The asset's number, also where the case is wrong; None when not listed."""
        index = self.market.index
        return index.get(code, index.get(code.upper()))


@dataclass
class World:
    """`tickers` is the folder of code lists or None; `companies` the file of real bars or None."""

    seed: int
    tickers: Path | None
    companies: Path | None
    _listings: dict[str, list[Listing]] = field(default_factory=dict)
    _markets: dict[tuple[str, int], Market] = field(default_factory=dict)
    _real: dict[str, RealBars] | None = None

    def listed(self, exchange: Exchange) -> list[Listing]:
        """All listings of the exchange, ascending by code."""
        if exchange.code not in self._listings:
            self._listings[exchange.code] = listings(exchange, self.tickers)
        return self._listings[exchange.code]

    def view(self, exchange: Exchange, now: datetime) -> View:
        """The exchange as of `now`."""
        last_year = max(now, datetime.now(UTC)).year + 1
        days = calendar.load(exchange, last_year)
        key = (exchange.code, last_year)
        rows = self.listed(exchange)
        if key not in self._markets:
            real = self._companies() if exchange.code == "US" else {}
            self._markets[key] = Market(rows, days, self.seed, real)
        count = days.visible(now)
        visible = int(days.days[count - 1]) if count else -1
        return View(exchange, rows, self._markets[key], days, visible, now)

    def _companies(self) -> dict[str, RealBars]:
        if self._real is None:
            self._real = load_companies(self.companies) if self.companies is not None else {}
        return self._real
