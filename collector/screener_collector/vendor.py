"""Adapter: the vendor's API. Sends a request when it is reserved, tries again when it may help.

The token is sent as a header, so it is in no address; redirects are not followed, so it goes
nowhere else. Nothing of an answer's body is logged: the vendor quotes requests in its errors.
"""

import asyncio
import logging
import random
import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from screener_collector import endpoints
from screener_collector.answers import (
    TABLE,
    Answer,
    Judged,
    Meaning,
    Row,
    Symptom,
    judge,
    judged_as,
)
from screener_collector.clock import in_maintenance, parse_date
from screener_collector.endpoints import Endpoint
from screener_collector.ledger import COUNTER_ENDPOINT, Ledger, Reservation
from screener_collector.pace import CEILING, Gate
from screener_collector.store import CallsRefused, Extra
from screener_collector.work import DROPPED, PROBE, READING
from screener_sql.model import ErrorCode

logger = logging.getLogger(__name__)

CONNECTIONS = 16
"""Of one client: httpx' pool takes time by the square of them."""
CONNECT_TIMEOUT_S, READ_TIMEOUT_S, ANSWER_TIMEOUT_S = 5.0, 60.0, 180.0
MAX_BODY_BYTES = 64 * 2**20
"""Ten times the largest answer, a bulk day of the US."""
LONGEST_WAIT_S = 60.0
"""Between two looks whether an unreachable vendor is back."""

FULL_WAIT_S = (1.0, 60.0)
"""After a 429 with requests left in the minute: at first, and at the longest."""

Before = Callable[[], Awaitable[None]]

# httpcore asks it which library runs, several times a request; where it is not installed each of
# these is a search through all folders of modules, a third of the processor's time of a request.
# Where it is known to be absent httpcore takes asyncio.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

# It logs the address of every request.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def trusted(base_url: str) -> ssl.SSLContext:
    """Whose certificates are trusted, for all clients together: reading the authorities takes as
    long as ten requests. Without TLS nobody's, as nothing but the address is ever asked."""
    if httpx.URL(base_url).scheme == "https":
        return httpx.create_ssl_context(trust_env=False)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _Failed(Exception):
    """A try that another may mend."""

    def __init__(self, judged: Judged) -> None:
        super().__init__(judged.message)
        self.judged = judged


@dataclass(slots=True)
class Reply:
    """What came of a request after all its tries: `judged`, else `refused`, else a failure."""

    endpoint: str
    started_at: datetime
    ended_at: datetime
    calls: int = 0
    """What all tries cost together."""
    judged: Judged | None = None
    refused: ErrorCode | None = None
    """No calls were left to send it."""
    error_code: ErrorCode | None = None
    message: str = ""


@dataclass(slots=True)
class _Tally:
    calls: int = 0


@dataclass(slots=True)
class Overhead:
    """Calls that serve no fetch: looks whether the vendor is back, requests that were dropped,
    readings of the counter."""

    probes: int = 0
    dropped: int = 0
    readings: int = 0


@dataclass(slots=True)
class Vendor:
    """A client; calls `on_waiting(True)` when the vendor has gone, `(False)` when it is back."""

    clients: tuple[httpx.AsyncClient, ...]
    ledger: Ledger
    on_waiting: Callable[[bool], Awaitable[None]]
    check: Callable[[], None] = lambda: None
    """Called as each request is sent; raises where nothing may be sent any more."""
    overhead: Overhead = field(default_factory=Overhead)
    first_wait_s: float = 1.0
    answer_timeout_s: float = ANSWER_TIMEOUT_S
    max_body_bytes: int = MAX_BODY_BYTES
    gate: Gate = field(default_factory=Gate)
    _busy: Counter[int] = field(default_factory=Counter)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _answered_at: float = float("-inf")
    _back_at: float = float("-inf")
    _full_wait_s: float = FULL_WAIT_S[0]

    @classmethod
    def connect(
        cls,
        base_url: str,
        token: str,
        ledger: Ledger,
        on_waiting: Callable[[bool], Awaitable[None]],
        check: Callable[[], None] = lambda: None,
    ) -> Self:
        """Clients of the vendor at `base_url`, as many as the fastest pace needs."""
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        certificates = trusted(base_url)
        clients = tuple(
            httpx.AsyncClient(
                base_url=base_url,
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                limits=limits,
                verify=certificates,
                follow_redirects=False,
                # A proxy's log is no place for requests; the address is a setting, so nothing else
                # is.
                trust_env=False,
            )
            for _ in range(-(-CEILING // CONNECTIONS))
        )
        return cls(clients, ledger, on_waiting, check)

    def extras(self) -> list[Extra]:
        """The overhead as it is now; to be followed by `told` once Postgres knows it."""
        now = self.ledger.now()
        calls = (
            (PROBE, self.overhead.probes),
            (DROPPED, self.overhead.dropped),
            (READING, self.overhead.readings),
        )
        return [Extra(operation, spent, now) for operation, spent in calls if spent]

    def told(self, extras: Iterable[Extra]) -> None:
        """The transaction with `extras` in it was committed."""
        for extra in extras:
            if extra.operation == PROBE:
                self.overhead.probes -= extra.calls
            elif extra.operation == READING:
                self.overhead.readings -= extra.calls
            else:
                self.overhead.dropped -= extra.calls

    async def close(self) -> None:
        """Closes the connections."""
        for client in self.clients:
            await client.aclose()

    async def ask(self, endpoint: Endpoint, before: Before | None = None) -> Reply:
        """Asks, for as long as it takes: waits for the next minute, and for a vendor that is away.

        A request that fails in all its tries while the vendor answers others is its own failure.
        `before` is awaited each time just before it is sent.
        """
        loop = asyncio.get_running_loop()
        started_at, tally = self.ledger.now(), _Tally()
        reply = Reply(endpoint.name, started_at, started_at)
        while True:
            began = loop.time()
            try:
                reply.judged = await self._try(endpoint, tally, before=before)
            except CallsRefused as refusal:
                reply.refused = refusal.error_code
            except _Failed as failure:
                try:
                    if await self._was_away(began):
                        continue
                except CallsRefused as refusal:
                    reply.refused = refusal.error_code
                else:
                    self._give_up(reply, failure.judged)
            except BaseException:
                self.overhead.dropped += tally.calls
                raise
            reply.calls, reply.ended_at = tally.calls, self.ledger.now()
            return reply

    def _give_up(self, reply: Reply, judged: Judged) -> None:
        """What came of all tries."""
        maintenance = in_maintenance(self.ledger.vendor_now())
        if judged.meaning is Meaning.BAD_PAYLOAD and not maintenance:
            reply.judged = judged
            return
        reply.error_code = judged.row.error_code_during(maintenance)
        reply.message = f"{judged.message}, {judged.row.tries_during(maintenance).times} times"

    async def _try(
        self,
        endpoint: Endpoint,
        tally: _Tally,
        *,
        tries: int | None = None,
        before: Before | None = None,
    ) -> Judged:
        """Asks as often as the table says, or `tries` times. Raises _Failed, CallsRefused."""

        def row(state: RetryCallState) -> Row:
            assert state.outcome is not None
            failed = state.outcome.exception()
            assert isinstance(failed, _Failed)
            return failed.judged.row

        def stop(state: RetryCallState) -> bool:
            maintenance = in_maintenance(self.ledger.vendor_now())
            times = tries or row(state).tries_during(maintenance).times
            return state.attempt_number >= times

        def wait(state: RetryCallState) -> float:
            maintenance = in_maintenance(self.ledger.vendor_now())
            longest = row(state).tries_during(maintenance).longest_wait_s
            return wait_random_exponential(multiplier=0.5, max=longest)(state)

        async for attempt in AsyncRetrying(
            stop=stop, wait=wait, retry=retry_if_exception_type(_Failed), reraise=True
        ):
            with attempt:
                return await self._once(endpoint, tally, before)
        raise AssertionError("tenacity ends in a return or a raise")

    async def _once(self, endpoint: Endpoint, tally: _Tally, before: Before | None) -> Judged:
        """Asks until the minute has room. Raises _Failed where another try may mend it."""
        loop = asyncio.get_running_loop()
        while True:
            # The counter is read past the others, who may be waiting for that.
            past = endpoint.name == COUNTER_ENDPOINT
            async with nullcontext() if past else self.gate.room():
                reservation = await self.ledger.reserve(endpoint.name, endpoint.calls)
                sent_at = loop.time()
                judged, left = await self._send(endpoint, reservation, tally, before)
            await self._keep_pace(judged, sent_at, left)
            meaning = judged.meaning
            if meaning is Meaning.DAY_SPENT:
                await self.ledger.day_is_spent()
            if judged.row.tries.times == 1:
                self._answered_at = loop.time()
            if meaning is not Meaning.MINUTE_FULL:
                if judged.row.tries.times > 1:
                    raise _Failed(judged)
                return judged

    async def _keep_pace(self, judged: Judged, sent_at: float, left: int | None) -> None:
        """Goes slower after a refusal or failure, and faster after many good answers.

        `left`: requests left of the minute, as the answer says.
        """
        if judged.meaning in (Meaning.MINUTE_FULL, Meaning.SERVER_ERROR):
            self.gate.pace.bad(sent_at, asyncio.get_running_loop().time())
        elif judged.meaning is not Meaning.NETWORK_ERROR:
            self.gate.pace.good()
            self.gate.let_in()
            self._full_wait_s = FULL_WAIT_S[0]
        if judged.meaning is Meaning.MINUTE_FULL:
            logger.info("the vendor's minute is full", extra={"action": "minute_full"})
            # With requests left it is a burst that was refused.
            wait_s = self._full_wait_s if left else None
            self._full_wait_s = min(2 * self._full_wait_s, FULL_WAIT_S[1])
            await self.ledger.minute_is_full(for_s=wait_s)

    async def _send(
        self, endpoint: Endpoint, reservation: Reservation, tally: _Tally, before: Before | None
    ) -> tuple[Judged, int | None]:
        """Sends once and settles; what came of it, and the requests left of the minute."""
        seen: list[httpx.Headers] = []

        def settle(row: Row) -> None:
            calls = row.calls(endpoint.calls)
            self.ledger.settle(
                reservation,
                calls,
                error=row.meaning not in (Meaning.ROWS, Meaning.EMPTY),
                # What it has begun to answer the vendor has counted.
                ended=row.symptom is not Symptom.SILENT or bool(seen),
            )
            tally.calls += calls

        sent = self.ledger.now()
        try:
            if before is not None:
                await before()
            async with asyncio.timeout(self.answer_timeout_s):
                answer = await self._receive(endpoint, seen)
            judged = judge(answer, endpoint.shape)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            judged = judged_as(Symptom.UNREACHABLE)  # it was never sent
        except (httpx.TimeoutException, TimeoutError):
            judged = judged_as(Symptom.SILENT)
        except (httpx.TransportError, httpx.DecodingError):
            judged = judged_as(Symptom.CUT)
        except BaseException:
            # Dropped under way: whether the vendor will count it cannot be known.
            settle(TABLE[Symptom.SILENT])
            raise
        settle(judged.row)
        left = None
        for headers in seen:
            await self._learn(headers, sent)
            left = _count(headers, "x-ratelimit-remaining")
        return judged, left

    async def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        # Not earlier: opening a connection may take as long as it likes.
        if event == "http11.send_request_headers.started":
            self.check()

    async def _receive(self, endpoint: Endpoint, seen: list[httpx.Headers]) -> Answer:
        which = min(range(len(self.clients)), key=lambda index: self._busy[index])
        self._busy[which] += 1
        try:
            async with self.clients[which].stream(
                "GET",
                endpoint.path,
                params=dict(endpoint.params),
                extensions={"trace": self._trace},
            ) as got:
                seen.append(got.headers)
                body, kind = bytearray(), got.headers.get("content-type", "")
                async for chunk in got.aiter_bytes():
                    body += chunk
                    if len(body) > self.max_body_bytes:
                        return Answer(got.status_code, kind, None)
                return Answer(got.status_code, kind, bytes(body))
        finally:
            self._busy[which] -= 1

    async def _learn(self, headers: httpx.Headers, sent: datetime) -> None:
        """The minute's limit and the vendor's clock. Only the vendor itself tells a limit, so the
        clock of whoever answered in its place is not believed."""
        limit = _count(headers, "x-ratelimit-limit")
        if not limit:
            return
        await self.ledger.see_requests_per_minute(limit)
        date = parse_date(headers.get("date", ""))
        if date is not None:
            await self.ledger.see_date(date, sent, self.ledger.now())

    async def _was_away(self, since: float) -> bool:
        """Whether the vendor answered nobody for a while; then waits until it does again.

        Asked when a request failed in all its tries, the first of which was at `since`.
        """
        loop = asyncio.get_running_loop()
        async with self._looking:
            if self._answered_at > since:
                return self._back_at > since
            waited, delay_s = False, self.first_wait_s
            try:
                while not await self._answers():
                    if not waited:
                        waited = True
                        logger.warning(
                            "the vendor is unreachable; waiting for it",
                            extra={"action": "vendor_unreachable"},
                        )
                        await self.on_waiting(True)
                    await asyncio.sleep(delay_s * random.uniform(0.8, 1.2))
                    delay_s = min(2 * delay_s, LONGEST_WAIT_S)
            finally:
                if waited:
                    self._back_at = loop.time()
                    await self.on_waiting(False)
            if waited:
                logger.info("the vendor answers again", extra={"action": "vendor_back"})
            return waited

    async def _answers(self) -> bool:
        """One look, by the cheapest request; any answer but a failure of the vendor counts."""
        tally = _Tally()
        try:
            await self._try(endpoints.user(), tally, tries=1)
        except _Failed:
            return False
        finally:
            self.overhead.probes += tally.calls
        return True


def _count(headers: httpx.Headers, name: str) -> int | None:
    value = headers.get(name, "")
    return int(value[:9]) if value.isascii() and value.isdecimal() else None
