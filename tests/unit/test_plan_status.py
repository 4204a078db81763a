"""What a run's status says of its plan: groups without items, for want of calls, days to come."""

import pytest
from operator_world import NOW, PLANNED, PREFLIGHT_DONE, collection_run, observed, started

from screener_operator.actions import CreateJob
from screener_operator.facts import Counts, Execution, Facts, ScheduleDay, Slice
from screener_operator.reasons import Reason
from screener_operator.reconcile_collection import reconcile
from screener_operator.status import end_sentence, view_slice

IDLE = Slice("group", "us", counts=Counts(discovered=3, skipped=3))


def test_a_group_with_requests_but_no_items_gets_its_job() -> None:
    run = started(collection_run({"groups": [{"name": "us", "exchanges": ["US"]}]}))
    only_reference = Slice("group", "us", counts=IDLE.counts, requests_planned=2, requests_open=2)
    decision = reconcile(
        run,
        others=(),
        observed=observed(PLANNED, (PREFLIGHT_DONE, only_reference)),
        now=NOW,
        max_jobs=8,
    )
    assert decision.actions == (CreateJob("group", "us"),)


@pytest.mark.parametrize(
    ("why", "message"),
    [
        (Reason.NOTHING_DUE, "nothing to be done here"),
        (Reason.DRY_RUN, "planned only; see its plan"),
        (
            Reason.DAILY_LIMIT_REACHED,
            "nothing could be planned here for want of calls of the day",
        ),
        (
            Reason.RUN_LIMIT_REACHED,
            "nothing could be planned here, for spec.quota.maxCalls is reached",
        ),
    ],
)
def test_a_group_with_nothing_planned_says_why(why: Reason, message: str) -> None:
    view = view_slice(IDLE, None, nothing_planned=why)
    assert (view.state, view.reason, view.message) == ("Skipped", why, message)


DAYS = tuple(
    ScheduleDay(f"2026-11-{day}", 0, 0, calls, calls) for day, calls in ((24, 90), (25, 10))
)


def test_the_days_to_come_are_told() -> None:
    facts = Facts(
        execution=Execution("running", NOW, planned_at=NOW, schedule=DAYS),
        slices=(Slice("group", "us", counts=Counts(2, 1, 1, 0, 0, 1)),),
    )
    assert end_sentence(facts, Reason.COMPLETED) == (
        "2 assets: 1 succeeded, 1 deferred; what is deferred is due again in the next run, the last"
        " of it on 2026-11-25"
    )
    run = started(collection_run({"groups": [{"name": "us", "exchanges": ["US"]}]}))
    decision = reconcile(
        run,
        others=(),
        observed=observed(facts.execution, (PREFLIGHT_DONE, IDLE)),
        now=NOW,
        max_jobs=8,
    )
    assert decision.status is not None
    assert decision.status["schedule"] == [
        {"day": "2026-11-24", "prices": 0, "actions": 0, "fundamentals": 90, "calls": 90},
        {"day": "2026-11-25", "prices": 0, "actions": 0, "fundamentals": 10, "calls": 10},
    ]
