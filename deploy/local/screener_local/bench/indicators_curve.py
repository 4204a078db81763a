"""How time and memory grow with the universe: the analyzer on 1,000 assets to a million.

Of each size every column's latest row, from as many bars as a run reads. On Postgres it is the
program's first run, from its start to its end. In memory it is the same code without Postgres, from
packed bars to the bytes that are copied in, chunk by chunk: the first run, which walks through all
bars, and one of a following session, which goes on from what the first had come to. The bars of a
chunk are made once.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener_analyzer import binary
from screener_analyzer.bars import Bars
from screener_analyzer.computing import rows_of
from screener_analyzer.panel import State, chunks
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY
from screener_analyzer.settings import CHUNK
from screener_analyzer.walked import BACK, TAIL, Walked, pack, reaches, unpack
from screener_local.bench.figures import Figure
from screener_local.bench.indicators import LAST, prepare, run_analyzer, walks
from screener_local.bench.measured import measured
from screener_local.bench.systems import database
from screener_local.errors import PartFailed

IN_MEMORY = (1_000, 21_817, 100_000, 1_000_000)
ON_POSTGRES = (1_000, 21_817, 100_000)

NAMES = tuple(
    f"curve_{assets}_{what}"
    for what in ("s", "mib", "first_s", "first_mib", "postgres_s", "postgres_mib")
    for assets in (ON_POSTGRES if what.startswith("postgres") else IN_MEMORY)
)


def packed_bars(assets: int, bars: int) -> list[bytes]:
    """Of each asset its bars, as `read_bars` packs them."""
    made = walks(assets, bars).reshape(assets, bars, 6)
    rows = np.zeros((assets, bars), dtype=binary.PACKED)
    days: NDArray[Any] = np.busday_offset(
        np.datetime64(LAST, "D"), np.arange(1 - bars, 1), roll="backward"
    )
    rows["date"] = (days - binary.EPOCH).astype(int)
    rows["prices"], rows["volume"] = made[:, :, :5], made[:, :, 5]
    return [row.tobytes() for row in rows]


@dataclass(frozen=True, slots=True)
class Carried:
    """What a chunk had come to a session ago."""

    known: State
    walked: list[bytes]
    """As it is stored."""


def compute_chunk(packed: list[bytes], carried: Carried | None) -> tuple[int, Carried]:
    """What a run does with a chunk but for Postgres: bytes in, how many bytes out, and what the
    next session goes on from."""
    dates, values, lengths = binary.unpack(packed)
    count, assets = len(dates), len(packed)
    left_out = LONGEST_HISTORY - lengths
    bars = Bars(
        dates, values, lengths, np.ones(count), np.full(count, np.nan), np.ones(assets), left_out
    )
    if carried is None:
        known, walked = None, Walked.none(len(packed))
    else:
        known = carried.known
        of_before, is_known = unpack(carried.walked)
        walked = Walked(of_before, np.where(is_known, BACK + 1, -1))
        never = np.full(assets, binary.NEVER)
        if not (walked.holds(bars) & reaches(bars, never)).all():
            raise PartFailed("analyzer", "it would walk through all bars again")
    ids = np.arange(len(packed), dtype=np.int32)
    rows, _, states, _ = rows_of(ids, bars, known=known, walked=walked)
    if len(rows) != len(packed):
        raise PartFailed("analyzer", f"{len(packed) - len(rows)} assets could not be computed")
    columns = [rows.values[column] for column in COLUMNS]
    numbers: list[NDArray[Any]] = [rows.asset_ids, rows.days, *columns, rows.bars_used]
    size = sum(map(len, binary.encode(numbers)))
    next_known = State(states.values, np.ones(len(packed), dtype=np.intp))
    return size, Carried(next_known, pack(states.walked))


def compute_universe(assets: int, *, first: bool) -> float:
    """Seconds of one processor: nothing is waited for."""
    size = binary.PACKED.itemsize
    packed = packed_bars(min(assets, CHUNK), LONGEST_HISTORY + 1)
    before = [bars[:-size] for bars in packed]
    now = [bars[size if first else -TAIL * size :] for bars in packed]
    carried: dict[int, Carried] = {}
    if not first:
        for length in {len(part) for part in _parts(before, assets)}:
            carried[length] = compute_chunk(before[:length], None)[1]
    began = process_time()
    for part in _parts(now, assets):
        compute_chunk(part, None if first else carried[len(part)])
    return process_time() - began


def _parts(packed: list[bytes], assets: int) -> Iterator[list[bytes]]:
    for part in chunks(assets, CHUNK):
        yield packed[: part.stop - part.start]


def measure() -> Iterator[Figure]:
    for which in ("", "first_"):
        for assets in IN_MEMORY:
            found = measured("analyzer", [sys.executable, "-m", __name__, str(assets), which])
            yield Figure(f"curve_{assets}_{which}s", float(found.output), "s")
            yield Figure(f"curve_{assets}_{which}mib", found.mib, "MiB")
    with database(durable=True) as postgres:
        for assets in ON_POSTGRES:
            prepare(postgres, assets, LONGEST_HISTORY)
            found = run_analyzer(postgres, f"run-{assets}", {})
            yield Figure(f"curve_{assets}_postgres_s", found.seconds, "s")
            yield Figure(f"curve_{assets}_postgres_mib", found.mib, "MiB")


if __name__ == "__main__":
    print(compute_universe(int(sys.argv[1]), first=bool(sys.argv[2])))
