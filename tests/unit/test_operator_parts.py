"""The operator's smaller parts: conditions, outcomes, Events, the queue, health, settings, logs,
templates.
"""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from operator_world import NOW, collection_run, condition, indicator_run

from screener_operator import health
from screener_operator.__main__ import Part
from screener_operator.cluster import job_facts
from screener_operator.conditions import Condition, set_condition, set_conditions
from screener_operator.events import event, transitions
from screener_operator.facts import Counts, JobState
from screener_operator.outcome import Outcome, judge
from screener_operator.reasons import Reason
from screener_operator.schedule import read_template
from screener_operator.settings import Settings
from screener_operator.status import format_duration, only_reconciling
from screener_operator.workqueue import Key, WorkQueue
from screener_sql.errors import BadSetting

LATER = NOW + timedelta(minutes=5)


# Conditions


def test_a_time_moves_only_with_the_status() -> None:
    first = set_condition([], Condition("Planned", None, "NotEnded"), generation=1, now=NOW)
    same = set_condition(first, Condition("Planned", None, "Later", "why"), generation=2, now=LATER)
    turned = set_condition(same, Condition("Planned", True, "Planned"), generation=2, now=LATER)
    assert first == [
        {
            "type": "Planned",
            "status": "Unknown",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-24T22:15:00Z",
            "reason": "NotEnded",
            "message": "",
        }
    ]
    assert same[0]["lastTransitionTime"] == "2026-11-24T22:15:00Z"
    assert (same[0]["reason"], same[0]["observedGeneration"]) == ("Later", 2)
    assert turned[0]["lastTransitionTime"] == "2026-11-24T22:20:00Z"


def test_conditions_keep_their_order_and_those_of_others() -> None:
    wanted = [Condition("A", True, "Yes"), Condition("B", False, "No")]
    existing = [
        {"type": "Theirs", "status": "True", "reason": "x", "lastTransitionTime": "t"},
        {"type": "B", "status": "True", "reason": "x", "lastTransitionTime": "t"},
    ]
    result = set_conditions(existing, wanted, generation=1, now=NOW)
    assert [each["type"] for each in result] == ["A", "B", "Theirs"]
    assert existing[1]["status"] == "True", "the list that came in is left as it was"


def test_a_long_message_is_cut() -> None:
    [found] = set_condition([], Condition("A", True, "Yes", "x" * 5000), generation=1, now=NOW)
    assert len(found["message"]) == 1024


def test_every_reason_is_a_word() -> None:
    for reason in Reason:
        assert reason.isalpha()
        assert reason[0].isupper()


# Outcomes


@pytest.mark.parametrize(
    ("counts", "items", "finished", "outcome"),
    [
        pytest.param(
            Counts(10, 10, 10), 10, True, ("success", "Completed"), id="everything succeeded"
        ),
        pytest.param(
            Counts(10, 10, 9, 1), 9, True, ("success", "Completed"), id="a tenth failed"
        ),
        pytest.param(
            Counts(10, 10, 8, 2), 8, True, ("partial", "PartiallyFailed"), id="more than a tenth"
        ),
        pytest.param(Counts(10, 10, 0, 10), 0, True, ("failed", "AllFailed"), id="all failed"),
        pytest.param(
            Counts(10, 10, 0, 2, 8), 0, True, ("failed", "AllFailed"),
            id="too many failed and the rest had no trade",
        ),
        pytest.param(
            Counts(10, 10, 0, 5, 0, 5), 5, True, ("partial", "PartiallyFailed"),
            id="prices succeeded where fundamentals were deferred",
        ),
        pytest.param(
            Counts(10, 10, 10), 10, False, ("partial", "PartiallyFailed"),
            id="a group did not finish",
        ),
        pytest.param(
            Counts(10, 10, 0, 10), 0, False, ("failed", "AllFailed"),
            id="a group did not finish and nothing succeeded",
        ),
        pytest.param(Counts(10, 0, 0, 0, 10), 0, True, ("success", "NothingDue"), id="up to date"),
        pytest.param(Counts(), 0, True, ("success", "NothingDue"), id="no assets at all"),
        pytest.param(
            Counts(10, 0, 0, 0, 0, 10), 0, True, ("success", "Completed"), id="all deferred"
        ),
        pytest.param(
            Counts(10, 10, 0, 0, 10), 0, True, ("success", "Completed"), id="nothing traded"
        ),
    ],
)  # fmt: skip
def test_outcomes(counts: Counts, items: int, finished: bool, outcome: tuple[str, str]) -> None:
    judged = judge(counts, items_succeeded=items, finished=finished)
    assert (judged.status, judged.reason) == outcome


def test_what_stops_a_run_outweighs_what_succeeded() -> None:
    judged = judge(
        Counts(10, 10, 10), items_succeeded=10, finished=True, fatal=Reason.TOKEN_REFUSED
    )
    assert judged == Outcome("failed", Reason.TOKEN_REFUSED)


def test_a_dry_run_is_told_from_nothing_due() -> None:
    judged = judge(Counts(10, 0, 0, 0, 10), items_succeeded=0, finished=True, dry_run=True)
    assert judged == Outcome("success", Reason.DRY_RUN)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0, "0s", id="at once"),
        pytest.param(59.4, "59s", id="seconds"),
        pytest.param(192, "3m12s", id="minutes"),
        pytest.param(7384, "2h3m", id="hours"),
        pytest.param(-5, "0s", id="a clock that went back"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


# Waiting for Postgres or the lock


MESSAGE = "Postgres cannot be reached, since {since}; the run goes on by itself"


@pytest.mark.parametrize(
    "meta",
    [
        pytest.param(collection_run().meta, id="CollectionRun"),
        pytest.param(indicator_run().meta, id="IndicatorRun"),
    ],
)
def test_a_new_run_that_waits_has_all_conditions(meta: Any) -> None:
    status = only_reconciling(meta, reason=Reason.DATABASE_UNREACHABLE, message=MESSAGE, now=NOW)
    assert status["phase"] == "Pending"
    assert condition(status, "Reconciling") == ("True", "DatabaseUnreachable")
    assert condition(status, "Succeeded")[0] == "Unknown"
    assert "since 2026-11-24T22:15:00Z" in status["message"]
    assert "startTime" not in status


def test_of_a_run_under_way_only_that_condition_changes_and_the_wait_keeps_its_beginning() -> None:
    before = {
        "phase": "Running",
        "message": "412 of 926 items done",
        "conditions": set_conditions(
            [],
            [Condition("Succeeded", None, "Collecting"), Condition("Reconciling", True, "x")],
            generation=3,
            now=NOW,
        ),
    }
    first = only_reconciling(
        collection_run(status=before).meta,
        reason=Reason.DATABASE_UNREACHABLE,
        message=MESSAGE,
        now=NOW,
    )
    assert {**first, "conditions": []} == {**before, "observedGeneration": 3, "conditions": []}
    assert first["conditions"][0] == before["conditions"][0]
    second = only_reconciling(
        collection_run(status=first).meta,
        reason=Reason.DATABASE_UNREACHABLE,
        message=MESSAGE,
        now=LATER,
    )
    assert second == first
    other = only_reconciling(
        collection_run(status=first).meta,
        reason=Reason.WAITING_FOR_LOCK,
        message=MESSAGE,
        now=LATER,
    )
    assert "since 2026-11-24T22:20:00Z" in other["conditions"][1]["message"]


# Events


def status_with(**more: Any) -> dict[str, Any]:
    conditions = set_conditions(
        [],
        [
            Condition("Reconciling", True, more.pop("reason", "Collecting"), "m"),
            Condition("Planned", more.pop("planned", None), "Planned", "40 items planned"),
            Condition("QuotaAvailable", more.pop("quota", None), "DailyLimitReached", "spent"),
        ],
        generation=1,
        now=NOW,
    )
    return {"phase": "Running", "message": "how it is", "conditions": conditions, **more}


def group(state: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "us", "state": state, **({"job": "daily-us-1"} if more else {}), **more}]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param({}, status_with(startTime="t"), [("Started", False)], id="started"),
        pytest.param(
            status_with(), status_with(reason="WaitingForRun"), [("WaitingForRun", True)],
            id="waits",
        ),
        pytest.param(
            status_with(reason="VendorUnreachable"), status_with(reason="VendorUnreachable"), [],
            id="still waits",
        ),
        pytest.param(status_with(), status_with(planned=True), [("Planned", False)], id="planned"),
        pytest.param(
            status_with(), status_with(quota=False), [("DailyLimitReached", True)],
            id="the day is spent",
        ),
        pytest.param(
            status_with(groups=group("Waiting")), status_with(groups=group("Running", attempt=1)),
            [("GroupStarted", False)], id="a group's Job was made",
        ),
        pytest.param(
            status_with(groups=group("Running", attempt=1)),
            status_with(groups=group("Partial", attempt=1)), [("GroupPartial", True)],
            id="a group has ended",
        ),
        pytest.param(
            status_with(groups=group("Waiting")), status_with(groups=group("Failed")), [],
            id="a group that never had a Job is told of by the run's end",
        ),
        pytest.param(
            status_with(), status_with(completionTime="t", phase="Partial"), [("Partial", True)],
            id="ended",
        ),
        pytest.param(status_with(), status_with(progress="5/9"), [], id="mere progress"),
    ],
)  # fmt: skip
def test_transitions(
    before: Mapping[str, Any], after: Mapping[str, Any], told: list[tuple[str, bool]]
) -> None:
    found = transitions(before, after)
    assert [(each.reason, each.warning) for each in found] == told


def test_an_event_has_the_same_name_when_told_again() -> None:
    [started] = transitions({}, status_with(startTime="t"))
    meta = collection_run(name="d" * 253).meta
    first, again = (event(meta, started, moment, "pod") for moment in (NOW, LATER))
    assert first["metadata"] == again["metadata"]
    assert len(first["metadata"]["name"]) <= 253
    assert first["regarding"]["uid"] == meta.uid
    assert first["eventTime"] == "2026-11-24T22:15:00.000000Z"
    other = event(collection_run(uid="other").meta, started, NOW, "pod")
    assert (
        other["metadata"]["name"]
        != event(collection_run().meta, started, NOW, "pod")["metadata"]["name"]
    )


# Jobs as observed


def a_job(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "daily-us-1",
            "uid": "job-uid",
            "creationTimestamp": "2026-11-24T22:15:00Z",
            "labels": {"financial-screener.io/kind": "group", "financial-screener.io/group": "us"},
        },
        "status": status,
    }


def ended(type_: str, reason: str = "") -> dict[str, Any]:
    return {
        "type": type_,
        "status": "True",
        "reason": reason,
        "lastTransitionTime": "2026-11-24T22:16:00Z",
    }


def a_pod(state: dict[str, Any], owner: str = "job-uid") -> dict[str, Any]:
    return {
        "metadata": {
            "creationTimestamp": "2026-11-24T22:15:00Z",
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "status": {"containerStatuses": [{"state": state}]},
    }


def exited(code: int, at: str, message: str = "") -> dict[str, Any]:
    return a_pod({"terminated": {"exitCode": code, "finishedAt": at, "message": message}})


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param({}, JobState.ACTIVE, id="just made"),
        pytest.param({"failed": 3, "active": 1}, JobState.ACTIVE, id="pods that failed end no Job"),
        pytest.param(
            {"conditions": [ended("FailureTarget")]}, JobState.ACTIVE, id="nor that it will fail"
        ),
        pytest.param(
            {"conditions": [ended("SuccessCriteriaMet"), ended("Complete")]}, JobState.COMPLETE,
            id="complete",
        ),
        pytest.param(
            {"conditions": [ended("FailureTarget"), ended("Failed", "PodFailurePolicy")]},
            JobState.FAILED, id="failed",
        ),
        pytest.param(
            {"conditions": [{**ended("Failed"), "status": "False"}]}, JobState.ACTIVE,
            id="a condition that does not hold",
        ),
    ],
)  # fmt: skip
def test_only_complete_and_failed_end_a_job(status: dict[str, Any], state: JobState) -> None:
    assert job_facts(a_job(**status), [], NOW).state is state


def test_the_last_pod_tells_how_a_job_failed() -> None:
    pods = [
        exited(137, "2026-11-24T22:15:30Z"),
        exited(21, "2026-11-24T22:15:50Z", "line 1\nPostgres cannot be reached\n"),
        a_pod({"terminated": {"exitCode": 9, "finishedAt": "2026-11-24T23:00:00Z"}}, "other"),
    ]
    facts = job_facts(a_job(conditions=[ended("Failed", "BackoffLimitExceeded")]), pods, NOW)
    assert (facts.exit_code, facts.pod_message, facts.reason) == (
        21,
        "Postgres cannot be reached",
        "BackoffLimitExceeded",
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param('{"level": "INFO", "message": "chunk stored"}', "chunk stored", id="our log"),
        pytest.param('{"level": "INFO"}', '{"level": "INFO"}', id="no message in it"),
        pytest.param("[1]", "[1]", id="some JSON"),
        pytest.param("Killed", "Killed", id="text"),
    ],
)
def test_a_log_line_of_a_pod_tells_its_message(line: str, said: str) -> None:
    failed = a_job(conditions=[ended("Failed", "BackoffLimitExceeded")])
    pods = [exited(137, "2026-11-24T22:15:50Z", f"before\n{line}")]
    assert job_facts(failed, pods, NOW).pod_message == said


def test_a_pod_that_cannot_start_is_told_of_after_a_while() -> None:
    waiting = a_pod(
        {
            "waiting": {
                "reason": "CreateContainerConfigError",
                "message": 'secret "postgres-secret" not found',
            }
        }
    )
    assert job_facts(a_job(), [waiting], NOW + timedelta(seconds=5)).pod_waiting is None
    said = job_facts(a_job(), [waiting], NOW + timedelta(seconds=20)).pod_waiting
    assert said is not None
    assert 'secret "postgres-secret" not found' in said


# The queue


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


A, B = Key("CollectionRun", "a"), Key("CollectionRun", "b")


def test_a_key_waits_once() -> None:
    queue = WorkQueue()
    for key in (A, B, A):
        queue.add(key)
    assert [queue.get(0), queue.get(0), queue.get(0)] == [A, B, None]


def test_a_key_that_comes_while_in_work_is_handed_out_again_when_done() -> None:
    queue = WorkQueue()
    queue.add(A)
    assert queue.get(0) == A
    queue.add(A)
    assert queue.get(0) is None, "never twice at a time"
    queue.done(A)
    assert queue.get(0) == A
    queue.done(A)
    assert queue.get(0) is None


def test_a_delayed_key_comes_when_due_and_is_served_by_an_earlier_one() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add_after(A, 10)
    queue.add_after(A, 5)
    queue.add_after(B, 7)
    assert queue.get(0) is None
    clock.now = 6
    assert queue.get(0) == A
    queue.done(A)
    queue.add(B)
    assert queue.get(0) == B
    queue.done(B)
    clock.now = 20
    assert queue.get(0) is None


def test_a_stopped_queue_hands_out_nothing() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.stop()
    assert queue.get(60) is None


# Health


def test_alive_only_after_a_look_and_while_looks_are_recent() -> None:
    clock = Clock()
    heartbeat = health.Heartbeat(30, clock)
    assert heartbeat.problem() == "has not looked at everything yet"
    heartbeat.swept({})
    assert heartbeat.problem() is None
    clock.now = 121
    assert heartbeat.problem() == "last looked at everything 121 s ago"


def test_a_dead_watch_is_found_by_what_the_looks_find() -> None:
    clock = Clock()
    heartbeat = health.Heartbeat(30, clock)
    heartbeat.heard("CollectionRun", "daily", "1")
    for moment, version in ((0, "1"), (30, "2"), (60, "3"), (91, "3")):
        clock.now = moment
        heartbeat.swept({("CollectionRun", "daily"): version})
    assert heartbeat.problem() == "no watch has told of a change of CollectionRun daily"
    heartbeat.heard("CollectionRun", "daily", "3")
    assert heartbeat.problem() is None


def test_the_endpoint_says_what_is_wrong() -> None:
    heartbeat = health.Heartbeat(30)
    server = health.serve(heartbeat, 0)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/healthz", timeout=5)
        with refused.value as answer:
            assert (answer.code, answer.read()) == (503, b"has not looked at everything yet\n")
        heartbeat.swept({})
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            assert (answer.status, answer.read()) == (200, b"ok\n")
    finally:
        server.shutdown()
        server.server_close()


# Settings, logs, templates

ENVIRONMENT = {
    "DATABASE_URL": "postgresql://operator:s3cret@db/x",
    "COLLECTOR_IMAGE": "c:1",
    "ANALYZER_IMAGE": "a:1",
    "EODHD_BASE_URL": "https://vendor.example/api",
}


def test_settings_have_defaults() -> None:
    settings = Settings.from_environment(ENVIRONMENT)
    assert (settings.namespace, settings.max_jobs, settings.health_port) == (
        "financial-screener",
        8,
        8080,
    )
    assert settings.jobs.eodhd_daily_limit == 100_000
    assert (settings.jobs.postgres_secret, settings.jobs.api_secret) == (
        "postgres-secret",
        "data-api-secrets",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"DATABASE_URL": ""}, "DATABASE_URL is not set", id="a missing address"),
        pytest.param({"ANALYZER_IMAGE": ""}, "ANALYZER_IMAGE is not set", id="a missing image"),
        pytest.param({"MAX_JOBS": "0"}, "MAX_JOBS must be a whole number from 1", id="no Jobs"),
        pytest.param({"MAX_JOBS": "many"}, "not 'many'", id="no number"),
        pytest.param({"HEALTH_PORT": "70000"}, "HEALTH_PORT must be", id="no port"),
        pytest.param({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be json or text", id="no format"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(BadSetting, match=message):
        Settings.from_environment(ENVIRONMENT | change)


TEMPLATE = """
apiVersion: financial-screener.io/v1alpha1
kind: CollectionRun
metadata: {name: ignored, labels: {window: us}}
spec: {indicators: false}
"""


def test_a_template_gets_the_name_of_its_tick(tmp_path: Path) -> None:
    path = tmp_path / "us.yaml"
    path.write_text(TEMPLATE)
    assert read_template(path, "us-29400000", "screener") == {
        "apiVersion": "financial-screener.io/v1alpha1",
        "kind": "CollectionRun",
        "metadata": {"name": "us-29400000", "namespace": "screener", "labels": {"window": "us"}},
        "spec": {"indicators": False},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(None, "cannot be read", id="no file"),
        pytest.param("a: [", "is not YAML", id="no YAML"),
        pytest.param("[]", "does not hold an object", id="a list"),
        pytest.param("kind: CollectionRun", "apiVersion must be", id="no version"),
        pytest.param(
            TEMPLATE.replace("CollectionRun", "IndicatorRun"), "kind must be", id="another kind"
        ),
        pytest.param(TEMPLATE.split("spec")[0], "spec is missing", id="no spec"),
    ],
)
def test_templates_that_are_none(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "template.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadSetting, match=message):
        read_template(path, "name", "namespace")


# The whole


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda: None, id="it ended"),
        pytest.param(lambda: json.loads("{"), id="it failed"),
    ],
)
def test_when_a_part_ends_the_whole_is_told(work: Callable[[], None]) -> None:
    ended = threading.Event()
    part = Part("watches", work, ended)
    part.start()
    assert ended.wait(timeout=10)
    part.join(timeout=10)
