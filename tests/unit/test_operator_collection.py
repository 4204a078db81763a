"""One step of a CollectionRun: for each thing that may be observed, what is done and what the
status says.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from operator_world import (
    NOW,
    OPEN,
    PLANNED,
    PREFLIGHT_DONE,
    collection_run,
    condition,
    done_slice,
    job,
    observed,
    started,
)

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
from screener_operator.facts import Counts, Execution, JobState, Observed, Slice
from screener_operator.outcome import Outcome
from screener_operator.reasons import Reason
from screener_operator.reconcile_collection import reconcile
from screener_operator.resources import CollectionRun

NOT_SET = "EODHD_BASE_URL is not set"
NO_SLICE = Slice("preflight", "preflight")
PREFLIGHT = replace(NO_SLICE, started_at=NOW)
PREFLIGHT_JOB = job("daily-preflight", "preflight", "preflight")
ENDED = {"state": JobState.COMPLETE, "exit_code": 0, "ended_at": NOW}
FAILED = {"state": JobState.FAILED, "reason": "BackoffLimitExceeded", "ended_at": NOW}
ALL_TYPES = [
    "Succeeded",
    "Failed",
    "Reconciling",
    "Stalled",
    "QuotaAvailable",
    "Planned",
    "Collected",
    "IndicatorsTriggered",
]


def step(run: CollectionRun, seen: Observed, *, max_jobs: int = 8, **more: Any) -> Decision:
    return reconcile(
        run, others=more.get("others", [run]), observed=seen, now=NOW, max_jobs=max_jobs
    )


def fresh_slice(name: str, items: int = 10, **more: Any) -> Slice:
    return done_slice(
        name, succeeded=0, still_open=items, started_at=None, finished_at=None, **more
    )


US_OPEN, EU_OPEN = fresh_slice("us"), fresh_slice("european", ordinal=1)
RUN = started(collection_run())


@pytest.mark.parametrize(
    ("run", "seen", "actions", "phase", "reason"),
    [
        pytest.param(
            collection_run(), observed(None), (), "Pending", "Starting",
            id="a new run gets its startTime before anything else",
        ),
        pytest.param(
            RUN, observed(None), (OpenExecution(), CreateJob("preflight", "preflight")),
            "Pending", "Starting", id="then its execution and its first Job",
        ),
        pytest.param(
            RUN, observed(OPEN, (NO_SLICE,)), (CreateJob("preflight", "preflight"),),
            "Preflight", "Preflight", id="died between the two: the Job is made up for",
        ),
        pytest.param(
            RUN, observed(OPEN, (NO_SLICE,), (PREFLIGHT_JOB,)),
            (MarkStarted("preflight", "preflight"),),
            "Preflight", "Preflight", id="a Job that is there is recorded",
        ),
        pytest.param(
            RUN, observed(OPEN, (PREFLIGHT,), (PREFLIGHT_JOB,)), (),
            "Preflight", "Preflight", id="the preflight is waited for",
        ),
        pytest.param(
            RUN, observed(OPEN, (PREFLIGHT_DONE,), (PREFLIGHT_JOB,)), (MakePlan(),),
            "Preflight", "Preflight", id="planned as soon as the preflight's work is done",
        ),
        pytest.param(
            RUN,
            observed(OPEN, (replace(PREFLIGHT_DONE, reason="DailyLimitReached"),)), (MakePlan(),),
            "Preflight", "Preflight", id="planned with what is known where no call is left",
        ),
        pytest.param(
            RUN, observed(PLANNED, (US_OPEN, EU_OPEN)),
            (CreateJob("group", "us"), CreateJob("group", "european")),
            "Planned", "Planned", id="all groups start where there is room",
        ),
        pytest.param(
            RUN,
            observed(PLANNED, (replace(US_OPEN, started_at=NOW), EU_OPEN), (job(),)),
            (CreateJob("group", "european"),),
            "Running", "Collecting", id="what is missing is started beside what runs",
        ),
        pytest.param(
            RUN,
            observed(
                PLANNED, (done_slice("us"), done_slice("european", ordinal=1)),
                (job(**ENDED), job("daily-european-1", group="european", **ENDED)),
            ),
            (CloseExecution(Outcome("success", Reason.COMPLETED), "20 assets: 20 succeeded"),),
            "Finishing", "Finishing", id="closed when all groups have ended",
        ),
    ],
)  # fmt: skip
def test_the_next_step(
    run: CollectionRun, seen: Observed, actions: tuple[Action, ...], phase: str, reason: str
) -> None:
    decision = step(run, seen)
    assert decision.actions == actions
    assert decision.status is not None
    assert decision.status["phase"] == phase
    assert condition(decision.status, "Reconciling") == ("True", reason)
    assert condition(decision.status, "Succeeded")[0] == "Unknown"
    assert condition(decision.status, "Failed")[0] == "False"
    assert condition(decision.status, "Stalled")[0] == "False"
    assert [each["type"] for each in decision.status["conditions"]] == ALL_TYPES
    assert decision.status["observedGeneration"] == 3
    assert decision.again or decision.watch


@pytest.mark.parametrize(
    ("parallelism", "max_jobs", "live_elsewhere", "created"),
    [
        pytest.param(4, 8, 0, 4, id="parallelism bounds the run"),
        pytest.param(1, 8, 0, 1, id="one at a time"),
        pytest.param(32, 3, 0, 3, id="the operator's setting bounds it as well"),
        pytest.param(32, 8, 6, 2, id="and counts the Jobs of other runs"),
        pytest.param(32, 8, 9, 0, id="no room at all"),
    ],
)
def test_jobs_at_once(parallelism: int, max_jobs: int, live_elsewhere: int, created: int) -> None:
    names = [f"g{number}" for number in range(5)]
    run = started(
        collection_run(
            {
                "groups": [{"name": name, "exchanges": [name.upper()]} for name in names],
                "parallelism": parallelism,
            }
        )
    )
    slices = tuple(fresh_slice(name, ordinal=place) for place, name in enumerate(names))
    decision = step(run, observed(PLANNED, slices, live_jobs=live_elsewhere), max_jobs=max_jobs)
    assert decision.actions == tuple(CreateJob("group", name) for name in names[:created])
    assert decision.watch is (created == 0)


@pytest.mark.parametrize(
    ("seen", "actions", "phase", "what"),
    [
        pytest.param(
            observed(OPEN, (NO_SLICE,), live_jobs=8), (), "Preflight", "The preflight waits",
            id="a preflight",
        ),
        pytest.param(
            observed(PLANNED, (US_OPEN, EU_OPEN), live_jobs=8), (), "Planned", "Group us waits",
            id="a group",
        ),
    ],
)  # fmt: skip
def test_a_run_without_room_for_its_next_job_waits_and_says_so(
    seen: Observed, actions: tuple[Action, ...], phase: str, what: str
) -> None:
    decision = step(RUN, seen)
    assert decision.actions == actions
    assert decision.watch, "no event tells of the end of another run's Job"
    assert decision.status is not None
    assert decision.status["phase"] == phase
    assert condition(decision.status, "Reconciling") == ("True", "WaitingForJobs")
    assert decision.status["message"].startswith(f"{what} for room: 8 Jobs are unfinished")


def test_a_run_that_begins_without_room_is_opened_and_makes_no_job() -> None:
    assert step(RUN, observed(None, live_jobs=8)).actions == (OpenExecution(),)


def test_groups_without_planned_items_get_no_job() -> None:
    nothing = Slice("group", "us", counts=Counts(discovered=5, skipped=5))
    decision = step(RUN, observed(PLANNED, (nothing, EU_OPEN)))
    assert decision.actions == (CreateJob("group", "european"),)
    assert decision.status is not None
    [us, _] = decision.status["groups"]
    assert (us["state"], us["reason"]) == ("Skipped", "NothingDue")
    assert "job" not in us
    assert decision.status["groupsSummary"] == "1/2 done"


@pytest.mark.parametrize(
    ("seen", "outcome", "message"),
    [
        pytest.param(
            observed(OPEN, (replace(PREFLIGHT, reason="TokenRefused", message="401: no"),)),
            Outcome("failed", Reason.TOKEN_REFUSED), "401: no", id="the token is refused",
        ),
        pytest.param(
            observed(OPEN, (replace(PREFLIGHT, reason="EndpointNotInPlan", message="no lists"),)),
            Outcome("failed", Reason.ENDPOINT_NOT_IN_PLAN), "no lists", id="not in the plan",
        ),
        pytest.param(
            observed(
                OPEN,
                (
                    replace(
                        PREFLIGHT,
                        reason="InvalidSpec",
                        message="spec.groups: exchange 'XX' is not one that the vendor lists",
                    ),
                ),
            ),
            Outcome("failed", Reason.INVALID_SPEC),
            "spec.groups: exchange 'XX' is not one that the vendor lists",
            id="an exchange that the vendor does not know",
        ),
        pytest.param(
            observed(OPEN, (PREFLIGHT,), (replace(PREFLIGHT_JOB, exit_code=10, **FAILED),)),
            Outcome("failed", Reason.TOKEN_REFUSED),
            "the preflight's Job", id="its exit code says so where its row does not",
        ),
        pytest.param(
            observed(
                OPEN, (PREFLIGHT,),
                (replace(PREFLIGHT_JOB, exit_code=2, pod_message=NOT_SET, **FAILED),),
            ),
            Outcome("failed", Reason.PREFLIGHT_FAILED),
            "exit code 2: EODHD_BASE_URL is not set", id="a wrong setting",
        ),
        pytest.param(
            observed(OPEN, (PREFLIGHT,)), Outcome("failed", Reason.PREFLIGHT_FAILED),
            "the preflight's Job was deleted", id="its Job was deleted, and is not made again",
        ),
        pytest.param(
            observed(OPEN, (PREFLIGHT,), (replace(PREFLIGHT_JOB, **ENDED),)),
            Outcome("failed", Reason.PREFLIGHT_FAILED),
            "without reporting the end", id="it ended without a word",
        ),
    ],
)  # fmt: skip
def test_a_preflight_that_ends_the_run(seen: Observed, outcome: Outcome, message: str) -> None:
    [action] = step(RUN, seen).actions
    assert isinstance(action, CloseExecution)
    assert action.outcome == outcome
    assert message in action.message


def test_as_of_in_the_future_is_closed_as_invalid_without_any_job() -> None:
    run = started(collection_run({"asOf": "2026-12-24"}))
    decision = step(run, observed(None))
    assert decision.actions == (
        OpenExecution(),
        CloseExecution(
            Outcome("failed", Reason.INVALID_SPEC),
            "spec.asOf: 2026-12-24 is in the future; it must be 2026-11-24 or earlier",
        ),
    )
    # Died between the two.
    [action] = step(run, observed(OPEN, (NO_SLICE,))).actions
    assert action == decision.actions[1]


def test_a_run_behind_another_waits_and_names_it() -> None:
    first = collection_run(name="first", uid="first", created="2026-11-24T22:00:00Z")
    decision = step(collection_run(), observed(None), others=[first, collection_run()])
    assert decision == Decision(status=decision.status)
    assert decision.status is not None
    assert decision.status["phase"] == "Pending"
    assert condition(decision.status, "Reconciling") == ("True", "WaitingForRun")
    assert "CollectionRun first" in decision.status["message"]
    assert "startTime" not in decision.status


WAITING = replace(
    US_OPEN,
    started_at=NOW,
    waiting_reason="VendorUnreachable",
    waiting_since=NOW - timedelta(minutes=3),
)


@pytest.mark.parametrize(
    ("slices", "jobs", "reason", "said"),
    [
        pytest.param(
            (WAITING,), (job(),), "VendorUnreachable", "since 2026-11-24T22:12:00Z",
            id="the vendor does not answer a group",
        ),
        pytest.param(
            (replace(US_OPEN, started_at=NOW),),
            (job(pod_waiting='its pod cannot start: secret "data-api-secrets" not found'),),
            "PodNotStarting", "data-api-secrets", id="a Secret is missing",
        ),
    ],
)  # fmt: skip
def test_what_a_group_waits_for(
    slices: tuple[Slice, ...], jobs: tuple[Any, ...], reason: str, said: str
) -> None:
    run = started(collection_run({"groups": [{"name": "us", "exchanges": ["US"]}]}))
    status = step(run, observed(PLANNED, slices, jobs)).status
    assert status is not None
    assert condition(status, "Reconciling") == ("True", reason)
    assert said in status["message"]
    assert status["groups"][0]["reason"] == reason


def test_a_preflight_that_waits_for_the_vendor_says_so() -> None:
    seen = replace(
        PREFLIGHT, waiting_reason="VendorUnreachable", waiting_since=NOW - timedelta(minutes=1)
    )
    status = step(RUN, observed(OPEN, (seen,), (PREFLIGHT_JOB,))).status
    assert status is not None
    assert condition(status, "Reconciling") == ("True", "VendorUnreachable")
    assert "2026-11-24T22:14:00Z" in status["message"]


ONE_GROUP = started(collection_run({"groups": [{"name": "us", "exchanges": ["US"]}]}))


@pytest.mark.parametrize(
    ("found", "the_job", "state", "reason", "said"),
    [
        pytest.param(
            done_slice(), job(**ENDED), "Succeeded", None, None, id="everything succeeded"
        ),
        pytest.param(
            done_slice(failed=1), job(**ENDED), "Succeeded", None, "1 of 11 assets failed",
            id="a few failed",
        ),
        pytest.param(
            done_slice(failed=5), job(**ENDED), "Partial", "PartiallyFailed",
            "5 of 15 assets failed", id="many failed",
        ),
        pytest.param(
            done_slice(succeeded=0, failed=5), job(**ENDED), "Failed", "AllFailed",
            "5 of 5 assets failed", id="all failed",
        ),
        pytest.param(
            done_slice(deferred=3), job(**ENDED), "Succeeded", "DailyLimitReached",
            "3 items deferred", id="some deferred",
        ),
        pytest.param(
            done_slice(still_open=4, finished_at=None),
            job(exit_code=137, **FAILED), "Partial", "JobFailed",
            "Its Job daily-us-1 failed (BackoffLimitExceeded) with exit code 137",
            id="killed too often",
        ),
        pytest.param(
            done_slice(succeeded=0, still_open=4, finished_at=None),
            job(state=JobState.FAILED, reason="DeadlineExceeded"), "Failed", "JobFailed",
            "Its Job daily-us-1 failed (DeadlineExceeded)", id="too late, its pod is gone",
        ),
        pytest.param(
            done_slice(
                still_open=4, finished_at=None, waiting_reason="VendorUnreachable",
                waiting_since=NOW,
            ),
            job(exit_code=143, state=JobState.FAILED, reason="DeadlineExceeded"), "Partial",
            "VendorUnreachable", "while the vendor did not answer since 2026-11-24T22:15:00Z",
            id="too late, as the vendor did not answer",
        ),
        pytest.param(
            done_slice(
                still_open=4, reason="EndpointNotInPlan",
                message="the vendor's plan does not include 'fundamentals' (403)",
            ),
            job(exit_code=11, **FAILED), "Partial", "EndpointNotInPlan",
            "leave fundamentals out of spec.operations", id="no fundamentals in the plan",
        ),
        pytest.param(
            done_slice(succeeded=0, still_open=4, finished_at=None),
            job(exit_code=21, **FAILED), "Failed", "DatabaseUnreachable", "exit code 21",
            id="Postgres stayed away",
        ),
        pytest.param(
            done_slice(still_open=4, finished_at=None), None, "Partial", "JobDeleted",
            "Its Job was deleted before its work was done", id="deleted by hand",
        ),
        pytest.param(
            done_slice(still_open=4, finished_at=None), job(**ENDED), "Partial",
            "GroupNotFinished", "without reporting", id="ended without a word",
        ),
        pytest.param(done_slice(), None, "Succeeded", None, None, id="done, and its Job is gone"),
        pytest.param(
            done_slice(still_open=4, reason="TokenRefused", message="the token was refused"),
            job(exit_code=10, **FAILED), "Partial", "TokenRefused", "The token was refused",
            id="the token was withdrawn meanwhile",
        ),
    ],
)  # fmt: skip
def test_how_a_group_ended(
    found: Slice, the_job: Any, state: str, reason: str | None, said: str | None
) -> None:
    decision = step(ONE_GROUP, observed(PLANNED, (found,), (the_job,) if the_job else ()))
    assert decision.status is not None
    [group] = decision.status["groups"]
    assert (group["state"], group.get("reason")) == (state, reason)
    assert said in group["message"] if said else "message" not in group
    assert group["job"] == "daily-us-1"
    assert group["attempt"] == 1
    assert not any(isinstance(action, CreateJob) for action in decision.actions)
    [action] = decision.actions
    assert isinstance(action, FailOpenItems if found.items_open else CloseExecution)


def test_a_refused_token_keeps_other_groups_from_starting() -> None:
    refused = done_slice(
        succeeded=0, still_open=3, reason="TokenRefused", message="the token was refused"
    )
    seen = observed(PLANNED, (refused, EU_OPEN), (job(exit_code=10, **FAILED),))
    [action] = step(RUN, seen).actions
    assert isinstance(action, FailOpenItems)
    assert dict(action.messages) == {
        "us": "its group ended before it was done: the token was refused",
        "european": "its group was not started, because the run could not go on (TokenRefused)",
    }
    us, european = (
        replace(each, items_open=0, counts=Counts(3, 3, 0, 3, 0, 0)) for each in (refused, EU_OPEN)
    )
    [action] = step(RUN, observed(PLANNED, (us, european), seen.jobs)).actions
    assert isinstance(action, CloseExecution)
    assert action.outcome == Outcome("failed", Reason.TOKEN_REFUSED)
    closed = replace(
        PLANNED, status="failed", reason="TokenRefused", message=action.message, completed_at=NOW
    )
    status = step(RUN, observed(closed, (us, european), seen.jobs)).status
    assert status is not None
    assert [group["state"] for group in status["groups"]] == ["Failed", "Failed"]


def test_what_is_still_at_work_is_waited_for_when_the_token_is_refused() -> None:
    refused = done_slice(succeeded=0, still_open=3, reason="TokenRefused")
    running = job("daily-european-1", group="european")
    seen = observed(
        PLANNED, (refused, replace(EU_OPEN, started_at=NOW)), (job(exit_code=10, **FAILED), running)
    )
    decision = step(RUN, seen)
    assert decision.actions == ()
    assert decision.watch


def closed(status: str, reason: str, **more: Any) -> Execution:
    return Execution(
        status, NOW, planned_at=NOW, completed_at=NOW + timedelta(seconds=192), reason=reason,
        message="what happened", **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "execution", "child", "phase", "conditions"),
    [
        pytest.param(
            {}, closed("success", "Completed"), "daily", "Succeeded",
            {
                "Succeeded": ("True", "Completed"), "Failed": ("False", "Completed"),
                "Reconciling": ("False", "Completed"), "Stalled": ("False", "Completed"),
                "Collected": ("True", "Completed"), "IndicatorsTriggered": ("True", "Created"),
            },
            id="success",
        ),
        pytest.param(
            {}, closed("partial", "PartiallyFailed"), "daily", "Partial",
            {
                "Succeeded": ("False", "PartiallyFailed"), "Failed": ("True", "PartiallyFailed"),
                "Reconciling": ("False", "PartiallyFailed"),
                "Stalled": ("False", "PartiallyFailed"),
                "Collected": ("False", "PartiallyFailed"),
                "IndicatorsTriggered": ("True", "Created"),
            },
            id="partial, and its IndicatorRun follows all the same",
        ),
        pytest.param(
            {}, closed("failed", "AllFailed"), None, "Failed",
            {
                "Succeeded": ("False", "AllFailed"), "Failed": ("True", "AllFailed"),
                "Reconciling": ("False", "AllFailed"), "Stalled": ("True", "AllFailed"),
                "Collected": ("False", "AllFailed"),
                "IndicatorsTriggered": ("False", "RunFailed"),
            },
            id="failed",
        ),
        pytest.param(
            {"indicators": False}, closed("success", "NothingDue"), None, "Succeeded",
            {
                "Succeeded": ("True", "NothingDue"), "Collected": ("True", "NothingDue"),
                "IndicatorsTriggered": ("False", "NotRequested"),
            },
            id="nothing due and no indicators wanted",
        ),
        pytest.param(
            {"dryRun": True}, closed("success", "DryRun"), None, "Succeeded",
            {
                "Succeeded": ("True", "DryRun"), "Collected": ("False", "DryRun"),
                "IndicatorsTriggered": ("False", "NotRequested"),
            },
            id="a dry run",
        ),
    ],
)  # fmt: skip
def test_the_end(
    spec: dict[str, Any],
    execution: Execution,
    child: str | None,
    phase: str,
    conditions: dict[str, tuple[str, str]],
) -> None:
    run = started(collection_run(spec))
    slices = (done_slice("us"), done_slice("european"))
    decision = step(run, observed(execution, slices, child=child))
    assert decision == Decision(status=decision.status)
    status = decision.status
    assert status is not None
    assert status["phase"] == phase
    assert {type_: condition(status, type_) for type_ in conditions} == conditions
    assert status["completionTime"] == "2026-11-24T22:18:12Z"
    assert status["duration"] == "3m12s"
    assert status.get("indicatorRun") == child
    assert status["message"].startswith("What happened")


def test_the_indicator_run_is_created_before_the_end_is_told() -> None:
    decision = step(RUN, observed(closed("success", "Completed"), (done_slice("us"),)))
    assert decision.actions == (CreateIndicatorRun(),)
    assert decision.again
    assert decision.status is not None
    assert decision.status["phase"] == "Finishing"
    assert "completionTime" not in decision.status


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(started(collection_run(), completionTime="2026-11-24T22:20:00Z"), id="ended"),
        pytest.param(collection_run(deleting=True), id="being deleted"),
    ],
)
def test_runs_that_are_left_alone(run: CollectionRun) -> None:
    assert step(run, observed(PLANNED, (US_OPEN,))) == Decision()


@pytest.mark.parametrize(
    ("found", "quota"),
    [
        pytest.param(done_slice(), ("True", "CallsLeft"), id="the calls sufficed"),
        pytest.param(done_slice(deferred=2), ("False", "DailyLimitReached"), id="the day is spent"),
        pytest.param(
            done_slice(reason="DailyLimitReached"), ("False", "DailyLimitReached"), id="402"
        ),
        pytest.param(
            done_slice(deferred_by_run=2), ("False", "RunLimitReached"), id="maxCalls is reached"
        ),
    ],
)
def test_quota_available(found: Slice, quota: tuple[str, str]) -> None:
    status = step(ONE_GROUP, observed(PLANNED, (found,), (job(**ENDED),))).status
    assert status is not None
    assert condition(status, "QuotaAvailable") == quota


@pytest.mark.parametrize(
    ("preflight", "discovered", "reason", "said"),
    [
        pytest.param(
            {"reason": "DailyLimitReached"}, 0, Reason.DAILY_LIMIT_REACHED,
            "the calls of the day are spent, so that nothing could be planned: it is not known yet"
            " which assets there are; run it again after 00:00 GMT",
            id="the day is spent on a fresh database",
        ),
        pytest.param(
            {"reason": "RunLimitReached"}, 7,
            Reason.RUN_LIMIT_REACHED,
            "spec.quota.maxCalls does not reach for the preflight, so that nothing could be"
            " planned: the 7 assets known so far are up to date; run it again with a larger one",
            id="maxCalls does not reach for the preflight",
        ),
        pytest.param(
            {}, 0, Reason.NOTHING_DUE, "no assets were found for this spec", id="no assets at all",
        ),
    ],
)  # fmt: skip
def test_with_nothing_planned_for_want_of_calls_it_is_not_said_that_nothing_is_due(
    preflight: dict[str, Any], discovered: int, reason: Reason, said: str
) -> None:
    nothing = Slice("group", "us", counts=Counts(discovered=discovered, skipped=discovered))
    seen = observed(PLANNED, (replace(PREFLIGHT_DONE, **preflight), nothing))
    decision = step(ONE_GROUP, seen)
    assert decision.actions == (CloseExecution(Outcome("success", reason), said),)
    assert decision.status is not None
    expected = ("True", "CallsLeft") if reason is Reason.NOTHING_DUE else ("False", str(reason))
    assert condition(decision.status, "QuotaAvailable") == expected


def test_calls_that_the_run_must_keep_are_said_to_be_kept() -> None:
    seen = observed(
        PLANNED, (done_slice(deferred=2),), (job(**ENDED),), keep_calls=50, calls_remaining_today=50
    )
    status = step(ONE_GROUP, seen).status
    assert status is not None
    [quota] = [each for each in status["conditions"] if each["type"] == "QuotaAvailable"]
    assert quota["message"].startswith("spec.quota.keepCalls, 50, leaves too few calls of the day")


def test_a_run_of_which_all_was_deferred_is_a_success_that_says_so() -> None:
    deferred = Slice("group", "us", counts=Counts(discovered=9, deferred=9), deferred_by_day=9)
    decision = step(ONE_GROUP, observed(PLANNED, (deferred,)))
    [action] = decision.actions
    assert isinstance(action, CloseExecution)
    assert action.outcome == Outcome("success", Reason.COMPLETED)
    assert "9 deferred" in action.message
    assert "next run" in action.message
    assert decision.status is not None
    assert condition(decision.status, "QuotaAvailable") == ("False", "DailyLimitReached")


def test_a_dry_run_shows_the_plan_and_skips_everything() -> None:
    run = started(collection_run({"groups": [{"name": "us", "exchanges": ["US"]}], "dryRun": True}))
    shown = replace(
        done_slice(), items_planned=0, counts=Counts(10, 0, 0, 0, 10, 0), started_at=None
    )
    decision = step(run, observed(PLANNED, (shown,), calls_planned=10))
    [action] = decision.actions
    assert isinstance(action, CloseExecution)
    assert action.outcome == Outcome("success", Reason.DRY_RUN)
    assert decision.status is not None
    [group] = decision.status["groups"]
    assert group["state"] == "Skipped"
    assert group["plan"] == [
        {
            "exchange": "US",
            "operation": "prices_bulk",
            "way": "asset",
            "from": "2024-11-24",
            "to": "2026-11-23",
            "assets": 10,
            "requests": 10,
            "calls": 10,
            "deferred": 0,
        }
    ]


def test_numbers_in_status() -> None:
    slices = (done_slice("us", failed=2, deferred=1), replace(EU_OPEN, started_at=NOW))
    jobs = (job(**ENDED), job("daily-european-1", group="european"))
    status = step(
        RUN,
        observed(PLANNED, slices, jobs, calls_planned=40, calls_used=17, calls_remaining_today=83),
    ).status
    assert status is not None
    assert status["counts"] == {
        "discovered": 23,
        "planned": 22,
        "succeeded": 10,
        "failed": 2,
        "skipped": 0,
        "deferred": 1,
    }
    assert status["calls"] == {"planned": 40, "used": 17, "remainingToday": 83}
    assert status["progress"] == "12/22"
    assert status["groupsSummary"] == "1/2 done"
    assert status["message"] == "12 of 22 items done; at work: european"


def test_notes_are_part_of_the_message_which_never_exceeds_its_limit() -> None:
    note = "the vendor's plan does not include symbol lists; the named symbols are used"
    found = done_slice(notes=(note,))
    status = step(ONE_GROUP, observed(PLANNED, (found,), (job(**ENDED),))).status
    assert status is not None
    assert note in status["message"]
    many = done_slice(notes=tuple(f"{number}: {note}" for number in range(20)))
    status = step(ONE_GROUP, observed(PLANNED, (many,), (job(**ENDED),))).status
    assert status is not None
    assert len(status["message"]) == 512
    assert status["message"].endswith("…")


def test_a_second_look_at_the_same_facts_changes_nothing() -> None:
    seen = observed(PLANNED, (replace(US_OPEN, started_at=NOW),), (job(),))
    first = step(ONE_GROUP, seen).status
    assert first is not None
    again = reconcile(
        replace(ONE_GROUP, meta=replace(ONE_GROUP.meta, status=first)),
        others=[],
        observed=seen,
        now=NOW + timedelta(hours=1),
        max_jobs=8,
    )
    assert again.status == first


def test_groups_of_a_run_that_ended_in_its_preflight_are_not_done() -> None:
    closed = Execution("failed", NOW, completed_at=NOW, reason="TokenRefused", message="401")
    status = step(RUN, observed(closed, (PREFLIGHT,))).status
    assert status is not None
    assert [each["state"] for each in status["groups"]] == ["Skipped", "Skipped"]
    assert status["groupsSummary"] == "0/2 done"
