"""Runs as read from the API server: defaults, dates, and who waits for whom."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from operator_world import NOW, body, collection_run, indicator_run

from screener_operator.plan import GroupSpec, PlanRequest
from screener_operator.resources import (
    CollectionRun,
    Meta,
    OtherRun,
    Run,
    blocking_run,
    format_time,
    parse_time,
)


def test_a_spec_becomes_a_plan_request() -> None:
    run = collection_run(
        {
            "groups": [{"name": "few", "exchanges": ["US"], "symbols": ["AAPL", "BRK-B"]}],
            "quota": {"maxCalls": 50, "keepCalls": 7},
            "assetTypes": ["Common Stock", "ETF"],
            "asOf": "2026-11-20",
            "dryRun": True,
        }
    )
    assert run.plan_request(date(2026, 11, 24)) == PlanRequest(
        execution_id=run.meta.uid,
        groups=(GroupSpec("few", ("US",), ("AAPL", "BRK-B")),),
        operations=("prices", "fundamentals"),
        history_from=date(2024, 11, 20),
        asset_types=("Common Stock", "ETF"),
        as_of=date(2026, 11, 20),
        max_calls=50,
        keep_calls=7,
        dry_run=True,
    )


@pytest.mark.parametrize(
    ("spec", "start"),
    [
        pytest.param({"history": {"years": 2}}, date(2024, 11, 24), id="years back from today"),
        pytest.param(
            {"history": {"years": 1}, "asOf": "2024-02-29"},
            date(2023, 2, 28),
            id="29 February becomes the 28th in a year without one",
        ),
        pytest.param({"history": {"from": "2015-03-01"}}, date(2015, 3, 1), id="a day by name"),
        pytest.param({"history": {"years": 100}}, date(1926, 11, 24), id="a hundred years"),
    ],
)
def test_history_starts(spec: dict[str, Any], start: date) -> None:
    assert collection_run(spec).history_start(date(2026, 11, 24)) == start


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param({}, None, id="no date at all"),
        pytest.param({"asOf": "2026-11-24"}, None, id="today"),
        pytest.param(
            {"asOf": "2026-11-25"},
            "spec.asOf: 2026-11-25 is in the future; it must be 2026-11-24 or earlier",
            id="asOf tomorrow",
        ),
        pytest.param(
            {"history": {"from": "2030-01-01"}},
            "spec.history.from: 2030-01-01 is in the future; it must be 2026-11-24 or earlier",
            id="history that has not been yet",
        ),
        pytest.param(
            {"history": {"from": "2026-11-02"}, "asOf": "2026-11-01"},
            "spec.history.from: 2026-11-02 is later than spec.asOf, 2026-11-01;"
            " the history must begin on that day or before",
            id="history that begins after its end",
        ),
        pytest.param(
            {"history": {"from": "2026-11-01"}, "asOf": "2026-11-01"}, None, id="one day of history"
        ),
        pytest.param(
            {"asOf": "0000-01-01"},
            "spec.asOf: 0001-01-01 is too early; it must be 1900-01-01 or later",
            id="a year that there was not, of a run that is stored already",
        ),
    ],
)
def test_problems_name_field_and_value(spec: dict[str, Any], problem: str | None) -> None:
    assert collection_run(spec).problem(NOW) == problem


def test_the_operators_day_is_a_gmt_day() -> None:
    run = indicator_run({"asOf": "2026-11-25"})
    assert run.problem(datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC)) is not None
    assert run.problem(datetime(2026, 11, 25, 0, 0, tzinfo=UTC)) is None


def test_times_survive_reading_and_writing() -> None:
    assert format_time(NOW) == "2026-11-24T22:15:00Z"
    assert parse_time(format_time(NOW)) == NOW
    assert parse_time(None) is None


def test_identity_and_end_are_read_from_the_object() -> None:
    meta = Meta.from_body(
        "CollectionRun",
        body("CollectionRun", {}, status={"completionTime": "2026-11-24T22:15:00Z"}),
    )
    assert meta.finished
    assert not meta.deleting
    assert Meta.from_body("CollectionRun", body("CollectionRun", {}, deleting=True)).deleting


def one(
    name: str, exchanges: list[str], *, at: str = "22:00:00", status: dict[str, Any] | None = None
) -> CollectionRun:
    return collection_run(
        {"groups": [{"name": "g", "exchanges": exchanges}]},
        name=name,
        uid=f"uid-{name}",
        created=f"2026-11-24T{at}Z",
        status=status or {},
    )


STARTED = {"startTime": "2026-11-24T22:00:00Z"}
ENDED = STARTED | {"completionTime": "2026-11-24T22:01:00Z"}


@pytest.mark.parametrize(
    ("run", "others", "blocked_by"),
    [
        pytest.param(one("b", ["US"]), [], None, id="alone"),
        pytest.param(
            one("b", ["US"], at="22:00:01"), [one("a", ["US"])], ("a", "US"), id="the older first"
        ),
        pytest.param(
            one("a", ["US"]), [one("b", ["US"], at="22:00:01")], None, id="the younger waits"
        ),
        pytest.param(
            one("b", ["US"]), [one("a", ["US"])], ("a", "US"), id="of the same age, by name"
        ),
        pytest.param(
            one("b", ["US", "PA"], at="22:00:01"),
            [one("a", ["LSE", "PA"])],
            ("a", "PA"),
            id="one shared exchange is enough",
        ),
        pytest.param(
            one("b", ["US"], at="22:00:01"), [one("a", ["LSE"])], None, id="nothing shared"
        ),
        pytest.param(
            one("b", ["US"], at="22:00:01"),
            [one("a", ["US"], status=ENDED)],
            None,
            id="the other has ended",
        ),
        pytest.param(
            one("a", ["US"]),
            [one("b", ["US"], at="22:00:01", status=STARTED)],
            ("b", "US"),
            id="who has started comes first, whatever its age",
        ),
        pytest.param(
            one("c", ["PA"], at="22:00:02"),
            [one("a", ["US"]), one("b", ["US", "PA"], at="22:00:01")],
            ("b", "PA"),
            id="one that waits itself is not overtaken",
        ),
    ],
)
def test_runs_that_share_an_exchange_go_one_after_another(
    run: CollectionRun, others: list[CollectionRun], blocked_by: tuple[str, str] | None
) -> None:
    assert blocking_run(run, [*others, run]) == blocked_by


@pytest.mark.parametrize(
    ("mine", "theirs", "shared"),
    [
        pytest.param({}, {}, "every exchange", id="both take all"),
        pytest.param({}, {"exchanges": ["MC"]}, "MC", id="all and one"),
        pytest.param({"exchanges": ["MC"]}, {"exchanges": ["SW"]}, None, id="different ones"),
    ],
)
def test_indicator_runs_wait_alike(
    mine: dict[str, Any], theirs: dict[str, Any], shared: str | None
) -> None:
    run: Run = indicator_run(mine, name="b", uid="b")
    other: Run = indicator_run(theirs, name="a", uid="a")
    assert blocking_run(run, [other]) == (None if shared is None else ("a", shared))


@pytest.mark.parametrize(
    ("kind", "spec", "exchanges"),
    [
        pytest.param(
            "CollectionRun",
            {"groups": [{"name": "g", "exchanges": ["US"]}], "asOf": "0000-01-01"},
            {"US"},
            id="a date that is none",
        ),
        pytest.param("CollectionRun", {}, set(), id="nothing of a spec"),
        pytest.param("IndicatorRun", {"asOf": "soon"}, None, id="every exchange"),
        pytest.param("IndicatorRun", {"exchanges": ["MC"], "mode": 7}, {"MC"}, id="one exchange"),
    ],
)
def test_whatever_another_run_asks_for_it_is_only_waited_for(
    kind: str, spec: dict[str, Any], exchanges: set[str] | None
) -> None:
    other = OtherRun.from_body(kind, body(kind, spec, uid="other", status={"startTime": "soon"}))
    assert other.exchanges() == exchanges
    mine = one("b", ["US"])
    blocked = blocking_run(mine, [other])
    assert (blocked is None) == (exchanges is not None and "US" not in exchanges)
