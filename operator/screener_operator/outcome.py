"""Core: whether a run, or a group of it, counts as success, partial or failed."""

from dataclasses import dataclass

from screener_operator.facts import Counts
from screener_operator.reasons import Reason

FAILED_SHARE = 0.10
"""Of the assets worked on, how many may fail in a success: single listings vanish from a vendor
every day.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` as in process_executions: success, partial or failed."""

    status: str
    reason: Reason


def judge(
    counts: Counts,
    *,
    items_succeeded: int,
    finished: bool,
    fatal: Reason | None = None,
    dry_run: bool = False,
    short: Reason | None = None,
) -> Outcome:
    """The outcome once nothing is open any more.

    `items_succeeded`: counted apart, because an asset with prices stored and fundamentals deferred
    counts as deferred. `finished`: every group reported the end of its work. `fatal`: why the run
    could not go on. `short`: why not all was asked that tells what is due.
    """
    if fatal is not None:
        return Outcome("failed", fatal)
    if finished and counts.failed <= FAILED_SHARE * counts.planned:
        if dry_run:
            return Outcome("success", Reason.DRY_RUN)
        if counts.planned == 0 and counts.deferred == 0:
            return Outcome("success", short or Reason.NOTHING_DUE)
        return Outcome("success", Reason.COMPLETED)
    if items_succeeded > 0:
        return Outcome("partial", Reason.PARTIALLY_FAILED)
    return Outcome("failed", Reason.ALL_FAILED)
