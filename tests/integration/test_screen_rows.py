"""v_screener: what a row says, and that it is never apart from what it is made of."""

import random
import threading
from collections.abc import Iterator
from datetime import date, timedelta

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.rows import TupleRow, dict_row
from screen_world import add_calendar, add_indicators, add_listing
from system_fixture import Database, PostgresServer

from screener_analyzer.registry import REGISTRY

pytestmark = pytest.mark.integration

Owner = Connection[TupleRow]
DAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def shared(postgres_server: PostgresServer) -> Iterator[Owner]:
    with (
        postgres_server.migrated_database() as database,
        psycopg.connect(database.owner_url, autocommit=True) as owner,
    ):
        yield owner


@pytest.fixture
def market(shared: Owner) -> Iterator[Owner]:
    """A transaction that is undone, at each statement of which things are as at a commit."""
    with shared.transaction(force_rollback=True):
        shared.execute("SET LOCAL search_path TO financial_screener")
        shared.execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield shared


@pytest.fixture
def committed(owner: Owner) -> Owner:
    """A database of the test's own, where each statement is a transaction."""
    owner.execute("SET search_path TO financial_screener")
    return owner


def columns(owner: Owner, relation: str) -> dict[str, str]:
    return dict(
        owner.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [f"financial_screener.{relation}"],
        ).fetchall()
    )


def seen(owner: Owner, ticker: str, *names: str) -> tuple[object, ...] | None:
    return owner.execute(
        sql.SQL("SELECT {} FROM financial_screener.v_screener WHERE ticker = %s").format(
            sql.SQL(", ").join(sql.Identifier(name) for name in names)
        ),
        [ticker],
    ).fetchone()


def test_every_indicator_is_a_column(market: Owner) -> None:
    wanted = columns(market, "technical_indicators")
    del wanted["execution_id"]
    shown = columns(market, "v_screener")
    assert {name: shown.get(name) for name in wanted} == wanted
    registered = {output.column for indicator in REGISTRY for output in indicator.outputs}
    assert registered <= wanted.keys()
    tables = ("screener_rows", "screener_facts", "screener_more")
    kept = [name for table in tables for name in columns(market, table)]
    assert len(kept) - 2 == len(set(kept)), "a column is in one table; asset_id in each"


def test_what_is_often_asked_for_is_read_alone(market: Owner) -> None:
    plan = "EXPLAIN SELECT ticker, name, last_bar FROM v_screener WHERE {} AND NOT is_stale"
    for condition, wanted in (
        ("rsi_14 < 30 AND NOT is_flagged", set()),
        ("forward_pe < 12", {"screener_facts"}),
        ("tsi < -25", {"screener_more"}),
        ("industry = 'Oil' AND tsi < -25", {"screener_facts", "screener_more"}),
    ):
        said = " ".join(line for (line,) in market.execute(plan.format(condition).encode()))
        read = {table for table in ("screener_facts", "screener_more") if table in said}
        assert read == wanted, condition


def test_the_largest_first_is_an_order_that_an_index_has(market: Owner) -> None:
    market.execute("SET LOCAL enable_sort = off")
    plan = market.execute(
        "EXPLAIN SELECT ticker FROM v_screener WHERE NOT is_stale"
        " ORDER BY market_cap_usd DESC NULLS LAST LIMIT 50"
    ).fetchall()
    said = " ".join(line for (line,) in plan)
    assert "Index Scan using screener_rows_market_cap_usd_idx" in said
    assert "Sort" not in said


def test_a_column_that_is_added_later_follows(market: Owner) -> None:
    add_listing(market, "A.US", {"last_bar": DAY})
    market.execute("ALTER TABLE technical_indicators ADD COLUMN luck double precision")
    market.execute("SELECT follow_indicator_columns()")
    market.execute("UPDATE technical_indicators SET luck = 7")
    assert seen(market, "A.US", "luck", "calculation_date") == (7.0, DAY)
    market.execute("SELECT follow_indicator_columns()")
    assert list(columns(market, "v_screener"))[-1] == "luck"


def test_a_listing_is_there_from_the_start_and_series_of_reference_never(market: Owner) -> None:
    add_listing(market, "A.US", {})
    add_listing(market, "GSPC.INDX", {"kind": "index"})
    add_listing(market, "B.US", {"kind": "fx"})
    assert market.execute("SELECT ticker, exchange, is_stale FROM v_screener").fetchall() == [
        ("A.US", "US", True)
    ]
    market.execute("UPDATE assets SET kind = 'listing' WHERE ticker = 'B.US'")
    market.execute("UPDATE assets SET kind = 'index' WHERE ticker = 'A.US'")
    assert market.execute("SELECT ticker FROM v_screener").fetchall() == [("B.US",)]
    market.execute("DELETE FROM assets WHERE ticker = 'B.US'")
    assert market.execute("SELECT ticker FROM v_screener").fetchall() == []


def test_the_row_of_a_newest_bar_that_is_taken_away_is_not_the_newest(market: Owner) -> None:
    asset = add_listing(market, "A.US", {"last_bar": DAY, "rsi_14": 99.0})
    days = [DAY - timedelta(days=n) for n in range(3)]
    for day in days[1:]:
        add_indicators(market, asset, day, {"rsi_14": 50.0})
    for day in days:
        market.execute("INSERT INTO stock_prices VALUES (%s, %s, 1, 1, 1, 1, 1, 0)", [asset, day])
    taken = "DELETE FROM stock_prices WHERE asset_id = %s AND date = %s"
    market.execute(taken, [asset, days[2]])
    assert seen(market, "A.US", "last_bar", "rsi_14") == (DAY, 99.0)
    assert market.execute("SELECT count(*) FROM technical_indicators").fetchone() == (3,)
    market.execute(taken, [asset, DAY])
    assert seen(market, "A.US", "last_bar", "rsi_14") == (days[1], 50.0)
    assert market.execute("SELECT count(*) FROM technical_indicators").fetchone() == (2,)
    # A transaction that replaces a history takes none away.
    market.execute("SET CONSTRAINTS financial_screener.row_ends_with_gone DEFERRED")
    market.execute("DELETE FROM stock_prices WHERE asset_id = %s", [asset])
    market.execute("INSERT INTO stock_prices VALUES (%s, %s, 1, 1, 1, 1, 1, 0)", [asset, days[1]])
    market.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert market.execute("SELECT count(*) FROM technical_indicators").fetchone() == (2,)


def test_what_a_row_says(market: Owner) -> None:
    newest = add_calendar(market)[-1]
    add_listing(
        market,
        "A.US",
        {
            "currency": "USD",
            "sector": "Energy",
            "industry": "Oil",
            "market_cap": 5_000_000,
            "fundamentals_date": DAY,
            "pe_ratio": 9.5,
            "dividend_yield": 0.03,
            "last_price": 12.5,
            "rsi_14": 33.0,
            "last_bar": newest,
        },
    )
    with market.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM v_screener").fetchone()
    assert row is not None
    wanted = {
        "ticker": "A.US",
        "code": "A",
        "exchange": "US",
        "name": "A Corporation",
        "currency": "USD",
        "sector": "Energy",
        "industry": "Oil",
        "market_cap": 5_000_000,
        "market_cap_currency": "USD",
        "market_cap_usd": 5_000_000.0,
        "market_cap_day": DAY,
        "pe_ratio": 9.5,
        "dividend_yield": 0.03,
        "last_price": 12.5,
        "current_price": 12.5,
        "rsi_14": 33.0,
        "sma_200": None,
        "last_bar": newest,
        "expected_bar": newest,
        "is_stale": False,
        "quality_flags": [],
        "has_quarantine": False,
        "bars_used": 300,
    }
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("closed", "delay", "stale"),
    [
        pytest.param("2 hours", "1 hour", True, id="bars of the session since are there"),
        pytest.param("2 hours", "3 hours", False, id="they are not published yet"),
        pytest.param("-1 hours", "0 hours", False, id="the session is not over"),
    ],
)
def test_stale_is_told_by_what_the_exchange_has_published(
    market: Owner, closed: str, delay: str, stale: bool
) -> None:
    market.execute(
        "UPDATE exchanges SET publication_delay = %s::interval WHERE code = 'US'", [delay]
    )
    market.execute(
        "INSERT INTO exchange_sessions"
        " SELECT id, (now() AT TIME ZONE 'UTC')::date - n,"
        " now() - n * interval '2 days' - %s::interval"
        " FROM exchanges, generate_series(0, 1) AS n WHERE code = 'US'",
        [closed],
    )
    row = market.execute("SELECT min(session), max(session) FROM exchange_sessions").fetchone()
    assert row is not None
    add_listing(market, "A.US", {"last_bar": row[0]})
    add_listing(market, "B.US", {"last_bar": row[1]})
    add_listing(market, "C.LSE", {"last_bar": row[1]})
    assert seen(market, "A.US", "is_stale") == (stale,)
    assert seen(market, "B.US", "is_stale") == (False,)
    assert seen(market, "C.LSE", "is_stale") == (None,), "no session of it is known"


def test_indicators_of_a_history_that_has_to_be_fetched_again_are_stale(market: Owner) -> None:
    newest = add_calendar(market)[-1]
    asset_id = add_listing(market, "A.US", {"last_bar": newest})
    market.execute(
        "INSERT INTO asset_processing_state (asset_id, ticker) VALUES (%s, 'A.US')", [asset_id]
    )
    assert seen(market, "A.US", "is_stale") == (False,)
    for awaits in (True, False):
        market.execute("UPDATE asset_processing_state SET needs_prices_reprocess = %s", [awaits])
        assert seen(market, "A.US", "is_stale") == (awaits,)


def add_rate(owner: Owner, pair: str, closes: dict[date, float]) -> None:
    """A series of an exchange rate, stored as a worker stores one."""
    with owner.transaction():
        asset_id = add_listing(owner, f"{pair}.FOREX", {"kind": "fx"})
        owner.execute(
            "INSERT INTO asset_processing_state (asset_id, ticker) VALUES (%s, %s)",
            [asset_id, f"{pair}.FOREX"],
        )
    set_rates(owner, pair, closes)


def set_rates(owner: Owner, pair: str, closes: dict[date, float]) -> None:
    ticker = f"{pair}.FOREX"
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute(
            "UPDATE asset_processing_state SET prices_changed_at = clock_timestamp()"
            " WHERE ticker = %s",
            [ticker],
        )
        cursor.execute(
            "DELETE FROM stock_prices USING assets WHERE id = asset_id AND ticker = %s", [ticker]
        )
        cursor.executemany(
            "INSERT INTO stock_prices SELECT id, %s, %s, %s, %s, %s, %s, 0 FROM assets"
            " WHERE ticker = %s",
            [(day, *[close] * 5, ticker) for day, close in closes.items()],
        )


def test_market_capitalisation_in_dollars(committed: Owner) -> None:
    add_rate(committed, "EURUSD", {DAY - timedelta(1): 1.0, DAY: 1.1, DAY + timedelta(1): 1.2})
    add_rate(committed, "GBPUSD", {DAY - timedelta(2): 1.3, DAY + timedelta(1): 1.4})
    add_rate(committed, "CHFUSD", {DAY - timedelta(5): 1.15})
    cases: dict[str, tuple[dict[str, object], float | None]] = {
        "dollars": ({"market_cap_currency": "USD"}, 1000.0),
        "the rate of the day": ({"market_cap_currency": "EUR"}, 1100.0),
        "pounds, of a share in pence": ({"currency": "GBX"}, 1300.0),
        "the rate of two days ago": ({"market_cap_currency": "GBP"}, 1300.0),
        "the last rate is five days old": ({"market_cap_currency": "CHF"}, None),
        "no rate": ({"market_cap_currency": "SEK"}, None),
        "no known currency": ({"currency": "Unknown"}, None),
        "of no known day": ({"market_cap_currency": "EUR", "fundamentals_date": None}, None),
        "no value": ({"market_cap_currency": "EUR", "market_cap": None}, None),
    }
    for case, (facts, _) in cases.items():
        add_listing(
            committed, f"{case}.LSE", {"market_cap": 1000, "fundamentals_date": DAY, **facts}
        )
    assert dict(committed.execute("SELECT code, market_cap_usd FROM v_screener").fetchall()) == {
        case: None if usd is None else pytest.approx(usd) for case, (_, usd) in cases.items()
    }


def test_fridays_rate_serves_until_trading_begins_again_and_no_older_one(committed: Owner) -> None:
    assert DAY.strftime("%A") == "Friday"
    add_rate(committed, "EURUSD", {DAY - timedelta(1): 1.0, DAY: 1.1, DAY + timedelta(7): 1.3})
    expected = {
        "Wednesday, before any": (-2, None),
        "Thursday": (-1, 1000.0),
        "Friday": (0, 1100.0),
        "Saturday": (1, 1100.0),
        "Sunday": (2, 1100.0),
        "Monday, a holiday": (3, 1100.0),
        "Tuesday, another": (4, 1100.0),
        "Wednesday, no longer": (5, None),
        "the Thursday before another": (6, None),
        "another Friday": (7, 1300.0),
    }
    for name, (days, _) in expected.items():
        facts = {"market_cap_currency": "EUR", "fundamentals_date": DAY + timedelta(days)}
        add_listing(committed, f"{name}.PA", {"market_cap": 1000, **facts})
    found = dict(committed.execute("SELECT code, market_cap_usd FROM v_screener").fetchall())
    assert found == {
        name: None if usd is None else pytest.approx(usd) for name, (_, usd) in expected.items()
    }
    for days, usd in expected.values():
        per_euro = None if usd is None else pytest.approx(usd / 1000)
        row = committed.execute("SELECT usd_per('EUR', %s)", [DAY + timedelta(days)]).fetchone()
        assert row == (per_euro,)


def test_the_view_says_of_which_day_a_rate_is(market: Owner) -> None:
    rows = market.execute(
        "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'v_screener'::regclass AND attname LIKE '%\\_usd'"
    ).fetchall()
    said = dict(rows)
    assert set(said) == {"market_cap_usd", "traded_value_30_usd"}
    assert "of that day" in said["market_cap_usd"] and "four days" in said["market_cap_usd"]
    assert "market_cap_usd" in said["traded_value_30_usd"]


def test_rates_follow_their_bars(committed: Owner) -> None:
    add_listing(
        committed,
        "A.PA",
        {"market_cap": 1000, "market_cap_currency": "EUR", "fundamentals_date": DAY},
    )
    assert seen(committed, "A.PA", "market_cap_usd") == (None,)
    add_rate(committed, "EURUSD", {DAY: 1.5})
    assert seen(committed, "A.PA", "market_cap_usd") == (1500.0,)
    set_rates(committed, "EURUSD", {DAY: 1.25, DAY + timedelta(1): 9.0})
    assert seen(committed, "A.PA", "market_cap_usd") == (1250.0,)
    set_rates(committed, "EURUSD", {DAY + timedelta(1): 9.0})
    assert seen(committed, "A.PA", "market_cap_usd") == (None,)
    days = [DAY + timedelta(n) for n in range(-3, 9)]
    set_rates(committed, "EURUSD", {days[2]: 1.1, days[3]: 1.2, days[9]: 1.3})
    for day in days:
        assert committed.execute(
            "SELECT usd_per('EUR', %(day)s), (SELECT usd FROM usd_rates WHERE day = %(day)s)",
            {"day": day},
        ).fetchone() in [(usd, usd) for usd in (None, 1.1, 1.2, 1.3)]


def test_rates_end_where_a_session_was_asked_for_in_vain(committed: Owner) -> None:
    monday, tuesday = DAY + timedelta(3), DAY + timedelta(4)
    facts = {"market_cap": 1000, "market_cap_currency": "EUR"}
    add_listing(committed, "SUN.PA", {**facts, "fundamentals_date": monday - timedelta(1)})
    add_listing(committed, "MON.PA", {**facts, "fundamentals_date": monday})
    add_listing(committed, "TUE.PA", {**facts, "fundamentals_date": tuesday})
    add_rate(committed, "EURUSD", {DAY: 1.5, DAY + timedelta(7): 9.0})
    asked = "UPDATE asset_processing_state SET prices_checked_to = %s WHERE ticker LIKE 'EURUSD%%'"
    for to, shown in (
        (monday - timedelta(1), (1500.0, 1500.0, 1500.0)),
        (monday, (1500.0, None, None)),
        (None, (1500.0, 1500.0, 1500.0)),
    ):
        committed.execute(asked, [to])
        found = [seen(committed, f"{code}.PA", "market_cap_usd") for code in ("SUN", "MON", "TUE")]
        assert found == [(usd,) for usd in shown], to
        for days in range(-1, 14):
            day = {"day": DAY + timedelta(days)}
            stored, read = committed.execute(
                "SELECT (SELECT usd FROM usd_rates WHERE day = %(day)s), usd_per('EUR', %(day)s)",
                day,
            ).fetchone() or (0, 1)
            assert stored == read, (to, day)


def test_traded_value_in_dollars(committed: Owner) -> None:
    add_rate(committed, "GBPUSD", {DAY: 1.25})
    cases: dict[str, tuple[dict[str, object], tuple[object, ...]]] = {
        "dollars": ({"currency": "USD"}, ("USD", 1000.0)),
        # The column is in pounds already.
        "pence": ({"currency": "GBX"}, ("GBP", 1250.0)),
        "no rate": ({"currency": "SEK"}, ("SEK", None)),
        "no known currency": ({"currency": "Unknown"}, (None, None)),
        "no value": ({"currency": "GBX", "traded_value_30": None}, ("GBP", None)),
        "of another day": ({"currency": "GBX", "last_bar": DAY - timedelta(1)}, ("GBP", None)),
    }
    for case, (facts, _) in cases.items():
        add_listing(committed, f"{case}.LSE", {"traded_value_30": 1000, "last_bar": DAY, **facts})
    for case, (_, shown) in cases.items():
        assert seen(committed, f"{case}.LSE", "major_currency", "traded_value_30_usd") == shown
    set_rates(committed, "GBPUSD", {DAY: 1.5})
    assert seen(committed, "pence.LSE", "traded_value_30_usd") == (1500.0,)
    committed.execute("UPDATE assets SET currency = 'USD' WHERE code = 'pence'")
    assert seen(committed, "pence.LSE", "major_currency", "traded_value_30_usd") == ("USD", 1000.0)
    set_rates(committed, "GBPUSD", {})
    assert seen(committed, "no value.LSE", "traded_value_30_usd") == (None,)


def wait_for_lock(observer: Owner, waiting: Owner) -> None:
    for _ in range(3000):
        if observer.execute(
            "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
            [waiting.info.backend_pid],
        ).fetchone() == ("Lock",):
            return
    pytest.fail("it did not wait")


def test_a_rate_and_a_sum_that_come_at_once_find_each_other(
    database: Database, committed: Owner
) -> None:
    add_rate(committed, "EURUSD", {DAY - timedelta(9): 9.0})
    add_listing(committed, "A.PA", {"market_cap_currency": "EUR", "fundamentals_date": DAY})
    for rate_first in (True, False):
        committed.execute("UPDATE assets SET market_cap = NULL WHERE code = 'A'")
        set_rates(committed, "EURUSD", {DAY - timedelta(9): 9.0})
        with (
            psycopg.connect(database.owner_url) as rate,
            psycopg.connect(database.owner_url) as value,
        ):
            rate.execute(
                "INSERT INTO financial_screener.stock_prices"
                " SELECT asset_id, %s, 1.5, 1.5, 1.5, 1.5, 1.5, 0"
                " FROM financial_screener.asset_processing_state WHERE ticker = 'EURUSD.FOREX'",
                [DAY],
            )
            rate.execute(
                "UPDATE financial_screener.asset_processing_state SET prices_changed_at = now()"
                " WHERE ticker = 'EURUSD.FOREX'"
            )
            value.execute("UPDATE financial_screener.assets SET market_cap = 10 WHERE code = 'A'")
            first, other = (rate, value) if rate_first else (value, rate)
            first.execute("SET CONSTRAINTS ALL IMMEDIATE")
            committing = threading.Thread(target=other.commit)
            committing.start()
            wait_for_lock(committed, other)
            first.commit()
            committing.join()
        assert seen(committed, "A.PA", "market_cap_usd") == (15.0,)


def test_a_listing_keeps_its_row_under_another_code_and_off_the_list(market: Owner) -> None:
    before, newest = add_calendar(market)[-2:]
    add_listing(market, "A.US", {"last_bar": before, "sma_50": 1.0})
    market.execute("UPDATE assets SET code = 'B', ticker = 'B.US'")
    market.execute("UPDATE assets SET listed = false, delisted_at = now()")
    assert market.execute(
        "SELECT ticker, code, listed, sma_50, last_bar, expected_bar, is_stale FROM v_screener"
    ).fetchall() == [("B.US", "B", False, 1.0, before, newest, True)]
    # Another company gets the code, at once or later; the first may come back under a third.
    market.execute("UPDATE assets SET code = 'C', ticker = 'C.US', listed = true")
    add_listing(market, "B.US", {"last_bar": newest})
    assert market.execute(
        "SELECT ticker, listed, sma_50, is_stale FROM v_screener ORDER BY ticker"
    ).fetchall() == [("B.US", True, None, False), ("C.US", True, 1.0, True)]


def test_open_findings_are_flags(market: Owner) -> None:
    asset_id = add_listing(market, "A.US", {})
    for rule, severity, state in (
        ("unit_switch", "quarantine", "open"),
        ("prices_stale", "flag", "confirmed"),
        ("session_gap", "flag", "released"),
        ("bar_repeated", "flag", "accepted"),
    ):
        market.execute(
            "INSERT INTO data_findings (asset_id, rule, severity, state, execution_id)"
            " VALUES (%s, %s, %s, %s, 'made')",
            [asset_id, rule, severity, state],
        )
    market.execute(
        "INSERT INTO data_findings (exchange_id, rule, severity, execution_id)"
        " SELECT id, 'batch_echo', 'quarantine', 'made' FROM exchanges WHERE code = 'US'"
    )
    flags = ("quality_flags", "is_flagged", "has_quarantine")
    assert seen(market, "A.US", *flags) == (["prices_stale", "unit_switch"], True, True)
    market.execute("UPDATE data_findings SET state = 'released' WHERE rule = 'unit_switch'")
    assert seen(market, "A.US", *flags) == (["prices_stale"], True, False)
    market.execute("DELETE FROM data_finding_events")
    market.execute("DELETE FROM data_findings")
    assert seen(market, "A.US", *flags) == ([], False, False)


TRUTH = """
SELECT asset.id, asset.name, asset.sector, asset.pe_ratio, newest.calculation_date, newest.sma_50,
       newest.bars_used, coalesce(flags.rules, '{}')
FROM assets AS asset
LEFT JOIN (
    SELECT DISTINCT ON (asset_id) * FROM technical_indicators
    ORDER BY asset_id, calculation_date DESC
) AS newest ON newest.asset_id = asset.id
LEFT JOIN (
    SELECT asset_id, array_agg(DISTINCT rule ORDER BY rule) AS rules FROM data_findings
    WHERE state IN ('open', 'confirmed') GROUP BY asset_id
) AS flags ON flags.asset_id = asset.id
WHERE asset.kind = 'listing'
ORDER BY asset.id
"""
SHOWN = """
SELECT asset_id, name, sector, pe_ratio, calculation_date, sma_50, bars_used, quality_flags
FROM v_screener ORDER BY asset_id
"""
CHANGES = (
    "INSERT INTO technical_indicators (asset_id, calculation_date, sma_50, bars_used, execution_id)"
    " SELECT id, date '2026-11-01' + %(n)s, %(n)s, %(n)s, 'made' FROM assets WHERE id %% 3 = %(k)s"
    " ON CONFLICT (asset_id, calculation_date) DO UPDATE SET sma_50 = -excluded.sma_50",
    "INSERT INTO technical_indicators (asset_id, calculation_date, sma_50, bars_used, execution_id)"
    " SELECT id, date '2025-12-20' + n, n, 1, 'made' FROM assets, generate_series(1, 20) AS n"
    " WHERE id %% 3 = %(k)s ON CONFLICT DO NOTHING",
    "UPDATE technical_indicators SET sma_50 = %(n)s WHERE asset_id %% 3 = %(k)s",
    "UPDATE technical_indicators SET calculation_date = calculation_date - 400"
    " WHERE asset_id %% 3 = %(k)s AND calculation_date = date '2026-11-01' + %(n)s",
    "DELETE FROM technical_indicators WHERE asset_id %% 3 = %(k)s"
    " AND calculation_date >= date '2026-11-01' + %(n)s",
    "DELETE FROM technical_indicators WHERE asset_id %% 3 = %(k)s",
    "UPDATE assets SET pe_ratio = %(n)s, sector = 'S' || %(k)s WHERE id %% 3 = %(k)s",
    "UPDATE assets SET kind = CASE kind WHEN 'index' THEN 'listing' ELSE 'index' END"
    " WHERE id %% 7 = %(k)s",
    "INSERT INTO data_findings (asset_id, rule, severity, execution_id)"
    " SELECT id, 'session_gap', 'flag', 'made' FROM assets WHERE id %% 3 = %(k)s"
    " ON CONFLICT (asset_id, exchange_id, rule, date_from) DO UPDATE SET state = 'open'",
    "UPDATE data_findings SET state = 'released' WHERE asset_id %% 2 = %(k)s",
    "TRUNCATE technical_indicators",
)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_transaction_changes_the_rows_follow(committed: Owner, seed: int) -> None:
    draw = random.Random(seed)
    for n in range(6):
        add_listing(committed, f"C{n}.US", {"last_bar": DAY, "sma_50": 1.0})
    for _ in range(40):
        with committed.transaction(force_rollback=draw.random() < 0.2):
            for _ in range(draw.randint(1, 3)):
                # The last of them, which takes everything, is drawn seldom.
                change = CHANGES[min(draw.randrange(4 * len(CHANGES)) // 4, draw.randrange(99))]
                committed.execute(change, {"n": draw.randint(0, 25), "k": draw.randint(0, 2)})
        assert committed.execute(SHOWN).fetchall() == committed.execute(TRUTH).fetchall()
    assert committed.execute("SELECT count(*) FROM screener_due").fetchone() == (0,)


def test_many_statements_of_a_transaction_are_settled_together(committed: Owner) -> None:
    asset_ids = [add_listing(committed, f"C{n}.US", {}) for n in range(3)]
    with committed.transaction():
        for n in range(30):
            add_indicators(committed, asset_ids[n % 3], DAY - timedelta(n), {"sma_50": float(n)})
        committed.execute("DELETE FROM technical_indicators WHERE calculation_date = %s", [DAY])
        committed.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert committed.execute(SHOWN).fetchall() == committed.execute(TRUTH).fetchall()
        committed.execute("UPDATE technical_indicators SET sma_50 = -sma_50")
    assert committed.execute(SHOWN).fetchall() == committed.execute(TRUTH).fetchall()


def test_two_that_change_a_row_at_once_are_both_in_it(database: Database, committed: Owner) -> None:
    asset_id = add_listing(committed, "A.US", {"last_bar": DAY, "sma_50": 1.0, "pe_ratio": 1.0})
    with psycopg.connect(database.owner_url) as first, psycopg.connect(database.owner_url) as other:
        first.execute("UPDATE financial_screener.assets SET pe_ratio = 2")
        first.execute("SET CONSTRAINTS ALL IMMEDIATE")
        other.execute(
            "INSERT INTO financial_screener.data_findings (asset_id, rule, severity, execution_id)"
            " VALUES (%s, 'session_gap', 'flag', 'made')",
            [asset_id],
        )
        add_indicators(other, asset_id, DAY + timedelta(1), {"sma_50": 2.0})
        committing = threading.Thread(target=other.commit)
        committing.start()
        # It waits for the row, which the first has.
        wait_for_lock(committed, other)
        first.commit()
        committing.join()
    assert seen(committed, "A.US", "pe_ratio", "sma_50", "quality_flags") == (
        2.0,
        2.0,
        ["session_gap"],
    )


def test_people_can_have_all_rows_made_again(market: Owner) -> None:
    add_listing(market, "A.US", {"last_bar": DAY, "sma_50": 1.0})
    market.execute("ALTER TABLE technical_indicators DISABLE TRIGGER USER")
    market.execute("UPDATE technical_indicators SET sma_50 = 2")
    market.execute("ALTER TABLE technical_indicators ENABLE TRIGGER USER")
    assert seen(market, "A.US", "sma_50") == (1.0,)
    market.execute("SELECT refresh_screener()")
    assert seen(market, "A.US", "sma_50") == (2.0,)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (
            "screener_analyzer",
            "INSERT INTO technical_indicators"
            " (asset_id, calculation_date, sma_50, bars_used, execution_id)"
            " SELECT asset_id, calculation_date + 1, 2, 1, 'made' FROM technical_indicators",
        ),
        ("screener_collector", "UPDATE assets SET sector = 'Energy'"),
        (
            "screener_collector",
            "INSERT INTO data_findings (asset_id, rule, severity, execution_id)"
            " SELECT asset_id, 'session_gap', 'flag', 'made' FROM technical_indicators",
        ),
    ],
)
def test_programs_need_no_right_of_their_own(market: Owner, role: str, statement: str) -> None:
    add_listing(market, "A.US", {"last_bar": DAY})
    before = market.execute(SHOWN).fetchall()
    market.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    market.execute(statement)
    assert market.execute("SELECT count(*) FROM v_screener").fetchone() == (1,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), market.transaction():
        market.execute("UPDATE screener_rows SET sma_50 = 1")
    market.execute("RESET ROLE")
    assert before != market.execute(SHOWN).fetchall() == market.execute(TRUTH).fetchall()


def test_a_reader_reads_the_view_alone(market: Owner) -> None:
    assert market.execute(
        "SELECT table_name FROM information_schema.role_table_grants"
        " WHERE grantee = 'screener_reader'"
    ).fetchall() == [("v_screener",)]
    assert market.execute(
        "SELECT has_schema_privilege('screener_reader', 'financial_screener', 'USAGE'),"
        " count(*) FILTER (WHERE has_function_privilege('screener_reader', oid, 'EXECUTE'))"
        " FROM pg_proc WHERE pronamespace = 'financial_screener'::regnamespace"
        " AND proname LIKE '%screener%'"
    ).fetchone() == (True, 0)
