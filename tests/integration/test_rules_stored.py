"""Judgements on real Postgres: faulty series from the vendor, what is kept, what comes back."""

import asyncio
import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from collector_world import Owner, World, login
from market import Asset as Listed
from psycopg.rows import dict_row
from rules_made import liquid, split_not_applied, unit_switch
from rules_world import FAULTS, FAULTY, STILL_FAULTY, Asset, vendor_form
from simulator_fixture import DATA_MOMENT, Simulator

from screener_collector.bars import Bars
from screener_collector.findings import Judge
from screener_collector.rules.batch import Batch
from screener_collector.rules.model import RULES
from screener_sql.connect import connect_async

pytestmark = pytest.mark.integration

FIRST, LAST = date(2018, 1, 1), date(2024, 9, 30)


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data="2024-10-01T12:00:00Z")
    with login(owner) as url:
        yield World(owner, url, simulator)
    simulator.clock(data=DATA_MOMENT)


def series(ticker: str, asset: Asset) -> dict[str, Any]:
    """As the simulator takes it."""
    known = asset.actions
    actions: dict[str, list[dict[str, Any]]] = {"splits": [], "dividends": []}
    for at in range(len(known)):
        day = str(known.ex_dates[at])
        if math.isnan(known.ratio[at]):
            paid = {"date": day, "unadjustedValue": known.raw[at], "currency": "EUR"}
            actions["dividends"].append(paid)
        else:
            actions["splits"].append({"date": day, "split": f"{known.ratio[at]}/1"})
    return {"ticker": ticker, "currency": "EUR", "bars": rows_of(asset.bars), **actions}


def rows_of(bars: Bars) -> list[dict[str, Any]]:
    names = ("open", "high", "low", "close", "adjusted_close")
    return [
        {
            "date": str(bars.dates[at]),
            **{name: float(getattr(bars, name)[at]) for name in names},
            "volume": int(bars.volume[at]),
        }
        for at in range(len(bars))
    ]


def collect(world: World, *tickers: str, run: str = "run-1") -> None:
    """A run that fetches whole histories and the lists of actions."""
    world.open(execution_id=run)
    for ticker in tickers:
        world.plan(ticker, first=FIRST, last=LAST)
        for ordinal, kind in enumerate(("splits", "dividends")):
            scope = (run, world.asset_id(ticker))
            fetch = world.value(
                "INSERT INTO plan_fetches (execution_id, group_name, ordinal, kind, exchange_id,"
                " asset_id, date_from, date_to, calls)"
                " SELECT %s, 'swiss', 2000000 + %s, %s, exchange_id, id, %s, %s, 1 FROM assets"
                " WHERE id = %s RETURNING id",
                *(scope[0], ordinal, kind, FIRST, LAST, scope[1]),
            )
            world.rows(
                "INSERT INTO plan_items (execution_id, group_name, asset_id, exchange_id,"
                " operation, way, fetch_id, expected_to, planned_calls)"
                " SELECT %s, 'swiss', id, exchange_id, %s, 'asset', %s, %s, 1 FROM assets"
                " WHERE id = %s RETURNING id",
                *(scope[0], kind, fetch, LAST, scope[1]),
            )
    ended = world.group()
    assert ended.code == 0, ended.log


def serve(world: World, assets: dict[str, Asset]) -> None:
    world.simulator.admin("series", [series(name, asset) for name, asset in assets.items()])


def findings(world: World, ticker: str) -> list[tuple[str, str, str]]:
    return [
        (row["rule"], str(row["date_from"]), row["state"])
        for row in world.rows(
            "SELECT rule, date_from, state FROM v_data_findings WHERE ticker = %s"
            " ORDER BY date_from, rule",
            ticker,
        )
    ]


def stored(world: World, ticker: str) -> set[str]:
    return {
        str(row["date"])
        for row in world.rows(
            "SELECT date FROM stock_prices WHERE asset_id = %s", world.asset_id(ticker)
        )
    }


def days(bars: Bars, which: Any = slice(None)) -> set[str]:
    return {str(day) for day in bars.dates[which]}


def add(world: World, *codes: str) -> None:
    world.add(*(Listed(code, "PA") for code in codes))
    world.rows("UPDATE assets SET currency = 'EUR' RETURNING id")


@pytest.mark.skipif(not FAULTS.exists(), reason="no shared data")
def test_real_faults_that_the_vendor_serves_are_found_where_they_are(world: World) -> None:
    """All that have a fault, their mended twins and the two clean ones."""
    twins = [f"{name}-fixed" for name in FAULTY]
    names = [*FAULTY, *twins, "CALM-1d-no-bad-divs", "EWG-1d-no-bad-divs"]
    codes = {name: f"S{n}" for n, name in enumerate(names)}
    add(world, *codes.values())
    assets = {
        f"{code}.PA": vendor_form(name, own=name.endswith("-fixed")) for name, code in codes.items()
    }
    serve(world, assets)

    collect(world, *assets)

    for name, code in codes.items():
        found: dict[str, list[str]] = {}
        for rule, day, state in findings(world, f"{code}.PA"):
            assert state == "open", name
            found.setdefault(rule, []).append(day)
        causes = FAULTY.get(name) or STILL_FAULTY.get(name, {})
        assert {rule: len(at) for rule, at in found.items()} == {
            rule: len(at) for rule, at in causes.items()
        }, name
        for rule, at in causes.items():
            for day, cause in zip(found[rule], at, strict=True):
                apart = np.busday_count(date.fromisoformat(day), date.fromisoformat(cause))
                assert abs(int(apart)) <= 5, (name, rule, day)
    ticker = f"{codes['AET-L-1d-100x-error']}.PA"
    aet = assets[ticker].bars
    assert findings(world, ticker) == [
        ("unit_switch", "2022-05-03", "open"),
        ("unit_switch", "2022-05-20", "open"),
    ]
    assert stored(world, ticker) == days(aet, aet.close > 1)
    assert world.value(
        "SELECT prices_last_date FROM asset_processing_state WHERE ticker = %s", ticker
    ) == date(2022, 5, 19)
    aside = world.rows(
        "SELECT bar FROM quarantined_bars JOIN assets ON id = asset_id"
        " WHERE ticker = %s AND finding_id IS NOT NULL AND released_at IS NULL",
        ticker,
    )
    assert len(aside) == 14
    assert all(row["bar"]["close"] == 0.1455 for row in aside)
    report = {row["rule"]: row for row in world.rows("SELECT * FROM quality_report('run-1')")}
    assert report["unit_switch"]["quarantined"] == 14
    assert report["split_misapplied"]["quarantined"] == 9 + 13
    assert report["dividend_unit"]["flagged"] == sum(
        len(causes.get("dividend_unit", ())) for causes in FAULTY.values()
    )
    assert report[None]["quarantined"] == 14 + 9 + 13
    # Each bar once, though each history is judged again when the lists of its actions are there.
    assert report[None]["bars_checked"] == sum(len(asset.bars) for asset in assets.values())
    shown = {
        row["rule"]: row["quarantined"]
        for row in world.rows("SELECT * FROM v_quality_report WHERE execution_id = 'run-1'")
    }
    assert shown == {rule: row["quarantined"] for rule, row in report.items()}


def test_a_finding_is_confirmed_released_and_open_again_with_its_history(world: World) -> None:
    add(world, "AAA")
    fault = unit_switch(liquid(2), 2)
    clean = liquid(2).asset()
    serve(world, {"AAA.PA": fault.asset})
    collect(world, "AAA.PA", run="run-1")
    (found,) = findings(world, "AAA.PA")
    assert found[0::2] == ("unit_switch", "open")
    assert stored(world, "AAA.PA") == days(clean.bars) - days(clean.bars, fault.wrong)
    changed = "SELECT prices_changed_at FROM asset_processing_state"
    before = world.value(changed)

    collect(world, "AAA.PA", run="run-2")
    assert findings(world, "AAA.PA") == [(*found[:2], "confirmed")]
    assert world.value("SELECT count(*) FROM quarantined_bars") == len(fault.wrong)
    assert world.value("SELECT count(*) FROM quarantined_bars WHERE confirmed_at IS NULL") == 0
    assert world.value(changed) == before

    serve(world, {"AAA.PA": clean})
    collect(world, "AAA.PA", run="run-3")
    assert findings(world, "AAA.PA") == [(*found[:2], "released")]
    assert stored(world, "AAA.PA") == days(clean.bars)
    assert world.value("SELECT count(*) FROM quarantined_bars WHERE released_at IS NULL") == 0
    assert world.value(changed) > before

    serve(world, {"AAA.PA": fault.asset})
    collect(world, "AAA.PA", run="run-4")
    assert findings(world, "AAA.PA") == [(*found[:2], "open")]
    assert stored(world, "AAA.PA") == days(clean.bars) - days(clean.bars, fault.wrong)
    states = [
        row["state"] for row in world.rows("SELECT state FROM data_finding_events ORDER BY id")
    ]
    assert states == ["open", "confirmed", "released", "open"]
    last = world.value("SELECT prices_last_date FROM asset_processing_state")
    assert str(last) == max(stored(world, "AAA.PA"))


def test_a_person_releases_a_finding_and_it_stays_released(world: World) -> None:
    add(world, "AAA")
    fault = unit_switch(liquid(2), 2)
    serve(world, {"AAA.PA": fault.asset})
    collect(world, "AAA.PA", run="run-1")
    finding = world.value("SELECT id FROM data_findings")
    before = world.value("SELECT prices_changed_at FROM asset_processing_state")

    assert world.value("SELECT release_finding(%s)", finding) == len(fault.wrong)
    assert stored(world, "AAA.PA") == days(fault.asset.bars)
    assert world.value("SELECT prices_changed_at FROM asset_processing_state") > before

    collect(world, "AAA.PA", run="run-2")
    assert stored(world, "AAA.PA") == days(fault.asset.bars)
    assert [state for _, _, state in findings(world, "AAA.PA")] == ["accepted"]


def test_release_finding_names_what_it_cannot_release(world: World) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no finding 7"):
        world.value("SELECT release_finding(7)")


def test_actions_that_come_after_the_prices_are_judged_with_them(world: World) -> None:
    add(world, "AAA")
    fault = split_not_applied(4)
    serve(world, {"AAA.PA": fault.asset})
    world.open()
    world.plan("AAA.PA", first=FIRST, last=LAST)
    assert world.group().code == 0
    assert "split_misapplied" not in {rule for rule, _, _ in findings(world, "AAA.PA")}
    assert len(stored(world, "AAA.PA")) == len(fault.asset.bars)

    collect(world, "AAA.PA", run="run-2")
    assert ("split_misapplied", str(fault.causes[0]), "open") in findings(world, "AAA.PA")
    assert stored(world, "AAA.PA") == days(fault.asset.bars) - days(fault.asset.bars, fault.wrong)


def test_a_row_that_cannot_be_a_bar_has_its_finding(world: World) -> None:
    add(world, "AAA")
    document = series("AAA.PA", liquid(2).asset())
    document["bars"][5]["low"] = document["bars"][5]["high"] * 2
    day = document["bars"][5]["date"]
    world.simulator.admin("series", document)
    collect(world, "AAA.PA")
    assert findings(world, "AAA.PA") == [("low_high_order", day, "open")]
    serve(world, {"AAA.PA": liquid(2).asset()})
    collect(world, "AAA.PA", run="run-2")
    assert findings(world, "AAA.PA") == [("low_high_order", day, "released")]


def test_code_and_table_hold_the_same_rules(owner: Owner) -> None:
    rows = owner.execute(
        "SELECT rule, scope, severity, parameters, sentence FROM financial_screener.data_rules"
    ).fetchall()
    assert {row[0]: row for row in rows} == {
        rule.name: (rule.name, rule.scope, rule.severity, dict(rule.parameters), rule.sentence)
        for rule in RULES
    }


# -- whole bulk answers -------------------------------------------------------------------------


async def judged(
    url: str, exchange_id: int, session: date, counted: Batch
) -> tuple[bool, str | None]:
    """Whether a worker believes a bulk answer, and by which rule not; its finding is kept."""
    connection = await connect_async(url, application_name="test")
    async with connection, connection.cursor(row_factory=dict_row) as cursor:
        judge = Judge(1, "run-1")
        verdict = await judge.batch(cursor, exchange_id, session, counted)
        assert counted.asked_at is not None
        await judge.note_batch(cursor, exchange_id, session, verdict, counted.asked_at, [])
        return verdict.believed, verdict.rule


def test_a_bulk_answer_is_judged_by_the_twenty_days_before_it(world: World) -> None:
    """100 rows are usual of them; of the last five, and of thirty, far fewer."""
    exchange_id = world.value("SELECT id FROM exchanges WHERE code = 'MC'")
    for n in range(1, 31):
        rows = 100 if 5 < n <= 20 else 60
        world.rows(
            "INSERT INTO bulk_days SELECT %s, day, 'bulk_prices', day + time '22:00', %s, %s, 1,"
            " true, NULL, 'run-0' FROM (SELECT date '2024-03-15' - %s AS day) AS d RETURNING rows",
            exchange_id,
            rows,
            rows,
            n,
        )
    day, asked = date(2024, 3, 15), datetime(2024, 3, 15, 22, tzinfo=UTC)

    def ask(**counts: Any) -> tuple[bool, str | None]:
        whole = {"rows": 100, "of_session": 100, "known": 90, "unchanged": 2, "asked_at": asked}
        return asyncio.run(judged(world.url, exchange_id, day, Batch(**whole | counts)))

    assert ask(rows=65, of_session=65) == (False, "batch_partial")
    assert ask(unchanged=89) == (False, "batch_echo")
    assert ask(rows=6, of_session=6) == (False, "batch_residue")
    assert ask(of_session=3) == (False, "batch_wrong_date")
    assert {
        (row["exchange"], row["rule"], row["state"])
        for row in world.rows("SELECT * FROM v_data_findings")
    } == {
        ("MC", rule, "open")
        for rule in ("batch_partial", "batch_echo", "batch_residue", "batch_wrong_date")
    }
    assert ask() == (True, None)
    assert world.value("SELECT count(*) FROM data_findings WHERE state <> 'released'") == 0


# -- other sources ------------------------------------------------------------------------------


def across(world: World) -> dict[str, set[str]]:
    """Judges across sources; the rules that stand, by ticker."""
    exchanges = [row["id"] for row in world.rows("SELECT id FROM exchanges")]
    world.value("SELECT judge_across('run-1', %s::smallint[])", exchanges)
    found: dict[str, set[str]] = {}
    for row in world.rows(
        "SELECT ticker, rule FROM v_data_findings WHERE scope = 'cross' AND state <> 'released'"
    ):
        found.setdefault(row["ticker"], set()).add(row["rule"])
    return found


def sheet(assets: str) -> str:
    """Statements with a balance sheet of these assets."""
    quarter = {"totalAssets": assets, "totalLiab": "1", "totalStockholderEquity": "2"}
    return json.dumps({"Balance_Sheet": {"quarterly": {"2024-09-30": quarter}}})


@pytest.fixture
def companies(world: World) -> World:
    """A company listed twice, whose fundamentals and prices agree; nothing is asked for."""
    world.add(Listed("AAA", "F"), Listed("AAA", "XETRA"), Listed("BBB", "LSE"))
    world.rows(
        "UPDATE assets SET isin = 'ISIN-OF-' || code, market_cap = 1000000,"
        " currency = CASE code WHEN 'AAA' THEN 'EUR' ELSE 'GBX' END,"
        " market_cap_currency = CASE code WHEN 'AAA' THEN 'EUR' ELSE 'GBP' END,"
        " shares_outstanding = CASE code WHEN 'AAA' THEN 100000 ELSE 10000000 END,"
        " statements_currency = 'EUR', most_recent_quarter = current_date - 60,"
        " vendor_week_52_high = 12, vendor_week_52_low = 8,"
        ' eodhd_financials = \'{"Balance_Sheet": {"quarterly": {"2024-06-30": {"totalAssets":'
        ' "100.00", "totalLiab": "60.00", "totalStockholderEquity": "39.00"}}}}\''
        " RETURNING id"
    )
    world.rows(
        "INSERT INTO stock_prices SELECT id, current_date - n, 10, 12, 8, 10, 10, 100"
        " FROM assets, generate_series(1, 250) AS n RETURNING date"
    )
    world.rows(
        "UPDATE asset_processing_state SET prices_last_date = current_date - 1,"
        " last_fundamental_update = now(), prices_execution_id = 'run-1',"
        " fundamentals_execution_id = 'run-1' RETURNING asset_id"
    )
    return world


def test_sources_that_agree_break_no_rule(companies: World) -> None:
    assert across(companies) == {}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "UPDATE stock_prices SET close = 14 FROM assets WHERE id = asset_id"
            " AND ticker = 'AAA.F' AND date = current_date - 1",
            {"AAA.F": {"listings_differ"}, "AAA.XETRA": {"listings_differ"}},
        ),
        (
            "UPDATE assets SET market_cap = 100 * market_cap WHERE ticker = 'BBB.LSE'",
            {"BBB.LSE": {"market_cap_differs"}},
        ),
        (
            "UPDATE assets SET vendor_week_52_low = 0.08 WHERE ticker = 'BBB.LSE'",
            {"BBB.LSE": {"year_range_differs"}},
        ),
        (
            "UPDATE assets SET statements_currency = NULL WHERE ticker = 'BBB.LSE'",
            {"BBB.LSE": {"currency_missing"}},
        ),
        (
            "UPDATE assets SET shares_outstanding = 0 WHERE ticker = 'BBB.LSE'",
            {"BBB.LSE": {"shares_missing"}},
        ),
        (
            "UPDATE assets SET most_recent_quarter = '2020-03-31' WHERE ticker = 'BBB.LSE'",
            {"BBB.LSE": {"quarter_old"}},
        ),
        (
            "UPDATE assets SET eodhd_financials = replace(eodhd_financials::text, '39.00', '9.00')"
            "::jsonb WHERE ticker = 'BBB.LSE'",
            {"BBB.LSE": {"balance_unequal"}},
        ),
        (
            "INSERT INTO corporate_actions (asset_id, ex_date, kind, dividend, currency, payload,"
            " execution_id) SELECT id, current_date - 9, 'dividend', 1, 'JPY', '{}', 'run-1'"
            " FROM assets WHERE ticker = 'BBB.LSE'",
            {"BBB.LSE": {"dividend_currency"}},
        ),
    ],
    ids=lambda value: next(iter(next(iter(value.values())))) if isinstance(value, dict) else "",
)
def test_sources_that_disagree_are_flagged_until_they_agree(
    companies: World, change: str, found: dict[str, set[str]]
) -> None:
    with companies.owner.transaction() as transaction:
        companies.owner.execute("SET LOCAL search_path TO financial_screener")
        companies.owner.execute(change.encode())
        assert across(companies) == found
        raise psycopg.Rollback(transaction)
    assert across(companies) == {}


CAP = "market_cap = %s, shares_outstanding = %s"
YEAR = "vendor_week_52_high = %s, vendor_week_52_low = %s"
SHEET = "eodhd_financials = %s"


@pytest.mark.parametrize(
    ("change", "values", "found"),
    [
        pytest.param(CAP, (1e-300, 1e307), {"market_cap_differs"}, id="many shares"),
        pytest.param(CAP, (1e307, 1e-300), {"market_cap_differs"}, id="few shares"),
        pytest.param(YEAR, (1e308, 1e-308), {"year_range_differs"}, id="a wide year"),
        pytest.param(SHEET, (sheet("9" * 400),), set(), id="a large sum"),
        pytest.param(SHEET, (sheet(f"0.{'0' * 400}1"),), set(), id="a small sum"),
    ],
)
def test_a_number_beyond_all_ends_nobodys_judgement(
    companies: World, change: str, values: tuple[object, ...], found: set[str]
) -> None:
    statement = " ".join(("UPDATE assets SET", change, "WHERE code = 'BBB' RETURNING id"))
    companies.rows(statement, *values)
    assert across(companies).get("BBB.LSE", set()) == found


def test_a_cross_finding_is_released_when_the_sources_agree(companies: World) -> None:
    companies.rows("UPDATE assets SET shares_outstanding = 0 WHERE code = 'BBB' RETURNING id")
    assert across(companies) == {"BBB.LSE": {"shares_missing"}}
    companies.rows("UPDATE assets SET shares_outstanding = 1e7 WHERE code = 'BBB' RETURNING id")
    assert across(companies) == {}
