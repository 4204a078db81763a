"""A group's slice: claims fetches, asks for many at once, closes what came in batches.

The plan is in Postgres and so is every result; what is here can be killed at any moment and loses
at most what is under way. What is asked for is decided by the plan, never here.
"""

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

from screener_collector.answers import FAILURES, Judged, Meaning
from screener_collector.clock import in_maintenance
from screener_collector.closing import Closer
from screener_collector.ledger import Ledger
from screener_collector.store import Store
from screener_collector.vendor import Reply, Vendor
from screener_collector.work import BULK_ENDPOINT, PAGE_ENDPOINT, Failure, Fetch, Result, read
from screener_sql.model import ErrorCode, ExitCode, SliceReason

logger = logging.getLogger(__name__)

AHEAD = 32
"""Fetches that are claimed before they can be sent."""
BATCH, BATCH_S = 50, 0.5
"""Results that are closed together: so many, or as many as came in so long."""
BACKLOG = 4 * BATCH
"""Unclosed results with which no more is sent."""
DOUBTS = 16
"""Refusals (403) of an endpoint that nothing was got from, which say that the plan lacks it."""
POLL_S = 1.0
"""Between two looks at what another worker of the slice still does."""
GRACE_S = 5.0
"""What is under way may take so long to end when the worker must."""
PATIENCE_S = 65.0
"""So long calls that other workers hold are waited for when none that fit are left, and what is
under way when the vendor says that there are none: until the next minute, and a bit."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Why nothing more is sent."""

    code: ExitCode
    reason: SliceReason | None = None
    message: str = ""
    defer: ErrorCode | None = None
    """What is open is deferred with this code."""
    grace_s: float = GRACE_S


DEFERRED_BECAUSE = {
    ErrorCode.DAILY_LIMIT: "no calls are left of the day; due again after 00:00 GMT",
    ErrorCode.RUN_LIMIT: "spec.quota.maxCalls is used up; due again in the next run",
}


@dataclass(slots=True)
class Group:
    """One worker of a group's slice, wired by the entry point."""

    store: Store
    closer: Closer
    ledger: Ledger
    vendor: Vendor
    stopped: asyncio.Event
    """Set when the process is told to end."""
    in_plan: dict[str, bool] = field(default_factory=dict)
    _queue: deque[Fetch] = field(default_factory=deque)
    _running: dict[asyncio.Task[Reply], Fetch] = field(default_factory=dict)
    _results: list[Result] = field(default_factory=list)
    _doubtful: dict[str, list[Result]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _recorded: set[str] = field(default_factory=set)
    _no_bulk: set[tuple[int, bool]] = field(default_factory=set)
    """Exchanges whose bulk days (False) or pages of fundamentals (True) were refused."""
    _closing: asyncio.Task[None] | None = None
    _closed_at: float = 0.0
    _halt: Halt | None = None
    _counts: Counter[str] = field(default_factory=Counter)
    _dry: bool = False
    """Nothing was left to claim; closing a batch, or another worker's death, may change that."""
    _too_dear: int | None = None
    """So many calls, or more, of one fetch were refused; cheaper ones go on."""
    _refused: list[Fetch] = field(default_factory=list)
    """Those fetches, still claimed: others may give back what they need."""
    _refused_because: ErrorCode = ErrorCode.DAILY_LIMIT
    _held: tuple[date, int] | None = None
    """The day and what others held of its calls, when refused fetches were last tried
    again, and nothing has been got since."""
    _patient_until: float = 0.0
    _asked_again: set[str] = field(default_factory=set)
    """Endpoints of which a single refusal (403) was not believed."""

    async def run(self) -> ExitCode:
        """Works until the slice has ended, or cannot go on; returns the exit code."""
        self.in_plan = await self.store.endpoints_in_plan()
        self.ledger.ahead = self._calls_ahead
        try:
            await self._work()
            code = await self._end()
        finally:
            if self._closing is not None:
                self._closing.cancel()
                await asyncio.gather(self._closing, return_exceptions=True)
            await self._drop()
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self._counts.items()))
        logger.info(
            "group ended: %s",
            counts or "nothing to fetch",
            extra={"action": "group_ended", "exit_code": int(code)},
        )
        return code

    def _calls_ahead(self, count: int) -> list[int]:
        return [fetch.calls for fetch in islice(self._queue, count)]

    # The loop

    async def _work(self) -> None:
        told = asyncio.create_task(self.stopped.wait())
        try:
            while True:
                if self.stopped.is_set() and self._halt is None:
                    self._stop(Halt(ExitCode.TERMINATED))
                if self._halt is not None:
                    return
                claimed = await self._fill()
                if not (self._running or self._queue or self._results or self._closing):
                    self._settle_doubts(nothing_more=True)
                    if self._halt is not None or self._results or self._queue:
                        continue
                    if not claimed and self._refused:
                        if await self._may_try_again():
                            continue
                    elif not claimed and await self.store.finish_slice():
                        return
                    # Another worker of the slice is busy with the rest.
                    await asyncio.wait({told}, timeout=POLL_S)
                    self._dry = False
                    continue
                await self._step(told)
        finally:
            told.cancel()

    async def _fill(self) -> int:
        """Claims and sends as much as may be under way; how many fetches were claimed."""
        claimed: list[Fetch] = []
        if len(self._queue) < AHEAD // 2 and len(self._results) < BACKLOG and not self._dry:
            claimed = await self.store.claim(AHEAD, below=self._too_dear)
            self._dry = not claimed
            self._queue.extend(claimed)
        room = self.vendor.gate.pace.limit
        while self._queue and len(self._running) < room and len(self._results) < BACKLOG:
            fetch = self._queue.popleft()
            if fetch.is_bulk and (fetch.exchange_id, fetch.is_page) in self._no_bulk:
                continue  # closed with the refusal of the first
            if self._too_dear is not None and fetch.calls >= self._too_dear:
                self._refused.append(fetch)
                continue
            task = asyncio.create_task(self.vendor.ask(fetch.endpoint))
            self._running[task] = fetch
        return len(claimed)

    async def _step(self, told: asyncio.Task[bool]) -> None:
        """Waits until something has happened, and takes it in."""
        now = asyncio.get_running_loop().time()
        await asyncio.wait(
            {told, *self._running, *((self._closing,) if self._closing else ())},
            timeout=max(0.01, self._closed_at + BATCH_S - now) if self._results else BATCH_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        await self._take_in()
        await self._close_batch()

    async def _take_in(self) -> None:
        for task in [task for task in self._running if task.done()]:
            fetch = self._running.pop(task)
            await self._take(fetch, task.result())
        self._settle_doubts(nothing_more=False)

    async def _close_batch(self, *, all_of_it: bool = False) -> None:
        """Starts closing what came in, when it is time; one batch at a time."""
        loop = asyncio.get_running_loop()
        if self._closing is not None and (all_of_it or self._closing.done()):
            closing, self._closing = self._closing, None
            await closing
            self._dry = False
        due = len(self._results) >= BATCH or loop.time() - self._closed_at >= BATCH_S
        if self._results and self._closing is None and (due or all_of_it):
            batch, self._results = self._results, []
            self._closed_at = loop.time()
            self._closing = asyncio.create_task(self._close(batch))
            if all_of_it:
                await self._close_batch(all_of_it=True)

    async def _close(self, batch: list[Result]) -> None:
        spending, seen, extras = self.ledger.spending(), set(self._seen), self.vendor.extras()
        if not (batch or spending.leases or spending.usage or extras):
            return
        kept = await self.closer.close(
            batch, spending, in_plan=sorted(seen - self._recorded), extras=extras
        )
        self.ledger.recorded(spending)
        self.vendor.told(extras)
        self._recorded |= seen
        if kept < len(batch):
            logger.warning(
                "%d fetches were taken over by another worker and dropped",
                len(batch) - kept,
                extra={"action": "dropped"},
            )
        logger.info("closed %d fetches", kept, extra={"action": "closed", "fetches": kept})

    # Answers

    async def _take(self, fetch: Fetch, reply: Reply) -> None:
        def result(came: Failure) -> Result:
            return Result(fetch, came, reply.calls, reply.started_at, reply.ended_at)

        if reply.refused is None:
            self._held = None  # it goes on
        if reply.refused is not None:
            self.vendor.overhead.dropped += reply.calls
            self._refused.append(fetch)
            self._refused_because = reply.refused
            self._too_dear = min(fetch.calls, self._too_dear or fetch.calls)
        elif reply.judged is None:
            self._add(result(Failure(reply.error_code or ErrorCode.NETWORK_ERROR, reply.message)))
        elif reply.judged.meaning is Meaning.DAY_SPENT:
            code = ErrorCode.DAILY_LIMIT
            self._add(result(Failure(code, DEFERRED_BECAUSE[code], "deferred")))
            self._out_of_calls(code)
        elif reply.judged.meaning is Meaning.TOKEN_REFUSED:
            self.vendor.overhead.dropped += reply.calls
            self._stop(
                Halt(
                    ExitCode.TOKEN_REFUSED,
                    SliceReason.TOKEN_REFUSED,
                    "the vendor refuses the token (401): check the Secret data-api-secrets",
                )
            )
        elif reply.judged.meaning is Meaning.NOT_IN_PLAN:
            failure = _failure(reply.judged)
            if fetch.is_bulk:
                await self._refuse_bulk(result(failure))
            else:
                self._doubtful.setdefault(reply.endpoint, []).append(result(failure))
        else:
            self._see(reply)
            maintenance = in_maintenance(self.ledger.vendor_now())
            today = self.ledger.now().date()
            came = read(fetch, reply.judged, today, maintenance=maintenance)
            self._add(Result(fetch, came, reply.calls, reply.started_at, reply.ended_at))

    def _see(self, reply: Reply) -> None:
        if reply.judged and reply.judged.meaning in (Meaning.ROWS, Meaning.EMPTY):
            self._seen.add(reply.endpoint)
            self.in_plan[reply.endpoint] = True

    def _add(self, result: Result) -> None:
        failure = result.came if isinstance(result.came, Failure) else None
        self._counts[failure.error_code if failure else "fetched"] += 1
        self._results.append(result)
        if failure and failure.state == "failed":
            logger.info(
                "%s of %s failed: %s",
                result.fetch.kind,
                result.fetch.subject,
                failure.message,
                extra={
                    "action": "fetch_failed",
                    "ticker": result.fetch.subject,
                    "error_code": failure.error_code,
                },
            )

    def _settle_doubts(self, *, nothing_more: bool) -> None:
        """A refusal (403) is of the asset where the endpoint answers others, else of itself."""
        for endpoint, results in list(self._doubtful.items()):
            if self.in_plan.get(endpoint):
                del self._doubtful[endpoint]
                for result in results:
                    self._add(result)
            elif nothing_more and len(results) == 1 and endpoint not in self._asked_again:
                # It may be of the asset, or a moment's.
                self._asked_again.add(endpoint)
                del self._doubtful[endpoint]
                self.vendor.overhead.dropped += results[0].calls
                self._queue.append(results[0].fetch)
            elif nothing_more or len(results) >= DOUBTS:
                self.in_plan[endpoint] = False
                self._stop(
                    Halt(
                        ExitCode.ENDPOINT_NOT_IN_PLAN,
                        SliceReason.ENDPOINT_NOT_IN_PLAN,
                        f"the vendor's plan does not include '{endpoint}' (403), asked for"
                        f" {results[0].fetch.subject}, and there is no other way to it",
                    )
                )

    async def _refuse_bulk(self, result: Result) -> None:
        """Not in the vendor's plan: the exchange is asked for asset by asset."""
        fetch = result.fetch
        refused = (fetch.exchange_id, fetch.is_page)
        if refused in self._no_bulk:
            self.vendor.overhead.dropped += result.calls
            return  # its row was closed with the first
        self._no_bulk.add(refused)
        self.in_plan[PAGE_ENDPOINT if fetch.is_page else BULK_ENDPOINT] = False
        # Not at once with a batch: both write the same spending.
        await self._close_batch(all_of_it=True)
        spending = self.ledger.spending()
        what = "bulk fundamentals" if fetch.is_page else "bulk days"
        await self.closer.refuse_bulk(
            result,
            spending,
            f"The vendor's plan does not include {what}; {fetch.exchange} is asked for asset by"
            " asset.",
        )
        self.ledger.recorded(spending)
        logger.warning(
            "%s are not in the vendor's plan; going on asset by asset",
            what,
            extra={"action": "bulk_refused", "exchange": fetch.exchange},
        )

    # The end

    async def _may_try_again(self) -> bool:
        """Nothing that is open can be paid: whether refused fetches may be tried again, now or
        later. Gives back what is leased and of no use here.

        Not once others hold nothing either, or let nothing go for long.
        """
        await self._close([])
        await self.ledger.give_back_idle()
        now = asyncio.get_running_loop().time()
        of_run = self._refused_because is ErrorCode.RUN_LIMIT
        held = await self.store.held_by_others(of_run=of_run)
        if held != self._held:
            if self._held is None:
                self._patient_until = now + PATIENCE_S
            self._held = held
            self._queue.extend(sorted(self._refused, key=lambda fetch: (fetch.ordinal, fetch.id)))
            self._refused.clear()
            self._too_dear, self._dry = None, False
            return True
        if held[1] == 0 or now >= self._patient_until:
            self._out_of_calls(self._refused_because)
            return True
        return False

    def _stop(self, halt: Halt) -> None:
        self._halt = self._halt or halt

    def _out_of_calls(self, code: ErrorCode) -> None:
        day = code is ErrorCode.DAILY_LIMIT
        self._stop(
            Halt(
                ExitCode.DONE,
                SliceReason.DAILY_LIMIT_REACHED if day else None,
                DEFERRED_BECAUSE[code],
                code,
                PATIENCE_S,
            )
        )

    async def _drain(self, grace_s: float) -> None:
        """Takes in what is under way for so long, less when told to end; drops the rest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_s
        while self._running:
            if self.stopped.is_set():
                end = min(end, loop.time() + GRACE_S)
            if loop.time() >= end:
                break
            await asyncio.wait(
                self._running,
                timeout=min(POLL_S, end - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            await self._take_in()
            await self._close_batch()
        await self._drop()

    async def _drop(self) -> None:
        for task in self._running:
            task.cancel()
        for reply in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(reply, Reply):  # it ended just before, and was not taken in
                self.vendor.overhead.dropped += reply.calls
        self._running.clear()

    async def _end(self) -> ExitCode:
        """Closes what came in, gives the rest back or defers it, and says why."""
        halt = self._halt
        if halt is not None:
            await self._drain(halt.grace_s)
            for results in self._doubtful.values():
                self.vendor.overhead.dropped += sum(result.calls for result in results)
        await self.ledger.stop_reading()
        await self._close_batch(all_of_it=True)
        await self._close([])  # what was spent on no fetch
        code = ExitCode.DONE if halt is None else halt.code
        if halt is not None and halt.defer is not None:
            code = await self._defer_rest(halt, halt.defer)
        elif halt is not None:
            await self.store.release()
            if halt.code is ExitCode.ENDPOINT_NOT_IN_PLAN:
                for endpoint in self._doubtful:
                    await self.store.set_endpoint(endpoint, False)
            if halt.reason is not None:
                await self.store.stop_slice(halt.reason, halt.message, ended=True)
        await self.ledger.give_back()
        return code

    async def _defer_rest(self, halt: Halt, code: ErrorCode) -> ExitCode:
        """Defers what is open, also what another worker leaves, until the slice has ended."""
        if halt.reason is not None:
            await self.store.stop_slice(halt.reason, halt.message, ended=False)
        while True:
            self._counts[code] += await self.closer.defer_rest(code, halt.message)
            if await self.store.finish_slice():
                return ExitCode.DONE
            if self.stopped.is_set():
                return ExitCode.TERMINATED
            await asyncio.sleep(POLL_S)


def _failure(judged: Judged) -> Failure:
    return Failure(FAILURES[judged.meaning], judged.message or judged.meaning)
