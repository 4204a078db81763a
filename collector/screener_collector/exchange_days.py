"""A preflight's calendars: the sessions of each exchange, and what the vendor's details change.

Sessions are rows from before the history until some weeks ahead. They are worked out again when
they do not reach far enough, and whenever the vendor's details were read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from screener_collector import exchange_details, listing
from screener_collector.calendars import Correction, Hours, Schedule, Session, sessions
from screener_collector.exchange_details import OF_DETAILS, Details, Flag
from screener_collector.listing import KnownExchange
from screener_collector.spec import covers
from screener_collector.store import Cursor

DETAILS_REACH = timedelta(days=180)
"""The vendor's details have the holidays of so long before and after the day they are read."""

SENTENCES = {
    Flag.NO_CALENDAR: "No calendar of {code} is known; weekdays and the vendor's details of it"
    " serve.",
    Flag.ZONE_CONTRADICTS_MIC: "The vendor's details of {code} have a time zone that contradicts"
    " its MIC and were not believed.",
    Flag.NO_HOLIDAYS: "The vendor's details of {code} have no holidays; those known before stay.",
    Flag.HOLIDAYS_NOT_BELIEVED: "The vendor's holidays of {code} are too many, or fall on days of"
    " trade, and were not believed.",
}
"""For the run's message, when a flag is set."""


@dataclass(slots=True)
class ExchangeDays:
    """The sessions from `first` to `last` of the exchanges of one run. `now`: aware."""

    first: date
    last: date
    now: datetime

    async def fill(self, cursor: Cursor, exchange: KnownExchange) -> list[str]:
        """Works out sessions where those that are known do not reach far enough.

        Returns sentences about what is newly doubtful.
        """
        have_first, have_last = await listing.covered(cursor, exchange.id)
        if not (have_first and have_last) or not covers(
            have_first, have_last, self.first, self.last
        ):
            await self._store(cursor, exchange, await self._schedule(cursor, exchange))
        guessed = exchange.calendar is None and exchange.kind == "listings"
        return await self._flag(cursor, exchange, {Flag.NO_CALENDAR: guessed})

    async def take_details(
        self, cursor: Cursor, exchange: KnownExchange, data: object
    ) -> list[str]:
        """Stores what is believed of new details; sentences about what is newly doubtful."""
        details = exchange_details.read(data)
        before = await self._schedule(cursor, replace(exchange, details=None))
        known = {session.day for session in self._sessions(replace(before, closed=()))}
        believed = exchange_details.judge(
            details,
            time_zone=exchange.time_zone,
            has_calendar=exchange.calendar is not None,
            sessions=known,
            traded=await listing.days_of_trade(
                cursor, exchange.id, sorted(details.holidays.keys() & known)
            ),
            now=self.now,
        )
        if believed.holidays is not None:
            await listing.set_closed_days(
                cursor,
                exchange.id,
                believed.holidays,
                (self.now.date() - DETAILS_REACH, self.now.date() + DETAILS_REACH),
            )
        if believed.hours and exchange.calendar is None and details.time_zone:
            await listing.set_time_zone(cursor, exchange.id, details.time_zone)
            exchange = replace(exchange, time_zone=details.time_zone)
        told = replace(exchange, details=data, details_at=self.now)
        await self._store(cursor, exchange, await self._schedule(cursor, told))
        flags = {flag: flag in believed.flags for flag in OF_DETAILS}
        return await self._flag(cursor, exchange, flags)

    async def _flag(
        self, cursor: Cursor, exchange: KnownExchange, flags: Mapping[Flag, bool]
    ) -> list[str]:
        return [
            SENTENCES[flag].format(code=exchange.code)
            for flag, doubtful in flags.items()
            if await listing.set_flag(cursor, exchange.id, flag, doubtful) and doubtful
        ]

    async def _schedule(self, cursor: Cursor, exchange: KnownExchange) -> Schedule:
        corrections = (
            [Correction(**row) for row in await listing.corrections(cursor, exchange.calendar)]
            if exchange.calendar
            else []
        )
        return Schedule(
            calendar=exchange.calendar,
            time_zone=exchange.time_zone,
            close_override=exchange.close_override,
            corrections=corrections,
            closed=await listing.closed_days(cursor, exchange.id),
            hours=self._hours(exchange),
        )

    def _hours(self, exchange: KnownExchange) -> Hours | None:
        """The vendor's hours, where its details are there and their zone is the exchange's."""
        if exchange.details is None or exchange.details_at is None:
            return None
        details: Details = exchange_details.read(exchange.details)
        zone = exchange.time_zone if exchange.calendar else None
        if not exchange_details.same_zone(zone, details.time_zone, self.now):
            return None
        return Hours(exchange.details_at.date(), details.closes, details.working_days)

    async def _store(self, cursor: Cursor, exchange: KnownExchange, schedule: Schedule) -> None:
        days = [each for each in self._sessions(schedule) if self.first <= each.day <= self.last]
        await listing.store_sessions(cursor, exchange.id, days, (self.first, self.last))

    def _sessions(self, schedule: Schedule) -> list[Session]:
        """Of one span whatever they are for, so that the library works out each calendar once."""
        ahead = max(self.last, self.now.date() + DETAILS_REACH)
        return sessions(schedule, min(self.first, self.now.date() - DETAILS_REACH), ahead)
