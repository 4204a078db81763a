"""Adapter: the vendor's API. Sends a request when it is reserved, tries again when it may help.

The token is sent as a header, so it is in no address; redirects are not followed, so it goes
nowhere else. Nothing of an answer's body is logged: the vendor quotes requests in its errors.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import httpx
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from screener_collector import endpoints
from screener_collector.answers import Answer, Judged, Meaning, judge
from screener_collector.endpoints import Endpoint, final_calls
from screener_collector.ledger import Ledger, Reservation
from screener_collector.store import CallsRefused, Extra
from screener_collector.work import DROPPED, PROBE
from screener_sql.model import ErrorCode

logger = logging.getLogger(__name__)

IN_FLIGHT = 16
"""Requests at once."""
TRIES = 4
CONNECT_TIMEOUT_S, READ_TIMEOUT_S, ANSWER_TIMEOUT_S = 5.0, 60.0, 180.0
MAX_BODY_BYTES = 64 * 2**20
"""Ten times the largest answer, a bulk day of the US."""
LONGEST_WAIT_S = 60.0
"""Between two looks whether an unreachable vendor is back."""

# It logs the address of every request.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class _Failed(Exception):
    """A try that another may mend."""

    def __init__(self, error_code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message


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
    """Calls that serve no fetch: looks whether the vendor is back, requests that were dropped."""

    probes: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Limits:
    """What the vendor says of itself beside its answers."""

    requests_per_minute: int | None = None


@dataclass(slots=True)
class Vendor:
    """A client; calls `on_waiting(True)` when the vendor has gone, `(False)` when it is back."""

    client: httpx.AsyncClient
    ledger: Ledger
    on_waiting: Callable[[bool], Awaitable[None]]
    overhead: Overhead = field(default_factory=Overhead)
    limits: Limits = field(default_factory=Limits)
    first_wait_s: float = 1.0
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _answered_at: float = float("-inf")
    _back_at: float = float("-inf")

    @classmethod
    def connect(
        cls,
        base_url: str,
        token: str,
        ledger: Ledger,
        on_waiting: Callable[[bool], Awaitable[None]],
    ) -> Self:
        """A client of the vendor at `base_url`."""
        client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT),
            follow_redirects=False,
            # A proxy's log is no place for requests; the address is a setting, so nothing else is.
            trust_env=False,
        )
        return cls(client, ledger, on_waiting)

    def extras(self) -> list[Extra]:
        """The overhead as it is now; to be followed by `told` once Postgres knows it."""
        now = self.ledger.now()
        calls = ((PROBE, self.overhead.probes), (DROPPED, self.overhead.dropped))
        return [Extra(operation, spent, now) for operation, spent in calls if spent]

    def told(self, extras: Iterable[Extra]) -> None:
        """The transaction with `extras` in it was committed."""
        for extra in extras:
            if extra.operation == PROBE:
                self.overhead.probes -= extra.calls
            else:
                self.overhead.dropped -= extra.calls

    async def close(self) -> None:
        """Closes the connections."""
        await self.client.aclose()

    async def ask(self, endpoint: Endpoint) -> Reply:
        """Asks, for as long as it takes: waits for the next minute, and for a vendor that is away.

        A request that fails in all its tries while the vendor answers others is its own failure.
        """
        loop = asyncio.get_running_loop()
        started_at, tally = self.ledger.now(), _Tally()
        reply = Reply(endpoint.name, started_at, started_at)
        while True:
            began = loop.time()
            try:
                reply.judged = await self._try(endpoint, tally, TRIES)
            except CallsRefused as refusal:
                reply.refused = refusal.error_code
            except _Failed as failure:
                try:
                    if await self._was_away(began):
                        continue
                except CallsRefused as refusal:
                    reply.refused = refusal.error_code
                else:
                    reply.error_code = failure.error_code
                    reply.message = f"{failure.message}, {TRIES} times"
            except BaseException:
                self.overhead.dropped += tally.calls
                raise
            reply.calls, reply.ended_at = tally.calls, self.ledger.now()
            return reply

    async def _try(self, endpoint: Endpoint, tally: _Tally, tries: int) -> Judged:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(tries),
            wait=wait_random_exponential(multiplier=0.5, max=8),
            retry=retry_if_exception_type(_Failed),
            reraise=True,
        ):
            with attempt:
                return await self._once(endpoint, tally)
        raise AssertionError("tenacity ends in a return or a raise")

    async def _once(self, endpoint: Endpoint, tally: _Tally) -> Judged:
        while True:
            async with self._room:
                reservation = await self.ledger.reserve(endpoint.name, endpoint.calls)
                answer = await self._send(endpoint, reservation, tally)
            judged = judge(answer, endpoint.shape)
            if judged.meaning is Meaning.SERVER_ERROR:
                raise _Failed(ErrorCode.SERVER_ERROR, judged.message or "the vendor failed")
            self._answered_at = asyncio.get_running_loop().time()
            if judged.meaning is not Meaning.MINUTE_FULL:
                return judged
            logger.info(
                "the vendor's minute is full; going on in the next",
                extra={"action": "minute_full", "endpoint": endpoint.name},
            )
            await self.ledger.wait_for_next_minute()

    async def _send(self, endpoint: Endpoint, reservation: Reservation, tally: _Tally) -> Answer:
        """Sends once and settles. Raises _Failed without a whole answer."""

        def settle(calls: int, *, error: bool) -> None:
            self.ledger.settle(reservation, calls, error=error)
            tally.calls += calls

        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._receive(endpoint)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            settle(0, error=True)  # it was never sent
            raise _Failed(ErrorCode.NETWORK_ERROR, "the vendor cannot be reached") from None
        except (httpx.TimeoutException, TimeoutError):
            settle(final_calls(None, endpoint.calls), error=True)
            raise _Failed(ErrorCode.NETWORK_ERROR, "the vendor did not answer in time") from None
        except (httpx.TransportError, httpx.DecodingError):
            settle(final_calls(None, endpoint.calls), error=True)
            raise _Failed(ErrorCode.NETWORK_ERROR, "the vendor's answer was cut off") from None
        except BaseException:
            # Dropped under way: whether the vendor has counted it cannot be known.
            settle(final_calls(None, endpoint.calls), error=True)
            raise
        settle(final_calls(answer.status, endpoint.calls), error=answer.status != 200)
        return answer

    async def _receive(self, endpoint: Endpoint) -> Answer:
        async with self.client.stream("GET", endpoint.path, params=dict(endpoint.params)) as got:
            self._learn(got.headers)
            body = bytearray()
            async for chunk in got.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    logger.warning(
                        "an answer of more than %d bytes was refused",
                        MAX_BODY_BYTES,
                        extra={"action": "body_too_large", "endpoint": endpoint.name},
                    )
                    body.clear()
                    break
            return Answer(got.status_code, got.headers.get("content-type", ""), bytes(body))

    def _learn(self, headers: httpx.Headers) -> None:
        limit = headers.get("x-ratelimit-limit", "")
        if limit.isascii() and limit.isdecimal() and int(limit[:9]) > 0:
            self.limits.requests_per_minute = int(limit[:9])

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
            await self._try(endpoints.user(), tally, 1)
        except _Failed:
            return False
        finally:
            self.overhead.probes += tally.calls
        return True
