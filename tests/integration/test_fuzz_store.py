"""Whatever the vendor answers is closed in real Postgres, and a poisoned answer costs its own asset
alone.
"""

import json
from typing import Any

import fuzz_payloads as fuzz
import pytest
from fuzz_closing import GROUP, add_slice, assert_none, rows_of, slice_of
from fuzz_payloads import FIRST, LAST, Spoiler
from hypothesis_profile import FIRST_SEED, TIMES
from market import Asset, add_assets, add_sessions, open_execution
from psycopg import Connection
from psycopg.rows import TupleRow
from system_fixture import Database as Migrated

from screener_collector.work import Fetch

pytestmark = pytest.mark.integration

BATCHES, ASSETS = 25 * TIMES, 30
KINDS = {
    "prices": ("prices_bulk", 1),
    "splits": ("splits", 1),
    "dividends": ("dividends", 1),
    "fundamentals": ("fundamentals_bulk", 10),
}
CODES = [f"A{number:02}" for number in range(ASSETS)]
GOOD = "A00"
"""The asset whose answers are good, in every batch."""


def plan(owner: Connection[TupleRow], execution_id: str) -> None:
    """A run with every kind of request of every asset."""
    open_execution(owner, execution_id)
    add_slice(owner, execution_id)
    for kind, (operation, calls) in KINDS.items():
        span = (None, None) if kind == "fundamentals" else (FIRST, LAST)
        owner.execute(
            "WITH made AS (INSERT INTO financial_screener.plan_fetches (execution_id, group_name,"
            " ordinal, kind, exchange_id, asset_id, date_from, date_to, calls)"
            " SELECT %s, %s, 1, %s, exchange_id, id, %s, %s, %s"
            " FROM financial_screener.assets RETURNING id, asset_id, exchange_id)"
            " INSERT INTO financial_screener.plan_items (execution_id, group_name, asset_id,"
            " exchange_id, operation, way, fetch_id, expected_to, planned_calls)"
            " SELECT %s, %s, asset_id, exchange_id, %s, 'asset', id, %s, %s FROM made",
            [execution_id, GROUP, kind, *span, calls, execution_id, GROUP, operation, LAST, calls],
        )


def body(make: Spoiler, fetch: Fetch) -> bytes:
    """What is answered to a fetch."""
    good: dict[str, Any] = {
        "prices": [fuzz.BAR, fuzz.OTHER_BAR],
        "splits": [fuzz.SPLIT],
        "dividends": [fuzz.DIVIDEND],
        "fundamentals": fuzz.FUNDAMENTALS
        | {"General": fuzz.FUNDAMENTALS["General"] | {"Code": fetch.code}},
    }
    if fetch.code == GOOD:
        return json.dumps(good[fetch.kind]).encode()
    if fetch.kind == "fundamentals":
        return make.body(make.sections(good["fundamentals"]))
    return make.body(make.rows(*good[fetch.kind]))


async def test_whatever_is_answered_is_closed_and_costs_its_own_asset_alone(
    owner: Connection[TupleRow], database: Migrated
) -> None:
    add_sessions(owner, "MC", FIRST, LAST)
    add_assets(owner, [Asset(code, "MC") for code in CODES])
    for number in range(FIRST_SEED, FIRST_SEED + BATCHES):
        execution_id, make = f"run-{number}", Spoiler(number)
        plan(owner, execution_id)
        async with slice_of(database, execution_id, number) as slice_:
            results = await slice_.close_open(lambda fetch, make=make: body(make, fetch))
            assert len(results) == ASSETS * len(KINDS)
    assert_none(owner)
    assert not rows_of(
        owner,
        "SELECT state, operation, count(*) FROM plan_items JOIN assets ON assets.id = asset_id"
        " WHERE code = 'A00' AND state <> 'succeeded' GROUP BY 1, 2",
    ), "good answers beside bad ones"
    assert rows_of(owner, "SELECT count(*) FROM quarantined_bars")[0]["count"] > 50
    assert rows_of(owner, "SELECT count(*) FROM stock_prices")[0]["count"] > 20
