"""The loop: claim a chunk of items, compute, store, until none is open; then verify.

Never fetches prices and never plans. Safe to be killed anywhere and started again, also twice at
once: items are claimed, and a chunk is one transaction.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from screener_analyzer.compute import compute, differences
from screener_analyzer.series import adjusted
from screener_analyzer.store import Result, Row, Store, Work
from screener_analyzer.worker import Worker
from screener_sql.errors import BadSetting
from screener_sql.model import ErrorCode, ExitCode

logger = logging.getLogger(__name__)

CHUNK = 100
"""Items claimed and stored at once: what a killed worker has to do again."""
SAMPLE = 20
"""Rows that are computed again and compared with what is stored."""
WAIT_S = 1.0
"""Between two looks at items that another worker holds, or whose assets are being written."""
MESSAGE_LENGTH = 512


class Terminated(Exception):
    """The process was asked to end."""


@dataclass(frozen=True, slots=True)
class Verification:
    verified: bool
    message: str


def run(store: Store, worker: Worker, pause: Callable[[float], None]) -> ExitCode:
    """Ends every item of the run and then the slice; DONE or NOT_VERIFIED.

    `pause(seconds)` is called between assets (with 0) and while waiting; it raises Terminated when
    the process is to end, and then what is claimed is given back. Raises BadSetting if the run is
    unknown, DatabaseUnreachable.
    """
    found = store.start_slice()
    if found is None:
        raise BadSetting("EXECUTION_ID names no IndicatorRun that has been planned")
    if found.finished:
        logger.info("the run is done already", extra={"verified": found.verified})
        return ExitCode.DONE if found.verified else ExitCode.NOT_VERIFIED
    try:
        _end_all_items(store, worker, pause)
    except Terminated:
        store.release(worker.worker_id)
        raise
    verification = verify(store)
    logger.log(
        logging.INFO if verification.verified else logging.ERROR,
        verification.message,
        extra={"verified": verification.verified, **store.item_counts()},
    )
    if not store.finish_slice(verified=verification.verified, message=verification.message):
        found = store.start_slice()
        assert found is not None and found.finished, "no item is open, so another worker ended it"
        return ExitCode.DONE if found.verified else ExitCode.NOT_VERIFIED
    return ExitCode.DONE if verification.verified else ExitCode.NOT_VERIFIED


def verify(store: Store, size: int = SAMPLE) -> Verification:
    """Computes a random sample of the run's rows again, from bars read again."""
    sample = store.sample(size)
    for row, bars in sample:
        if not bars or bars[-1].date != row.calculation_date:
            found = f"has no bar of {row.calculation_date}, the day of its indicators"
            return Verification(False, f"{row.ticker} {found}")
        wrong = differences(row.values, compute(adjusted(bars)))
        if wrong:
            columns = ", ".join(
                f"{column} is {stored}, should be {right}"
                for column, (stored, right) in wrong.items()
            )
            text = f"stored indicators of {row.ticker} on {row.calculation_date} differ: {columns}"
            return Verification(False, text[:MESSAGE_LENGTH])
    if not sample:
        return Verification(True, "no row was stored that could be verified")
    return Verification(
        True, f"{len(sample)} stored rows, chosen at random, equal what their bars give"
    )


def compute_item(work: Work) -> Result:
    """How the item ends; a fault of a computation ends this item only."""
    started = time.perf_counter()
    if work.awaits_refetch:
        return Result(
            work,
            "skipped",
            error_code=ErrorCode.AWAITING_REFETCH,
            message="its history must be fetched again first",
        )
    if not work.bars:
        upto = f" up to {work.until}" if work.until else ""
        return Result(
            work, "failed", error_code=ErrorCode.NO_BARS, message=f"no bar is stored{upto}"
        )
    try:
        values = compute(adjusted(work.bars))
    except Exception as error:
        logger.exception("computing failed", extra={"ticker": work.ticker})
        return Result(
            work,
            "failed",
            error_code=ErrorCode.COMPUTE_ERROR,
            message=f"computing its indicators failed: {type(error).__name__}",
            duration_ms=_milliseconds_since(started),
        )
    return Result(
        work,
        "succeeded",
        row=Row(work.bars[-1].date, values, len(work.bars)),
        duration_ms=_milliseconds_since(started),
    )


def _end_all_items(store: Store, worker: Worker, pause: Callable[[float], None]) -> None:
    ended_here = 0
    while True:
        pause(0)
        worker.check()
        results = []
        for work in store.read(worker.worker_id, store.claim(worker.worker_id, CHUNK)):
            results.append(compute_item(work))
            pause(0)
        ended = store.save(worker.worker_id, results) if results else []
        if ended:
            ended_here += len(ended)
            logger.info("chunk stored", extra={"items": len(ended), "items_total": ended_here})
        elif store.open_items():
            # Another worker holds the rest, or their assets are being written at this moment.
            pause(WAIT_S)
        else:
            return


def _milliseconds_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
