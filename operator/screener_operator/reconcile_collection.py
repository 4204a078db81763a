"""Core: one step of a CollectionRun, from everything observed to what to do next and the status
that says so.

Level-triggered: nothing here remembers anything, so that running it twice, or dying between any
two of its actions, changes nothing. What was done already is seen in the rows, in the Jobs or in
the child run, never in a phase.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from screener_operator.actions import (
    Action,
    CloseExecution,
    CreateIndicatorRun,
    CreateJob,
    Decision,
    FailOpenItems,
    MakePlan,
    MarkStarted,
    OpenExecution,
)
from screener_operator.facts import Execution, JobState, Observed, Slice
from screener_operator.jobs import child_name
from screener_operator.outcome import Outcome, judge
from screener_operator.reasons import Reason
from screener_operator.resources import CollectionRun, Run, blocking_run
from screener_operator.status import (
    FINISHING,
    PENDING,
    PLANNED,
    PREFLIGHT,
    RUNNING,
    End,
    SliceView,
    Stage,
    collection_status,
    end_sentence,
    fatal_reason,
    preflight_short,
    progress_sentence,
    slice_finished,
    view_slice,
    waiting_for_jobs,
    why_not_finished,
)
from screener_sql.model import SliceKind

PREFLIGHT_SLICE = "preflight"


def reconcile(
    run: CollectionRun,
    *,
    others: Sequence[Run],
    observed: Observed,
    now: datetime,
    max_jobs: int,
) -> Decision:
    """The next step of `run`. `others`: all CollectionRuns of the namespace; `max_jobs`: bounds
    the unfinished Jobs of all runs of both kinds.
    """
    if run.meta.finished or run.meta.deleting:
        return Decision()
    execution = observed.facts.execution
    if execution is None:
        return _start(run, others, observed, now, max_jobs)
    if execution.closed:
        return _hand_over(run, execution, observed, now)
    if execution.planned_at is None:
        return _preflight(run, execution, observed, now, max_jobs)
    return _groups(run, execution, observed, now, max_jobs)


def _start(
    run: CollectionRun, others: Sequence[Run], observed: Observed, now: datetime, max_jobs: int
) -> Decision:
    """startTime comes first, as it makes the API server keep the spec; only then is anything
    opened.
    """
    groups = [SliceView(group.name, "Waiting") for group in run.groups]
    actions: tuple[Action, ...] = ()
    start_time = run.meta.start_time
    if start_time is None:
        blocked_by = blocking_run(run, others)
        if blocked_by is not None:
            name, exchange = blocked_by
            what = exchange if exchange == "every exchange" else f"exchange {exchange}"
            stage = Stage(
                PENDING,
                Reason.WAITING_FOR_RUN,
                f"waits for CollectionRun {name}, which works on {what} too;"
                " starts when that has ended",
            )
            status = collection_status(
                run.meta, observed.facts, groups=groups, now=now, stage=stage
            )
            return Decision(status=status)
        start_time = now
    else:
        problem = run.problem(now)
        actions = (
            (OpenExecution(), CloseExecution(Outcome("failed", Reason.INVALID_SPEC), problem))
            if problem
            else (OpenExecution(), CreateJob(SliceKind.PREFLIGHT, PREFLIGHT_SLICE))
            if observed.live_jobs < max_jobs
            else (OpenExecution(),)
        )
    stage = Stage(PENDING, Reason.STARTING, "the run's execution is being opened")
    status = collection_status(
        run.meta, observed.facts, groups=groups, now=now, stage=stage, start_time=start_time
    )
    return Decision(actions=actions, status=status, again=True)


def _preflight(
    run: CollectionRun, execution: Execution, observed: Observed, now: datetime, max_jobs: int
) -> Decision:
    groups = [SliceView(group.name, "Waiting") for group in run.groups]
    job = observed.job(SliceKind.PREFLIGHT, PREFLIGHT_SLICE)
    [found] = observed.facts.of_kind(SliceKind.PREFLIGHT) or (
        Slice(SliceKind.PREFLIGHT, PREFLIGHT_SLICE),
    )
    stage = Stage(
        PREFLIGHT,
        Reason.PREFLIGHT,
        "the preflight checks the token and reads the call counter and the symbol lists;"
        " the plan follows",
    )
    problem = run.problem(now)
    fatal = fatal_reason(found, job)
    actions: tuple[Action, ...] = ()
    if problem and job is None and found.started_at is None:
        actions = (CloseExecution(Outcome("failed", Reason.INVALID_SPEC), problem),)
    elif fatal is not None:
        _, message = why_not_finished(found, job)
        message = message.replace("its Job", "the preflight's Job", 1)
        actions = (CloseExecution(Outcome("failed", fatal), message),)
    elif slice_finished(found):
        actions = (MakePlan(),)
    elif job is None and found.started_at is None:
        if observed.live_jobs < max_jobs:
            actions = (CreateJob(SliceKind.PREFLIGHT, PREFLIGHT_SLICE),)
        else:
            stage = waiting_for_jobs(PREFLIGHT, max_jobs, "the preflight")
    elif job is None or job.state is not JobState.ACTIVE:
        _, message = why_not_finished(found, job)
        message = message.replace("its Job", "the preflight's Job", 1)
        actions = (CloseExecution(Outcome("failed", Reason.PREFLIGHT_FAILED), message),)
    else:
        if found.started_at is None:
            actions = (MarkStarted(SliceKind.PREFLIGHT, PREFLIGHT_SLICE),)
        stage = _waiting_stage(stage, [view_slice(replace(found, items_planned=1), job)])
    status = collection_status(
        run.meta,
        observed.facts,
        groups=groups,
        now=now,
        stage=stage,
        start_time=execution.started_at,
    )
    return Decision(actions=actions, status=status, again=bool(actions), watch=not actions)


def _groups(
    run: CollectionRun, execution: Execution, observed: Observed, now: datetime, max_jobs: int
) -> Decision:
    facts = observed.facts
    views = _views(run, observed)
    running = [view for view in views if view.state == "Running"]
    waiting = [view for view in views if view.state == "Waiting"]
    fatal = _fatal(observed)
    actions: list[Action] = [
        MarkStarted(SliceKind.GROUP, view.name)
        for view in running
        if view.slice is not None and view.slice.started_at is None
    ]
    if waiting and fatal is None:
        room = min(run.parallelism - len(running), max_jobs - observed.live_jobs)
        actions += [CreateJob(SliceKind.GROUP, view.name) for view in waiting[: max(0, room)]]
    done = not running and (not waiting or fatal is not None)
    if done and facts.items_open:
        actions.append(FailOpenItems(tuple(_why_open(view, fatal) for view in views)))
    elif done:
        outcome = judge(
            facts.counts,
            items_succeeded=facts.items_succeeded,
            finished=all(view.finished for view in views),
            fatal=fatal,
            dry_run=run.dry_run,
            short=preflight_short(facts),
        )
        actions.append(CloseExecution(outcome, _end_message(observed, views, outcome)))

    if done:
        stage = Stage(FINISHING, Reason.FINISHING, "all groups have ended; the run is being closed")
    elif running:
        stage = _waiting_stage(
            Stage(RUNNING, Reason.COLLECTING, progress_sentence(facts, views)), views
        )
    elif actions:
        stage = Stage(
            PLANNED,
            Reason.PLANNED,
            f"{facts.items_planned} items planned for {facts.calls_planned} calls;"
            " group Jobs start",
        )
    else:
        stage = waiting_for_jobs(PLANNED, max_jobs, f"group {waiting[0].name}")
    status = collection_status(
        run.meta, facts, groups=views, now=now, stage=stage, start_time=execution.started_at
    )
    return Decision(tuple(actions), status, again=bool(actions), watch=not actions)


def _hand_over(
    run: CollectionRun, execution: Execution, observed: Observed, now: datetime
) -> Decision:
    """After the close: the IndicatorRun first, completionTime last, for that ends everything."""
    wanted = run.indicators and not run.dry_run
    failed = execution.status == "failed"
    views = _views(run, observed)
    if wanted and not failed and observed.indicator_run is None:
        stage = Stage(FINISHING, Reason.FINISHING, "the run is closed; its IndicatorRun follows")
        status = collection_status(
            run.meta,
            observed.facts,
            groups=views,
            now=now,
            stage=stage,
            start_time=execution.started_at,
        )
        return Decision((CreateIndicatorRun(),), status, again=True)
    message = execution.message or ""
    if observed.indicator_run:
        message += f"; IndicatorRun {observed.indicator_run} follows"
    status = collection_status(
        run.meta,
        observed.facts,
        groups=views,
        now=now,
        end=End(execution.status, execution.reason or Reason.COMPLETED, message),
        start_time=execution.started_at,
        indicator_run=observed.indicator_run,
        no_indicator_run=Reason.RUN_FAILED if wanted and failed else Reason.NOT_REQUESTED,
    )
    return Decision(status=status)


def _views(run: CollectionRun, observed: Observed) -> list[SliceView]:
    """Each group of the spec; one whose Job was never made because the run ended counts as what
    became of the run.
    """
    slices = {each.name: each for each in observed.facts.of_kind(SliceKind.GROUP)}
    execution = observed.facts.execution
    closed = execution is not None and execution.closed
    views = []
    for group in run.groups:
        if group.name not in slices:
            views.append(
                SliceView(
                    group.name,
                    "Skipped" if closed else "Waiting",
                    reason=execution.reason if closed and execution else None,
                    message="the run ended before it was planned" if closed else None,
                )
            )
            continue
        view = replace(
            view_slice(
                slices[group.name],
                observed.job(SliceKind.GROUP, group.name),
                nothing_planned=Reason.DRY_RUN
                if run.dry_run and slices[group.name].plan
                else preflight_short(observed.facts) or Reason.NOTHING_DUE,
            ),
            job_name=child_name(run.meta.name, group.name, "1"),
        )
        if closed and view.state == "Waiting":
            view = SliceView(
                group.name,
                "Failed",
                reason=execution.reason if execution else None,
                message="not started, because the run could not go on",
                slice=view.slice,
            )
        views.append(view)
    return views


def _fatal(observed: Observed) -> Reason | None:
    """Why no more Jobs are worth starting: one group met what all would meet."""
    return next(
        (
            reason
            for each in observed.facts.of_kind(SliceKind.GROUP)
            if (reason := fatal_reason(each, observed.job(each.kind, each.name))) is not None
        ),
        None,
    )


def _why_open(view: SliceView, fatal: Reason | None) -> tuple[str, str]:
    if view.state == "Waiting":
        return view.name, f"its group was not started, because the run could not go on ({fatal})"
    return view.name, f"its group ended before it was done: {view.message or view.reason}"


def _end_message(observed: Observed, views: Sequence[SliceView], outcome: Outcome) -> str:
    problems = [
        f"group {view.name}: {view.message}"
        for view in views
        if view.ended and view.state != "Skipped" and not view.finished and view.message
    ]
    return end_sentence(observed.facts, outcome.reason, problems=problems)


def _waiting_stage(stage: Stage, views: Sequence[SliceView]) -> Stage:
    """The stage, or what its Jobs wait for, if they do."""
    for view in views:
        if view.state == "Running" and view.reason and view.message:
            what = "the preflight" if view.name == PREFLIGHT_SLICE else f"group {view.name}"
            return Stage(stage.phase, Reason(view.reason), f"{what}: {view.message}")
    return stage
