"""What a run does when the world is not as it should be: each row of the table of reasons."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from e2e_world import (
    UNKNOWN,
    Run,
    World,
    condition,
    condition_message,
    group,
    has_ended,
)
from psycopg import sql

from screener_local.postgres import LOGINS
from screener_operator.resources import COLLECTION_RUN, INDICATOR_RUN
from screener_sql.model import FENCE_LOCK

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_runs")]

SINCE = re.compile(r"since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


# How runs end: all of these go at once, as their exchanges differ.


@dataclass
class Ends:
    """Ended runs by name, IndicatorRuns as `<name>/indicators`."""

    world: World
    runs: dict[str, Run]
    waits: dict[str, dict[str, str]]
    """By run: what Reconciling said on the way, by reason."""

    def uid(self, name: str) -> str:
        return str(self.runs[name]["metadata"]["uid"])


@pytest.fixture(scope="module")
def ends(shared_world: World, no_runs: None) -> Iterator[Ends]:
    world = shared_world
    world.clean()
    madrid, zurich = world.codes("MC", 3), world.codes("SW", 3)
    lisbon, dublin = world.codes("LS", 1), world.codes("IR", 2)
    names = ["completed", "nothing-due", "dry", "new-exchange", "partly", "none", "no-exchange"]
    world.create("completed", [group("g", "MC", madrid)], indicators=True)
    world.create("nothing-due", [group("g", "MC", madrid)], indicators=True)
    world.create("dry", [group("g", "SW", zurich)], dryRun=True, indicators=True)
    world.create("new-exchange", [group("g", "IR", dublin)])
    world.create("partly", [group("g", "LS", [*lisbon, *UNKNOWN[:2]])], indicators=True)
    world.create("none", [group("g", "AS", UNKNOWN)], indicators=True)
    world.create("no-exchange", [group("ok", "BR", UNKNOWN[:1]), group("g", "XX")])
    world.create("future", [group("g", "PA", UNKNOWN[:1])], asOf="2999-01-01")
    names.append("future")
    waits: dict[str, dict[str, str]] = {name: {} for name in names}

    def look() -> bool:
        runs = {run["metadata"]["name"]: run for run in world.api.runs(COLLECTION_RUN)}
        for name in names:
            if runs[name].get("status", {}).get("conditions"):
                reason = condition(runs[name], "Reconciling")[1]
                waits[name].setdefault(reason, condition_message(runs[name], "Reconciling"))
        return all(has_ended(runs[name]) for name in names)

    world.until("all runs ended", look, patience_s=120)
    found = {name: world.finish(name) for name in names}
    for name in names:
        if child := found[name]["status"].get("indicatorRun"):
            found[f"{name}/indicators"] = world.run(child, INDICATOR_RUN)
    yield Ends(world, found, waits)


COLLECTED = ("completed", "nothing-due", "dry", "new-exchange", "partly", "none", "no-exchange")

CONDITIONS = {
    "completed": {
        "QuotaAvailable": ("True", "CallsLeft"),
        "Planned": ("True", "Planned"),
        "Collected": ("True", "Completed"),
        "IndicatorsTriggered": ("True", "Created"),
        "Succeeded": ("True", "Completed"),
        "Failed": ("False", "Completed"),
        "Reconciling": ("False", "Completed"),
        "Stalled": ("False", "Completed"),
    },
    "completed/indicators": {
        "Computed": ("True", "Completed"),
        "Verified": ("True", "Verified"),
        "Succeeded": ("True", "Completed"),
        "Failed": ("False", "Completed"),
        "Reconciling": ("False", "Completed"),
        "Stalled": ("False", "Completed"),
    },
    "nothing-due": {
        "QuotaAvailable": ("True", "CallsLeft"),
        "Planned": ("True", "Planned"),
        "Collected": ("True", "NothingDue"),
        "IndicatorsTriggered": ("True", "Created"),
        "Succeeded": ("True", "NothingDue"),
        "Failed": ("False", "NothingDue"),
        "Reconciling": ("False", "NothingDue"),
        "Stalled": ("False", "NothingDue"),
    },
    "nothing-due/indicators": {
        "Computed": ("True", "NothingDue"),
        "Verified": ("True", "NothingDue"),
        "Succeeded": ("True", "NothingDue"),
        "Failed": ("False", "NothingDue"),
        "Reconciling": ("False", "NothingDue"),
        "Stalled": ("False", "NothingDue"),
    },
    "dry": {
        "QuotaAvailable": ("True", "CallsLeft"),
        "Planned": ("True", "Planned"),
        "Collected": ("False", "DryRun"),
        "IndicatorsTriggered": ("False", "NotRequested"),
        "Succeeded": ("True", "DryRun"),
        "Failed": ("False", "DryRun"),
        "Reconciling": ("False", "DryRun"),
        "Stalled": ("False", "DryRun"),
    },
    "new-exchange": {
        "QuotaAvailable": ("True", "CallsLeft"),
        "Planned": ("True", "Planned"),
        "Collected": ("True", "Completed"),
        "IndicatorsTriggered": ("False", "NotRequested"),
        "Succeeded": ("True", "Completed"),
        "Failed": ("False", "Completed"),
        "Reconciling": ("False", "Completed"),
        "Stalled": ("False", "Completed"),
    },
    "partly": {
        "QuotaAvailable": ("True", "CallsLeft"),
        "Planned": ("True", "Planned"),
        "Collected": ("False", "PartiallyFailed"),
        "IndicatorsTriggered": ("True", "Created"),
        "Succeeded": ("False", "PartiallyFailed"),
        "Failed": ("True", "PartiallyFailed"),
        "Reconciling": ("False", "PartiallyFailed"),
        "Stalled": ("False", "PartiallyFailed"),
    },
    "none": {
        "QuotaAvailable": ("True", "CallsLeft"),
        "Planned": ("True", "Planned"),
        "Collected": ("False", "AllFailed"),
        "IndicatorsTriggered": ("False", "RunFailed"),
        "Succeeded": ("False", "AllFailed"),
        "Failed": ("True", "AllFailed"),
        "Reconciling": ("False", "AllFailed"),
        "Stalled": ("True", "AllFailed"),
    },
    "no-exchange": {
        "Planned": ("False", "InvalidSpec"),
        "Collected": ("False", "InvalidSpec"),
        "IndicatorsTriggered": ("False", "NotRequested"),
        "Succeeded": ("False", "InvalidSpec"),
        "Failed": ("True", "InvalidSpec"),
        "Reconciling": ("False", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    },
    "future": {
        "QuotaAvailable": ("Unknown", "NotChecked"),
        "Planned": ("False", "InvalidSpec"),
        "Collected": ("False", "InvalidSpec"),
        "IndicatorsTriggered": ("False", "NotRequested"),
        "Succeeded": ("False", "InvalidSpec"),
        "Failed": ("True", "InvalidSpec"),
        "Reconciling": ("False", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    },
}


@pytest.mark.parametrize("name", CONDITIONS, ids=lambda name: f"conditions of {name}")
def test_how_a_run_ends_stands_in_its_conditions(ends: Ends, name: str) -> None:
    run = ends.runs[name]
    expected = CONDITIONS[name]
    assert {kind: condition(run, kind) for kind in expected} == expected
    assert all(each["message"] for each in run["status"]["conditions"])


@pytest.mark.parametrize(
    ("name", "phase", "counts", "message"),
    [
        pytest.param(
            "completed", "Succeeded", {"planned": 3, "succeeded": 3}, "3 assets: 3 succeeded",
            id="everything due succeeds",
        ),
        pytest.param(
            "completed/indicators", "Succeeded", {"planned": 3, "succeeded": 3},
            "3 assets: 3 succeeded", id="and is computed",
        ),
        pytest.param(
            "nothing-due", "Succeeded", {"planned": 0, "skipped": 3},
            "all 3 assets are up to date", id="nothing is due",
        ),
        pytest.param(
            "dry", "Succeeded", {"planned": 0, "skipped": 3},
            "dry run: 3 assets looked at; the plan, 11 requests for 11 calls, is in status.groups",
            id="a dry run does nothing",
        ),
        pytest.param(
            "new-exchange", "Succeeded", {"planned": 2, "succeeded": 2}, "2 assets: 2 succeeded",
            id="an exchange that is new here and known to the vendor works",
        ),
        pytest.param(
            "partly", "Partial", {"planned": 3, "succeeded": 1, "failed": 2},
            "3 assets: 1 succeeded, 2 failed; asset_processing_details says why each failed",
            id="more than a tenth fails",
        ),
        pytest.param(
            "none", "Failed", {"planned": 3, "failed": 3},
            "3 assets: 3 failed; asset_processing_details says why each failed",
            id="everything fails",
        ),
        pytest.param(
            "no-exchange", "Failed", {"planned": 0},
            "spec.groups: exchange 'XX' is not one that the vendor lists",
            id="an exchange unknown to the vendor",
        ),
        pytest.param(
            "future", "Failed", {"planned": 0}, "spec.asOf: 2999-01-01", id="asOf in the future"
        ),
    ],
)  # fmt: skip
def test_how_a_run_ends_is_said_and_counted(
    ends: Ends, name: str, phase: str, counts: dict[str, int], message: str
) -> None:
    run = ends.runs[name]
    status = run["status"]
    assert status["phase"] == phase
    assert message.lower() in status["message"].lower()
    assert {key: status["counts"][key] for key in counts} == counts
    assert status["observedGeneration"] == run["metadata"]["generation"]
    ends.world.assert_agreed(run)


def test_a_run_waits_for_another_of_its_exchange(ends: Ends) -> None:
    assert ends.waits["nothing-due"]["WaitingForRun"] == (
        "waits for CollectionRun completed, which works on exchange MC too;"
        " starts when that has ended"
    )
    times = {name: ends.runs[name]["status"] for name in ("completed", "nothing-due")}
    assert times["nothing-due"]["startTime"] >= times["completed"]["completionTime"]


def test_a_future_as_of_costs_nothing(ends: Ends) -> None:
    uid = ends.uid("future")
    assert ends.runs["future"]["status"]["calls"]["used"] == 0
    assert ends.world.api.jobs(run_uid=uid) == []


def test_a_dry_run_spends_the_preflights_calls_alone(ends: Ends) -> None:
    run = ends.runs["dry"]
    assert [
        (row["exchange"], row["operation"], row["way"], row["calls"])
        for row in run["status"]["groups"][0]["plan"]
    ] == [
        ("FOREX", "reference_prices", "asset", 1),
        ("INDX", "reference_prices", "asset", 1),
        ("SW", "splits", "asset", 3),
        ("SW", "prices_bulk", "asset", 3),
        ("SW", "dividends", "asset", 3),
    ]
    operations = ends.world.rows(
        "SELECT DISTINCT operation FROM asset_processing_details WHERE execution_id = %s"
        " AND api_calls_used > 0 AND operation NOT LIKE 'preflight%%'",
        run["metadata"]["uid"],
    )
    assert operations == []


def test_runs_side_by_side_leave_one_ledger(ends: Ends) -> None:
    assert ends.world.ledger() == ends.world.counted()
    used = sum(run["status"]["calls"]["used"] for name, run in ends.runs.items() if "/" not in name)
    assert used == ends.world.counted()


def test_no_secret_can_be_read_anywhere(ends: Ends) -> None:
    assert ends.world.leaks() == []
    places = [where for where, text in ends.world.readable() if ends.uid("completed") in text]
    for kind in ("collectionruns", "/jobs", "/events", "/pods", "/logs/", "table slices"):
        assert any(kind in place for place in places), f"{kind} was looked through"


# The day's calls, and the run's


def test_what_the_day_does_not_reach_for_is_deferred(world: World) -> None:
    world.know("MC")
    world.needs_bars_alone()
    world.admin("account", {"dailyLimit": 3})
    world.create("spent", [group("g", "MC", world.codes("MC", 4))], indicators=True)
    run = world.finish("spent")
    assert run["status"]["phase"] == "Succeeded"
    assert condition(run, "Succeeded") == ("True", "Completed")
    assert condition(run, "QuotaAvailable") == ("False", "DailyLimitReached")
    assert condition_message(run, "QuotaAvailable") == (
        "the calls of the day are spent; 2 items deferred, due again after 00:00 GMT"
    )
    assert (run["status"]["counts"]["succeeded"], run["status"]["counts"]["deferred"]) == (2, 2)
    assert run["status"]["calls"]["remainingToday"] == 0
    world.assert_agreed(run)
    assert world.counted() == 3

    world.create("nothing-left", [group("g", "MC", world.codes("MC", 4))])
    run = world.finish("nothing-left")
    assert run["status"]["phase"] == "Succeeded"
    assert condition(run, "QuotaAvailable") == ("False", "DailyLimitReached")
    assert (run["status"]["counts"]["skipped"], run["status"]["counts"]["deferred"]) == (2, 2)
    assert run["status"]["groups"][0]["state"] == "Skipped"
    world.assert_agreed(run)
    assert world.counted() == 3, "nothing was asked any more"


def test_a_day_that_ends_early_defers_what_is_left(world: World) -> None:
    """The ledger still has calls when the vendor answers 402."""
    world.know("MC")
    world.needs_bars_alone()
    uid = world.create("refused-402", [group("g", "MC", world.codes("MC", 5))])
    world.until_slice(uid, "preflight")
    world.admin("account", {"dailyLimit": 3})
    run = world.finish("refused-402")
    assert run["status"]["phase"] == "Succeeded"
    assert condition(run, "QuotaAvailable") == ("False", "DailyLimitReached")
    assert (run["status"]["counts"]["succeeded"], run["status"]["counts"]["deferred"]) == (2, 3)
    assert run["status"]["groups"][0]["reason"] == "DailyLimitReached"
    world.assert_agreed(run)
    assert world.one("SELECT spent FROM api_daily_quota")


@pytest.mark.parametrize(
    ("name", "quota", "reason", "message"),
    [
        pytest.param(
            "max-calls", {"maxCalls": 3}, "RunLimitReached",
            "spec.quota.maxCalls is reached; 2 items deferred, due again in the next run",
            id="maxCalls",
        ),
        pytest.param(
            "keep-calls", {"keepCalls": 7}, "DailyLimitReached",
            "spec.quota.keepCalls, 7, leaves too few calls of the day; 2 items deferred, due again"
            " after 00:00 GMT",
            id="keepCalls",
        ),
    ],
)  # fmt: skip
def test_a_run_keeps_to_its_own_quota(
    world: World, name: str, quota: dict[str, int], reason: str, message: str
) -> None:
    world.know("SW")
    world.needs_bars_alone()
    world.admin("account", {"dailyLimit": 10})
    world.create(name, [group("g", "SW", world.codes("SW", 4))], quota=quota)
    run = world.finish(name)
    assert run["status"]["phase"] == "Succeeded"
    assert condition(run, "QuotaAvailable") == ("False", reason)
    assert condition_message(run, "QuotaAvailable") == message
    assert (run["status"]["counts"]["succeeded"], run["status"]["counts"]["deferred"]) == (2, 2)
    assert run["status"]["groups"][0]["reason"] == reason
    assert run["status"]["calls"] == {"planned": 2, "used": 3, "remainingToday": 7}
    world.assert_agreed(run)


# The vendor


@pytest.mark.parametrize(
    ("when", "phase", "what"),
    [
        pytest.param("preflight", "Preflight", "the preflight", id="in the preflight"),
        pytest.param("group", "Running", "group g", id="while a group is at work"),
    ],
)
def test_a_run_waits_for_a_vendor_that_is_away(
    world: World, when: str, phase: str, what: str
) -> None:
    name = f"away-{when}"
    world.know("BR")
    symbols = world.codes("BR", 3)
    if when == "preflight":
        world.faults({"status": "refuse"})
    uid = world.create(name, [group("g", "BR", symbols)])
    if when == "group":
        world.until_slice(uid, "preflight")
        world.faults({"status": 503})
    run = world.until_reason(name, "VendorUnreachable")
    assert run["status"]["phase"] == phase
    assert condition(run, "Reconciling") == ("True", "VendorUnreachable")
    assert condition(run, "Succeeded")[0] == "Unknown"
    message = condition_message(run, "Reconciling")
    assert message.startswith(f"{what}: the vendor does not answer since ")
    assert SINCE.search(message)
    if when == "group":
        [view] = run["status"]["groups"]
        assert (view["state"], view["reason"]) == ("Running", "VendorUnreachable")
    world.faults()
    run = world.finish(name)
    assert run["status"]["phase"] == "Succeeded"
    assert run["status"]["counts"]["succeeded"] == 3
    world.assert_agreed(run)


@pytest.mark.parametrize("when", ["preflight", "group"])
def test_a_refused_token_ends_the_run(world: World, when: str) -> None:
    name = f"token-{when}"
    world.know("BR")
    if when == "preflight":
        world.admin("account", {"tokens": ["another"]})
    uid = world.create(name, [group("g", "BR", world.codes("BR", 3))], indicators=True)
    if when == "group":
        world.until_slice(uid, "preflight")
        world.admin("account", {"tokens": ["another"]})
    run = world.finish(name)
    assert run["status"]["phase"] == "Failed"
    assert condition(run, "Succeeded") == ("False", "TokenRefused")
    assert condition(run, "Failed") == ("True", "TokenRefused")
    assert condition(run, "Stalled") == ("True", "TokenRefused")
    assert condition(run, "IndicatorsTriggered") == ("False", "RunFailed")
    assert "refuses the token (401)" in run["status"]["message"]
    assert "data-api-secrets" in run["status"]["message"]
    if when == "group":
        [view] = run["status"]["groups"]
        assert (view["state"], view["exitCode"], view["reason"]) == ("Failed", 10, "TokenRefused")
        assert run["status"]["counts"]["failed"] == 3
    world.assert_agreed(run)
    assert world.stored_bars() == 0


def test_without_the_only_way_in_the_plan_the_run_ends(world: World) -> None:
    world.know("BR")
    world.admin("account", {"withdrawn": ["eod"]})
    world.create("no-prices", [group("g", "BR", world.codes("BR", 3))])
    world.finish("no-prices")
    run = world.run("no-prices")
    assert run["status"]["phase"] == "Failed"
    assert condition(run, "Failed") == ("True", "EndpointNotInPlan")
    assert "plan" in run["status"]["message"] and "403" in run["status"]["message"]
    [view] = run["status"]["groups"]
    # Splits and dividends were there to have.
    assert (view["state"], view["exitCode"], view["reason"]) == ("Partial", 11, "EndpointNotInPlan")
    assert run["status"]["counts"]["failed"] == 3
    world.assert_agreed(run)

    world.admin("account", {"withdrawn": ["exchange-symbol-list"]})
    world.create("no-list", [group("g", "VI")])
    run = world.finish("no-list")
    assert run["status"]["phase"] == "Failed"
    assert condition(run, "Failed") == ("True", "EndpointNotInPlan")
    assert run["status"]["message"] == (
        "Spec.groups: exchange 'VI' needs its symbol list, and the vendor's plan does not include"
        " symbol lists (403); name symbols instead"
    )


@pytest.fixture
def demo_token(world: World) -> Iterator[None]:
    """The vendor's public token, with which it serves four tickers and neither lists nor bulk."""
    set_token(world, "demo")
    yield
    set_token(world, world.system.simulator.token)


def set_token(world: World, token: str) -> None:
    """Puts a token into the Secret that the collector's pods read."""
    data = {"EODHD_API_TOKEN": base64.b64encode(token.encode()).decode()}
    world.system.kubectl.ask(
        "test", "patch", "secret", "data-api-secrets", "--patch-file=/dev/stdin",
        stdin=json.dumps({"data": data}),
    )  # fmt: skip


def test_the_demo_plan_serves_named_symbols(world: World, demo_token: None) -> None:
    world.owner.execute("UPDATE exchanges SET listed_at = NULL, details_at = NULL")
    symbols = ["AAPL", "MSFT", "TSLA", "VTI"]
    world.create("demo-plan", [group("us", "US", symbols)], operations=["prices", "fundamentals"])
    run = world.finish("demo-plan")
    assert run["status"]["phase"] == "Succeeded"
    assert condition(run, "Succeeded") == ("True", "Completed")
    assert run["status"]["counts"]["succeeded"] == 4
    assert (
        "plan does not include symbol lists; the named symbols are used"
        in (run["status"]["message"])
    )
    world.assert_agreed(run)
    assert world.rows(
        "SELECT endpoint, in_plan FROM vendor_endpoints WHERE NOT in_plan ORDER BY 1"
    ) == [("exchange-details", False), ("exchange-symbol-list", False)]


def test_a_plan_without_bulk_takes_the_other_way(world: World) -> None:
    world.know("XETRA")
    world.needs_bars_alone()
    world.owner.execute(
        "UPDATE asset_processing_state AS state SET prices_loaded = true,"
        " prices_checked_from = '2023-01-01', prices_checked_to ="
        " CASE WHEN place <= 302 THEN date '2023-09-18' ELSE date '2023-09-19' END"
        " FROM (SELECT assets.id, row_number() OVER (ORDER BY assets.code) AS place FROM assets"
        " JOIN exchanges ON exchanges.id = exchange_id WHERE exchanges.code = 'XETRA') AS asset"
        " WHERE asset.id = state.asset_id"
    )
    world.admin("account", {"withdrawn": ["eod-bulk-last-day"]})
    world.create("no-bulk", [group("g", "XETRA")], history={"from": "2023-09-01"})
    run = world.finish("no-bulk")
    assert run["status"]["phase"] == "Succeeded"
    counts = run["status"]["counts"]
    assert counts["planned"] == 302
    assert counts["succeeded"] >= 0.9 * 302, "a few had no bars yet in 2023"
    assert run["status"]["message"].endswith(
        "The vendor's plan does not include bulk days; XETRA is asked for asset by asset."
    )
    assert {entry["status"] for entry in world.admin("log") if "bulk" in entry["path"]} == {403}
    world.assert_agreed(run)
    assert not world.one(
        "SELECT in_plan FROM vendor_endpoints WHERE endpoint = 'eod-bulk-last-day'"
    )


# Postgres


def test_a_run_waits_for_a_database_that_is_away(world: World) -> None:
    world.know("MC")
    world.stop_postgres()
    uid = world.create("database", [group("g", "MC", world.codes("MC", 3))])
    run = world.until_reason("database", "DatabaseUnreachable")
    assert run["status"]["phase"] == "Pending"
    kinds = {each["type"] for each in run["status"]["conditions"]}
    assert kinds == CONDITIONS["completed"].keys(), "all are there from the first reconcile"
    assert SINCE.search(condition_message(run, "Reconciling"))
    world.start_postgres()
    world.until_slice(uid, "group", "started_at")
    world.stop_postgres()
    run = world.until_reason("database", "DatabaseUnreachable")
    assert run["status"]["phase"] in ("Planned", "Running")
    assert SINCE.search(condition_message(run, "Reconciling"))
    world.start_postgres()
    world.rough = True
    run = world.finish("database")
    assert run["status"]["phase"] == "Succeeded"
    assert run["status"]["counts"]["succeeded"] == 3
    world.assert_agreed(run)


@pytest.fixture
def other_password(world: World) -> Iterator[None]:
    """Postgres knows another password of the operator than its Secret does."""
    login, _ = LOGINS["operator"]
    with administrator(world) as connection:
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD 'another'").format(sql.Identifier(login))
        )
        end_operators_session(connection)
    yield
    world.system.postgres.make_logins()


def administrator(world: World) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(world.system.postgres.administrator_url, autocommit=True)


def end_operators_session(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'screener-operator'"
    )


def test_a_run_waits_for_a_password_that_is_refused(world: World, other_password: None) -> None:
    world.create("password", [group("g", "MC", UNKNOWN[:1])], dryRun=True)
    run = world.until_reason("password", "DatabaseUnreachable")
    assert run["status"]["phase"] == "Pending"
    message = condition_message(run, "Reconciling")
    assert "refuses the user name or password" in message
    assert SINCE.search(message)
    world.system.postgres.make_logins()
    assert world.finish("password")["status"]["phase"] == "Succeeded"


def test_a_run_waits_while_another_operator_holds_the_fence(world: World) -> None:
    # The operator's database, as advisory locks are a database's.
    with psycopg.connect(world.system.postgres.owner_url, autocommit=True) as other:
        take_fence(world, other)
        world.create("fence", [group("g", "MC", UNKNOWN[:1])], dryRun=True)
        run = world.until_reason("fence", "WaitingForLock")
        assert run["status"]["phase"] == "Pending"
        message = condition_message(run, "Reconciling")
        assert "another operator holds the lock" in message
        assert SINCE.search(message)
        assert world.one("SELECT count(*) FROM process_executions") == 0
        assert world.api.jobs(run_uid=run["metadata"]["uid"]) == []
        assert "startTime" not in run["status"]
    assert world.finish("fence")["status"]["phase"] == "Succeeded"


def take_fence(world: World, other: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Has the lock in this session: the operator's is ended while this one stands in line."""

    def taken() -> bool:
        with administrator(world) as connection:
            end_operators_session(connection)
        row = other.execute("SELECT pg_try_advisory_lock(%s, 0)", [FENCE_LOCK]).fetchone()
        return row is not None and bool(row[0])

    world.until("the fence is taken", taken)
