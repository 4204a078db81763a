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


@pytest.mark.parametrize(
    ("days", "rate"),
    [
        pytest.param(0, 1.25, id="the day's own"),
        pytest.param(3, 1.25, id="Friday's on a Monday without one"),
        pytest.param(4, 1.25, id="after a long weekend"),
        pytest.param(5, None, id="too old is none"),
        pytest.param(-1, None, id="never one of a later day"),
    ],
)
def test_a_rate_serves_for_few_days(owner: Owner, days: int, rate: float | None) -> None:
    add_rate(owner, "GBP", DAY, 1.25)
    row = owner.execute(
        "SELECT financial_screener.usd_per('GBP', %s)", (DAY + timedelta(days=days),)
    ).fetchone()
    assert row == (rate,)


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
