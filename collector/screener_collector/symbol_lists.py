"""A preflight's symbol lists: read, compared with what is known, their doubts asked, and stored.

A list is stored with all that follows of it in one transaction, or not at all: then the assets stay
as they are, and the next run asks again.
"""

import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from screener_collector import endpoints, listing, parse, reused_codes
from screener_collector.answers import Meaning
from screener_collector.endpoints import Endpoint
from screener_collector.exchange_details import Flag
from screener_collector.findings import Judge, rule_parameters
from screener_collector.listing import KnownExchange, Listing
from screener_collector.rules.model import Parameters
from screener_collector.spec import Wanted
from screener_collector.store import Cursor, Store
from screener_collector.universe import (
    BARS_NEEDED,
    Comparison,
    Proofs,
    compare,
    is_believable,
    same_series,
    settle,
)
from screener_collector.vendor import Reply

logger = logging.getLogger(__name__)

RECORDED_EXCHANGE = "US"
"""The exchange whose symbol changes the vendor keeps a record of."""
RECORD = endpoints.symbol_change_history(date.min, date.min).name
CHANGES_BEFORE = timedelta(days=31)
"""The record of changes is asked for from so long before the list before: neither is punctual."""
BARS_COMPARED = 60
CODES_ASKED = 20
"""Of a list in which more assets have another ISIN or name, and nothing else tells whose they are,
bars are not asked for: it is the list that has changed."""


class Postponed(Exception):
    """What a list needs to be compared could not be asked; the next run does."""


class Asking(Protocol):
    """What the preflight does for each of its requests."""

    store: Store
    listing: Listing

    async def ask(self, endpoint: Endpoint) -> Reply:
        """Asks; its caller stores what was answered. Raises when no more can be asked."""

    async def record(self, endpoint: Endpoint, reply: Reply) -> None:
        """Accounts for an answer of which nothing is stored."""

    def answered(self, endpoint: Endpoint, reply: Reply) -> AbstractAsyncContextManager[Cursor]:
        """A transaction that stores an answer and accounts for it."""


@dataclass(slots=True)
class SymbolLists:
    """The symbol lists of one run."""

    asking: Asking
    execution_id: str
    wanted: Wanted
    now: datetime

    async def take(self, exchange: KnownExchange, endpoint: Endpoint, reply: Reply) -> None:
        """Compares and stores the list that came as `reply`, and accounts for it."""
        assert reply.judged is not None  # its caller saw that there is a list
        listings = parse.listings(reply.judged.data or ())
        async with self.asking.listing.transaction() as cursor:
            found = await self._compare(cursor, exchange, listings)
            parameters = await rule_parameters(cursor)
        if not self._is_whole(exchange, listings, found, parameters):
            await self._doubt(exchange, endpoint, reply, listings, found)
            return
        proofs = Proofs()
        if found.candidates or found.wants_delisted or self._wants_record(exchange, found):
            await self.asking.record(endpoint, reply)
            try:
                proofs = await self._prove(exchange, found)
            except Postponed as postponed:
                await self.asking.store.note(
                    f"The vendor's symbol list of {exchange.code} is compared in the next run:"
                    f" {postponed}; until then the assets known so far are used."
                )
                return
            transaction = self.asking.listing.transaction()
        else:
            transaction = self.asking.answered(endpoint, reply)
        async with transaction as cursor:
            doubted = await self._store(cursor, exchange, listings, proofs)
        for code, bars in sorted(doubted.items()):
            await self.asking.store.note(
                f"The former code of {code}.{exchange.code} was given to another company: {bars}"
                " bars since the last list that shows it as its own may be of either and were set"
                " aside."
            )

    async def _compare(
        self, cursor: Cursor, exchange: KnownExchange, listings: parse.Listings
    ) -> Comparison:
        known = await listing.known_assets(cursor, exchange.id)
        symbols = self.wanted.symbols[exchange.code] or ()
        return compare(known, listings.rows, self.wanted.asset_types, symbols)

    async def _store(
        self, cursor: Cursor, exchange: KnownExchange, listings: parse.Listings, proofs: Proofs
    ) -> dict[str, int]:
        """By code, how many bars it makes doubtful."""
        # Another pod of the Job may have stored the same list meanwhile: then nothing changes.
        await listing.lock_exchange(cursor, exchange.id)
        changes = settle(await self._compare(cursor, exchange, listings), proofs)
        await listing.store_changes(cursor, self.execution_id, exchange.id, changes)
        doubted: dict[str, int] = {}
        if changes.reused:
            judge = Judge(self.asking.store.worker_id, self.execution_id)
            doubted = await reused_codes.doubt(cursor, judge, changes.reused)
        await listing.prove_isins(cursor, exchange.id)
        await listing.set_listed(cursor, exchange.id, len(listings.rows), self.wanted.asset_types)
        await listing.set_flag(cursor, exchange.id, Flag.LIST_NOT_BELIEVED, False)
        logger.info(
            "the list of %s has %d rows: %d assets are new, %d renamed, %d changed, %d delisted",
            exchange.code,
            len(listings.rows),
            len(changes.added),
            len(changes.renamed),
            len(changes.updated),
            len(changes.delisted),
            extra={"action": "listed", "exchange": exchange.code},
        )
        return doubted

    # Guards

    def _is_whole(
        self,
        exchange: KnownExchange,
        listings: parse.Listings,
        found: Comparison,
        parameters: Parameters,
    ) -> bool:
        before, rows = exchange.listed_rows or 0, len(listings.rows)
        return bool(listings.rows) and (
            exchange.believe_next_list
            or (
                is_believable(found.listed, found.lost, parameters)
                and is_believable(before, before - rows, parameters)
                and is_believable(rows + listings.broken, listings.broken, parameters)
            )
        )

    async def _doubt(
        self,
        exchange: KnownExchange,
        endpoint: Endpoint,
        reply: Reply,
        listings: parse.Listings,
        found: Comparison,
    ) -> None:
        said = {
            "rows": len(listings.rows),
            "rows_before": exchange.listed_rows or 0,
            "broken_rows": listings.broken,
            "assets": found.listed,
            "missing": found.lost,
        }
        async with self.asking.answered(endpoint, reply) as cursor:
            await listing.set_flag(cursor, exchange.id, Flag.LIST_NOT_BELIEVED, True)
            await listing.doubt_list(cursor, self.execution_id, exchange.id, said)
        await self.asking.store.note(
            f"The vendor's symbol list of {exchange.code} lacks {found.lost} of {found.listed}"
            f" assets, has {len(listings.rows)} rows ({exchange.listed_rows or 0} before) and"
            f" {listings.broken} broken ones, and was not believed; the assets stay as they were."
            " If it is right, set exchanges.believe_next_list."
        )

    # Doubts

    def _wants_record(self, exchange: KnownExchange, found: Comparison) -> bool:
        return exchange.code == RECORDED_EXCHANGE and found.wants_changes

    async def _prove(self, exchange: KnownExchange, found: Comparison) -> Proofs:
        changes = (
            await self._recorded_changes(exchange) if self._wants_record(exchange, found) else []
        )
        delisted = await self._delisted(exchange) if found.wants_delisted else ()
        by_record = Proofs(changes=changes, delisted=delisted)
        renamed = {rename.asset.id for rename in settle(found, by_record).renamed}
        same_bars = {}
        for pair in found.candidates:
            if pair.asset.id not in renamed and await self._has_same_bars(
                exchange, pair.asset.id, pair.row.code
            ):
                same_bars[pair.asset.id] = pair.row.code
        unproved = found.unproved(Proofs(changes, delisted, same_bars))
        other_bars = set()
        if len(unproved) <= CODES_ASKED:
            for asset in unproved:
                same = await self._has_same_bars(exchange, asset.id, asset.code)
                if same is False or (same is None and found.tells_apart(asset)):
                    other_bars.add(asset.id)
        return Proofs(changes, delisted, same_bars, other_bars)

    async def _rows(self, endpoint: Endpoint, what: str) -> list[object]:
        """The rows of an answer, none where the vendor has nothing. Raises Postponed."""
        reply = await self.asking.ask(endpoint)
        await self.asking.record(endpoint, reply)
        if reply.judged is None or reply.judged.meaning is Meaning.SERVER_ERROR:
            raise Postponed(f"{what} could not be read")
        if reply.judged.meaning is Meaning.NOT_IN_PLAN and endpoint.name == RECORD:
            await self.asking.store.set_endpoint(endpoint.name, False)
            await self.asking.store.note(
                f"The vendor's plan does not include {what}; renames are known by their ISINs."
            )
        rows: list[object] = reply.judged.data if reply.judged.meaning is Meaning.ROWS else []
        return rows

    async def _recorded_changes(self, exchange: KnownExchange) -> list[parse.SymbolChange]:
        today = self.now.date()
        first = (exchange.listed_at.date() if exchange.listed_at else today) - CHANGES_BEFORE
        endpoint = endpoints.symbol_change_history(first, today)
        changes = parse.symbol_changes(await self._rows(endpoint, "the record of symbol changes"))
        return [change for change in changes if change.effective <= today]

    async def _delisted(self, exchange: KnownExchange) -> tuple[parse.Listing, ...]:
        endpoint = endpoints.delisted_symbol_list(exchange.code)
        return parse.listings(await self._rows(endpoint, "lists of delisted symbols")).rows

    async def _has_same_bars(
        self, exchange: KnownExchange, asset_id: int, code: str
    ) -> bool | None:
        """Whether a code's bars are those of an asset; None where it has too few to tell."""
        # Of later days bars may have come by the code of whoever has it by now.
        before = exchange.listed_at.date() if exchange.listed_at else None
        async with self.asking.listing.transaction() as cursor:
            stored = await listing.recent_closes(cursor, asset_id, BARS_COMPARED, before)
        if len(stored) < BARS_NEEDED:
            return None
        endpoint = endpoints.eod(f"{code}.{exchange.code}", min(stored), self.now.date())
        fetched = parse.closes(await self._rows(endpoint, f"the bars of {code}"))
        return same_series(stored, fetched)
