"""One step of an IndicatorRun: for each thing that may be observed, what is done and what the
status says.
"""

from dataclasses import replace
from typing import Any

import pytest
from operator_world import (
    NOW,
    OPEN,
    PLANNED,
    condition,
    done_slice,
    indicator_run,
    job,
    observed,
)

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
from screener_operator.facts import Counts, Execution, JobState, Observed, Slice
from screener_operator.outcome import Outcome
from screener_operator.reasons import Reason
from screener_operator.reconcile_indicator import reconcile
from screener_operator.reconciler import WATCH_SECONDS
from screener_operator.resources import IndicatorRun

RUN = indicator_run(status={"startTime": "2026-11-24T22:15:00Z"})
SLICE = done_slice("indicators", kind="indicators", verified=True, plan=())
TO_DO = done_slice(
    "indicators", kind="indicators", succeeded=0, still_open=5, started_at=None, finished_at=None
)
AT_WORK = job("daily-indicators-1", "indicators", "indicators")
ENDED = replace(AT_WORK, state=JobState.COMPLETE, exit_code=0)


def step(run: IndicatorRun, seen: Observed) -> Decision:
    return reconcile(run, others=[run], observed=seen, now=NOW, max_jobs=8)


@pytest.mark.parametrize(
    ("run", "seen", "actions", "phase", "reason"),
    [
        pytest.param(
            indicator_run(), observed(None), (), "Pending", "Starting",
            id="a new run gets its startTime",
        ),
        pytest.param(RUN, observed(None), (OpenExecution(),), "Pending", "Starting", id="opened"),
        pytest.param(RUN, observed(OPEN), (MakePlan(),), "Pending", "Starting", id="planned"),
        pytest.param(
            RUN, observed(PLANNED, (TO_DO,)), (CreateJob("indicators", "indicators"),),
            "Planned", "Planned", id="its Job is made",
        ),
        pytest.param(
            RUN, observed(PLANNED, (TO_DO,), live_jobs=8), (), "Planned", "WaitingForJobs",
            id="or waits for room",
        ),
        pytest.param(
            RUN, observed(PLANNED, (TO_DO,), (AT_WORK,)),
            (MarkStarted("indicators", "indicators"),), "Running", "Computing", id="and recorded",
        ),
        pytest.param(
            RUN, observed(PLANNED, (replace(TO_DO, started_at=NOW),), (AT_WORK,)), (),
            "Running", "Computing", id="and waited for",
        ),
        pytest.param(
            RUN, observed(PLANNED, (replace(TO_DO, started_at=NOW),)),
            (
                FailOpenItems(
                    (
                        (
                            "indicators",
                            "its Job ended before it was done:"
                            " its Job was deleted before its work was done",
                        ),
                    )
                ),
            ),
            "Finishing", "Finishing", id="what is open fails when its Job is gone",
        ),
        pytest.param(
            RUN, observed(PLANNED, (SLICE,), (ENDED,)),
            (CloseExecution(Outcome("success", Reason.COMPLETED), "10 assets: 10 succeeded"),),
            "Finishing", "Finishing", id="closed",
        ),
        pytest.param(
            RUN,
            observed(PLANNED, (Slice("indicators", "indicators", counts=Counts(4, skipped=4)),)),
            (
                CloseExecution(
                    Outcome("success", Reason.NOTHING_DUE), "all 4 assets are up to date"
                ),
            ),
            "Finishing", "Finishing", id="closed without a Job where nothing is due",
        ),
        pytest.param(
            RUN,
            observed(
                PLANNED,
                (replace(SLICE, verified=False, message="AAPL.US: sma_50 differs"),),
                (replace(ENDED, state=JobState.FAILED, exit_code=13),),
            ),
            (
                CloseExecution(
                    Outcome("failed", Reason.NOT_VERIFIED),
                    "10 assets: 10 succeeded; AAPL.US: sma_50 differs",
                ),
            ),
            "Finishing", "Finishing", id="failed when the stored rows differ",
        ),
        pytest.param(
            RUN,
            observed(
                PLANNED,
                (done_slice("indicators", kind="indicators", succeeded=0, failed=5,
                            finished_at=None),),
                (replace(ENDED, state=JobState.FAILED, exit_code=12, reason="PodFailurePolicy",
                         pod_message="spec.extra[0].name: 'X' is no class of ta"),),
            ),
            (
                CloseExecution(
                    Outcome("failed", Reason.INVALID_SPEC),
                    "5 assets: 5 failed; asset_processing_details says why each failed; its Job"
                    " daily-indicators-1 failed (PodFailurePolicy) with exit code 12:"
                    " spec.extra[0].name: 'X' is no class of ta",
                ),
            ),
            "Finishing", "Finishing", id="failed when the spec asks for what ta does not have",
        ),
    ],
)  # fmt: skip
def test_the_next_step(
    run: IndicatorRun, seen: Observed, actions: tuple[Action, ...], phase: str, reason: str
) -> None:
    decision = step(run, seen)
    assert decision.actions == actions
    assert decision.status is not None
    assert decision.status["phase"] == phase
    assert condition(decision.status, "Reconciling") == ("True", reason)
    assert [each["type"] for each in decision.status["conditions"]] == [
        "Succeeded",
        "Failed",
        "Reconciling",
        "Stalled",
        "Computed",
        "Verified",
    ]


@pytest.mark.parametrize(
    ("spec", "unknown", "message"),
    [
        pytest.param(
            {"asOf": "2027-01-01"}, (),
            "spec.asOf: 2027-01-01 is in the future; it must be 2026-11-24 or earlier",
            id="asOf in the future",
        ),
        pytest.param(
            {"history": {"from": "2027-01-01"}}, (),
            "spec.history.from: 2027-01-01 is in the future; it must be 2026-11-24 or earlier",
            id="a history from the future",
        ),
        pytest.param(
            {"exchanges": ["XX"]}, ("XX",),
            "spec.exchanges: exchange 'XX' is not known here; a CollectionRun over it makes it so",
            id="an unknown exchange",
        ),
    ],
)  # fmt: skip
def test_invalid_specs(spec: dict[str, Any], unknown: tuple[str, ...], message: str) -> None:
    run = indicator_run(spec, status={"startTime": "2026-11-24T22:15:00Z"})
    [action] = step(run, observed(OPEN, unknown_exchanges=unknown)).actions
    assert action == CloseExecution(Outcome("failed", Reason.INVALID_SPEC), message)


@pytest.mark.parametrize(
    ("status", "reason", "found", "phase", "computed", "verified"),
    [
        pytest.param(
            "success", "Completed", SLICE, "Succeeded",
            ("True", "Completed"), ("True", "Verified"), id="success",
        ),
        pytest.param(
            "failed", "NotVerified", replace(SLICE, verified=False), "Failed",
            ("True", "NotVerified"), ("False", "NotVerified"), id="computed but not verified",
        ),
        pytest.param(
            "success", "NothingDue", Slice("indicators", "indicators"), "Succeeded",
            ("True", "NothingDue"), ("True", "NothingDue"), id="nothing due",
        ),
        pytest.param(
            "failed", "AllFailed", replace(SLICE, verified=None), "Failed",
            ("False", "AllFailed"), ("False", "AllFailed"), id="nothing computed",
        ),
    ],
)  # fmt: skip
def test_the_end(
    status: str,
    reason: str,
    found: Slice,
    phase: str,
    computed: tuple[str, str],
    verified: tuple[str, str],
) -> None:
    execution = Execution(
        status, NOW, planned_at=NOW, completed_at=NOW, reason=reason, message="it ended"
    )
    decision = step(RUN, observed(execution, (found,)))
    assert decision == Decision(status=decision.status)
    assert decision.status is not None
    assert decision.status["phase"] == phase
    assert condition(decision.status, "Computed") == computed
    assert condition(decision.status, "Verified") == verified
    assert "completionTime" in decision.status


def test_the_one_group_is_shown() -> None:
    status = step(RUN, observed(PLANNED, (replace(TO_DO, started_at=NOW),), (AT_WORK,))).status
    assert status is not None
    [group] = status["groups"]
    assert (group["name"], group["state"], group["job"]) == (
        "indicators",
        "Running",
        "daily-indicators-1",
    )


def test_an_indicator_run_waits_behind_an_older_one_of_its_exchanges() -> None:
    older = indicator_run(name="first", uid="first", created="2026-11-24T21:00:00Z")
    status = reconcile(
        indicator_run(), others=[older], observed=observed(None), now=NOW, max_jobs=8
    ).status
    assert status is not None
    assert condition(status, "Reconciling") == ("True", "WaitingForRun")
    assert "IndicatorRun first" in status["message"]


def test_a_run_at_work_is_looked_at_again_soon_and_says_how_far_it_is() -> None:
    shown = []
    for still_open in (5, 3, 0):
        at_work = done_slice(
            "indicators", kind="indicators", succeeded=5 - still_open, still_open=still_open,
            finished_at=None,
        )  # fmt: skip
        decision = step(RUN, observed(PLANNED, (at_work,), (AT_WORK,)))
        assert decision.watch, "no event tells of an item that ended"
        assert decision.status is not None
        shown.append((decision.status["progress"], decision.status["message"]))
    assert shown == [
        ("0/5", "0 of 5 items done; at work: indicators"),
        ("2/5", "2 of 5 items done; at work: indicators"),
        ("5/5", "5 of 5 items done; at work: indicators"),
    ]
    assert WATCH_SECONDS <= 5


def test_what_the_samples_have_shown_is_in_the_status() -> None:
    at_work = replace(TO_DO, started_at=NOW)
    assert "verification" not in (step(RUN, observed(PLANNED, (at_work,), (AT_WORK,))).status or {})
    shown = replace(at_work, verified_rows=4, deviation=7.06e-14)
    status = step(RUN, observed(PLANNED, (shown,), (AT_WORK,))).status
    assert status is not None
    assert status["verification"] == {"rows": 4, "deviation": "7.1e-14"}
