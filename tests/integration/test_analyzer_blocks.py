"""The last bars of an asset in one piece: a run that reads it gives what one without it gives."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date

import numpy as np
import pytest
from analyzer_world import (
    Bar,
    Owner,
    add_bars,
    analyze,
    everything,
    plan,
    plan_and_carry_out,
    value,
    walk,
)
from market import Asset, add_assets

from screener_analyzer import columns, walked
from screener_analyzer import run as analyzer
from screener_analyzer.block_store import LATER_BARS, BlockStore
from screener_analyzer.registry import LONGEST_HISTORY
from screener_analyzer.run import Part, parts_of
from screener_analyzer.spec import Spec
from screener_analyzer.states import LEAST_BARS
from screener_analyzer.store import Chunk
from screener_analyzer.walked import TAIL
from screener_sql.model import ExitCode

pytestmark = pytest.mark.integration

LENGTH = LONGEST_HISTORY + 40
MOST = LENGTH + LONGEST_HISTORY + 10
SESSIONS = np.busday_offset("2022-01-03", np.arange(MOST), roll="forward")


def on_sessions(bars: Sequence[Bar]) -> list[Bar]:
    """Five a week."""
    return [bar._replace(date=day) for bar, day in zip(bars, SESSIONS.tolist(), strict=False)]


BARS = on_sessions(walk(1, LENGTH + 3 * LATER_BARS))
"""More than are stored at first."""
YOUNG = on_sessions(walk(3, LEAST_BARS + 2 * LATER_BARS))
OF_DAY = (
    " financial_screener.assets AS asset WHERE asset.id = bar.asset_id"
    " AND asset.ticker = 'LONG.MC' AND bar.date = %s"
)
CHANGED = f"UPDATE financial_screener.stock_prices AS bar SET close = close * 1.5 FROM{OF_DAY}"  # noqa: S608
TAKEN_AWAY = f"DELETE FROM financial_screener.stock_prices AS bar USING{OF_DAY}"  # noqa: S608


@pytest.fixture
def owner_with_blocks(owner: Owner, analyzer_url: str) -> Owner:
    """After a run over three assets, one of which has more bars than a run reads."""
    add_assets(owner, [Asset("LONG"), Asset("YOUNG"), Asset("SHORT")])
    add_bars(owner, "LONG.MC", BARS[:LENGTH])
    add_bars(owner, "YOUNG.MC", YOUNG[:LEAST_BARS])
    add_bars(owner, "SHORT.MC", walk(2, LEAST_BARS - 1))
    run(owner, analyzer_url, "first")
    return owner


def run(owner: Owner, url: str, name: str, **wanted: object) -> None:
    plan(owner, name, mode="all", **wanted)  # type: ignore[arg-type]
    ended = analyze(url, name)
    assert ended.code == 0, ended.log


def blocks(owner: Owner, ticker: str = "LONG.MC") -> list[tuple[object, ...]]:
    """(last bar, bars) of the asset's block"""
    return owner.execute(
        "SELECT last_bar, length(bars) / 52 FROM financial_screener.bar_blocks"
        " JOIN financial_screener.assets AS asset ON asset.id = asset_id WHERE ticker = %s",
        [ticker],
    ).fetchall()


def bytes_of(owner: Owner) -> object:
    """The bars of LONG.MC's block."""
    return value(
        owner,
        "SELECT bars FROM financial_screener.bar_blocks"
        " JOIN financial_screener.assets AS asset ON asset.id = asset_id"
        " WHERE ticker = 'LONG.MC'",
    )


def left_out(owner: Owner, *, ends: bool = True) -> dict[str, int]:
    """By ticker, how many bars of blocks are not read."""
    columns.understood_by(owner)
    tickers = dict(owner.execute("SELECT id, ticker FROM financial_screener.assets").fetchall())
    found = BlockStore(owner, "any").read(list(tickers), date.max, ends=ends)
    return {tickers[asset_id]: bars for asset_id, bars in found.left_out.items()}


def assert_as_without_blocks(owner: Owner, url: str, **wanted: object) -> None:
    """The last rows equal those of a run that reads every bar from stock_prices."""
    run(owner, url, "with", **wanted)
    found = everything(owner)
    owner.execute("DELETE FROM financial_screener.bar_blocks")
    owner.execute("DELETE FROM financial_screener.indicator_states")
    owner.execute("DELETE FROM financial_screener.technical_indicators WHERE execution_id = 'with'")
    run(owner, url, "without", **wanted)
    for with_it, without in zip(found, everything(owner), strict=True):
        # What is carried goes back to bars before those that are read.
        assert with_it[:3] == without[:3]
        ours, right = (np.array(row[3:], dtype=float) for row in (with_it, without))
        np.testing.assert_allclose(ours, right, rtol=1e-9, atol=1e-9)


def test_of_assets_there_are_blocks_of_as_many_bars_as_a_run_reads(
    owner_with_blocks: Owner,
) -> None:
    assert blocks(owner_with_blocks) == [(BARS[LENGTH - 1].date, LONGEST_HISTORY)]
    assert blocks(owner_with_blocks, "YOUNG.MC") == [(YOUNG[LEAST_BARS - 1].date, LEAST_BARS)]
    assert blocks(owner_with_blocks, "SHORT.MC") == []


def test_with_what_was_carried_the_end_of_it_is_enough(
    owner_with_blocks: Owner, analyzer_url: str
) -> None:
    assert left_out(owner_with_blocks) == {"LONG.MC": LONGEST_HISTORY - TAIL, "YOUNG.MC": 0}
    assert left_out(owner_with_blocks, ends=False) == {}
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH : LENGTH + 7])
    assert left_out(owner_with_blocks)["LONG.MC"] == LONGEST_HISTORY - TAIL
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH + 7 :])
    assert left_out(owner_with_blocks)["LONG.MC"] == LONGEST_HISTORY - TAIL


@pytest.mark.parametrize("in_common", ["every session", "few of late", "few of late, none before"])
def test_where_the_benchmark_has_few_of_the_last_sessions_more_are_read(
    owner_with_blocks: Owner, analyzer_url: str, in_common: str
) -> None:
    add_assets(owner_with_blocks, [Asset("IBEX", exchange="INDX")])
    owner_with_blocks.execute(
        "UPDATE financial_screener.assets SET kind = 'index' WHERE code = 'IBEX'"
    )
    owner_with_blocks.execute(
        "UPDATE financial_screener.exchanges SET benchmark = 'IBEX.INDX' WHERE code = 'MC'"
    )
    theirs = on_sessions(walk(9, LENGTH))
    if in_common != "every session":
        before = [] if in_common.endswith("none before") else theirs[:-TAIL]
        theirs = before + theirs[-TAIL::2]
    add_bars(owner_with_blocks, "IBEX.INDX", theirs)
    assert_as_without_blocks(owner_with_blocks, analyzer_url)
    beta = value(
        owner_with_blocks,
        "SELECT beta FROM financial_screener.technical_indicators JOIN financial_screener.assets"
        " AS asset ON asset.id = asset_id WHERE ticker = 'LONG.MC' AND execution_id = 'without'",
    )
    assert beta is not None


def test_where_a_year_is_of_more_sessions_more_are_read(owner: Owner, analyzer_url: str) -> None:
    add_assets(owner, [Asset("LONG"), Asset("YOUNG")])
    every_day = walk(1, LENGTH + 1)
    add_bars(owner, "LONG.MC", every_day[:LENGTH])
    run(owner, analyzer_url, "first")
    add_bars(owner, "LONG.MC", every_day[LENGTH:])
    assert_as_without_blocks(owner, analyzer_url)


def test_where_factors_changed_more_are_read(
    owner_with_blocks: Owner, analyzer_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def noted(
        chunk: Chunk, spec: Spec, size: int, before_last: Callable[[], None]
    ) -> Iterator[Part]:
        places = [work.ticker for work in chunk.works]
        read.append(int(chunk.bars.lengths[places.index("LONG.MC")]))
        return parts_of(chunk, spec, size, before_last)

    monkeypatch.setattr(analyzer, "parts_of", noted)
    plan_and_carry_out(owner_with_blocks, analyzer_url, "as before", mode="all")
    last = BARS[LENGTH]
    add_bars(owner_with_blocks, "LONG.MC", [last._replace(adj_close=last.close * 1.25)])
    assert left_out(owner_with_blocks)["LONG.MC"] > 0
    plan_and_carry_out(owner_with_blocks, analyzer_url, "changed", mode="all")
    assert read == [TAIL, LONGEST_HISTORY]
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


@pytest.mark.parametrize("more", [0, 1, LATER_BARS - 1])
def test_with_later_bars_it_gives_the_same(
    owner_with_blocks: Owner, analyzer_url: str, more: int
) -> None:
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH : LENGTH + more])
    add_bars(owner_with_blocks, "YOUNG.MC", YOUNG[LEAST_BARS : LEAST_BARS + more])
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


def test_with_many_later_bars_it_is_made_anew(owner_with_blocks: Owner, analyzer_url: str) -> None:
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH : LENGTH + LATER_BARS - 1])
    run(owner_with_blocks, analyzer_url, "few")
    assert blocks(owner_with_blocks)[0][0] == BARS[LENGTH - 1].date
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH + LATER_BARS - 1 :])
    run(owner_with_blocks, analyzer_url, "many")
    assert blocks(owner_with_blocks) == [(BARS[-1].date, LONGEST_HISTORY)]
    renewed = bytes_of(owner_with_blocks)
    owner_with_blocks.execute("DELETE FROM financial_screener.indicator_states")
    run(owner_with_blocks, analyzer_url, "from the bars")
    assert bytes_of(owner_with_blocks) == renewed
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


def test_with_more_later_bars_than_are_read_it_is_made_anew(
    owner_with_blocks: Owner, analyzer_url: str
) -> None:
    bars = on_sessions(walk(1, MOST))
    add_bars(owner_with_blocks, "LONG.MC", bars[LENGTH:])
    add_bars(owner_with_blocks, "YOUNG.MC", YOUNG[LEAST_BARS : LEAST_BARS + 1])
    run(owner_with_blocks, analyzer_url, "very many")
    assert blocks(owner_with_blocks) == [(bars[-1].date, LONGEST_HISTORY)]
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


def test_the_block_of_a_young_asset_grows(owner_with_blocks: Owner, analyzer_url: str) -> None:
    add_bars(owner_with_blocks, "YOUNG.MC", YOUNG[LEAST_BARS:])
    run(owner_with_blocks, analyzer_url, "many")
    assert blocks(owner_with_blocks, "YOUNG.MC") == [(YOUNG[-1].date, len(YOUNG))]
    assert_as_without_blocks(owner_with_blocks, analyzer_url)


def test_what_is_carried_is_gone_on_from_and_the_judge_finds_where_it_is_wrong(
    owner_with_blocks: Owner, analyzer_url: str
) -> None:
    owner = owner_with_blocks
    of_asset = "asset_id = (SELECT id FROM financial_screener.assets WHERE ticker = 'YOUNG.MC')"
    carried = value(owner, f"SELECT walked FROM financial_screener.bar_blocks WHERE {of_asset}")  # noqa: S608
    assert isinstance(carried, bytes)
    values, known = walked.unpack([carried])
    assert known.all()
    values[2:] *= 1.001
    owner.execute(
        f"UPDATE financial_screener.bar_blocks SET walked = %s WHERE {of_asset}",  # noqa: S608
        walked.pack(values),
    )
    plan(owner, "wrong", mode="all", spec={"verify": {"sample": 3}})
    ended = analyze(analyzer_url, "wrong")
    assert ended.code == ExitCode.NOT_VERIFIED
    assert "YOUNG.MC" in ended.log


def test_what_another_version_carried_is_not_gone_on_from(
    owner_with_blocks: Owner, analyzer_url: str
) -> None:
    owner = owner_with_blocks
    was = owner.execute(
        "SELECT asset_id, walked FROM financial_screener.bar_blocks ORDER BY 1"
    ).fetchall()
    owner.execute(
        "UPDATE financial_screener.bar_blocks"
        " SET walked = decode(repeat('00', 16), 'hex') || substr(walked, 17)"
    )
    run(owner, analyzer_url, "newer")
    made_anew = "SELECT asset_id, walked FROM financial_screener.bar_blocks ORDER BY 1"
    assert owner.execute(made_anew.encode()).fetchall() == was


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


@pytest.mark.parametrize(
    "place",
    [LENGTH + 5, LENGTH - 100, LENGTH - 500],
    ids=["after its last bar", "at its end", "before its end"],
)
def test_a_bar_that_was_set_aside_is_a_hole(
    owner_with_blocks: Owner, analyzer_url: str, place: int
) -> None:
    add_bars(owner_with_blocks, "LONG.MC", BARS[LENGTH : LENGTH + 10])
    set_aside(owner_with_blocks, place)
    if place < LENGTH:
        run(owner_with_blocks, analyzer_url, "again")
        assert blocks(owner_with_blocks)
    assert_as_without_blocks(owner_with_blocks, analyzer_url)
    assert value(
        owner_with_blocks,
        "SELECT count(*) FROM financial_screener.technical_indicators WHERE sma_200 IS NULL"
        " AND execution_id = 'without'",
    ) == (1 if place < LENGTH - 200 else 2)
