"""The loop: claim and read a chunk of items, compute it, store and verify it in one transaction (of
a history in a few, each of a part of its items), until none is open.

Four chunks are in hand at once: one is read while the one before is computed and the two before
that are stored, each on a connection of its own: while one is verified Postgres takes the rows of
the other. Of a history the next is read when the last part of one is computed. Never fetches prices
and never plans. Safe to be killed anywhere and started again, also twice at once: items are
claimed, and a chunk is one transaction.
"""

import datetime as dt
import logging
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.computing import Computed, rows_of
from screener_analyzer.history import History
from screener_analyzer.memory import keep_nothing_large
from screener_analyzer.panel import chunks
from screener_analyzer.rows import Rows
from screener_analyzer.spec import Spec
from screener_analyzer.store import Chunk, Result, Slice, Store
from screener_analyzer.verification import Mismatch, Verify
from screener_analyzer.worker import Worker
from screener_sql.errors import BadSetting
from screener_sql.model import ErrorCode, ExitCode

logger = logging.getLogger(__name__)

HISTORY_SHARE = 11
"""So many times fewer items at least are stored at once where a history is computed, as all bars
are read of it."""
HISTORY_VALUES, HISTORY_MORE = 5_800, 30
"""So many values of the days of a history take as much room as an item of another run; a day takes
that of so many values more than its columns, for its bar."""
HISTORY_PARTS = 3
"""In so many parts a chunk of a history is stored: each takes more room than all their bars."""
EXTRA_SHARE = 10
"""So many times fewer where `ta` computes what the run names."""
MOST_DUE = 0.25
"""A chunk of which blocks of bars are due for a larger part is stored before the next is computed:
memory would have to hold the bars of four chunks, as on the first day of all assets. Nor is memory
kept for the next then, nor where there is a history."""
WAIT_S = 1.0
"""Between two looks at items that another worker holds, or whose assets are being written."""


class Terminated(Exception):
    """The process was asked to end."""


def run(
    store: Store,
    worker: Worker,
    pause: Callable[[float], None],
    *,
    chunk: int,
    another: Callable[[], AbstractContextManager[Store]],
    verify: Verify,
) -> ExitCode:
    """Ends every item of the run and then the slice; DONE or NOT_VERIFIED.

    `chunk` items are claimed and stored at once; fewer where every day, or something by `ta`, is
    computed. Four times that is what a killed worker has to do again, and bounds the memory.

    `another()` opens a store on a connection of its own, which is used at the same time as `store`:
    one claims and reads, a second one stores too. `verify` holds the sampled rows of a
    chunk against what the judge computes; it may be called while another thread is in it.

    `pause(seconds)` is called between the steps of a chunk (with 0), also by the thread that stores
    them, and while waiting; it raises Terminated when the process is to end, and then what is
    claimed is given back. Raises BadSetting if the run is unknown, InvalidSpec,
    DatabaseUnreachable.
    """
    found = store.start_slice()
    if found is None:
        raise BadSetting("EXECUTION_ID names no IndicatorRun that has been planned")
    if found.finished:
        logger.info("the run is done already", extra={"verified": found.verified})
        return ExitCode.DONE if found.verified else ExitCode.NOT_VERIFIED
    try:
        _end_all_items(store, worker, pause, found, chunk, another, verify)
    except Terminated:
        store.release(worker.worker_id)
        raise
    ended = store.finish_slice()
    if ended is None:
        found = store.start_slice()
        assert found is not None and found.finished, "no item is open, so another worker ended it"
        return ExitCode.DONE if found.verified else ExitCode.NOT_VERIFIED
    verified, message = ended
    logger.log(
        logging.INFO if verified else logging.ERROR,
        message,
        extra={"verified": verified, **store.item_counts()},
    )
    return ExitCode.DONE if verified else ExitCode.NOT_VERIFIED


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Items that are stored at once: how each ends, and what is computed of those that succeed."""

    chunk: Chunk
    """`to_store`."""
    results: list[Result]
    computed: Computed


def parts_of(
    chunk: Chunk, spec: Spec, size: int, before_last: Callable[[], None]
) -> Iterator[Part]:
    """All of the chunk at once; of a history about `size` items after others, each computed when it
    is asked for. `before_last` is called before the last of them is computed.

    A fault of a computation ends the item that it is of only.
    """
    started = time.perf_counter()
    with_bars = chunk.bars.lengths > 0
    places = np.flatnonzero(with_bars)
    asset_ids = np.array([chunk.works[place].asset_id for place in places], dtype=np.int32)
    bars = chunk.bars.of(with_bars)
    known = None if chunk.known is None else chunk.known.of(with_bars)
    if not len(places) or spec.since is None:
        before_last()
    if not len(places):
        return iter([_part(chunk, spec, Computed.nothing(), started)])
    if spec.since is None:
        walked = None if chunk.walked is None else chunk.walked.of(with_bars)
        computed = rows_of(asset_ids, bars, known=known, walked=walked, adjusted=spec.adjusted)
        return iter([_part(chunk, spec, computed, started)])
    history = History(
        asset_ids,
        bars,
        since=spec.since,
        known=known,
        adjusted=spec.adjusted,
        columns=spec.history_columns,
    )
    return _parts_of_history(chunk, spec, history, places, size, before_last)


def _parts_of_history(
    chunk: Chunk,
    spec: Spec,
    history: History,
    places: NDArray[np.intp],
    size: int,
    before_last: Callable[[], None],
) -> Iterator[Part]:
    """`places`: of the items with bars, which the history is of."""
    # Items without go with those before them.
    ends = np.append(places[1:], len(chunk.works))
    begin = 0
    for part in chunks(len(places), size):
        started = time.perf_counter()
        end = int(ends[part.stop - 1])
        if end == len(chunk.works):
            before_last()
        # By no name, which would hold it while the next is computed.
        yield _part(chunk.part(begin, end), spec, history.part(part), started)
        begin = end


def _part(chunk: Chunk, spec: Spec, computed: Computed, started: float) -> Part:
    if chunk.histories is not None:
        from screener_analyzer.extra import json_of  # loads pandas and ta

        rows, earlier = computed.rows, computed.earlier
        days = rows.without_values().with_more(earlier.without_values())
        more = json_of(
            spec.extra,
            [work.asset_id for work in chunk.works],
            chunk.histories,
            days,
            spec.adjusted,
        )
        computed = computed._replace(
            rows=replace(rows, extra=more[: len(rows)]),
            earlier=replace(earlier, extra=more[len(rows) :]),
        )
    each_ms = round((time.perf_counter() - started) * 1000 / max(1, len(chunk.works)))
    results = []
    for place, work in enumerate(chunk.works):
        if work.awaits_refetch:
            result = Result(
                work,
                "skipped",
                ErrorCode.AWAITING_REFETCH,
                "its history must be fetched again first",
            )
        elif not chunk.bars.lengths[place]:
            upto = f" up to {work.until}" if work.until else ""
            result = Result(work, "failed", ErrorCode.NO_BARS, f"no bar is stored{upto}")
        elif work.asset_id in computed.faults:
            kind = type(computed.faults[work.asset_id]).__name__
            fault = f"computing its indicators failed: {kind}"
            result = Result(work, "failed", ErrorCode.COMPUTE_ERROR, fault, each_ms)
        else:
            result = Result(work, "succeeded", duration_ms=each_ms)
        results.append(result)
    return Part(chunk.to_store(), results, computed)


def part_size(spec: Spec, size: int, today: dt.date) -> int:
    """How many items are stored at once, where `size` are when only last rows are computed."""
    share = 1
    if spec.history_from is not None:
        days = max(1, int(np.busday_count(spec.history_from, today + dt.timedelta(days=1))))
        values = days * (len(spec.history_columns) + HISTORY_MORE)
        share = max(HISTORY_SHARE, math.ceil(values / HISTORY_VALUES))
    return max(1, size // (share * (EXTRA_SHARE if spec.extra else 1)))


class _Reader:
    """Claims and reads chunks ahead of their turn, in a thread of its own."""

    def __init__(self, store: Store, worker_id: int, spec: Spec, size: int) -> None:
        self._store = store
        self._worker_id = worker_id
        self._spec = spec
        self._size = size
        self._thread = ThreadPoolExecutor(1, "read")
        self._next: Future[Chunk | None] | None = None
        self._after = 0

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def chunk(self) -> Chunk | None:
        """The next one; None: no item could be claimed and read.

        After None it begins again with the first item, so that none may be in hand then.
        """
        found = self._read(self._after) if self._next is None else self._next.result()
        self._next = None
        # What is in hand is still this worker's to claim, and must not be read twice: it is of
        # assets before the next. What was left out among them is asked for at the end.
        self._after = 0 if found is None else found.works[-1].asset_id
        return found

    def begin_next(self) -> None:
        """Begins to read the one after the last, before it is asked for."""
        self._next = self._thread.submit(self._read, self._after)

    def _read(self, after: int) -> Chunk | None:
        items = self._store.claim(self._worker_id, self._size, after)
        return self._store.read(self._worker_id, items, self._spec)


class _Ender:
    """Stores chunks, or parts: as many at once as it has stores, each of which no one else uses as
    long as it is at it. They are begun in the order in which they come. Nothing of it goes on when
    the block ends."""

    def __init__(
        self,
        stores: Sequence[Store],
        worker: Worker,
        found: Slice,
        pause: Callable[[float], None],
        verify: Verify,
    ) -> None:
        self._idle = SimpleQueue[Store]()
        for store in stores:
            self._idle.put(store)
        self._most = len(stores)
        self._worker = worker
        self._found = found
        self._pause = pause
        self._verify = verify
        self._threads = ThreadPoolExecutor(self._most, "store")
        self._in_hand: list[Future[int]] = []
        self._counting, self._items = threading.Lock(), 0

    def __enter__(self) -> "_Ender":
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown()
        # What went wrong in it comes before why its result was not waited for.
        for ended in self._in_hand:
            failed = ended.exception()
            if failed is not None and not isinstance(failed, Terminated):
                raise failed

    def wait(self, *, for_all: bool) -> list[int]:
        """Waits for all in hand, or until another may come: how many items of each have ended.
        Raises what went wrong."""
        counts = []
        while self._in_hand and (for_all or len(self._in_hand) == self._most):
            for ended in wait(self._in_hand, return_when=FIRST_COMPLETED).done:
                self._in_hand.remove(ended)
                counts.append(ended.result())
        return counts

    def end(self, part: Part) -> None:
        """Begins to end one, as a store is idle; see MOST_DUE. Raises DatabaseUnreachable if the
        worker has lost its lock."""
        assert len(self._in_hand) < self._most, "one is ended when one before it is"
        self._worker.check()
        self._in_hand.append(self._threads.submit(self._end, part))
        if _is_large(part.chunk):
            wait(self._in_hand)

    def _end(self, part: Part) -> int:
        store = self._idle.get_nowait()
        try:
            ended = _end_part(store, self._worker, part, self._found, self._pause, self._verify)
        finally:
            self._idle.put(store)
        if ended:
            with self._counting:
                self._items += ended
                logger.info("chunk stored", extra={"items": ended, "items_total": self._items})
        return ended


def _end_all_items(
    store: Store,
    worker: Worker,
    pause: Callable[[float], None],
    found: Slice,
    size: int,
    another: Callable[[], AbstractContextManager[Store]],
    verify: Verify,
) -> None:
    spec = found.spec
    size = part_size(spec, size, dt.datetime.now(dt.UTC).date())
    with ExitStack() as opened:
        ahead, stores = opened.enter_context(another()), [store, opened.enter_context(another())]
        claimed = size if spec.since is None else size * HISTORY_PARTS
        reader = opened.enter_context(_Reader(ahead, worker.worker_id, spec, claimed))
        ender = opened.enter_context(_Ender(stores, worker, found, pause, verify))
        parts: Iterator[Part] = iter(())
        while True:
            pause(0)
            worker.check()
            part = next(parts, None)
            if part is None:
                parts = _next_parts(reader, spec, size, pause)
                part = next(parts, None)
            pause(0)
            ended = ender.wait(for_all=part is None)
            if 0 in ended or (part is None and store.open_items()):
                # Another worker holds the rest, or their assets are being written at this moment.
                pause(WAIT_S)
            elif part is None:
                return
            if part is not None:
                ender.end(part)
            del part  # not held while the next is computed


def _next_parts(
    reader: _Reader, spec: Spec, size: int, pause: Callable[[float], None]
) -> Iterator[Part]:
    """Of the next chunk; none where there is none."""
    chunk = reader.chunk()
    if chunk is None:
        return iter(())
    pause(0)
    if _is_large(chunk) or spec.since is not None:
        keep_nothing_large()
    return parts_of(chunk, spec, size, reader.begin_next)


def _is_large(chunk: Chunk) -> bool:
    return len(chunk.blocks_due) > len(chunk.works) * MOST_DUE


def _end_part(
    store: Store,
    worker: Worker,
    part: Part,
    found: Slice,
    pause: Callable[[float], None],
    verify: Verify,
) -> int:
    """How many items it ended."""
    chunk, results, computed = part.chunk, part.results, part.computed
    try:
        with store.taken(worker.worker_id, chunk.works) as taken:
            mine = [result for result in results if result.work.item_id in taken]
            if not mine:
                return 0
            succeeded = {r.work.asset_id for r in mine if r.state == "succeeded"}
            kept = [rows.of(succeeded) for rows in (computed.earlier, computed.rows)]
            replaced: Counter[int] = Counter()
            for rows in kept:
                replaced.update(store.store(rows, chunk.read_at))
            sample = [
                row
                for rows in _chosen(kept, len(mine), found)
                for row in store.sample(rows, chunk.read_at)
            ]
            with store.unwaited():
                store.end(mine, started_at=chunk.read_at, rows=kept, replaced=replaced)
                store.keep_states(computed.states.of(succeeded), chunk)
                deviation = verify(sample, found.spec.adjusted)
            pause(0)
            if sample:
                store.note_verified(len(sample), deviation)
    except Mismatch as mismatch:
        logger.error(mismatch.message, extra={"deviation": str(mismatch.deviation)})
        return _fail_part(store, worker, chunk, results, mismatch)
    return len(mine)


def _fail_part(
    store: Store,
    worker: Worker,
    chunk: Chunk,
    results: Sequence[Result],
    mismatch: Mismatch,
) -> int:
    with store.taken(worker.worker_id, chunk.works) as taken:
        ended = [
            result._replace(
                state="failed",
                error_code=ErrorCode.VERIFY_MISMATCH,
                message=mismatch.message,
            )
            if result.state == "succeeded"
            else result
            for result in results
            if result.work.item_id in taken
        ]
        store.end(ended, started_at=chunk.read_at)
        store.note_mismatch(mismatch.message, mismatch.deviation)
    return len(ended)


def _chosen(kept: Sequence[Rows], items: int, found: Slice) -> list[Rows]:
    """Of each of these the chunk's share of the run's sample, at random."""
    size = math.ceil(found.spec.sample * items / max(found.planned, items))
    ends = np.cumsum([len(rows) for rows in kept])
    chosen = np.zeros(ends[-1], dtype=np.bool_)
    chosen[random.sample(range(len(chosen)), min(size, len(chosen)))] = True
    parts = np.split(chosen, ends[:-1])
    return [rows.where(part) for rows, part in zip(kept, parts, strict=True) if part.any()]
