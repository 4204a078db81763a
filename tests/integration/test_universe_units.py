"""Units and rates in Postgres: `convert_money` says what the reference says."""

from datetime import date, timedelta

import psycopg
import pytest
from collector_world import Owner, login
from money_reference import Unit, convert
from psycopg.rows import dict_row

from screener_collector.store import jsonb, run

pytestmark = pytest.mark.integration

DAY = date(2024, 1, 12)  # a Friday


def add_rate(owner: Owner, currency: str, day: date, rate: float) -> None:
    owner.execute(
        "INSERT INTO financial_screener.assets (code, exchange_id, ticker, kind)"
        " SELECT %s, id, %s, 'fx' FROM financial_screener.exchanges WHERE code = 'FOREX'"
        " ON CONFLICT DO NOTHING",
        (f"{currency}USD", f"{currency}USD.FOREX"),
    )
    owner.execute(
        "INSERT INTO financial_screener.stock_prices SELECT id, %s, 1, 1, 1, %s, 1, 0"
        " FROM financial_screener.assets WHERE ticker = %s",
        (day, rate, f"{currency}USD.FOREX"),
    )


async def test_sql_and_python_agree_on_every_pair_and_day(owner: Owner) -> None:
    add_rate(owner, "GBP", DAY - timedelta(days=1), 1.2)
    add_rate(owner, "GBP", DAY, 1.25)
    add_rate(owner, "EUR", DAY, 1.1)
    codes = ["USD", "GBP", "GBX", "GBp", "EUR", "CHF", "ZAC", "ZAR", "ILA", "USX", "Unknown", None]
    days = [DAY + timedelta(days=n) for n in (-2, -1, 0, 2, 4, 5)]
    with login(owner) as url:
        async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
            cursor = connection.cursor()
            await cursor.execute("SELECT * FROM financial_screener.currency_units")
            parts = {
                row["code"]: Unit(row["currency"], row["per_major"])
                for row in await cursor.fetchall()
            }
            for day in days:
                await cursor.execute(
                    "SELECT currency, financial_screener.usd_per(currency, %s) AS rate"
                    " FROM unnest('{GBP,EUR,CHF}'::text[]) AS currency",
                    (day,),
                )
                of_day = {
                    row["currency"]: row["rate"]
                    for row in await cursor.fetchall()
                    if row["rate"] is not None
                }
                for source in codes:
                    for target in codes:
                        await cursor.execute(
                            "SELECT financial_screener.convert_money(3, %s::text, %s::text, %s)"
                            " AS amount",
                            (source, target, day),
                        )
                        row = await cursor.fetchone()
                        assert row is not None
                        wanted = convert(3.0, source, target, parts, of_day)
                        assert row["amount"] == (
                            None if wanted is None else pytest.approx(wanted)
                        ), (source, target, day)


MONDAY = DAY + timedelta(days=3)


@pytest.mark.parametrize(
    ("days", "checked_to", "rate"),
    [
        pytest.param(0, DAY, 1.25, id="the day's own"),
        pytest.param(1, MONDAY, 1.25, id="Friday's on a Saturday"),
        pytest.param(2, MONDAY, 1.25, id="and on a Sunday"),
        pytest.param(3, MONDAY - timedelta(days=1), 1.25, id="on a Monday not asked for yet"),
        pytest.param(4, None, 1.25, id="where nothing is known to be asked for"),
        pytest.param(3, MONDAY, None, id="a Monday's that is missing"),
        pytest.param(4, MONDAY, None, id="nor after it, though not asked for yet"),
        pytest.param(5, DAY, None, id="too old is none"),
        pytest.param(-1, DAY, None, id="never one of a later day"),
    ],
)
def test_a_rate_serves_until_a_session_that_has_none(
    owner: Owner, days: int, checked_to: date | None, rate: float | None
) -> None:
    add_rate(owner, "GBP", DAY, 1.25)
    check_rate(owner, "GBP", checked_to)
    assert rate_of(owner, "GBP", DAY + timedelta(days=days)) == rate


@pytest.mark.parametrize("holiday", [date(2024, 1, 1), date(2024, 12, 25)], ids=str)
def test_a_rate_serves_over_a_day_on_which_no_market_trades(owner: Owner, holiday: date) -> None:
    before = holiday - timedelta(days=3 if holiday.weekday() == 0 else 1)
    add_rate(owner, "GBP", before, 1.25)
    check_rate(owner, "GBP", holiday + timedelta(days=1))
    assert rate_of(owner, "GBP", holiday) == 1.25
    assert rate_of(owner, "GBP", holiday + timedelta(days=1)) is None


def check_rate(owner: Owner, currency: str, to: date | None) -> None:
    """The rate was asked for up to a day."""
    owner.execute(
        "INSERT INTO financial_screener.asset_processing_state"
        " (asset_id, exchange_id, ticker, prices_checked_to)"
        " SELECT id, exchange_id, ticker, %s FROM financial_screener.assets WHERE ticker = %s"
        " ON CONFLICT (asset_id) DO UPDATE SET prices_checked_to = excluded.prices_checked_to",
        (to, f"{currency}USD.FOREX"),
    )


def rate_of(owner: Owner, currency: str, day: date) -> float | None:
    row = owner.execute("SELECT financial_screener.usd_per(%s, %s)", (currency, day)).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


async def test_money_sums_are_in_major_units_of_a_stated_currency(owner: Owner) -> None:
    ids = [
        row[0]
        for row in owner.execute(
            "INSERT INTO financial_screener.assets (code, exchange_id, ticker, currency)"
            " SELECT code, 2, code || '.LSE', 'GBX' FROM unnest('{A,B,C}'::text[]) AS code"
            " RETURNING id"
        ).fetchall()
    ]
    came = [
        {"id": ids[0], "currency": "GBX", "market_cap": "5e9", "statements_currency": "USD"},
        {"id": ids[1], "currency": "EUR", "market_cap": "5e9", "statements_currency": "GBp"},
        {"id": ids[2], "currency": None, "market_cap": None, "statements_currency": "Unknown"},
    ]
    with login(owner) as url:
        async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
            await run(connection.cursor(), "store_fundamentals", {"rows": jsonb(came)})
    stored = owner.execute(
        "SELECT currency, market_cap_currency, statements_currency FROM financial_screener.assets"
        " ORDER BY id"
    ).fetchall()
    assert stored == [("GBX", "GBP", "USD"), ("GBX", "EUR", "GBP"), ("GBX", "GBP", None)]
