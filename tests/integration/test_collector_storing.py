"""Bars on real Postgres: stored once, changes recorded, what the vendor took back set aside."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import numpy as np
import psycopg
import pytest
from collector_world import Owner, login
from market import Asset, add_assets

from screener_collector.bars import Bars, Tails
from screener_collector.store import Cursor, Database, connect_patiently, run
from screener_collector.storing import PART_BARS, Changes, read_bars, read_tails, store_bars

pytestmark = pytest.mark.integration

APPLICATION = "a test of bars"
CONNECTED = "SELECT FROM pg_stat_activity WHERE application_name = %s"
START = np.datetime64("2021-12-27")


def history(days: int, *, start: np.datetime64 = START, first: int = 0, price: float = 10) -> Bars:
    """Bars of the business days `first` to `days` from `start` on, each with a price of its own."""
    places = np.arange(first, days)
    close = price + places / 8
    return Bars(
        np.busday_offset(start, places, roll="forward"),
        close,
        close + 1,
        close - 1,
        close.copy(),
        close / 2,
        places * 1000,
    )


def changed(bars: Bars, at: int, **values: float) -> Bars:
    """The bars, one of them otherwise."""
    columns = {name: column.copy() for name, column in zip(FIELDS, bars.columns(), strict=True)}
    for name, value in values.items():
        columns[name][at] = value
    return Bars(**columns)


FIELDS = ("dates", "open", "high", "low", "close", "adjusted_close", "volume")


class Bank:
    """A database with assets 1 to 3 of one exchange, as a collector reaches it."""

    def __init__(self, owner: Owner, url: str) -> None:
        self.owner, self.url = owner, url
        owner.execute("SET search_path TO financial_screener")
        add_assets(owner, [Asset(code, "SW") for code in "ABC"])
        rows = owner.execute("SELECT id FROM assets ORDER BY ticker").fetchall()
        self.a, self.b, self.c = (row[0] for row in rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Cursor]:
        database = Database(await connect_patiently(self.url, APPLICATION))
        try:
            async with database.transaction() as cursor:
                yield cursor
        finally:
            await database.close()

    def store(self, incoming: Mapping[int, Bars], run_id: str = "run-1", **more: Any) -> Changes:
        async def work() -> Changes:
            async with self.transaction() as cursor:
                await run(cursor, "lock_states", {"asset_ids": list(incoming), "exchange_ids": []})
                return await store_bars(cursor, run_id, incoming, **more)

        changes = asyncio.run(work())
        self.owner.execute(
            "UPDATE asset_processing_state AS state SET prices_last_date ="
            " (SELECT max(date) FROM stock_prices AS bar WHERE bar.asset_id = state.asset_id)"
        )
        return changes

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.owner.execute(statement.encode(), parameters).fetchall()

    def stored(self, asset_id: int) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT date, open, high, low, close, adj_close, volume FROM stock_prices"
            " WHERE asset_id = %s ORDER BY date",
            asset_id,
        )

    def revisions(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT asset_id, date, execution_id, old_open, new_open, old_close, new_close,"
            " old_adj_close, new_adj_close, old_volume, new_volume"
            " FROM price_revisions ORDER BY asset_id, revised_at, date"
        )


def listed(bars: Bars) -> list[tuple[Any, ...]]:
    return list(zip(*(column.tolist() for column in bars.columns()), strict=True))


@pytest.fixture
def bank(owner: Owner) -> Iterator[Bank]:
    with login(owner) as url:
        yield Bank(owner, url)
        # Until its server process has ended, a temporary table keeps the login from being dropped.
        while owner.execute(CONNECTED, [APPLICATION]).fetchall():
            time.sleep(0.02)


def test_first_histories_are_stored_as_they_came(bank: Bank) -> None:
    short, long = history(10), history(700, start=np.datetime64("1998-06-01"))
    changes = bank.store({bank.a: short, bank.b: long, bank.c: Bars.empty()})
    assert (changes.inserted, changes.updated) == ({bank.a: 10, bank.b: 700}, {})
    assert bank.stored(bank.a) == listed(short)
    assert bank.stored(bank.b) == listed(long)
    assert bank.revisions() == []


def test_a_first_history_that_ended_long_ago_is_stored_as_it_came(bank: Bank) -> None:
    old = history(10, start=np.datetime64("1985-06-03"))
    bank.store({bank.a: old})
    assert bank.stored(bank.a) == listed(old)


def test_a_first_history_ends_states_of_indicators_that_reach_it(bank: Bank) -> None:
    """As what a run computed while there were other bars; most of it goes past the trigger."""
    first, before = START.item(), (START - 1).item()
    for asset_id, last_bar in ((bank.a, first), (bank.b, before), (bank.c, date(2030, 1, 1))):
        bank.owner.execute(
            "INSERT INTO indicator_states (asset_id, last_bar, read_at) VALUES (%s, %s, now())",
            [asset_id, last_bar],
        )
    bank.store({asset_id: history(300) for asset_id in (bank.a, bank.b, bank.c)})
    assert bank.rows("SELECT asset_id, last_bar FROM indicator_states") == [(bank.b, before)]


def test_histories_that_are_sent_in_parts_are_stored_whole(bank: Bank) -> None:
    came = {
        bank.a: history(PART_BARS + 1, start=np.datetime64("1990-01-01")),
        bank.b: history(10),
        bank.c: history(PART_BARS - 10, start=np.datetime64("1990-01-01")),
    }
    bank.store(came)
    assert {asset: bank.stored(asset) for asset in came} == {
        asset: listed(bars) for asset, bars in came.items()
    }


def test_doubles_survive_exactly(bank: Bank) -> None:
    values = np.array([0.1, 1e-4, 5e-324, 1.7976931348623157e308, 1 / 3])
    days = np.busday_offset(START, np.arange(5), roll="forward")
    odd = Bars(days, *(values.copy() for _ in range(5)), np.array([0, 1, 2**63 - 1, 7, 10**15]))
    bank.store({bank.a: odd})
    assert bank.stored(bank.a) == listed(odd)


def test_storing_the_same_again_changes_nothing(bank: Bank) -> None:
    bars = {bank.a: history(300), bank.b: history(20)}
    bank.store(bars)
    places = bank.rows("SELECT tableoid, ctid, xmin FROM stock_prices ORDER BY asset_id, date")
    changes = bank.store(bars, "run-2", whole={bank.a: (date(2000, 1, 1), date(2030, 1, 1))})
    assert changes == Changes()
    again = bank.rows("SELECT tableoid, ctid, xmin FROM stock_prices ORDER BY asset_id, date")
    assert again == places, "not one row was written again"
    assert bank.revisions() == []


def test_newer_bars_are_added_to_a_history(bank: Bank) -> None:
    bank.store({bank.a: history(10), bank.b: history(10)})
    changes = bank.store({bank.a: history(12, first=10), bank.b: history(13), bank.c: history(1)})
    assert (changes.inserted, changes.updated) == ({bank.a: 2, bank.b: 3, bank.c: 1}, {})
    assert bank.stored(bank.a) == listed(history(12))
    assert bank.stored(bank.b) == listed(history(13))


def test_older_bars_than_the_first_are_added_too(bank: Bank) -> None:
    bank.store({bank.a: history(10, first=5)})
    assert bank.store({bank.a: history(10)}).inserted == {bank.a: 5}
    assert bank.stored(bank.a) == listed(history(10))


def test_a_changed_bar_leaves_old_and_new_values(bank: Bank) -> None:
    bank.store({bank.a: history(10), bank.b: history(10)})
    restated = changed(history(10), 7, volume=123, close=11)
    changes = bank.store({bank.a: restated, bank.b: history(10)}, "run-2")
    assert (changes.inserted, changes.updated) == ({}, {bank.a: 1})
    assert bank.stored(bank.a) == listed(restated)
    day = restated.dates[7].item()
    assert bank.revisions() == [
        (bank.a, day, "run-2", None, None, 10.875, 11, None, None, 7000, 123)
    ]


def test_an_adjusted_history_is_replaced_and_is_one_revision(bank: Bank) -> None:
    before = history(600)
    after = Bars(*before.columns()[:5], before.adjusted_close * 0.5, before.volume)
    bank.store({bank.a: before})
    changes = bank.store({bank.a: after}, "run-2")
    assert changes.updated == {bank.a: 600}
    assert bank.stored(bank.a) == listed(after)
    [(length, opens)] = bank.rows("SELECT cardinality(dates), old_open FROM price_revision_blocks")
    assert (length, opens) == (600, None)
    assert [row[7:9] for row in bank.revisions()] == [
        (old, new)
        for old, new in zip(
            before.adjusted_close.tolist(), after.adjusted_close.tolist(), strict=True
        )
    ]


def test_what_a_transaction_did_not_finish_is_not_there(bank: Bank) -> None:
    before = history(600)
    after = Bars(*before.columns()[:5], before.adjusted_close * 0.5, before.volume)
    bank.store({bank.a: before})

    async def die() -> None:
        async with bank.transaction() as cursor:
            await store_bars(cursor, "run-2", {bank.a: after, bank.b: after})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(die())
    assert bank.stored(bank.a) == listed(before)
    assert (bank.stored(bank.b), bank.revisions()) == ([], [])


def test_a_reader_sees_a_replaced_history_before_or_after_and_never_in_between(bank: Bank) -> None:
    before = history(600)
    after = Bars(*before.columns()[:5], before.adjusted_close * 0.5, before.volume)
    bank.store({bank.a: before})

    async def read_while_it_is_replaced() -> tuple[list[Any], list[Any]]:
        async with bank.transaction() as cursor:
            await store_bars(cursor, "run-2", {bank.a: after})
            meanwhile = bank.stored(bank.a)
        return meanwhile, bank.stored(bank.a)

    meanwhile, at_last = asyncio.run(read_while_it_is_replaced())
    assert (meanwhile, at_last) == (listed(before), listed(after))


WHOLE = (date(2021, 1, 1), date(2030, 1, 1))


def without(bars: Bars, *places: int) -> Bars:
    return bars.take(~np.isin(np.arange(len(bars)), places))


def test_a_bar_that_a_whole_history_lacks_is_withdrawn(bank: Bank) -> None:
    bank.store({bank.a: history(300), bank.b: history(300)})
    lacking = without(history(300), 17, 250)
    changes = bank.store({bank.a: lacking, bank.b: lacking}, "run-2", whole={bank.a: WHOLE})
    assert (changes.withdrawn, changes.kept_withdrawn) == ({bank.a: 2}, {})
    assert bank.stored(bank.a) == listed(lacking)
    assert bank.stored(bank.b) == listed(history(300)), "what is no whole history lacks nothing"
    gone = [listed(history(300))[at] for at in (17, 250)]
    assert bank.rows(
        "SELECT asset_id, date, rule, execution_id, (bar->>'close')::float8, released_at"
        " FROM quarantined_bars ORDER BY date"
    ) == [(bank.a, bar[0], "bar_withdrawn", "run-2", bar[4], None) for bar in gone]
    assert bank.revisions() == [
        (bank.a, bar[0], "run-2", bar[1], None, bar[4], None, bar[5], None, bar[6], None)
        for bar in gone
    ]
    # Once more changes nothing; and it may come back.
    assert bank.store({bank.a: lacking}, "run-3", whole={bank.a: WHOLE}) == Changes()
    assert bank.store({bank.a: history(300)}, "run-4", whole={bank.a: WHOLE}).inserted == {
        bank.a: 2
    }
    assert bank.rows("SELECT count(*) FROM quarantined_bars WHERE released_at IS NULL") == [(0,)]


KEPT: list[Any] = [
    pytest.param(history(300, first=7), [], WHOLE, 0, 7, id="more than 5 and 2 % at once"),
    pytest.param(history(298), [], WHOLE, 0, 0, id="bars newer than its newest, maybe late"),
    pytest.param(
        without(history(300), 5),
        [],
        (history(300).dates[6].item(), WHOLE[1]),
        0,
        0,
        id="a bar of before the days asked for",
    ),
    pytest.param(
        without(history(300), 5),
        [history(300).dates[5].item()],
        WHOLE,
        0,
        0,
        id="a bar that came, and was set aside",
    ),
    pytest.param(history(300, first=4), [], WHOLE, 4, 0, id="the first four of 300"),
    pytest.param(without(history(300), *range(7, 13)), [], WHOLE, 0, 6, id="six of 300"),
]


@pytest.mark.parametrize(("answer", "set_aside", "span", "withdrawn", "kept"), KEPT)
def test_what_is_withdrawn_and_what_is_kept(
    bank: Bank,
    answer: Bars,
    set_aside: Sequence[date],
    span: tuple[date, date],
    withdrawn: int,
    kept: int,
) -> None:
    bank.store({bank.a: history(300)})
    changes = bank.store({bank.a: answer}, whole={bank.a: span}, set_aside={bank.a: set_aside})
    assert changes.withdrawn == ({bank.a: withdrawn} if withdrawn else {})
    assert changes.kept_withdrawn == ({bank.a: kept} if kept else {})
    assert len(bank.stored(bank.a)) == 300 - withdrawn


def test_a_good_bar_releases_the_one_set_aside(bank: Bank) -> None:
    bars = history(3)
    for asset_id in (bank.a, bank.b):
        bank.owner.execute(
            "INSERT INTO quarantined_bars (asset_id, date, rule, bar, execution_id)"
            " SELECT %s, unnest(%s::date[]), 'price_invalid', '{}', 'run-0'",
            [asset_id, [bars.dates[0].item(), bars.dates[2].item()]],
        )
    bank.store({bank.a: bars, bank.b: bars.take(slice(0, 2))})
    assert bank.rows("SELECT asset_id, date FROM quarantined_bars WHERE released_at IS NULL") == [
        (bank.b, bars.dates[2].item())
    ]


def test_bars_of_no_known_asset_are_refused(bank: Bank) -> None:
    with pytest.raises(LookupError, match="assets without a state"):
        bank.store({bank.a: history(2), 4711: history(2)})
    assert bank.stored(bank.a) == []


def test_an_asset_with_bars_is_not_deleted(bank: Bank) -> None:
    bank.store({bank.a: history(2)})
    bank.owner.execute("DELETE FROM asset_processing_state")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match=r"asset A\.SW has bars"):
        bank.owner.execute("DELETE FROM assets WHERE id = %s", [bank.a])
    bank.owner.execute("DELETE FROM assets WHERE id = %s", [bank.b])


def test_two_workers_with_the_same_assets_wait_and_never_deadlock(bank: Bank) -> None:
    """One has a bulk day of all, the other their histories; each begins with the states."""
    day = history(301, first=300)

    async def bulk(number: int) -> None:
        async with bank.transaction() as cursor:
            await run(cursor, "lock_states", {"asset_ids": [], "exchange_ids": exchanges})
            bars = {bank.a: day, bank.b: changed(day, 0, volume=number), bank.c: day}
            await store_bars(cursor, "run-1", bars)

    async def histories(number: int) -> None:
        async with bank.transaction() as cursor:
            asset_ids = [bank.c, bank.a] if number % 2 else [bank.b, bank.c]
            await run(cursor, "lock_states", {"asset_ids": asset_ids, "exchange_ids": []})
            await store_bars(
                cursor, "run-1", {id_: history(301, price=10 + number) for id_ in asset_ids}
            )

    async def both() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(bulk(number))
                tasks.create_task(histories(number))

    exchanges = [row[0] for row in bank.rows("SELECT DISTINCT exchange_id FROM assets")]
    asyncio.run(both())
    assert bank.rows("SELECT count(*) FROM stock_prices") == [(903,)]


def test_a_bulk_day_reads_one_bar_an_asset(bank: Bank) -> None:
    """However long the histories are, and whatever the planner thinks of their number."""
    add_assets(bank.owner, [Asset(f"X{number}", "SW") for number in range(400)])
    ids = [row[0] for row in bank.rows("SELECT id FROM assets WHERE code LIKE 'X%%'")]
    bank.store({asset_id: history(250) for asset_id in ids})
    bank.owner.execute("ANALYZE stock_prices")
    day = {asset_id: history(251, first=250) for asset_id in ids}

    async def work() -> int:
        async with bank.transaction() as cursor:
            await store_bars(cursor, "run-2", day)
            await cursor.execute(
                b"SELECT sum(seq_tup_read) AS read FROM pg_stat_xact_user_tables"
                b" WHERE relname LIKE 'stock_prices%%'"
            )
            row = await cursor.fetchone()
            assert row is not None
            return int(row["read"] or 0)

    assert asyncio.run(work()) == 0, "no partition was read from end to end"


def test_tails_are_the_last_bars_before_a_day(bank: Bank) -> None:
    long, short = history(300), history(4, start=np.datetime64("2023-01-02"))
    bank.store({bank.a: long, bank.b: short})
    before = long.dates[290].item()

    async def read(*asset_ids: int, day: date = before, count: int = 20) -> Tails:
        async with bank.transaction() as cursor:
            return await read_tails(cursor, asset_ids, count, day)

    tails = asyncio.run(read(bank.c, bank.b, bank.a))
    assert tails.lengths.tolist() == [0, 4, 20]
    assert tails.of(2).same(long.take(slice(270, 290)))
    assert tails.of(1).same(short)
    assert len(tails.of(0)) == 0
    assert tails.close.shape == (3, 20)
    assert np.isnan(tails.close[1, :16]).all() and np.isnat(tails.dates[1, :16]).all()
    assert asyncio.run(read(bank.a, day=date(2000, 1, 1))).lengths.tolist() == [0]
    assert asyncio.run(read()).asset_ids.tolist() == []


def test_bars_are_read_back_as_stored_also_where_there_are_none(bank: Bank) -> None:
    async def read(*asset_ids: int) -> dict[int, Bars]:
        async with bank.transaction() as cursor:
            return await read_bars(cursor, "copy_vendor_series", {"asset_ids": list(asset_ids)})

    bank.store({bank.a: history(5), bank.b: history(3)})
    found = asyncio.run(read(bank.a, bank.b, bank.c))
    assert found.keys() == {bank.a, bank.b}
    assert found[bank.a].same(history(5)) and found[bank.b].same(history(3))
    assert asyncio.run(read(bank.c)) == {}
