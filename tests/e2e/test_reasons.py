"""What a run does when the world is not as it should be: each row of the table of reasons."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from e2e_world import (
    AS_OF,
    UNKNOWN,
    Run,
    World,
    condition,
    group,
    has_ended,
)

from screener_operator.resources import COLLECTION_RUN, INDICATOR_RUN

pytestmark = pytest.mark.e2e

SINCE = re.compile(r"since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


# How runs end: all of these go at once, as their exchanges differ.


@dataclass
class Ends:
    """Ended runs by name, IndicatorRuns as `<name>/indicators`, and the reasons that Reconciling
    gave on the way.
    """

    world: World
    runs: dict[str, Run]
    reasons: dict[str, list[str]]


@pytest.fixture(scope="module")
def ends(shared_world: World) -> Iterator[Ends]:
    world = shared_world
    world.clean()
    madrid, zurich = world.codes("MC", 3), world.codes("SW", 3)
    lisbon, dublin = world.codes("LS", 1), world.codes("IR", 2)
    world.admin("reset", method="POST")
    world.admin("clock", {"data": f"{AS_OF}T23:59:00Z"})
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
    reasons: dict[str, list[str]] = {name: [] for name in names}

    def look() -> bool:
        runs = {run["metadata"]["name"]: run for run in world.api.runs(COLLECTION_RUN)}
        for name in names:
            if runs[name].get("status", {}).get("conditions"):
                reason = condition(runs[name], "Reconciling")[1]
                if reason not in reasons[name][-1:]:
                    reasons[name].append(reason)
        return all(has_ended(runs[name]) for name in names)

    world.until("all runs ended", look, patience_s=120)
    found = {name: world.finish(name) for name in names}
    for name in names:
        if child := found[name]["status"].get("indicatorRun"):
            found[f"{name}/indicators"] = world.run(child, INDICATOR_RUN)
    yield Ends(world, found, reasons)


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
            "dry run: 3 assets looked at; the plan, 3 requests for 3 calls, is in status.groups",
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
    assert ends.reasons["nothing-due"][0] == "WaitingForRun"
    times = {name: ends.runs[name]["status"] for name in ("completed", "nothing-due")}
    assert times["nothing-due"]["startTime"] >= times["completed"]["completionTime"]


def test_a_future_as_of_costs_nothing(ends: Ends) -> None:
    uid = ends.runs["future"]["metadata"]["uid"]
    assert ends.runs["future"]["status"]["calls"]["used"] == 0
    assert ends.world.api.jobs(run_uid=uid) == []


def test_a_dry_run_spends_the_preflights_calls_alone(ends: Ends) -> None:
    run = ends.runs["dry"]
    [planned] = run["status"]["groups"][0]["plan"]
    wanted = {"exchange": "SW", "operation": "prices_bulk", "way": "asset", "calls": 3}
    assert {key: planned[key] for key in wanted} == wanted
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
    assert ends.world.leaks() == []
