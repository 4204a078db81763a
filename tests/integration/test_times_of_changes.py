"""What a run of indicators takes a change by: the time at which it was made, under the lock of its
asset's state, and not that at which its transaction began, which may be before a run read."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from system_fixture import Database

from screener_sql import query

pytestmark = pytest.mark.integration

Cursor = psycopg.Cursor[Any]
BAR = json.dumps([{"asset_id": 1, "date": "2024-01-02", "rule": "price_invalid", "bar": {}}])
ME = {"execution_id": "run"}
DAYS = {"asset_ids": [1], "days": ["2024-01-02"]}


def quarantine(cursor: Cursor) -> None:
    cursor.execute(query("collector/quarantine_bars"), {**ME, "bad": BAR})


def release(cursor: Cursor) -> None:
    cursor.execute(query("collector/release_bars"), {**ME, **DAYS})


def withdraw(cursor: Cursor) -> None:
    cursor.execute(query("collector/withdraw_bars"), {**ME, **DAYS})


@pytest.fixture
def cursor(database: Database) -> Iterator[Cursor]:
    with psycopg.connect(database.owner_url) as owner, owner.cursor() as cursor:
        cursor.execute("SET search_path TO financial_screener")
        cursor.execute(
            "INSERT INTO assets (id, code, exchange_id, ticker) OVERRIDING SYSTEM VALUE"
            " SELECT 1, 'A', id, 'A.US' FROM exchanges WHERE code = 'US'"
        )
        cursor.execute("SELECT ensure_partitions('2024-01-02', '2024-01-02')")
        cursor.execute("INSERT INTO stock_prices VALUES (1, '2024-01-02', 1, 1, 1, 1, 1, 1)")
        owner.commit()
        yield cursor


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param((), quarantine, id="set aside"),
        pytest.param((quarantine, release), quarantine, id="set aside again"),
        pytest.param((quarantine,), release, id="released"),
        pytest.param((), withdraw, id="withdrawn"),
    ],
)
def test_a_change_is_later_than_what_was_read_before_it(
    cursor: Cursor, before: tuple[Callable[[Cursor], None], ...], change: Callable[[Cursor], None]
) -> None:
    for each in before:
        each(cursor)
        cursor.connection.commit()
    cursor.execute("SELECT now()")  # the transaction begins
    cursor.execute("SELECT clock_timestamp()")  # and a run reads, while it waits for the state
    [read_at] = cursor.fetchone() or ()

    change(cursor)

    cursor.execute("SELECT greatest(quarantined_at, released_at) FROM quarantined_bars")
    [changed_at] = cursor.fetchone() or ()
    assert changed_at > read_at
