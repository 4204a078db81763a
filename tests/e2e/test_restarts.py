"""What happens when something dies or is taken away in the middle of a run: nothing is lost,
nothing is doubled.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from e2e_world import NAMESPACE, Run, World, condition, group, has_ended

from screener_operator.cluster import NotFound
from screener_operator.resources import COLLECTION_RUN, INDICATOR_RUN

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_runs")]

LAUNCHER = Path(__file__).parent.parent / "dying_operator.py"


# The operator


@pytest.fixture
def no_operator(world: World) -> Iterator[dict[str, str]]:
    """The Deployment's operator is away; what is yielded is its environment, for others to take
    its place.
    """
    kubectl = world.system.kubectl
    deployment = yaml.safe_load(
        kubectl.ask("test", "get", "deployment", "screener-operator", "--output=yaml")
    )
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    kubectl.ask("test", "scale", "deployment", "screener-operator", "--replicas=0")
    world.until("the operator has gone", lambda: world.operator_process() is None)
    yield environment
    kubectl.ask("test", "scale", "deployment", "screener-operator", "--replicas=1")
    kubectl.ask("test", "rollout", "status", "deployment", "screener-operator", "--timeout=60s")


@contextmanager
def dying_operator(
    world: World, environment: dict[str, str], folder: Path, dies_after: int
) -> Iterator[Path]:
    """An operator with the rights of the Deployment's that dies after every n-th write; the file
    that lists its deaths.
    """
    token = world.system.kubectl.ask("test", "create", "token", "screener-operator").strip()
    kubeconfig = yaml.safe_load(world.system.cluster.kubeconfig.read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": token}
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    deaths, log = folder / f"deaths-{dies_after}", folder / f"log-{dies_after}"
    with deaths.open("wb") as out, log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(LAUNCHER), str(dies_after)],
            env={
                **environment,
                "PATH": os.environ["PATH"],
                "KUBECONFIG": str(path),
                "DATABASE_URL": world.system.postgres.program_urls()["operator"],
                "NAMESPACE": NAMESPACE,
                "HEALTH_PORT": "0",
            },
            stdout=out,
            stderr=errors,
        )
    try:
        yield deaths
        assert process.poll() is None, log.read_text()[-2000:]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def traces(world: World, name: str) -> dict[str, Any]:
    """What a run and its IndicatorRun have left, without times, uids and their name."""
    runs = [world.run(name), world.run(name, INDICATOR_RUN)]
    uids = [run["metadata"]["uid"] for run in runs]
    events = world.api._list(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")
    return {
        "phases": [run["status"]["phase"] for run in runs],
        "counts": [run["status"]["counts"] for run in runs],
        "messages": [run["status"]["message"].replace(name, "RUN") for run in runs],
        "calls": runs[0]["status"]["calls"],
        "groups": [(each["name"], each["state"]) for each in runs[0]["status"]["groups"]],
        "conditions": [
            [(each["type"], each["status"], each["reason"]) for each in run["status"]["conditions"]]
            for run in runs
        ],
        "executions": world.rows(
            "SELECT process_name, status, assets_succeeded, api_calls_used FROM process_executions"
            " ORDER BY process_name"
        ),
        "slices": world.rows("SELECT kind, name, reason FROM slices ORDER BY kind, name"),
        "fetches": world.rows(
            "SELECT plan_fetches.kind, assets.code, state, calls_used FROM plan_fetches"
            " JOIN assets ON assets.id = asset_id ORDER BY plan_fetches.kind, code"
        ),
        "items": world.rows(
            "SELECT operation, assets.code, way, state FROM plan_items"
            " JOIN assets ON assets.id = asset_id ORDER BY operation, code"
        ),
        "details": world.rows(
            "SELECT operation, ticker, status, api_calls_used FROM asset_processing_details"
            " ORDER BY operation, ticker"
        ),
        "bars": world.rows(
            "SELECT assets.code, count(*), sum(close), max(date) FROM stock_prices"
            " JOIN assets ON assets.id = asset_id GROUP BY code ORDER BY code"
        ),
        "indicators": world.rows(
            "SELECT assets.code, calculation_date, sma_50, rsi_14 FROM technical_indicators"
            " JOIN assets ON assets.id = asset_id ORDER BY code"
        ),
        "requests": sorted(world.answered()),
        "jobs": sorted(
            (job["metadata"]["name"].replace(name, "RUN"), job["status"].get("succeeded"))
            for uid in uids
            for job in world.api.jobs(run_uid=uid)
        ),
        "events": Counter(
            (event["regarding"]["kind"], event["reason"], event["note"].replace(name, "RUN"))
            for event in events
            if event["regarding"].get("uid") in uids
        ),
    }


def test_an_operator_that_dies_after_any_of_its_writes_changes_nothing(
    world: World, no_operator: dict[str, str], tmp_path: Path
) -> None:
    """One run is left in peace. The next sees a death after each of its writes, the last one after
    every third, so that what stands in between differs.
    """
    with dying_operator(world, no_operator, tmp_path, 0):
        world.know("MC")
        peace = play(world, "run-0")
    assert peace["phases"] == ["Succeeded", "Succeeded"]
    assert peace["requests"] == sorted(set(peace["requests"])), "nothing was asked twice"
    assert [succeeded for _, succeeded in peace["jobs"]] == [1, 1, 1]
    assert set(peace["events"].values()) == {1}
    for stride in (1, 3):
        world.clean()
        with dying_operator(world, no_operator, tmp_path, stride) as deaths:
            assert play(world, f"run-{stride}") == peace
        written = deaths.read_text().split("\n")
        if stride == 1:
            assert {
                "OpenExecution", "CreateJob", "MarkStarted", "MakePlan", "CloseExecution",
                "CreateIndicatorRun", "status", "event",
            } <= set(written)  # fmt: skip


def play(world: World, name: str) -> dict[str, Any]:
    world.create(name, [group("g", "MC", world.codes("MC", 2))], indicators=True)
    world.finish(name)
    world.assert_agreed(world.run(name))
    return traces(world, name)


def test_an_operator_that_is_killed_comes_back_and_the_run_goes_on(world: World) -> None:
    world.know("MC")
    uid = world.create("operator-killed", [group("g", "MC", world.codes("MC", 2))])
    world.until_slice(uid, "preflight", "started_at")
    killed = world.until("the operator runs", world.operator_process)
    killed.send_signal(signal.SIGKILL)
    run = world.finish("operator-killed")
    assert run["status"]["phase"] == "Succeeded"
    assert run["status"]["counts"]["succeeded"] == 2
    world.assert_agreed(run)
    again = world.until("the operator runs again", world.operator_process)
    assert again.pid != killed.pid


# The workers


def slow(world: World, exchange: str, symbols: list[str], latency_s: float) -> None:
    """The vendor takes its time over these symbols."""
    world.faults(
        *(
            {"endpoint": "eod", "symbol": f"{symbol}.{exchange}", "latency_s": latency_s}
            for symbol in symbols
        )
    )


def midway(world: World, name: str, exchange: str, **spec: Any) -> tuple[str, list[str], list[str]]:
    """A run of which two assets are stored, and two are asked for at this moment; its uid."""
    world.know(exchange)
    world.needs_bars_alone()
    symbols = world.codes(exchange, 4)
    done, open_ = symbols[:2], symbols[2:]
    slow(world, exchange, open_, 30)
    uid = world.create(name, [group("g", exchange, symbols)], **spec)
    world.until(
        "half of it is stored",
        lambda: (
            world.one(
                "SELECT count(*) FROM plan_items WHERE execution_id = %s AND state = 'succeeded'",
                uid,
            )
            == 2
            and world.one(
                "SELECT count(*) FROM plan_fetches WHERE execution_id = %s AND state = 'claimed'",
                uid,
            )
            == 2
        ),
    )
    return uid, done, open_


def test_a_killed_collector_and_a_killed_analyzer_are_replaced(world: World) -> None:
    """Both at once, as each waits ten seconds for the Job controller to make another pod."""
    world.know("MC", "SW")
    world.needs_bars_alone()
    computed = world.codes("SW", 2)
    with psycopg.connect(world.system.postgres.owner_url) as blocker:
        # The analyzer has computed and cannot store.
        blocker.execute("LOCK TABLE financial_screener.technical_indicators IN SHARE MODE")
        world.create("analyzer-killed", [group("g", "SW", computed)], indicators=True)
        collected, done, open_ = midway(world, "collector-killed", "MC")
        world.kill("screener-collect", EXECUTION_ID=collected, SLICE="g")
        world.faults()
        run = world.until_run("analyzer-killed", "has ended", has_ended)
        child = world.run(run["status"]["indicatorRun"], INDICATOR_RUN)
        analyzed = child["metadata"]["uid"]
        world.until(
            "the analyzer is about to store",
            lambda: world.one(
                "SELECT count(*) FROM pg_locks WHERE NOT granted"
                " AND relation = 'financial_screener.technical_indicators'::regclass"
            ),
        )
        world.kill("screener-analyze", EXECUTION_ID=analyzed)
        world.rough = True
    ledger_before, counted_before = world.ledger(), world.counted()
    assert ledger_before >= counted_before

    run = world.finish("collector-killed")
    assert run["status"]["phase"] == "Succeeded"
    assert run["status"]["counts"]["succeeded"] == 4
    assert pods(world, collected, "g") == ["Failed", "Succeeded"]
    asked = Counter(path.split("?")[0] for path in world.answered())
    assert [asked[f"eod/{symbol}.MC"] for symbol in done] == [1, 1], "stored once, asked once"
    assert all(asked[f"eod/{symbol}.MC"] >= 1 for symbol in open_)
    world.assert_agreed(run)
    assert world.ledger() >= world.counted()

    child = world.until_run("analyzer-killed", "has ended", has_ended, INDICATOR_RUN)
    assert child["status"]["phase"] == "Succeeded"
    assert condition(child, "Verified") == ("True", "Verified")
    assert pods(world, analyzed, "indicators") == ["Failed", "Succeeded"]
    assert world.one("SELECT count(*) FROM technical_indicators") == 2
    world.assert_agreed(child)


def pods(world: World, uid: str, name: str) -> list[str]:
    """The phases of the pods of a slice."""
    return sorted(
        pod["status"]["phase"]
        for pod in world.api.pods(uid)
        if pod["metadata"]["labels"]["financial-screener.io/group"] == name
    )


def test_a_run_that_is_deleted_midway_takes_everything_along(world: World) -> None:
    uid, done, _ = midway(world, "deleted", "MC")
    world.rough = True
    world.delete(COLLECTION_RUN, "deleted")
    world.until("its Jobs are gone", lambda: not world.api.jobs(run_uid=uid))
    world.until("its pods are gone", lambda: not world.api.pods(uid))
    world.until(
        "its execution is closed",
        lambda: world.one("SELECT status FROM process_executions") == "failed",
    )
    with pytest.raises(NotFound):
        world.run("deleted")
    assert world.one("SELECT error_message FROM process_executions") == "run deleted"
    assert world.rows("SELECT state, count(*) FROM plan_items GROUP BY state ORDER BY state") == [
        ("failed", 2),
        ("succeeded", len(done)),
    ]
    assert world.rows(
        "SELECT count(*) FROM plan_fetches WHERE state IN ('planned', 'claimed')"
    ) == [(0,)]
    assert world.one("SELECT count(*) FROM api_leases WHERE closed_at IS NULL") == 0
    assert world.one("SELECT count(*) FROM workers WHERE worker_is_alive(id)") == 0
    assert world.process("screener-collect", EXECUTION_ID=uid) is None


def test_a_job_that_is_deleted_by_hand_ends_its_group(world: World) -> None:
    uid, done, _ = midway(world, "job-deleted", "MC")
    world.rough = True
    world.system.kubectl.ask("test", "delete", "job", "job-deleted-g-1", "--wait=false")
    run: Run = world.finish("job-deleted")
    assert run["status"]["phase"] == "Partial"
    assert condition(run, "Failed") == ("True", "PartiallyFailed")
    [view] = run["status"]["groups"]
    assert (view["state"], view["reason"]) == ("Partial", "JobDeleted")
    assert run["status"]["counts"]["succeeded"] == len(done)
    assert run["status"]["counts"]["failed"] == 2
    assert "deleted" in run["status"]["message"]
    world.assert_agreed(run)
    assert world.rows(
        "SELECT DISTINCT error_code FROM plan_items WHERE execution_id = %s AND state = 'failed'",
        uid,
    ) == [("group_not_finished",)]
