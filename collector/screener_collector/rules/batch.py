"""Core: whether a bulk answer is believed. No I/O, no clock.

On a day without a session the vendor answers with nothing, with a handful of rows, or with the bars
of the session before; before an exchange is published, with a part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from screener_collector.rules.model import Parameters

_FEWEST = 3
"""Sessions that make a usual day."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What can be counted of an answer for a session.

    `rows`: all; `of_session`: of the session asked for; `known`: of these, of assets whose bar of
    the session before is stored and was traded; `unchanged`: of the known, those that repeat that
    bar, volume included. `expected`: of sets of assets that should have a row (those waited for,
    those with a bar of the session before) how many have one, and how many there are.
    """

    rows: int
    of_session: int
    known: int = 0
    unchanged: int = 0
    expected: tuple[tuple[int, int], ...] = ()
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """An answer of the twenty sessions before, or an earlier one for the same session."""

    of_session: int
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """Whether the bars of an answer are stored; else the rule that it broke and why."""

    believed: bool
    rule: str | None = None
    reason: str | None = None


BELIEVED = BatchVerdict(True)


def judge_batch(
    batch: Batch,
    sessions_before: Sequence[int],
    same_session: Sequence[Before],
    parameters: Parameters,
) -> BatchVerdict:
    """The first rule that the answer breaks.

    `sessions_before`: rows of the sessions before it that were believed, one each;
    `same_session`: earlier answers for the same session. A part that is the same a day later is all
    that there is.
    """

    def number(rule: str, name: str) -> float:
        return parameters.value(rule, name)

    if batch.rows and batch.of_session < number("batch_wrong_date", "share") * batch.rows:
        return BatchVerdict(
            False,
            "batch_wrong_date",
            f"{batch.rows - batch.of_session} of {batch.rows} rows are of another date",
        )
    residue = number("batch_residue", "share")
    least = number("batch_residue", "rows")
    usual = median(sessions_before) if sessions_before else 0
    of_assets = [(rows, assets, "assets have a bar") for rows, assets in batch.expected]
    for rows, expected, what in ((batch.of_session, usual, "usual rows came"), *of_assets):
        if expected >= least and rows < residue * expected:
            return BatchVerdict(
                False,
                "batch_residue",
                f"only {rows} of {expected:g} {what}: the session does not look published",
            )
    if batch.known >= number("batch_echo", "rows") and batch.unchanged > (
        number("batch_echo", "share") * batch.known
    ):
        return BatchVerdict(
            False,
            "batch_echo",
            f"{batch.unchanged} of {batch.known} traded bars are those of the session before",
        )
    if len(sessions_before) >= _FEWEST and batch.of_session < (
        number("batch_partial", "share") * usual
    ):
        settled = timedelta(hours=number("batch_partial", "settled_hours"))
        room = number("batch_partial", "settled_share") * batch.of_session
        again = batch.asked_at is not None and any(
            abs(before.of_session - batch.of_session) <= room
            and batch.asked_at - before.asked_at >= settled
            for before in same_session
        )
        if not again:
            return BatchVerdict(
                False,
                "batch_partial",
                f"{batch.of_session} rows where {usual:g} are usual: published in part",
            )
    return BELIEVED
