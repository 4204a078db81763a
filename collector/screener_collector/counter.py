"""Reads the vendor's own counter of calls, by which the ledger is set.

A preflight does so first of all, and a group's worker when Postgres tells it to: where others use
the key too, and when a day has begun.
"""

import logging
from dataclasses import dataclass, replace

from screener_collector import endpoints, parse
from screener_collector.answers import Meaning
from screener_collector.ledger import Ledger
from screener_collector.store import BeforeReading, Reading, Store
from screener_collector.vendor import Reply, Vendor

logger = logging.getLogger(__name__)

TIMES = 3
"""A reading that was under way at midnight is of no use, and asked for again; so is the first one
where the vendor's clock was not known before."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Asks, and knows what the ledger was before."""

    store: Store
    ledger: Ledger
    vendor: Vendor
    daily_limit: int

    async def ask(self) -> tuple[Reply, BeforeReading | None]:
        """An answer, and the ledger as it was just before it was asked for."""
        before: BeforeReading | None = None

        async def look() -> None:
            nonlocal before
            known = await self.store.before_reading()
            mine = self.ledger.finished()
            # This worker knows more of its own requests than Postgres does.
            finished = {
                lease_id: max(calls, mine.get(lease_id, 0))
                for lease_id, calls in known.finished.items()
            }
            before = replace(known, finished=finished)

        return await self.vendor.ask(endpoints.user(), look), before

    def understand(self, reply: Reply, before: BeforeReading | None) -> Reading | None:
        """The reading that an answer is; None where it says nothing of the day."""
        if before is None or reply.judged is None or reply.judged.meaning is not Meaning.ROWS:
            return None
        try:
            account = parse.account(reply.judged.data)
        except parse.BadRow as error:
            logger.warning("the vendor's counter cannot be read: %s", error)
            return None
        used = account.calls_used_on(before.day)
        if used is None or self.ledger.vendor_now().date() != before.day:
            return None
        return Reading(before, used, account.daily_limit, account.extra_limit, self.daily_limit)

    async def read(self) -> None:
        """Reads it in the middle of a group's work; its cost is overhead."""
        for _ in range(TIMES):
            reply, before = await self.ask()
            self.vendor.overhead.readings += reply.calls
            reading = self.understand(reply, before)
            if reading is not None:
                others = await self.store.reconcile(reading)
                logger.info(
                    "the vendor counted %d calls of the day, at least %d of them not ours",
                    reading.vendor_used,
                    others or 0,
                    extra={"action": "counter_read"},
                )
                return
            if reply.refused is not None:
                break
        logger.warning("the vendor's counter could not be read", extra={"action": "not_read"})
        await self.store.skip_reading()
