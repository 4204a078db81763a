"""The loop of a run: chunks are read, computed and stored at once, in order, each once."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import numpy as np
import pytest

from screener_analyzer import judge
from screener_analyzer.bars import Bars
from screener_analyzer.binary import day_of
from screener_analyzer.rows import Rows
from screener_analyzer.run import HISTORY_PARTS, HISTORY_SHARE, Terminated, run
from screener_analyzer.spec import Spec
from screener_analyzer.states import States
from screener_analyzer.store import Chunk, Result, Slice, Store, Work
from screener_analyzer.verification import Sampled, verified
from screener_analyzer.worker import Worker
from screener_sql.errors import DatabaseUnreachable
from screener_sql.model import ExitCode

NOON = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
BARS = 30
PATIENCE_S = 30


class Database:
    """Items by number: their state; and what has happened, in order."""

    def __init__(self, items: int) -> None:
        self.items = dict.fromkeys(range(1, items + 1), "planned")
        self.happened: list[tuple[str, list[int]]] = []
        self.verified: bool | None = None
        self.busy: set[int] = set()
        """Items whose assets are being written when they are to be stored, once."""

    def of(self, what: str) -> list[list[int]]:
        return [items for happened, items in self.happened if happened == what]


class FakeStore:
    """As `Store`, of a Database; `on_store` is called with the ids of a chunk in its transaction,
    `on_read` when it has been read."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.spec = Spec()
        self.on_store: Callable[[list[int]], None] = lambda items: None
        self.on_read: Callable[[list[int]], None] = lambda items: None
        self.due: set[int] = set()
        """Items whose assets' blocks of bars are due."""
        self.wrong: set[int] = set()
        """Items whose rows are stored otherwise than computed."""

    def start_slice(self) -> Slice:
        return Slice(False, None, len(self.database.items), self.spec)

    def claim(self, worker_id: int, chunk: int, after: int = 0) -> list[int]:
        items = self.database.items.items()
        return [item for item, state in items if state == "planned" and item > after][:chunk]

    def read(self, worker_id: int, item_ids: Sequence[int], spec: Spec) -> Chunk | None:
        if not item_ids:
            return None
        self.database.happened.append(("read", list(item_ids)))
        works = tuple(Work(item, item, f"A{item}.MC", None, False, 1, 1.0) for item in item_ids)
        self.on_read(list(item_ids))
        due = dict.fromkeys(frozenset(item_ids) & self.due)
        return Chunk(works, NOON, bars(len(works)), blocks_due=due)

    @contextmanager
    def taken(self, worker_id: int, works: Sequence[Work]) -> Iterator[set[int]]:
        mine = {work.item_id for work in works} - self.database.busy
        self.database.busy = set()
        before = {item: self.database.items[item] for item in mine}
        try:
            yield mine
        except BaseException:
            self.database.items |= before
            self.database.happened.append(("rolled back", sorted(mine)))
            raise
        if mine:
            self.database.happened.append(("end", sorted(mine)))

    def store(self, rows: Rows, read_at: dt.datetime) -> dict[int, int]:
        if len(rows):
            self.on_store(rows.asset_ids.tolist())
        return {}

    def sample(self, rows: Rows, read_at: dt.datetime) -> list[Sampled]:
        found = bars(1)
        history = judge.History.of(found.values, found.splits, found.dates)
        right = {
            column: None if value is judge.UNDECIDED else value
            for column, value in judge.judged(history).items()
        }
        return [
            Sampled(
                f"A{asset_id}.MC",
                day_of(day),
                right | ({"rsi_14": 99.0} if asset_id in self.wrong else {}),
                found.dates,
                found.values,
                found.splits,
                minor_units=1.0,
            )
            for asset_id, day in zip(rows.asset_ids.tolist(), rows.days.tolist(), strict=True)
        ]

    @contextmanager
    def unwaited(self) -> Iterator[None]:
        yield

    def end(self, results: Sequence[Result], **_: object) -> None:
        self.database.items |= {result.work.item_id: result.state for result in results}

    def keep_states(self, states: States, chunk: Chunk) -> None:
        pass

    def note_verified(self, rows: int, deviation: float) -> None:
        pass

    def note_mismatch(self, message: str, deviation: float) -> None:
        self.database.verified = False

    def open_items(self) -> int:
        return list(self.database.items.values()).count("planned")

    def item_counts(self) -> dict[str, int]:
        return {}

    def release(self, worker_id: int) -> None:
        self.database.happened.append(("release", []))

    def finish_slice(self) -> tuple[bool, str]:
        return self.database.verified is not False, "it ends"


class FakeWorker:
    worker_id = 1

    def __init__(self) -> None:
        self.lost = False
        self.checks = 0

    def check(self) -> None:
        self.checks += 1
        if self.lost:
            raise DatabaseUnreachable("the lock of this worker is lost")


class Pause:
    """As the program's: raises Terminated once it is asked to end."""

    def __init__(self) -> None:
        self.asked_to_end = threading.Event()
        self.waits: list[float] = []

    def __call__(self, seconds: float) -> None:
        if seconds:
            self.waits.append(seconds)
        if self.asked_to_end.is_set():
            raise Terminated


def bars(assets: int) -> Bars:
    random = np.random.default_rng(1)
    close = 50 + random.normal(0, 1, BARS).cumsum()
    values = np.stack([close, close + 1, close - 1, close, close, close * 100], axis=1)
    count = assets * BARS
    return Bars(
        np.tile(np.arange(8_000, 8_000 + BARS, dtype=np.int32), assets),
        np.tile(values, (assets, 1)),
        np.full(assets, BARS, dtype=np.intp),
        np.ones(count),
        np.full(count, np.nan),
        np.ones(assets),
        np.zeros(assets, dtype=np.intp),
    )


class World:
    def __init__(self, items: int) -> None:
        self.database = Database(items)
        self.ahead, self.store, self.beside = (FakeStore(self.database) for _ in range(3))
        self.opened = [self.ahead, self.beside]
        self.worker = FakeWorker()
        self.pause = Pause()

    def another(self) -> AbstractContextManager[Store]:
        return nullcontext(cast(Store, self.opened.pop(0)))

    def storing(self, on_store: Callable[[list[int]], None]) -> None:
        """What happens while a chunk is stored."""
        self.store.on_store = self.beside.on_store = on_store

    def run(self, chunk: int = 2) -> ExitCode:
        return run(
            cast(Store, self.store),
            cast(Worker, self.worker),
            self.pause,
            chunk=chunk,
            another=self.another,
            verify=verified,
        )


def test_every_item_is_read_and_ended_once_and_read_in_order() -> None:
    world = World(9)
    assert world.run() is ExitCode.DONE
    in_order = [[1, 2], [3, 4], [5, 6], [7, 8], [9]]
    assert world.database.of("read") == in_order
    assert sorted(world.database.of("end")) == in_order
    assert set(world.database.items.values()) == {"succeeded"}
    assert world.pause.waits == []


def test_a_chunk_is_stored_while_the_next_is_computed_and_one_more_is_read() -> None:
    world, read = World(6), threading.Event()

    def on_read(items: list[int]) -> None:
        if items == [5, 6]:
            read.set()

    def on_store(items: list[int]) -> None:
        if items == [1, 2]:
            assert read.wait(PATIENCE_S), "nothing was read while a chunk was stored"

    world.ahead.on_read = on_read
    world.storing(on_store)
    assert world.run() is ExitCode.DONE
    assert world.database.of("read") == [[1, 2], [3, 4], [5, 6]]
    assert sorted(world.database.of("end")) == [[1, 2], [3, 4], [5, 6]]


def test_two_chunks_are_stored_at_once_and_no_more() -> None:
    world, both = World(6), threading.Barrier(2)

    def on_store(items: list[int]) -> None:
        if items != [5, 6]:
            both.wait(PATIENCE_S)

    world.storing(on_store)
    assert world.run() is ExitCode.DONE
    assert sorted(world.database.of("end")) == [[1, 2], [3, 4], [5, 6]]
    assert world.database.of("end")[-1] == [5, 6]
    assert not world.opened


def test_a_chunk_whose_bars_are_still_needed_is_stored_before_the_next_is_computed() -> None:
    world = World(6)
    world.ahead.due = {1, 2, 3, 4, 5, 6}
    held: list[int] = []

    def on_store(items: list[int]) -> None:
        before = world.worker.checks
        time.sleep(0.05)  # long enough to go on, if it did
        held.append(world.worker.checks - before)

    world.storing(on_store)
    assert world.run() is ExitCode.DONE
    assert held == [0, 0, 0]


def test_an_item_whose_asset_is_being_written_is_ended_later() -> None:
    world = World(5)
    world.database.busy = {2}
    assert world.run() is ExitCode.DONE
    ended = sorted(item for items in world.database.of("end") for item in items)
    assert ended == [1, 2, 3, 4, 5]


def test_nothing_is_asked_for_without_a_pause_where_all_are_being_written() -> None:
    world = World(2)
    world.database.busy = {1, 2}
    assert world.run() is ExitCode.DONE
    assert world.database.of("end") == [[1, 2]]
    assert len(world.pause.waits) == 1


def test_what_fails_while_storing_ends_the_run_and_its_chunk_is_undone() -> None:
    world = World(8)

    def on_store(items: list[int]) -> None:
        if items == [3, 4]:
            raise DatabaseUnreachable("Postgres cannot be reached")

    world.storing(on_store)
    with pytest.raises(DatabaseUnreachable, match="Postgres cannot be reached"):
        world.run()
    assert [1, 2] in world.database.of("end")
    assert world.database.of("rolled back") == [[3, 4]]
    assert [world.database.items[item] for item in (3, 4, 7, 8)] == ["planned"] * 4


def test_what_fails_while_the_last_chunk_is_stored_ends_the_run() -> None:
    world = World(2)

    def on_store(items: list[int]) -> None:
        raise RuntimeError("no such column")

    world.storing(on_store)
    with pytest.raises(RuntimeError, match="no such column"):
        world.run()
    assert world.database.items == {1: "planned", 2: "planned"}


def test_what_fails_while_reading_waits_for_the_chunk_that_is_stored() -> None:
    world = World(8)

    def on_read(items: list[int]) -> None:
        if items == [5, 6]:
            raise DatabaseUnreachable("Postgres does not answer in time")

    world.ahead.on_read = on_read
    with pytest.raises(DatabaseUnreachable, match="does not answer in time"):
        world.run()
    assert world.database.of("end") == [[1, 2], [3, 4]]
    assert world.database.of("rolled back") == []


def test_a_run_that_is_asked_to_end_while_storing_undoes_the_chunk_and_gives_back_last() -> None:
    world = World(8)

    def on_store(items: list[int]) -> None:
        if items == [3, 4]:
            world.pause.asked_to_end.set()

    world.storing(on_store)
    with pytest.raises(Terminated):
        world.run()
    assert [3, 4] in world.database.of("rolled back")
    assert [world.database.items[item] for item in (3, 4, 7, 8)] == ["planned"] * 4
    assert world.database.happened[-1][0] == "release"


def test_what_fails_while_storing_is_said_though_the_run_is_asked_to_end() -> None:
    world = World(8)

    def on_store(items: list[int]) -> None:
        world.pause.asked_to_end.set()
        raise RuntimeError("no such column")

    world.storing(on_store)
    with pytest.raises(RuntimeError, match="no such column"):
        world.run()
    assert world.database.of("end") == []


def test_a_chunk_with_a_wrong_row_fails_and_those_around_it_do_not() -> None:
    world = World(6)
    world.store.wrong = world.beside.wrong = {3, 4}
    assert world.run() is ExitCode.NOT_VERIFIED
    assert list(world.database.items.values()) == [
        "succeeded", "succeeded", "failed", "failed", "succeeded", "succeeded",
    ]  # fmt: skip
    assert world.database.of("rolled back") == [[3, 4]]
    assert sorted(world.database.of("end")) == [[1, 2], [3, 4], [5, 6]]


def test_nothing_more_is_stored_by_a_worker_that_has_lost_its_lock() -> None:
    world = World(8)

    def on_store(items: list[int]) -> None:
        world.worker.lost = True

    world.storing(on_store)
    with pytest.raises(DatabaseUnreachable, match="lock of this worker is lost"):
        world.run()
    assert all(items < [5] for items in world.database.of("end")), "those that were in hand"


def test_the_rows_that_are_sampled_are_the_chunks_own() -> None:
    world = World(4)
    asked: list[tuple[int, int]] = []
    plain = world.store.sample

    def sample(rows: Rows, read_at: dt.datetime) -> list[Sampled]:
        asked.extend(zip(rows.asset_ids.tolist(), rows.days.tolist(), strict=True))
        return plain(rows, read_at)

    world.store.sample = world.beside.sample = sample  # type: ignore[method-assign]
    assert world.run() is ExitCode.DONE
    assert sorted(asset_id for asset_id, _ in asked) == [1, 2, 3, 4]
    assert {day for _, day in asked} == {8_000 + BARS - 1}


PART, IN_PARTS = 2, 2 * HISTORY_SHARE
"""Items that are stored at once of a history of few days, and the size of a chunk with which they
are."""


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.001)


def with_history(items: int) -> World:
    world = World(items)
    since = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=30)
    world.store.spec = Spec(history_from=since, history_columns=("current_price",))
    return world


def test_a_history_is_read_by_chunks_and_stored_by_parts_each_once() -> None:
    world = with_history(PART * (HISTORY_PARTS + 1) + 1)
    assert world.run(IN_PARTS) is ExitCode.DONE
    items = list(world.database.items)
    chunk = PART * HISTORY_PARTS
    assert world.database.of("read") == [items[:chunk], items[chunk:]]
    parts = [items[begin : begin + PART] for begin in range(0, len(items), PART)]
    assert sorted(world.database.of("end")) == parts
    assert set(world.database.items.values()) == {"succeeded"}


def test_no_part_is_begun_when_one_before_it_has_failed() -> None:
    world = with_history(4 * PART)
    asked: set[int] = set()

    def on_store(items: list[int]) -> None:
        asked.update(items)
        if 3 in items:
            raise DatabaseUnreachable("Postgres cannot be reached")
        # What is left to do of the other takes longer than to say that.
        until(lambda: bool(world.database.of("rolled back")))

    world.storing(on_store)
    with pytest.raises(DatabaseUnreachable, match="Postgres cannot be reached"):
        world.run(IN_PARTS)
    assert world.database.of("end") == [[1, 2]]
    assert world.database.of("rolled back") == [[3, 4]]
    assert asked == {1, 2, 3, 4}
