"""The preflight of a run: is the token good, what is used of the day, what is listed where.

Everything is stored answer by answer, so a preflight that is started again goes on where it was.
What the vendor's plan does not include is noted, and another way is taken where there is one.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from screener_collector import endpoints, listing, parse
from screener_collector.answers import Meaning
from screener_collector.calendars import known_calendar
from screener_collector.counter import TIMES, Counter
from screener_collector.endpoints import Endpoint
from screener_collector.exchange_days import ExchangeDays
from screener_collector.ledger import Ledger
from screener_collector.listing import KnownExchange, Listing
from screener_collector.spec import Wanted, calendar_span, read_spec
from screener_collector.store import Cursor, Store
from screener_collector.symbol_lists import SymbolLists
from screener_collector.vendor import Reply, Vendor
from screener_sql.errors import Retryable
from screener_sql.model import ErrorCode, ExitCode, SliceReason

logger = logging.getLogger(__name__)


class Stop(Exception):
    """The preflight ends here; the sentence is for the run's message."""

    def __init__(self, reason: SliceReason, code: ExitCode, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.code = code
        self.sentence = sentence


OPERATIONS = {
    "user": "preflight_user",
    "exchanges-list": "preflight_exchanges_list",
    "exchange-symbol-list": "preflight_symbols",
    "exchange-details": "preflight_details",
    "symbol-change-history": "preflight_symbol_changes",
    "eod": "preflight_bars",
}
"""The operation of a request's detail row, by endpoint."""


@dataclass(slots=True)
class Preflight:
    """One preflight, wired by the entry point."""

    store: Store
    listing: Listing
    ledger: Ledger
    vendor: Vendor
    daily_limit: int
    details_refused: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    """Exchanges that nothing is known of, and why."""
    unrecorded: int = 0
    """Calls of the latest answer that no detail row has yet."""

    async def run(self) -> ExitCode:
        """Runs to the end of the slice; returns the exit code, which says how it ended."""
        wanted = read_spec(await self.listing.spec(), self.ledger.now().date())
        # What costs no call comes first: it is there even when no call is left.
        known = await self.listing.exchanges(wanted.exchanges)
        rates = await self.listing.exchanges([listing.RATES])
        now = self.ledger.now()
        days = ExchangeDays(*calendar_span(wanted.history_from, now.date()), now)
        await self._fill_sessions([*known, *rates], days)
        try:
            if reference := [each.code for each in known if each.kind == "reference"]:
                raise Stop(
                    SliceReason.INVALID_SPEC,
                    ExitCode.INVALID_SPEC,
                    f"spec.groups: exchange '{reference[0]}' holds indices or rates, which every"
                    " run collects as its exchanges need them",
                )
            await self._read_account()
            if len(known) < len(wanted.exchanges):
                known = await self._know_exchanges(wanted, known)
                await self._fill_sessions(known, days)
            for exchange in known:
                await self._list_symbols(exchange, wanted)
            await self._add_reference_assets(wanted)
            if known and len(self.left_out) == len(known):
                # Nothing is known of any exchange, so the Job starts the preflight again.
                raise Retryable(self.left_out[known[0].code])
            for exchange in known:
                await self._read_details(exchange, days)
        except Stop as stop:
            logger.warning(
                "%s", stop.sentence, extra={"action": "preflight_stopped", "reason": stop.reason}
            )
            if stop.code is ExitCode.DONE:
                for exchange in known:
                    await self._add_symbols(exchange, wanted)
                await self._add_reference_assets(wanted)
            await self.store.stop_slice(stop.reason, stop.sentence, ended=True)
            return stop.code
        await self.store.finish_slice()
        logger.info("preflight done", extra={"action": "preflight_done"})
        return ExitCode.DONE

    async def ask(self, endpoint: Endpoint) -> Reply:
        """Asks; stops where nothing more can be asked. Its caller stores what was answered."""
        reply = await self.vendor.ask(endpoint)
        await self._check(endpoint, reply)
        return reply

    async def _check(self, endpoint: Endpoint, reply: Reply) -> None:
        """Stops where nothing more can be asked."""
        self.unrecorded = reply.calls
        if reply.refused is not None:
            raise await self._out_of_calls(endpoint, reply)
        meaning = reply.judged.meaning if reply.judged else None
        if meaning is Meaning.DAY_SPENT:
            await self.record(endpoint, reply)
            raise _daily_limit()
        if meaning is Meaning.TOKEN_REFUSED:
            await self.record(endpoint, reply)
            raise Stop(
                SliceReason.TOKEN_REFUSED,
                ExitCode.TOKEN_REFUSED,
                "the vendor refuses the token (401): check the Secret data-api-secrets",
            )

    async def _out_of_calls(self, endpoint: Endpoint, reply: Reply) -> Stop:
        if reply.calls:
            await self.record(endpoint, reply)
        if reply.refused is ErrorCode.DAILY_LIMIT:
            return _daily_limit()
        return Stop(
            SliceReason.RUN_LIMIT_REACHED,
            ExitCode.DONE,
            "spec.quota.maxCalls does not reach for the whole preflight",
        )

    async def record(self, endpoint: Endpoint, reply: Reply) -> None:
        async with self.answered(endpoint, reply):
            pass

    @asynccontextmanager
    async def answered(self, endpoint: Endpoint, reply: Reply) -> AsyncIterator[Cursor]:
        """A transaction that stores an answer and accounts for it."""
        spending, extras = self.ledger.spending(), self.vendor.extras()
        operation = OPERATIONS[endpoint.name]
        async with self.listing.answered(operation, reply, spending, extras) as cursor:
            yield cursor
        self.unrecorded = 0
        self.ledger.recorded(spending)
        self.vendor.told(extras)

    async def leave(self) -> None:
        """Accounts for what was asked in vain, also when told to end in the middle of it."""
        self.vendor.overhead.dropped += self.unrecorded
        self.unrecorded = 0
        spending, extras = self.ledger.spending(), self.vendor.extras()
        if spending.leases or spending.usage or extras:
            await self.listing.account(spending, extras)
            self.ledger.recorded(spending)
            self.vendor.told(extras)

    async def _read_account(self) -> None:
        counter = Counter(self.store, self.ledger, self.vendor, self.daily_limit)
        for _ in range(TIMES):
            reply, before = await counter.ask()
            await self._check(endpoints.user(), reply)
            reading = counter.understand(reply, before)
            async with self.answered(endpoints.user(), reply) as cursor:
                if reading is not None:
                    await self.listing.reconcile(cursor, reading)
            if reading is not None:
                return
            if reply.judged is None or reply.judged.meaning is not Meaning.ROWS:
                break
        await self.store.note(
            "The vendor's own counter could not be read; the ledger stands as it was."
        )

    async def _know_exchanges(
        self, wanted: Wanted, known: list[KnownExchange]
    ) -> list[KnownExchange]:
        """Adds the exchanges that are new here and the vendor lists."""
        missing = set(wanted.exchanges) - {exchange.code for exchange in known}
        endpoint = endpoints.exchanges_list()
        reply = await self.ask(endpoint)
        if reply.judged is None or reply.judged.meaning is not Meaning.ROWS:
            await self.record(endpoint, reply)
            sentence = (
                f"spec.groups: exchange '{min(missing)}' is new here, and the vendor's list of"
                " exchanges"
            )
            if reply.judged and reply.judged.meaning is Meaning.NOT_IN_PLAN:
                raise Stop(
                    SliceReason.ENDPOINT_NOT_IN_PLAN,
                    ExitCode.ENDPOINT_NOT_IN_PLAN,
                    f"{sentence} is not in the vendor's plan (403)",
                )
            raise Retryable(f"{sentence} could not be read: {_why(reply)}")
        listed = parse.exchanges(reply.judged.data)
        calendars = {code: known_calendar(listed[code].mics) for code in missing & listed.keys()}
        async with self.answered(endpoint, reply) as cursor:
            for code in sorted(missing & listed.keys()):
                await listing.add_exchange(cursor, listed[code], calendars[code])
        if unknown := sorted(missing - listed.keys()):
            raise Stop(
                SliceReason.INVALID_SPEC,
                ExitCode.INVALID_SPEC,
                f"spec.groups: exchange '{unknown[0]}' is not one that the vendor lists",
            )
        return await self.listing.exchanges(wanted.exchanges)

    async def _fill_sessions(self, known: list[KnownExchange], days: ExchangeDays) -> None:
        for exchange in known:
            async with self.listing.transaction() as cursor:
                sentences = await days.fill(cursor, exchange)
            for sentence in sentences:
                await self.store.note(sentence)

    async def _add_reference_assets(self, wanted: Wanted) -> None:
        async with self.listing.transaction() as cursor:
            await listing.add_reference_assets(cursor, wanted.exchanges)

    async def _list_symbols(self, exchange: KnownExchange, wanted: Wanted) -> None:
        if not (exchange.list_is_fresh and set(wanted.asset_types) <= set(exchange.listed_types)):
            await self._read_list(exchange, wanted)
        await self._add_symbols(exchange, wanted)

    async def _add_symbols(self, exchange: KnownExchange, wanted: Wanted) -> None:
        if (symbols := wanted.symbols[exchange.code]) is not None:
            async with self.listing.transaction() as cursor:
                await listing.add_symbols(cursor, exchange.id, symbols)

    async def _read_list(self, exchange: KnownExchange, wanted: Wanted) -> None:
        symbols = wanted.symbols[exchange.code]
        endpoint = endpoints.exchange_symbol_list(exchange.code)
        reply = await self.ask(endpoint)
        meaning = reply.judged.meaning if reply.judged else None
        empty = meaning is Meaning.EMPTY and exchange.has_assets
        if meaning is not Meaning.ROWS and not empty:
            await self.record(endpoint, reply)
            if meaning is Meaning.NOT_IN_PLAN:
                await self.store.set_endpoint(endpoint.name, False)
            await self._go_without_list(exchange, symbols, reply)
            return
        await self.store.set_endpoint(endpoint.name, True)
        lists = SymbolLists(self, self.store.execution_id, wanted, self.ledger.now())
        await lists.take(exchange, endpoint, reply)

    async def _go_without_list(
        self, exchange: KnownExchange, symbols: tuple[str, ...] | None, reply: Reply
    ) -> None:
        """Without a list there are still the named symbols, or the assets known so far."""
        meaning = reply.judged.meaning if reply.judged else None
        lack = (
            {
                Meaning.NOT_IN_PLAN: "The vendor's plan does not include symbol lists",
                Meaning.NOT_FOUND: f"The vendor has no symbol list of {exchange.code} (404)",
            }.get(meaning)
            if meaning
            else None
        )
        lack = lack or f"The vendor's symbol list of {exchange.code} could not be read"
        if symbols is not None:
            await self.store.note(f"{lack}; the named symbols are used.")
        elif exchange.has_assets:
            await self.store.note(f"{lack}; the assets known so far are used.")
        elif meaning is Meaning.NOT_IN_PLAN:
            raise Stop(
                SliceReason.ENDPOINT_NOT_IN_PLAN,
                ExitCode.ENDPOINT_NOT_IN_PLAN,
                f"spec.groups: exchange '{exchange.code}' needs its symbol list, and {_lower(lack)}"
                " (403); name symbols instead",
            )
        elif meaning is Meaning.NOT_FOUND:
            raise Stop(
                SliceReason.INVALID_SPEC,
                ExitCode.INVALID_SPEC,
                f"spec.groups: exchange '{exchange.code}' has no symbol list at the vendor (404)",
            )
        else:
            self.left_out[exchange.code] = f"{lack}: {_why(reply)}"
            await self.store.note(f"{lack}; the exchange is left out of this run.")

    async def _read_details(self, exchange: KnownExchange, days: ExchangeDays) -> None:
        if exchange.details_are_fresh or self.details_refused:
            return
        endpoint = endpoints.exchange_details(exchange.code)
        reply = await self.ask(endpoint)
        if reply.judged is None or reply.judged.meaning is not Meaning.ROWS:
            await self.record(endpoint, reply)
            if reply.judged and reply.judged.meaning is Meaning.NOT_IN_PLAN:
                self.details_refused = True
                await self.store.set_endpoint(endpoint.name, False)
                await self.store.note(
                    "The vendor's plan does not include exchange details; the built-in calendars"
                    " are used."
                )
            return
        async with self.answered(endpoint, reply) as cursor:
            await listing.set_details(cursor, exchange.id, reply.judged.data)
            sentences = await days.take_details(cursor, exchange, reply.judged.data)
        await self.store.set_endpoint(endpoint.name, True)
        for sentence in sentences:
            await self.store.note(sentence)


def _daily_limit() -> Stop:
    return Stop(
        SliceReason.DAILY_LIMIT_REACHED,
        ExitCode.DONE,
        "the day's calls are spent; what is due is deferred until after 00:00 GMT",
    )


def _why(reply: Reply) -> str:
    return (reply.judged.message if reply.judged else reply.message) or "no answer"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
