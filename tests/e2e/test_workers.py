"""An IndicatorRun with several workers: an Indexed Job, whose pods share the assets."""

from collections.abc import Iterator

import psycopg
import pytest
from e2e_world import AS_OF, World, condition

from screener_analyzer.settings import CHUNK
from screener_operator.resources import INDICATOR_RUN

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_runs")]

ASSETS = 2 * CHUNK + 1
"""More than one worker claims at once."""


@pytest.fixture
def many_assets(world: World) -> Iterator[None]:
    """Assets with one bar each; they are gone afterwards."""
    world.rows(
        "INSERT INTO assets (code, exchange_id, ticker)"
        " SELECT 'SHARED' || n, exchange.id, 'SHARED' || n || '.MC'"
        " FROM generate_series(1, %s) AS n, exchanges AS exchange WHERE exchange.code = 'MC'"
        " RETURNING id",
        ASSETS,
    )
    world.rows("SELECT ensure_partitions(%s::date, %s::date)", AS_OF, AS_OF)
    world.rows(
        "INSERT INTO stock_prices SELECT id, %s::date, 9, 11, 8, 10, 10, 100 FROM assets"
        " WHERE code LIKE 'SHARED%%' RETURNING asset_id",
        AS_OF,
    )
    world.rows(
        "INSERT INTO asset_processing_state"
        " (asset_id, ticker, prices_loaded, prices_changed_at, prices_last_date)"
        " SELECT id, ticker, true, now(), %s::date FROM assets WHERE code LIKE 'SHARED%%'"
        " RETURNING asset_id",
        AS_OF,
    )
    yield
    world.owner.execute("TRUNCATE stock_prices, technical_indicators, plan_items CASCADE")
    for table in ("asset_processing_details", "asset_processing_state"):
        world.rows(f"DELETE FROM {table} WHERE ticker LIKE 'SHARED%%' RETURNING ticker")  # noqa: S608
    world.rows("DELETE FROM assets WHERE code LIKE 'SHARED%%' RETURNING id")


def test_two_workers_share_the_assets_of_an_indicator_run(world: World, many_assets: None) -> None:
    with psycopg.connect(world.system.postgres.owner_url) as blocker:
        # Whoever has computed its first chunk cannot store it, so both have one.
        blocker.execute("LOCK TABLE financial_screener.technical_indicators IN SHARE MODE")
        uid = world.create_kind(INDICATOR_RUN, "shared", {"exchanges": ["MC"], "workers": 2})
        world.until(
            "both workers have claimed assets",
            lambda: world.one("SELECT count(DISTINCT worker_id) FROM plan_items") == 2,
        )
    run = world.finish("shared", INDICATOR_RUN)

    assert run["status"]["phase"] == "Succeeded"
    assert condition(run, "Verified") == ("True", "Verified")
    assert run["status"]["counts"]["succeeded"] == ASSETS
    world.assert_agreed(run)
    assert world.rows(
        "SELECT count(*), count(DISTINCT asset_id), count(DISTINCT execution_id)"
        " FROM technical_indicators"
    ) == [(ASSETS, ASSETS, 1)]
    [job] = world.api.jobs(run_uid=uid)
    assert job["spec"]["completionMode"] == "Indexed"
    assert (job["status"]["succeeded"], job["status"]["completedIndexes"]) == (2, "0,1")
    shares = world.rows("SELECT count(*) FROM plan_items GROUP BY worker_id")
    assert len(shares) == 2 and sum(share for (share,) in shares) == ASSETS
