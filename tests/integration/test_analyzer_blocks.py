"""The last bars of an asset in one piece: a run that reads it gives what one without it gives."""

import pytest
from analyzer_world import Owner, add_bars, analyze, everything, plan, value, walk
from market import Asset, add_assets

from screener_analyzer.block_store import LATER_BARS
from screener_analyzer.registry import LONGEST_HISTORY

pytestmark = pytest.mark.integration

LENGTH = LONGEST_HISTORY + 40
BARS = walk(1, LENGTH + 3 * LATER_BARS)
"""More than are stored at first."""
OF_DAY = (
    " financial_screener.assets AS asset WHERE asset.id = bar.asset_id"
    " AND asset.ticker = 'LONG.MC' AND bar.date = %s"
)
CHANGED = f"UPDATE financial_screener.stock_prices AS bar SET close = close * 1.5 FROM{OF_DAY}"  # noqa: S608
TAKEN_AWAY = f"DELETE FROM financial_screener.stock_prices AS bar USING{OF_DAY}"  # noqa: S608


@pytest.fixture
def owner_with_blocks(owner: Owner, analyzer_url: str) -> Owner:
    """After a run over two assets, one of which has more bars than a run reads."""
    add_assets(owner, [Asset("LONG"), Asset("SHORT")])
    add_bars(owner, "LONG.MC", BARS[:LENGTH])
    add_bars(owner, "SHORT.MC", walk(2, 60))
    run(owner, analyzer_url, "first")
    return owner


def run(owner: Owner, url: str, name: str, **wanted: object) -> None:
    plan(owner, name, mode="all", **wanted)  # type: ignore[arg-type]
    ended = analyze(url, name)
    assert ended.code == 0, ended.log


def blocks(owner: Owner) -> list[tuple[object, ...]]:
    """(ticker, last bar, bytes)"""
    return owner.execute(
        "SELECT ticker, last_bar, length(bars) FROM financial_screener.bar_blocks"
        " JOIN financial_screener.assets AS asset ON asset.id = asset_id"
    ).fetchall()


def assert_as_without_blocks(owner: Owner, url: str, **wanted: object) -> None:
    """The last rows equal those of a run that reads every bar from stock_prices."""
    run(owner, url, "with", **wanted)
    found = everything(owner)
    owner.execute("DELETE FROM financial_screener.bar_blocks")
    owner.execute("DELETE FROM financial_screener.indicator_states")
    owner.execute("DELETE FROM financial_screener.technical_indicators WHERE execution_id = 'with'")
    run(owner, url, "without", **wanted)
    assert found == everything(owner)


def test_of_an_asset_with_more_bars_than_a_run_reads_there_is_a_block(
    owner_with_blocks: Owner,
) -> None:
    assert blocks(owner_with_blocks) == [("LONG.MC", BARS[LENGTH - 1].date, LONGEST_HISTORY * 52)]


@pytest.mark.parametrize("more", [0, 1, LATER_BARS - 1])
def test_with_later_bars_it_gives_the_same(
    owner_with_blocks: Owner, analyzer_url: str, more: int
) -> None:
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH : LENGTH + more])
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


def test_with_many_later_bars_it_is_made_anew(owner_with_blocks: Owner, analyzer_url: str) -> None:
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH : LENGTH + LATER_BARS - 1])
    run(owner_with_blocks, analyzer_url, "few")
    assert blocks(owner_with_blocks)[0][1] == BARS[LENGTH - 1].date
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH + LATER_BARS - 1 :])
    run(owner_with_blocks, analyzer_url, "many")
    assert blocks(owner_with_blocks) == [("LONG.MC", BARS[-1].date, LONGEST_HISTORY * 52)]
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


def test_a_day_before_its_last_is_read_from_the_bars(
    owner_with_blocks: Owner, analyzer_url: str
) -> None:
    assert_as_without_blocks(owner_with_blocks, analyzer_url, as_of=BARS[LENGTH - 5].date)


@pytest.mark.parametrize(
    "change",
    [
        CHANGED,
        TAKEN_AWAY,
        "INSERT INTO financial_screener.stock_prices"
        " SELECT asset_id, %s::date - 1000, open, high, low, close, adj_close, volume"
        " FROM financial_screener.stock_prices AS bar JOIN financial_screener.assets AS asset"
        " ON asset.id = asset_id WHERE ticker = 'LONG.MC' ORDER BY date LIMIT 1",
    ],
    ids=["changed", "taken away", "come"],
)
def test_who_changes_the_history_ends_it(
    owner_with_blocks: Owner, analyzer_url: str, change: str
) -> None:
    day = BARS[LENGTH - 100].date
    owner_with_blocks.execute(
        "SELECT financial_screener.ensure_partitions(%s::date - 1000, %s)", (day, day)
    )
    owner_with_blocks.execute(change.encode(), (day,))
    assert blocks(owner_with_blocks) == []
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


def set_aside(owner: Owner, place: int) -> None:
    """The bar is no longer stored but quarantined, on a session of its exchange."""
    day = BARS[place].date
    owner.execute(
        "INSERT INTO financial_screener.exchange_sessions (exchange_id, session, closes_at)"
        " SELECT id, %s, now() FROM financial_screener.exchanges WHERE code = 'MC'"
        " ON CONFLICT DO NOTHING",
        (day,),
    )
    owner.execute(TAKEN_AWAY.encode(), (day,))
    owner.execute(
        "INSERT INTO financial_screener.quarantined_bars (asset_id, date, rule, bar, execution_id)"
        " SELECT id, %s, 'high_below_low', '{}', 'x' FROM financial_screener.assets"
        " WHERE ticker = 'LONG.MC'",
        (day,),
    )


@pytest.mark.parametrize("later", [True, False], ids=["after its last bar", "in it"])
def test_a_bar_that_was_set_aside_is_a_hole(
    owner_with_blocks: Owner, analyzer_url: str, later: bool
) -> None:
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH : LENGTH + 10])
    set_aside(owner_with_blocks, LENGTH + 5 if later else LENGTH - 300)
    if not later:
        run(owner_with_blocks, analyzer_url, "again")
        assert blocks(owner_with_blocks)
    assert_as_without_blocks(owner_with_blocks, analyzer_url)
    assert value(
        owner_with_blocks,
        "SELECT count(*) FROM financial_screener.technical_indicators WHERE sma_200 IS NULL"
        " AND execution_id = 'without'",
    ) == (2 if later else 1)
