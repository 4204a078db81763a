"""How time and memory grow with the universe: the analyzer on 1,000 assets to a million.

Of each size every column's latest row, from as many bars as a run reads. On Postgres it is the
program, from its start to its end. In memory it is the same code without Postgres, from packed bars
to the bytes that are copied in, chunk by chunk; the bars of a chunk are made once.
"""

import sys
from collections.abc import Iterator
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener_analyzer import binary
from screener_analyzer.bars import Bars
from screener_analyzer.computing import rows_of
from screener_analyzer.panel import chunks
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY
from screener_analyzer.settings import CHUNK
from screener_local.bench.figures import Figure
from screener_local.bench.indicators import LAST, prepare, run_analyzer, walks
from screener_local.bench.measured import measured
from screener_local.bench.systems import database
from screener_local.errors import PartFailed

IN_MEMORY = (1_000, 21_817, 100_000, 1_000_000)
ON_POSTGRES = (1_000, 21_817, 100_000)

NAMES = tuple(
    f"curve_{assets}_{what}"
    for what in ("s", "mib", "postgres_s", "postgres_mib")
    for assets in (ON_POSTGRES if what.startswith("postgres") else IN_MEMORY)
)


def packed_bars(assets: int, bars: int) -> list[bytes]:
    """Of each asset its bars, as `read_bars` packs them."""
    made = walks(assets, bars).reshape(assets, bars, 6)
    rows = np.zeros((assets, bars), dtype=binary.PACKED)
    last = (np.datetime64(LAST) - binary.EPOCH).astype(int)
    rows["date"] = np.arange(last - bars + 1, last + 1)
    rows["prices"], rows["volume"] = made[:, :, :5], made[:, :, 5]
    return [row.tobytes() for row in rows]


def compute_chunk(packed: list[bytes]) -> int:
    """What a run does with a chunk but for Postgres: bytes in, how many bytes out."""
    dates, values, lengths = binary.unpack(packed)
    count = len(dates)
    bars = Bars(
        dates, values, lengths, np.ones(count), np.full(count, np.nan), np.ones(len(packed))
    )
    rows = rows_of(np.arange(len(packed), dtype=np.int32), bars, usual=LONGEST_HISTORY)[0]
    if len(rows) != len(packed):
        raise PartFailed("analyzer", f"{len(packed) - len(rows)} assets could not be computed")
    columns = [rows.values[column] for column in COLUMNS]
    numbers: list[NDArray[Any]] = [rows.asset_ids, rows.days, *columns, rows.bars_used]
    return sum(map(len, binary.encode(numbers)))


def compute_universe(assets: int) -> float:
    """Seconds of one processor: nothing is waited for."""
    packed = packed_bars(min(assets, CHUNK), LONGEST_HISTORY)
    began = process_time()
    for part in chunks(assets, CHUNK):
        compute_chunk(packed[: part.stop - part.start])
    return process_time() - began


def measure() -> Iterator[Figure]:
    for assets in IN_MEMORY:
        found = measured("analyzer", [sys.executable, "-m", __name__, str(assets)])
        yield Figure(f"curve_{assets}_s", float(found.output), "s")
        yield Figure(f"curve_{assets}_mib", found.mib, "MiB")
    with database(durable=True) as postgres:
        for assets in ON_POSTGRES:
            prepare(postgres, assets, LONGEST_HISTORY)
            found = run_analyzer(postgres, f"run-{assets}", {})
            yield Figure(f"curve_{assets}_postgres_s", found.seconds, "s")
            yield Figure(f"curve_{assets}_postgres_mib", found.mib, "MiB")


if __name__ == "__main__":
    print(compute_universe(int(sys.argv[1])))
