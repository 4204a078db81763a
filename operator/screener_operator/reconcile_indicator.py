"""Core: one step of an IndicatorRun, from everything observed to what to do next and the status
that says so.

Level-triggered, as `reconcile_collection`: plan, one Job, close.
"""

from collections.abc import Sequence
from datetime import datetime

from screener_operator.actions import (
    Action,
    CloseExecution,
    CreateJob,
    Decision,
    FailOpenItems,
    MakePlan,
    MarkStarted,
    OpenExecution,
)
from screener_operator.facts import Execution, Observed, Slice
from screener_operator.jobs import INDICATORS_SLICE
from screener_operator.outcome import Outcome, judge
from screener_operator.reasons import Reason
from screener_operator.resources import IndicatorRun, Run, blocking_run
from screener_operator.status import (
    FINISHING,
    PENDING,
    PLANNED,
    RUNNING,
    End,
    SliceView,
    Stage,
    end_sentence,
    fatal_reason,
    indicator_status,
    progress_sentence,
    view_slice,
    waiting_for_jobs,
)
from screener_sql.model import SliceKind


def reconcile(
    run: IndicatorRun, *, others: Sequence[Run], observed: Observed, now: datetime, max_jobs: int
) -> Decision:
    """The next step of `run`. `others`: all IndicatorRuns of the namespace; `max_jobs`: bounds the
    unfinished Jobs of all runs of both kinds.
    """
    if run.meta.finished or run.meta.deleting:
        return Decision()
    execution = observed.facts.execution
    if execution is None:
        return _start(run, others, observed, now)
    if execution.closed:
        status = indicator_status(
            run.meta,
            observed.facts,
            groups=[_view(observed)],
            now=now,
            end=End(
                execution.status, execution.reason or Reason.COMPLETED, execution.message or ""
            ),
            start_time=execution.started_at,
        )
        return Decision(status=status)
    problem = _problem(run, observed, now)
    if execution.planned_at is None:
        stage = Stage(PENDING, Reason.STARTING, "the assets with new bars are being looked for")
        actions: tuple[Action, ...] = (MakePlan(),)
        if problem:
            actions = (CloseExecution(Outcome("failed", Reason.INVALID_SPEC), problem),)
        status = indicator_status(
            run.meta,
            observed.facts,
            groups=[_view(observed)],
            now=now,
            stage=stage,
            start_time=execution.started_at,
        )
        return Decision(actions, status, again=True)
    return _compute(run, execution, observed, now, max_jobs)


def _start(run: IndicatorRun, others: Sequence[Run], observed: Observed, now: datetime) -> Decision:
    start_time = run.meta.start_time
    actions: tuple[Action, ...] = ()
    if start_time is None:
        blocked_by = blocking_run(run, others)
        if blocked_by is not None:
            name, exchange = blocked_by
            what = exchange if exchange == "every exchange" else f"exchange {exchange}"
            stage = Stage(
                PENDING,
                Reason.WAITING_FOR_RUN,
                f"waits for IndicatorRun {name}, which works on {what} too;"
                " starts when that has ended",
            )
            status = indicator_status(
                run.meta, observed.facts, groups=[_view(observed)], now=now, stage=stage
            )
            return Decision(status=status)
        start_time = now
    else:
        actions = (OpenExecution(),)
    stage = Stage(PENDING, Reason.STARTING, "the run's execution is being opened")
    status = indicator_status(
        run.meta,
        observed.facts,
        groups=[_view(observed)],
        now=now,
        stage=stage,
        start_time=start_time,
    )
    return Decision(actions, status, again=True)


def _compute(
    run: IndicatorRun, execution: Execution, observed: Observed, now: datetime, max_jobs: int
) -> Decision:
    facts = observed.facts
    view = _view(observed)
    actions: tuple[Action, ...] = ()
    if view.state == "Waiting" and observed.live_jobs >= max_jobs:
        stage = waiting_for_jobs(PLANNED, max_jobs, "the Job")
    elif view.state == "Waiting":
        stage = Stage(
            PLANNED, Reason.PLANNED, f"{facts.items_planned} assets planned; the Job starts next"
        )
        actions = (CreateJob(SliceKind.INDICATORS, INDICATORS_SLICE),)
    elif view.state == "Running":
        stage = Stage(RUNNING, Reason.COMPUTING, progress_sentence(facts, [view]))
        if view.reason and view.message:
            stage = Stage(RUNNING, Reason(view.reason), view.message)
        if view.slice is not None and view.slice.started_at is None:
            actions = (MarkStarted(SliceKind.INDICATORS, INDICATORS_SLICE),)
    else:
        stage = Stage(FINISHING, Reason.FINISHING, "the Job has ended; the run is being closed")
        if facts.items_open:
            why = f"its Job ended before it was done: {view.message or view.reason}"
            actions = (FailOpenItems(((INDICATORS_SLICE, why),)),)
        else:
            outcome = _outcome(view, observed)
            problems = [view.message] if not view.finished and view.message else []
            if outcome.reason is Reason.NOT_VERIFIED and view.slice and view.slice.message:
                problems = [view.slice.message]
            message = end_sentence(facts, outcome.reason, problems=problems)
            actions = (CloseExecution(outcome, message),)
    status = indicator_status(
        run.meta, facts, groups=[view], now=now, stage=stage, start_time=execution.started_at
    )
    return Decision(actions, status, again=bool(actions), watch=not actions)


def _outcome(view: SliceView, observed: Observed) -> Outcome:
    facts = observed.facts
    not_verified = view.slice is not None and view.slice.verified is False
    if not_verified or view.reason == Reason.NOT_VERIFIED:
        return Outcome("failed", Reason.NOT_VERIFIED)
    return judge(
        facts.counts,
        items_succeeded=facts.items_succeeded,
        finished=view.finished,
        fatal=fatal_reason(view.slice, view.job) if view.slice is not None else None,
    )


def _view(observed: Observed) -> SliceView:
    [found] = observed.facts.of_kind(SliceKind.INDICATORS) or (
        Slice(SliceKind.INDICATORS, INDICATORS_SLICE),
    )
    execution = observed.facts.execution
    if execution is None or (execution.planned_at is None and not execution.closed):
        return SliceView(INDICATORS_SLICE, "Waiting")
    if execution.planned_at is None:
        return SliceView(
            INDICATORS_SLICE,
            "Skipped",
            reason=execution.reason,
            message="the run ended before it was planned",
        )
    return view_slice(found, observed.job(SliceKind.INDICATORS, INDICATORS_SLICE))


def _problem(run: IndicatorRun, observed: Observed, now: datetime) -> str | None:
    unknown = observed.facts.unknown_exchanges
    if unknown:
        return (
            f"spec.exchanges: exchange {unknown[0]!r} is not known here;"
            " a CollectionRun over it makes it so"
        )
    return run.problem(now)
