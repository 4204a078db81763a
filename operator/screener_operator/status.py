"""Core: observed facts -> the whole status of a run. No clock, no client, and nothing of the old
status decides anything.

Only the times at which conditions last changed are taken over from the status before.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from screener_operator.conditions import (
    Condition,
    find_condition,
    set_condition,
    set_conditions,
    shorten,
)
from screener_operator.facts import Counts, Facts, JobFacts, JobState, PlanRow, Quality, Slice
from screener_operator.outcome import judge
from screener_operator.reasons import FATAL, Reason
from screener_operator.resources import COLLECTION_RUN, Meta, format_time
from screener_sql.model import ExitCode, SliceKind

MESSAGE_LIMIT = 512
DEADLINE_EXCEEDED = "DeadlineExceeded"
"""The Job controller's reason for a Job that reached its activeDeadlineSeconds."""

PENDING = "Pending"
PREFLIGHT = "Preflight"
PLANNED = "Planned"
RUNNING = "Running"
FINISHING = "Finishing"
PHASE_OF_OUTCOME = {"success": "Succeeded", "partial": "Partial", "failed": "Failed"}

_REASON_OF_EXIT = {
    ExitCode.BAD_SETTING: Reason.BAD_SETTING,
    ExitCode.TOKEN_REFUSED: Reason.TOKEN_REFUSED,
    ExitCode.ENDPOINT_NOT_IN_PLAN: Reason.ENDPOINT_NOT_IN_PLAN,
    ExitCode.INVALID_SPEC: Reason.INVALID_SPEC,
    ExitCode.NOT_VERIFIED: Reason.NOT_VERIFIED,
    ExitCode.DATABASE_UNREACHABLE: Reason.DATABASE_UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where an active run is: its phase, and the reason and message of Reconciling."""

    phase: str
    reason: Reason
    message: str


def waiting_for_jobs(phase: str, max_jobs: int, what: str) -> Stage:
    """The stage of a run whose next Job, `what`, must wait for an end of others."""
    return Stage(
        phase,
        Reason.WAITING_FOR_JOBS,
        f"{what} waits for room: {max_jobs} Jobs are unfinished, as many as MAX_JOBS allows;"
        " starts when one has ended",
    )


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, as stored with its execution."""

    outcome: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class SliceView:
    """What a slice and its Job amount to."""

    name: str
    state: str
    """Waiting, Running, Succeeded, Partial, Failed or Skipped."""
    job: JobFacts | None = None
    reason: str | None = None
    message: str | None = None
    slice: Slice | None = None
    job_name: str | None = None
    """What its Job was called, should it be gone."""

    @property
    def ended(self) -> bool:
        return self.state not in ("Waiting", "Running")

    @property
    def worked(self) -> bool:
        """Whether it ended by itself: not where the run ended before it was planned or started."""
        if self.slice is None:
            return False
        never_started = self.job is None and self.slice.started_at is None
        return self.ended and (self.slice.nothing_planned or not never_started)

    @property
    def finished(self) -> bool:
        """Whether everything of it was brought to an end, failed items included."""
        return self.ended and (
            self.slice is None or self.slice.nothing_planned or slice_finished(self.slice)
        )


def slice_finished(each: Slice) -> bool:
    """Whether its worker came to the end of its work; one that could not go on has not."""
    return each.finished_at is not None and each.reason not in FATAL and each.items_open == 0


def fatal_reason(each: Slice, job: JobFacts | None) -> Reason | None:
    """Why the run cannot go on: what the worker recorded, else what its exit code says."""
    if each.reason in FATAL:
        return Reason(each.reason)
    if job is not None and job.state is JobState.FAILED and job.exit_code is not None:
        by_exit = _reason_of_exit(job.exit_code)
        return by_exit if by_exit in FATAL else None
    return None


def view_slice(
    each: Slice, job: JobFacts | None, *, nothing_planned: Reason = Reason.NOTHING_DUE
) -> SliceView:
    """The state of a slice that was planned. Its items tell how it went, its Job whether somebody
    still works on it. `nothing_planned`: why not, where nothing was.
    """
    if each.nothing_planned:
        return SliceView(
            each.name, "Skipped", job, *_why_skipped(each, nothing_planned), slice=each
        )
    if job is not None and job.state is JobState.ACTIVE:
        return SliceView(each.name, "Running", job, *_why_waiting(each, job), slice=each)
    if job is None and each.started_at is None:
        return SliceView(each.name, "Waiting", slice=each)
    finished = slice_finished(each)
    # What is open will fail when the run is closed.
    failed = each.counts.failed if each.items_open == 0 else each.counts.planned
    outcome = judge(
        replace(each.counts, failed=failed),
        items_succeeded=each.items_succeeded,
        finished=finished,
        fatal=fatal_reason(each, job),
    )
    state = "Partial" if each.items_succeeded and outcome.status == "failed" else None
    state = state or PHASE_OF_OUTCOME[outcome.status]
    if not finished:
        reason, message = why_not_finished(each, job)
        return SliceView(each.name, state, job, reason, message, slice=each)
    if each.counts.failed:
        return SliceView(
            each.name,
            state,
            job,
            None if state == "Succeeded" else str(outcome.reason),
            f"{each.counts.failed} of {_assets(each.counts.planned)} failed;"
            " asset_processing_details says why",
            slice=each,
        )
    return SliceView(each.name, state, job, *_why_skipped(each, None), slice=each)


def why_not_finished(each: Slice, job: JobFacts | None) -> tuple[str, str]:
    """Reason and sentence for a slice whose Job ended, or vanished, before its work did."""
    if each.reason in FATAL:
        said = each.message or "the vendor refused to go on"
        if each.reason == Reason.ENDPOINT_NOT_IN_PLAN and "'fundamentals'" in said:
            said += "; leave fundamentals out of spec.operations, or have them in the vendor's plan"
        return str(each.reason), said
    if job is None:
        return Reason.JOB_DELETED, "its Job was deleted before its work was done"
    detail = f": {job.pod_message.strip()}" if job.pod_message else ""
    if job.state is JobState.COMPLETE:
        return Reason.GROUP_NOT_FINISHED, "its Job ended without reporting the end of its work"
    how = f"its Job {job.name} failed"
    if job.reason:
        how += f" ({job.reason})"
    if job.reason == DEADLINE_EXCEEDED and each.waiting_reason:
        since = f" since {format_time(each.waiting_since)}" if each.waiting_since else ""
        how += f", while the vendor did not answer{since}"
        return each.waiting_reason, f"{how}; what is left is due in the next run"
    if job.exit_code is None:
        return Reason.JOB_FAILED, f"{how}{detail}"
    by_exit = _reason_of_exit(job.exit_code)
    return by_exit or Reason.JOB_FAILED, f"{how} with exit code {job.exit_code}{detail}"


def collection_status(
    meta: Meta,
    facts: Facts,
    *,
    groups: Sequence[SliceView],
    now: datetime,
    stage: Stage | None = None,
    end: End | None = None,
    start_time: datetime | None = None,
    indicator_run: str | None = None,
    no_indicator_run: Reason | None = None,
) -> dict[str, Any]:
    """The status of a CollectionRun: at `stage` while it is active, with `end` once it is over.

    `no_indicator_run`: why none follows, once that is known.
    """
    planned_at = facts.execution.planned_at if facts.execution else None
    reason = end.reason if end else ""
    if planned_at is not None:
        planned = Condition("Planned", True, Reason.PLANNED, _plan_sentence(facts))
    elif end:
        planned = Condition("Planned", False, reason, "the run ended before it was planned")
    else:
        planned = Condition("Planned", None, Reason.NOT_ENDED, "the plan follows the preflight")

    if end is None:
        collected = Condition("Collected", None, Reason.NOT_ENDED, "groups are not all done")
    elif reason == Reason.DRY_RUN:
        collected = Condition("Collected", False, reason, "a dry run collects nothing")
    else:
        collected = Condition("Collected", end.outcome == "success", reason, end.message)

    if indicator_run:
        triggered = Condition(
            "IndicatorsTriggered", True, Reason.CREATED, f"IndicatorRun {indicator_run} follows"
        )
    elif no_indicator_run is Reason.NOT_REQUESTED:
        triggered = Condition(
            "IndicatorsTriggered", False, no_indicator_run, "spec asks for no IndicatorRun"
        )
    elif no_indicator_run is not None:
        triggered = Condition(
            "IndicatorsTriggered", False, no_indicator_run, "no IndicatorRun follows a failed run"
        )
    else:
        triggered = Condition(
            "IndicatorsTriggered", None, Reason.NOT_ENDED, "decided when the run has ended"
        )

    status = _status(
        meta,
        facts,
        groups=groups,
        now=now,
        stage=stage,
        end=end,
        start_time=start_time,
        own=[_quota_condition(facts), planned, collected, triggered],
        indicator_run=indicator_run,
    )
    if facts.quality.bars_checked or facts.quality.rules:
        status["quality"] = _quality(facts.quality)
    return status


def indicator_status(
    meta: Meta,
    facts: Facts,
    *,
    groups: Sequence[SliceView],
    now: datetime,
    stage: Stage | None = None,
    end: End | None = None,
    start_time: datetime | None = None,
) -> dict[str, Any]:
    """The status of an IndicatorRun, as `collection_status`."""
    if end is None:
        computed = Condition("Computed", None, Reason.NOT_ENDED, "not all assets are done")
        verified = Condition("Verified", None, Reason.NOT_ENDED, "verified when all is computed")
    else:
        not_verified = end.reason == Reason.NOT_VERIFIED
        computed = Condition(
            "Computed", end.outcome == "success" or not_verified, end.reason, end.message
        )
        verified = _verified_condition(facts, end)
    status = _status(
        meta,
        facts,
        groups=groups,
        now=now,
        stage=stage,
        end=end,
        start_time=start_time,
        own=[computed, verified],
    )
    for found in facts.of_kind("indicators"):
        if found.deviation is not None:
            status["verification"] = {
                "rows": found.verified_rows,
                "deviation": f"{found.deviation:.1e}",
            }
    return status


def only_reconciling(meta: Meta, *, reason: Reason, message: str, now: datetime) -> dict[str, Any]:
    """The status as it stands with nothing but Reconciling changed: for an operator that may not
    act, or cannot see.

    A run without any status gets all its conditions, so that they are there from the first
    reconcile. `message` may hold one `{since}`; the time that an unbroken wait began is kept.
    """
    existing = meta.status.get("conditions") or []
    before = find_condition(existing, "Reconciling")
    since = format_time(now)
    if before is not None and before.get("reason") == reason:
        found = re.search(r"since (\S+Z)", before.get("message", ""))
        since = found[1] if found else since
    text = message.replace("{since}", since)
    if not existing:
        make = collection_status if meta.kind == COLLECTION_RUN else indicator_status
        return make(
            meta,
            Facts(),
            groups=(),
            now=now,
            stage=Stage(PENDING, reason, text),
        )
    changed = set_condition(
        existing,
        Condition("Reconciling", True, reason, text),
        generation=meta.generation,
        now=now,
    )
    return {**meta.status, "observedGeneration": meta.generation, "conditions": changed}


def _status(
    meta: Meta,
    facts: Facts,
    *,
    groups: Sequence[SliceView],
    now: datetime,
    stage: Stage | None,
    end: End | None,
    start_time: datetime | None,
    own: Sequence[Condition],
    indicator_run: str | None = None,
) -> dict[str, Any]:
    if end is not None:
        phase, message = PHASE_OF_OUTCOME[end.outcome], end.message
        succeeded, stalled, reason = end.outcome == "success", end.outcome == "failed", end.reason
        general = [
            Condition("Succeeded", succeeded, reason, message),
            Condition("Failed", not succeeded, reason, message),
            Condition("Reconciling", False, reason, "the run has ended"),
            Condition("Stalled", stalled, reason, message if stalled else "nothing is stuck"),
        ]
    else:
        assert stage is not None  # a run is either active or has ended
        phase, message = stage.phase, stage.message
        general = [
            Condition("Succeeded", None, stage.reason, "the run has not ended"),
            Condition("Failed", False, stage.reason, "the run has not ended"),
            Condition("Reconciling", True, stage.reason, message),
            Condition("Stalled", False, stage.reason, "nothing is stuck"),
        ]
    if facts.notes:
        message = f"{message}. {'. '.join(facts.notes)}"
    counts = facts.counts
    status: dict[str, Any] = {
        "observedGeneration": meta.generation,
        "phase": phase,
        "executionId": meta.uid,
        "message": shorten(_sentence(message), MESSAGE_LIMIT),
        "conditions": set_conditions(
            meta.status.get("conditions") or [],
            [*general, *own],
            generation=meta.generation,
            now=now,
        ),
        "counts": _counts(counts),
        "calls": {"planned": facts.calls_planned, "used": facts.calls_used},
        "progress": f"{facts.items_planned - facts.items_open}/{facts.items_planned}",
        "groupsSummary": f"{sum(view.worked for view in groups)}/{len(groups)} done",
        "groups": [_group(view) for view in groups],
    }
    if facts.execution is not None and facts.execution.schedule:
        status["schedule"] = [asdict(day) for day in facts.execution.schedule]
    if facts.calls_remaining_today is not None:
        status["calls"]["remainingToday"] = facts.calls_remaining_today
    if start_time is not None:
        status["startTime"] = format_time(start_time)
    if indicator_run:
        status["indicatorRun"] = indicator_run
    if end is not None:
        completed_at = (facts.execution.completed_at if facts.execution else None) or now
        status["completionTime"] = format_time(completed_at)
        if start_time is not None:
            status["duration"] = format_duration((completed_at - start_time).total_seconds())
    return status


def _quality(quality: Quality) -> dict[str, Any]:
    return {
        "barsChecked": quality.bars_checked,
        "quarantined": quality.quarantined,
        "flagged": quality.flagged,
        "rules": [
            {"rule": each.rule, "severity": each.severity, "count": each.count}
            for each in quality.rules
        ],
    }


def _group(view: SliceView) -> dict[str, Any]:
    group: dict[str, Any] = {"name": view.name, "state": view.state}
    started = view.slice.started_at if view.slice is not None else None
    job_name = view.job_name if started is not None else None
    if view.job is not None:
        started, job_name = view.job.created_at, view.job.name
        if view.job.exit_code is not None:
            group["exitCode"] = view.job.exit_code
    if job_name is not None:
        group |= {"attempt": 1, "job": job_name}
    if view.reason:
        group["reason"] = str(view.reason)
    if view.message:
        group["message"] = shorten(_sentence(view.message), MESSAGE_LIMIT)
    if started is not None:
        group["startTime"] = format_time(started)
    if view.ended and started is not None and view.slice is not None:
        ended = (view.job.ended_at if view.job is not None else None) or view.slice.finished_at
        if ended is not None:
            group["completionTime"] = format_time(ended)
    if view.slice is not None:
        group["counts"] = _counts(view.slice.counts)
        if view.slice.plan:
            group["plan"] = [_plan_row(row) for row in view.slice.plan]
    return group


def _plan_row(row: PlanRow) -> dict[str, Any]:
    result: dict[str, Any] = {"exchange": row.exchange, "operation": row.operation}
    if row.way is not None:
        result["way"] = row.way
    if row.date_from is not None:
        result["from"] = row.date_from.isoformat()
    if row.date_to is not None:
        result["to"] = row.date_to.isoformat()
    return (
        result
        | {
            "assets": row.assets,
            "requests": row.requests,
            "calls": row.calls,
            "deferred": row.deferred,
        }
        | ({"choice": row.choice} if row.choice else {})
    )


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "discovered": counts.discovered,
        "planned": counts.planned,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "deferred": counts.deferred,
    }


def preflight_short(facts: Facts) -> Reason | None:
    """Why the preflight could not ask all that it wanted to; None if it could."""
    for each in facts.of_kind(SliceKind.PREFLIGHT):
        if each.reason in (Reason.DAILY_LIMIT_REACHED, Reason.RUN_LIMIT_REACHED):
            return Reason(each.reason)
    return None


def _day_is_spent(facts: Facts) -> str:
    if facts.kept:
        return f"spec.quota.keepCalls, {facts.keep_calls}, leaves too few calls of the day"
    return "the calls of the day are spent"


def _quota_condition(facts: Facts) -> Condition:
    by_day = sum(each.deferred_by_day for each in facts.slices)
    by_run = sum(each.deferred_by_run for each in facts.slices)
    short = preflight_short(facts)
    unknown = "; the preflight could not be finished, so what is due is not all known"
    if by_day or any(each.reason == Reason.DAILY_LIMIT_REACHED for each in facts.slices):
        return Condition(
            "QuotaAvailable",
            False,
            Reason.DAILY_LIMIT_REACHED,
            f"{_day_is_spent(facts)}; {_items(by_day)} deferred, due again after 00:00 GMT"
            + (unknown if short else ""),
        )
    if by_run or short:
        return Condition(
            "QuotaAvailable",
            False,
            Reason.RUN_LIMIT_REACHED,
            f"spec.quota.maxCalls is reached; {_items(by_run)} deferred, due again in the next run"
            + (unknown if short else ""),
        )
    if facts.execution is not None and facts.execution.planned_at is not None:
        return Condition("QuotaAvailable", True, Reason.CALLS_LEFT, "the calls left suffice")
    return Condition(
        "QuotaAvailable", None, Reason.NOT_CHECKED, "the preflight reads the vendor's counter"
    )


def _verified_condition(facts: Facts, end: End) -> Condition:
    [found] = facts.of_kind("indicators") or (None,)
    if found is not None and found.verified is not None:
        reason = Reason.VERIFIED if found.verified else Reason.NOT_VERIFIED
        message = found.message or "the stored indicators equal those computed"
        return Condition("Verified", found.verified, reason, message)
    nothing = end.reason == Reason.NOTHING_DUE
    message = "there was nothing to verify" if nothing else "nothing was verified"
    return Condition("Verified", nothing, end.reason, message)


def _plan_sentence(facts: Facts) -> str:
    deferred = sum(each.deferred_by_day + each.deferred_by_run for each in facts.slices)
    text = f"{_items(facts.items_planned)} planned"
    if facts.calls_planned:
        text += f" for {facts.calls_planned} calls"
    return f"{text}, {deferred} deferred" if deferred else text


def end_sentence(facts: Facts, reason: Reason, *, problems: Sequence[str] = ()) -> str:
    """What happened, for the end of a run; `problems`: what its groups say."""
    counts = facts.counts
    parts = [
        f"{number} {word}"
        for number, word in (
            (counts.succeeded, "succeeded"),
            (counts.failed, "failed"),
            (counts.skipped, "skipped"),
            (counts.deferred, "deferred"),
        )
        if number
    ]
    if reason in (Reason.DAILY_LIMIT_REACHED, Reason.RUN_LIMIT_REACHED):
        why = (
            "spec.quota.maxCalls does not reach for the preflight"
            if reason is Reason.RUN_LIMIT_REACHED
            else _day_is_spent(facts)
        )
        found = (
            f"the {_assets(counts.discovered)} known so far are up to date"
            if counts.discovered
            else "it is not known yet which assets there are"
        )
        when = "after 00:00 GMT" if reason is Reason.DAILY_LIMIT_REACHED else "with a larger one"
        return f"{why}, so that nothing could be planned: {found}; run it again {when}"
    if reason is Reason.NOTHING_DUE:
        return (
            f"all {_assets(counts.discovered)} are up to date"
            if counts.discovered
            else "no assets were found for this spec"
        )
    if reason is Reason.DRY_RUN:
        requests = sum(row.requests for each in facts.slices for row in each.plan)
        return (
            f"dry run: {_assets(counts.discovered)} looked at; the plan, {requests} requests for"
            f" {facts.calls_planned} calls, is in status.groups{_days_to_come(facts)}"
        )
    text = f"{_assets(counts.discovered)}: {', '.join(parts) or 'none'}"
    if counts.deferred:
        text += f"; what is deferred is due again in the next run{_last_day(facts)}"
    if counts.failed:
        text += "; asset_processing_details says why each failed"
    return "; ".join([text, *problems])


def _days_to_come(facts: Facts) -> str:
    days = facts.execution.schedule if facts.execution else ()
    if len(days) < 2:
        return ""
    return f"; status.schedule has the {len(days)} days until all is current"


def _last_day(facts: Facts) -> str:
    days = facts.execution.schedule if facts.execution else ()
    return f", the last of it on {days[-1].day}" if len(days) > 1 else ""


def progress_sentence(facts: Facts, groups: Sequence[SliceView]) -> str:
    """How far an active run is."""
    running = [view.name for view in groups if view.state == "Running"]
    waiting = sum(view.state == "Waiting" for view in groups)
    text = f"{facts.items_planned - facts.items_open} of {_items(facts.items_planned)} done"
    if running:
        text += f"; at work: {', '.join(running)}"
    return f"{text}; {waiting} more to start" if waiting else text


def format_duration(seconds: float) -> str:
    """As in 3m12s: whole seconds, the two largest units."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{second}s" if minutes else f"{second}s"


_NOTHING_PLANNED = {
    Reason.NOTHING_DUE: "nothing to be done here",
    Reason.DRY_RUN: "planned only; see its plan",
    Reason.DAILY_LIMIT_REACHED: "nothing could be planned here for want of calls of the day",
    Reason.RUN_LIMIT_REACHED: "nothing could be planned here, for spec.quota.maxCalls is reached",
}


def _why_skipped(each: Slice, otherwise: Reason | None) -> tuple[str | None, str | None]:
    """Why not all of a slice was done; `otherwise`: the reason where nothing was deferred."""
    deferred = each.deferred_by_day + each.deferred_by_run
    if deferred and otherwise is not Reason.DRY_RUN:
        reason = Reason.DAILY_LIMIT_REACHED if each.deferred_by_day else Reason.RUN_LIMIT_REACHED
        return reason, f"{_items(deferred)} deferred for want of calls"
    if otherwise is None:
        return None, None
    return otherwise, _NOTHING_PLANNED[otherwise]


def _why_waiting(each: Slice, job: JobFacts) -> tuple[str | None, str | None]:
    if each.waiting_reason:
        since = f" since {format_time(each.waiting_since)}" if each.waiting_since else ""
        return each.waiting_reason, f"the vendor does not answer{since}; asked again and again"
    if job.pod_waiting:
        return Reason.POD_NOT_STARTING, job.pod_waiting
    return None, None


def _reason_of_exit(code: int) -> Reason | None:
    try:
        return _REASON_OF_EXIT.get(ExitCode(code))
    except ValueError:
        return None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _assets(number: int) -> str:
    return f"{number} asset" if number == 1 else f"{number} assets"


def _items(number: int) -> str:
    return f"{number} item" if number == 1 else f"{number} items"
