"""Adapter: what the analyzer reads from Postgres and writes there.

The only module of this program that runs SQL, apart from the worker's lock, rows (`row_store`) and
what is kept from run to run (`state_store`, `block_store`). Never decides what is computed. Every
method raises DatabaseUnreachable when Postgres is away.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import TupleRow

from screener_analyzer import binary, columns
from screener_analyzer.bars import UNMOVED, Bars, Benchmark, split_factors, unmoved
from screener_analyzer.binary import Days, day_of, days_of, microseconds_of
from screener_analyzer.block_store import Blocks, BlockStore
from screener_analyzer.history import needed
from screener_analyzer.panel import Matrix, State, benchmark_closes, chunks
from screener_analyzer.registry import LONGEST_HISTORY
from screener_analyzer.row_store import RowStore
from screener_analyzer.rows import Rows
from screener_analyzer.spec import Spec
from screener_analyzer.state_store import Known, StateStore
from screener_analyzer.states import States, added_up, carried_on, cut_off, worth_keeping
from screener_analyzer.verification import Sampled
from screener_analyzer.walked import Walked, reaches
from screener_sql import query
from screener_sql.connect import connect, translated

FIRST_DAY = dt.date(1, 1, 1)
LAST_DAY = dt.date(9999, 12, 31)
ANSWER = 250
"""Of how many assets the bars are asked for at once."""
WHOLE_GROUP = 100
"""Of how many assets all bars are held at once."""
DAYS_A_BAR = 1.5
"""How many days of the calendar a session takes, with a margin; see `Store.read`."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The IndicatorRun's slice as it was found."""

    finished: bool
    verified: bool | None
    planned: int
    """Items that are, or were, to be computed."""
    spec: Spec


class Work(NamedTuple):
    """A claimed item."""

    item_id: int
    asset_id: int
    ticker: str
    until: dt.date | None
    """The newest date to use; None: whatever is stored."""
    awaits_refetch: bool
    exchange_id: int
    minor_units: float | None
    """How many of the unit of its prices make one of its currency; None: not known."""


@dataclass(frozen=True, eq=False, slots=True)
class Chunk:
    """Claimed items and the bars of their assets that were there at `read_at`."""

    works: tuple[Work, ...]
    read_at: dt.datetime
    """Taken before the bars were read."""
    bars: Bars
    """Of the asset of each of `works`: the last LONGEST_HISTORY at most up to the first day that is
    to be computed, and those since, the earlier left out where what was `walked` is enough; all
    where the last of them do not move. None where it `awaits_refetch`."""
    histories: Bars | None = None
    """All bars of these assets; None: not asked for."""
    known: State | None = None
    """What adds up before the rows of assets of which not all bars are there; None: all are."""
    since: Mapping[int, int] = field(default_factory=dict)
    """Of assets whose states are to be stored, which one is gone on from; see `StateStore.keep`."""
    walked: Walked | None = None
    """What was carried at earlier bars of the assets; None: it is not gone on from, nor kept."""
    blocks_due: Mapping[int, int | None] = field(default_factory=dict)
    """The assets among these of which a block of bars is to be made, as in `Blocks.due`."""

    def part(self, begin: int, end: int) -> "Chunk":
        """The items from number `begin` to before `end`, of a run with a history."""
        return replace(
            self,
            works=self.works[begin:end],
            bars=self.bars.part(begin, end),
            histories=None if self.histories is None else self.histories.part(begin, end),
            known=None if self.known is None else self.known.of(slice(begin, end)),
        )

    def to_store(self) -> "Chunk":
        """It as it is kept when it is computed, until it is stored: with bars of those assets alone
        of which a block is due."""
        due = np.array([work.asset_id in self.blocks_due for work in self.works])
        bars = self.bars.only(due)
        return replace(self, bars=bars, histories=None, known=None, walked=None)


class Result(NamedTuple):
    """How a claimed item ends."""

    work: Work
    state: str
    """succeeded (then it has rows), failed or skipped (then with the two texts)."""
    error_code: str | None = None
    message: str | None = None
    duration_ms: int = 0


class Store:
    """One connection, one run, one worker."""

    def __init__(self, connection: psycopg.Connection[TupleRow], execution_id: str) -> None:
        columns.understood_by(connection)
        self._connection = connection
        self._execution_id = execution_id
        self._rows = RowStore(connection, execution_id)
        self._states = StateStore(connection, execution_id)
        self._blocks = BlockStore(connection, execution_id)

    @classmethod
    @contextmanager
    def open(cls, dsn: str, execution_id: str) -> Iterator["Store"]:
        """Raises DatabaseUnreachable, or BadSetting if `dsn` is no connection string."""
        with connect(dsn, application_name="screener-analyze", autocommit=True) as connection:
            connection.prepare_threshold = 0  # at its first use
            connection.execute(query("analyzer/plan_once"))
            yield cls(connection, execution_id)

    def start_slice(self) -> Slice | None:
        """Notes that the slice has begun. None: the run has no such slice."""
        row = self._one("analyzer/start_slice")
        if row is None:
            return None
        return Slice(row[0], row[1], row[2], Spec.from_json(row[3] or {}))

    def claim(self, worker_id: int, chunk: int, after: int = 0) -> list[int]:
        """Item ids that are this worker's, from now on or still: of at most `chunk` items one after
        another by their assets' ids, the first of assets after `after` of which there are any."""
        last: int | None = after
        item_ids: list[int] = []
        while last is not None and not item_ids:
            found = self._one("analyzer/claim_items", worker_id=worker_id, chunk=chunk, after=last)
            assert found is not None, "an aggregate gives a row"
            last, item_ids = found
        return item_ids

    def read(self, worker_id: int, item_ids: Sequence[int], spec: Spec) -> Chunk | None:
        """The claimed items with their bars, as `spec` needs them, without those whose assets are
        being written just now; None if no item is left.

        A writer that comes later waits until the bars are read, so a change is either in them or
        newer than `read_at`.
        """
        with translated(), self._connection.transaction():
            held = self._connection.execute(
                query("analyzer/hold_assets"),
                {"worker_id": worker_id, "item_ids": columns.bigints(item_ids)},
            ).fetchall()
            if not held:
                return None
            works = tuple(Work._make(row[:7]) for row in held)
            read_at = held[0][8]
            newest = max((row[7] for row in held if row[7] is not None), default=None)
            blocks, walked = Blocks({}, {}, {}, {}), None
            if spec.since is None:
                usual = _as_usual(works, spec)
                wanted = [work.asset_id for work in works if not work.awaits_refetch]
                blocks = self._blocks.read(wanted, _until(works), ends=usual)
                walked = blocks.walked_of([work.asset_id for work in works]) if usual else None
                bars = self._bars(works, newest, blocks, walked)
                known, since = self._carried(works, bars, spec, read_at)
            else:
                bars, known = self._since(works, spec.since, spec)
                since = {}
            whole = self._histories(works) if spec.extra else None
            due = {asset_id: later for asset_id, later in blocks.due.items() if asset_id in since}
        return Chunk(works, read_at, bars, whole, known, since, walked, due)

    @contextmanager
    def taken(self, worker_id: int, works: Sequence[Work]) -> Iterator[set[int]]:
        """A transaction in which items are this worker's: the ids of those that can be ended.

        An item that is no longer this worker's is left out, and so is one whose asset is being
        written just now: that one stays claimed. What is done in the block is undone if it raises.
        """
        with translated(), self._connection.transaction():
            yield {
                item_id
                for (item_id,) in self._connection.execute(
                    query("analyzer/take_items"),
                    {
                        "worker_id": worker_id,
                        "item_ids": columns.bigints([work.item_id for work in works]),
                    },
                )
            }

    def store(self, rows: Rows, read_at: dt.datetime) -> dict[int, int]:
        """Stores the rows in the open transaction; how many were there before, by asset.

        As `RowStore.store`.
        """
        return self._rows.store(rows, read_at)

    def sample(self, rows: Rows, read_at: dt.datetime) -> list[Sampled]:
        """The columns of these rows as the open transaction has stored them.

        Without assets whose bars have changed since `read_at`.
        """
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(
                query("analyzer/sample_rows"),
                {
                    "asset_ids": rows.asset_ids.tolist(),
                    "days": [day_of(day) for day in rows.days],
                    "read_at": read_at,
                },
            ).fetchall()
            assert cursor.description is not None, "a SELECT has columns"
            places = {column.name: place for place, column in enumerate(cursor.description)}
        unpacked = [binary.unpack([packed])[:2] for _, _, packed, *_ in found]
        first = min((dates[0] for dates, _ in unpacked), default=0)
        until = max((row[1] for row in found), default=FIRST_DAY)
        benchmarks = self._benchmarks({row[4] for row in found}, day_of(first), until)
        return [
            Sampled(
                ticker,
                day,
                {name: row[places[name]] for name in rows.values},
                dates,
                bars,
                split_factors(
                    dates,
                    np.array([len(dates)], dtype=np.intp),
                    {0: [(int(when), ratio) for when, ratio in splits or ()]},
                ),
                benchmarks.get(exchange_id),
                minor_units,
            )
            for row, (dates, bars) in zip(found, unpacked, strict=True)
            for ticker, day, _, splits, exchange_id, minor_units in [row[:6]]
        ]

    @contextmanager
    def unwaited(self) -> Iterator[None]:
        """What is written in the block, in the open transaction, is sent at once, and its end waits
        for it: what is computed between is computed meanwhile."""
        with self._connection.pipeline():
            yield

    def end(
        self,
        results: Sequence[Result],
        *,
        started_at: dt.datetime,
        rows: Sequence[Rows] = (),
        replaced: Mapping[int, int] | None = None,
    ) -> None:
        """Ends the items in the open transaction, with their details and states. `rows`: those that
        are stored of them, earlier ones first; so many of them were `replaced`, by asset."""
        written: Counter[int] = Counter()
        last_days: dict[int, int] = {}
        for some in rows:
            # Of an asset's rows the last one is the latest.
            asset_ids, from_end, counts = np.unique(
                some.asset_ids[::-1], return_index=True, return_counts=True
            )
            days = some.days[::-1][from_end]
            written.update(dict(zip(asset_ids.tolist(), counts.tolist(), strict=True)))
            last_days |= dict(zip(asset_ids.tolist(), days.tolist(), strict=True))
        self._end(results, started_at, written, replaced or {}, last_days)

    def keep_states(self, states: States, chunk: Chunk) -> None:
        """Stores what adds up at the last bars of the chunk's assets, in the open transaction, of
        those whose history is still what was read, and the blocks of bars that are due of them."""
        self._states.keep(states, chunk.since, chunk.read_at)
        asset_ids = [work.asset_id for work in chunk.works]
        self._blocks.keep(asset_ids, chunk.blocks_due, chunk.bars, states, chunk.read_at)

    def note_verified(self, rows: int, deviation: float) -> None:
        """Adds to what the run's samples have shown, in the open transaction."""
        self._connection.execute(
            query("analyzer/note_verified"),
            {"execution_id": self._execution_id, "rows": rows, "deviation": deviation},
        )

    def note_mismatch(self, message: str, deviation: float) -> None:
        """The run's verification does not hold, in the open transaction."""
        self._connection.execute(
            query("analyzer/note_mismatch"),
            {"execution_id": self._execution_id, "message": message, "deviation": deviation},
        )

    def open_items(self) -> int:
        """Items of the run that have not ended, whoever holds them."""
        row = self._one("analyzer/open_items")
        return int(row[0]) if row else 0

    def item_counts(self) -> dict[str, int]:
        """Items of the run by state."""
        with translated():
            rows = self._connection.execute(
                query("analyzer/item_counts"), {"execution_id": self._execution_id}
            ).fetchall()
        return dict(rows)

    def release(self, worker_id: int) -> None:
        """Gives back what the worker has claimed and not ended."""
        with translated():
            self._connection.execute(
                query("analyzer/release_items"),
                {"execution_id": self._execution_id, "worker_id": worker_id},
            )

    def finish_slice(self) -> tuple[bool, str] | None:
        """Ends the slice: whether it is verified, and a sentence. None: it is ended already, or an
        item is open."""
        row = self._one("analyzer/finish_slice")
        return None if row is None else (row[0], row[1])

    def _one(self, name: str, **parameters: Any) -> TupleRow | None:
        with translated():
            return self._connection.execute(
                query(name), {"execution_id": self._execution_id, **parameters}
            ).fetchone()

    def _bars(
        self,
        works: Sequence[Work],
        newest: dt.date | None,
        blocks: Blocks,
        walked: Walked | None = None,
    ) -> Bars:
        """As `Chunk.bars` of a run without a history. `newest`: about when the last bars are.
        `blocks`: what is read already, of some; its bars are taken out, as a chunk's are what
        memory is bound by. `walked`: what was carried of the assets, where ends of blocks are read.

        A range of days is read many times faster than so many bars of each asset; what it leaves
        out is read after it, so that the answer does not depend on the range.
        """
        packed = blocks.packed
        wanted = [
            work.asset_id
            for work in works
            if not work.awaits_refetch and work.asset_id not in packed
        ]
        until = _until(works)
        reach = dt.timedelta(days=round(LONGEST_HISTORY * DAYS_A_BAR))
        first = min(newest or until, until)
        after = max(first, FIRST_DAY + reach) - reach
        packed |= self._packed("analyzer/read_bars", wanted, until=until, after=after)
        too_few = [
            asset_id
            for asset_id in wanted
            if binary.count(packed.get(asset_id, b"")) < LONGEST_HISTORY
        ]
        before = self._packed(
            "analyzer/read_bars_before", too_few, until=after, last=until, bars=LONGEST_HISTORY
        )
        for asset_id, more in before.items():
            packed[asset_id] = more + packed.get(asset_id, b"")
        in_order = [packed.pop(work.asset_id, b"") for work in works]
        unpacked = binary.last(*binary.unpack(in_order), LONGEST_HISTORY)
        left_out = np.array([blocks.left_out.get(work.asset_id, 0) for work in works])
        bars = self._with_actions(works, until, *unpacked, left_out)
        missed = left_out > 0
        if walked is not None and missed.any():
            begin = self._benchmarks_begin({work.exchange_id for work in works})
            begins = np.array([begin.get(work.exchange_id, binary.NEVER) for work in works])
            missed &= ~(reaches(bars, begins) & walked.holds(bars))
        for places, read in (
            (missed, self._whole_blocks),
            (unmoved(bars.values, bars.lengths, UNMOVED), self._histories),
        ):
            if places.any():
                some = np.flatnonzero(places)
                bars = bars.with_others(some, read([works[place] for place in some.tolist()]))
        return bars

    def _whole_blocks(self, works: Sequence[Work]) -> Bars:
        """As `Chunk.bars`, of assets of which the end of their block is not enough."""
        blocks = self._blocks.read([work.asset_id for work in works], _until(works), ends=False)
        return self._bars(works, None, blocks)

    def _since(self, works: Sequence[Work], since: int, spec: Spec) -> tuple[Bars, State]:
        """As `Chunk.bars` and `Chunk.known` of a run with a history."""
        parts, known = [], State.none(len(works))
        for part in chunks(len(works), WHOLE_GROUP):
            whole = self._histories(works[part])
            bars = whole.where(needed(whole.dates, whole.values, whole.lengths, since))
            cut = bars.lengths < whole.lengths
            if cut.any():
                found = added_up(whole.of(cut), adjusted=spec.adjusted, since=since)
                places = part.start + np.flatnonzero(cut)
                known.values[:, places], known.new_bars[places] = found.values, found.new_bars
            parts.append(bars)
        return Bars.joined(parts), known

    def _histories(self, works: Sequence[Work]) -> Bars:
        """As `Chunk.histories`."""
        until = _until(works)
        packed = self._packed(
            "analyzer/read_bars",
            [work.asset_id for work in works if not work.awaits_refetch],
            until=until,
            after=FIRST_DAY,
        )
        in_order = [packed.get(work.asset_id, b"") for work in works]
        nothing = np.zeros(len(works), dtype=np.intp)
        return self._with_actions(works, until, *binary.unpack(in_order), nothing)

    def _carried(
        self, works: Sequence[Work], bars: Bars, spec: Spec, read_at: dt.datetime
    ) -> tuple[State, dict[int, int]]:
        """What adds up of the assets of which it is kept or that have more bars than these, and by
        asset the states that those of this run are to be stored in the place of."""
        kept, cut = worth_keeping(bars), cut_off(bars)
        asset_ids = np.array([work.asset_id for work in works], dtype=np.int32)
        usual = _as_usual(works, spec)
        stored = Known.none()
        if usual and kept.any():
            stored = self._states.known(asset_ids[kept].tolist())
        # Items are in the order of their assets.
        places = np.searchsorted(asset_ids, stored.asset_ids)
        known = carried_on(bars, places, stored.last_bars, stored.values)
        gone_on = known.new_bars[places] >= 0
        since = dict(
            zip(stored.asset_ids[gone_on].tolist(), stored.read_at[gone_on].tolist(), strict=True)
        )
        unknown = np.flatnonzero(cut & (known.new_bars < 0))
        for part in chunks(len(unknown), WHOLE_GROUP):
            places = unknown[part]
            whole = self._histories([works[place] for place in places])
            found = added_up(whole, adjusted=spec.adjusted)
            known.values[:, places], known.new_bars[places] = found.values, found.new_bars
        begun = np.flatnonzero(kept & ~np.isin(asset_ids, list(since)))
        if usual and len(begun):
            last_days = bars.dates[np.cumsum(bars.lengths)[begun] - 1]
            its = asset_ids[begun].tolist()
            self._states.begin(dict(zip(its, last_days.tolist(), strict=True)), read_at)
            since |= dict.fromkeys(its, microseconds_of(read_at))
        return known, since

    def _with_actions(
        self,
        works: Sequence[Work],
        until: dt.date,
        dates: Days,
        values: Matrix,
        lengths: NDArray[np.intp],
        left_out: NDArray[np.intp],
    ) -> Bars:
        places = {work.asset_id: place for place, work in enumerate(works)}
        splits: dict[int, list[tuple[int, float]]] = {}
        for asset_id, day, ratio in self._connection.execute(
            query("analyzer/read_splits"), {"asset_ids": columns.integers(list(places))}
        ):
            splits.setdefault(places[asset_id], []).append((days_of(day), ratio))
        benchmark = np.full(len(dates), np.nan)
        if len(dates):
            exchanges = np.repeat([work.exchange_id for work in works], lengths)
            found = self._benchmarks(
                {work.exchange_id for work in works}, day_of(dates.min()), until
            )
            for exchange_id, its in found.items():
                of_it = exchanges == exchange_id
                benchmark[of_it] = benchmark_closes(dates[of_it], its.dates, its.closes)
        units = [np.nan if work.minor_units is None else work.minor_units for work in works]
        factors = split_factors(dates, lengths, splits)
        return Bars(dates, values, lengths, factors, benchmark, np.array(units), left_out)

    def _benchmarks(
        self, exchange_ids: set[int], first: dt.date, until: dt.date
    ) -> dict[int, Benchmark]:
        """By exchange, where it has one with bars of these days."""
        with self._connection.cursor(binary=True) as cursor:
            series = cursor.execute(
                query("analyzer/read_benchmarks"),
                {"exchange_ids": sorted(exchange_ids), "first": first, "until": until},
            ).fetchall()
        found = {}
        for exchange_id, packed in series:
            dates, bars, _ = binary.unpack([packed])
            found[exchange_id] = Benchmark(dates, bars[:, 4])
        return found

    def _benchmarks_begin(self, exchange_ids: set[int]) -> dict[int, int]:
        """By exchange, where it has one with bars, the first day of it, in `binary.Days`."""
        rows = self._connection.execute(
            query("analyzer/benchmarks_begin"), {"exchange_ids": sorted(exchange_ids)}
        )
        return {exchange_id: days_of(first) for exchange_id, first in rows}

    def _packed(self, name: str, asset_ids: Sequence[int], **parameters: Any) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        with self._connection.cursor(binary=True) as cursor:
            # An answer is there twice until it is taken over.
            for part in chunks(len(asset_ids), ANSWER):
                some = columns.integers(asset_ids[part])
                found |= cursor.execute(query(name), {"asset_ids": some, **parameters}).fetchall()
        return found

    def _end(
        self,
        results: Sequence[Result],
        started_at: dt.datetime,
        written: Mapping[int, int],
        replaced: Mapping[int, int],
        last_days: Mapping[int, int],
    ) -> None:
        def updated(result: Result) -> int:
            return replaced.get(result.work.asset_id, 0)

        def inserted(result: Result) -> int:
            return written.get(result.work.asset_id, 0) - updated(result)

        ended = {
            "item_ids": columns.bigints([result.work.item_id for result in results]),
            "asset_ids": columns.integers([result.work.asset_id for result in results]),
            "tickers": columns.texts([result.work.ticker for result in results]),
            "states": columns.texts([result.state for result in results]),
            "inserted": columns.integers([inserted(result) for result in results]),
            "updated": columns.integers([updated(result) for result in results]),
            "error_codes": columns.texts([result.error_code for result in results]),
            "messages": columns.texts([result.message for result in results]),
            "durations_ms": columns.integers([result.duration_ms for result in results]),
        }
        self._connection.execute(query("analyzer/close_items"), ended)
        self._connection.execute(
            query("analyzer/insert_details"),
            {"execution_id": self._execution_id, "started_at": started_at, **ended},
        )
        self._connection.execute(
            query("analyzer/mark_calculated"),
            {
                "execution_id": self._execution_id,
                "calculated_at": started_at,
                "no_end": all(result.work.until is None for result in results),
                "asset_ids": columns.integers(list(last_days)),
                "last_dates": columns.dates(list(last_days.values())),
            },
        )
        failed = [result for result in results if result.state == "failed"]
        self._connection.execute(
            query("analyzer/mark_failed"),
            {
                "asset_ids": [result.work.asset_id for result in failed],
                "error_codes": [result.error_code for result in failed],
                "messages": [result.message for result in failed],
            },
        )


def _as_usual(works: Sequence[Work], spec: Spec) -> bool:
    """Whether what is kept from run to run is of use, and is kept."""
    return spec.as_usual and all(work.until is None for work in works)


def _until(works: Sequence[Work]) -> dt.date:
    """The same for all of a run."""
    return next((work.until for work in works if work.until), LAST_DAY)
