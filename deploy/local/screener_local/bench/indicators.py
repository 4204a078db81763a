"""How fast the analyzer computes, and a whole run of it: read, compute, verify, write.

In memory: 300 bars of the universe, one process. The plain way is `ta`, asset by asset, each class
once, and pandas for those of the 31 columns that `ta` has no class for, on a few of the same assets
and scaled. A whole run is the program on Postgres, from the start of its process to its end: the
first, which adds up all bars, and those of the following sessions; a history is measured on one
asset in five and scaled, of whose rows as many fewer are verified, as a run verifies as many
whatever its assets are.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from time import perf_counter

import numpy as np
import psycopg

from screener_analyzer.engine import compute
from screener_analyzer.panel import Matrix, chunks, panel
from screener_analyzer.reference import Ta
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY, Indicator
from screener_analyzer.spec import SAMPLE as SAMPLED
from screener_local.bench.figures import Figure
from screener_local.bench.measured import Measured, measured
from screener_local.bench.systems import database, say
from screener_local.postgres import Postgres
from screener_operator.planning import plan_indicators

NAMES = (
    "indicators_31_s",
    "indicators_all_s",
    "indicators_first_run_s",
    "indicators_end_to_end_s",
    "indicators_history_s",
    "analyzer_peak_mib",
)
ASSETS, BARS = 21_817, 300
CHUNK = 10_912
"""Assets computed at once, half of them: rows still fit the cache of a processor (2 MiB)."""
RUNS = 3
PAIRS = 5
"""How often the plain way is measured, each time beside ours: a machine's speed changes."""
SAMPLE = 20
"""Assets that go the plain way."""
LAST = date(2026, 11, 20)
STORED_BARS = LONGEST_HISTORY + 50
"""More than a run reads, as of nearly every asset."""
HISTORY_DAYS, HISTORY_PART = 1_000, 5
SEED_COLUMNS = 31
"""The registry begins with them."""


def walks(assets: int, bars: int) -> Matrix:
    """Bars of assets one after another, as they are stored."""
    chance = np.random.default_rng(1)
    close = np.round(50 * np.exp(np.cumsum(chance.normal(0, 0.02, (assets, bars)), axis=1)), 2)
    volume = chance.integers(1_000, 10**7, (assets, bars)).astype(np.float64)
    return np.stack([close, close * 1.01, close * 0.99, close, close, volume], axis=2).reshape(
        -1, 6
    )


def seconds_of(bars: Matrix, indicators: Sequence[Indicator]) -> float:
    """Seconds to compute the latest rows of all, from matrices in memory."""
    spent = 0.0
    for part in chunks(ASSETS, CHUNK):
        lengths = [BARS] * (part.stop - part.start)
        matrices = panel(bars[part.start * BARS : part.stop * BARS], lengths)
        began = perf_counter()
        compute(matrices, indicators)
        spent += perf_counter() - began
    return spent


def plain_seconds(
    bars: Matrix, indicators: Iterable[Indicator], others: Callable[[Matrix], object]
) -> float:
    """Seconds that `ta`, and `others` of an asset's bars, would need for all assets, from what a
    few take them."""
    references = [
        output.reference
        for indicator in indicators
        for output in indicator.outputs
        if isinstance(output.reference, Ta)
    ]
    # One method a class is asked for: the others cost little once it has computed.
    classes = {(each.name, str(each.parameters)): each for each in references}

    def compute_one(asset: int) -> None:
        own = bars[asset * BARS : (asset + 1) * BARS]
        fields = dict(zip(("open", "high", "low", "close"), own.T, strict=False))
        for reference in classes.values():
            reference.values({**fields, "volume": own[:, 5]})
        others(own)

    compute_one(0)  # loads the libraries, once for all assets
    began = perf_counter()
    for asset in range(SAMPLE):
        compute_one(asset)
    return (perf_counter() - began) * ASSETS / SAMPLE


def by_pandas(bars: Matrix) -> tuple[object, ...]:
    """Those of the 31 columns that `ta` has no class for, but for `beta`, as there is no benchmark;
    of the slope the last window alone."""
    import pandas as pd  # only here: the process that the curve measures does without

    _, high, low, close, _, volume = (pd.Series(field) for field in bars.T)
    return (
        close.pct_change().rolling(30).std(ddof=1),
        close.rolling(20).std(ddof=0),
        np.polyfit(range(20), close[-20:], 1),
        volume.rolling(30).mean(),
        volume.rolling(90).mean(),
        high.rolling(252).max(),
        low.rolling(252).min(),
    )


def prepare(postgres: Postgres, assets: int, bars: int) -> None:
    """Assets of one exchange with so many bars each, and nothing computed."""
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute("SET search_path TO financial_screener")
        owner.execute(
            "TRUNCATE assets, process_executions, stock_prices, technical_indicators CASCADE"
        )
        owner.execute(
            "INSERT INTO assets (code, exchange_id, ticker) SELECT 'B' || n, id, 'B' || n || '.US'"
            " FROM generate_series(1, %s) AS n, exchanges WHERE exchanges.code = 'US'",
            [assets],
        )
        owner.execute(
            "INSERT INTO asset_processing_state"
            " (asset_id, ticker, prices_loaded, prices_changed_at, prices_last_date)"
            " SELECT id, ticker, true, now(), %s FROM assets",
            [LAST],
        )
        owner.execute("SELECT ensure_partitions(%s - 4000, %s)", [LAST, LAST])
        owner.execute(
            "INSERT INTO stock_prices SELECT asset.id, %(last)s::date - n / 5 * 7 - n %% 5,"
            " close, close * 1.01, close * 0.99, close, close, (1000 + 1000 * random())::bigint"
            " FROM assets AS asset CROSS JOIN generate_series(0, %(bars)s - 1) AS n"
            " CROSS JOIN LATERAL (SELECT 50 + 10 * sin(n / 20.0 + asset.id) + random() AS close)"
            " AS made ORDER BY asset.id, n DESC",
            {"last": LAST, "bars": bars},
        )
        owner.execute("VACUUM ANALYZE stock_prices")


def add_session(postgres: Postgres, session: int) -> None:
    """One more bar of each asset, the `session`th after LAST, as a collection run leaves them."""
    day = np.busday_offset(np.datetime64(LAST), session).astype(object)
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute("SET search_path TO financial_screener")
        owner.execute("SELECT ensure_partitions(%s, %s)", [day, day])
        owner.execute(
            "INSERT INTO stock_prices SELECT asset_id, %s, open, high, low, close, adj_close,"
            " volume + 1 FROM stock_prices WHERE date = %s",
            [day, LAST],
        )
        owner.execute(
            "UPDATE asset_processing_state SET prices_changed_at = now(), prices_last_date = %s",
            [day],
        )


def run_analyzer(postgres: Postgres, execution_id: str, spec: dict[str, object]) -> Measured:
    """The analyzer's process for all assets. Raises PartFailed."""
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO financial_screener.process_executions"
            " (process_name, execution_id, parameters) VALUES ('bench', %s, %s)",
            [execution_id, json.dumps({"spec": spec})],
        )
        plan_indicators(
            owner, execution_id, exchanges=None, symbols=None, mode="all", as_of=None,
            now=datetime.now(UTC),
        )  # fmt: skip
    variables = {
        "DATABASE_URL": postgres.program_urls()["analyzer"],
        "EXECUTION_ID": execution_id,
        "PATH": os.environ["PATH"],
    }
    return measured("analyzer", [sys.executable, "-m", "screener_analyzer"], environment=variables)


def in_memory() -> Iterator[Figure]:
    bars = walks(ASSETS, BARS)
    seed: list[Indicator] = []
    while sum(len(indicator.outputs) for indicator in seed) < SEED_COLUMNS:
        seed.append(REGISTRY[len(seed)])
    with_ta = [
        indicator
        for indicator in REGISTRY
        if any(isinstance(output.reference, Ta) for output in indicator.outputs)
    ]
    ways: tuple[tuple[str, list[Indicator], Callable[[Matrix], object]], ...] = (
        ("indicators_31_s", seed, by_pandas),
        ("indicators_all_s", with_ta, len),
    )
    for name, indicators, others in ways:
        times, plain = [], []
        for _ in range(PAIRS):
            times.append(seconds_of(bars, indicators))
            plain.append(plain_seconds(bars, indicators, others))
        say(f"{name}: {[round(seconds, 3) for seconds in times]}")
        yield Figure(name, statistics.median(times), "s", statistics.median(plain))


def measure() -> Iterator[Figure]:
    yield from in_memory()
    with database(durable=True) as postgres:
        prepare(postgres, ASSETS, STORED_BARS)
        first = run_analyzer(postgres, "first", {})
        yield Figure("indicators_first_run_s", first.seconds, "s")
        runs = []
        for session in range(1, RUNS + 1):
            add_session(postgres, session)
            runs.append(run_analyzer(postgres, f"run-{session}", {}))
        say(f"indicators_end_to_end_s: {[round(run.seconds, 2) for run in runs]}")
        yield Figure("indicators_end_to_end_s", statistics.median(r.seconds for r in runs), "s")
        assets = ASSETS // HISTORY_PART
        prepare(postgres, assets, LONGEST_HISTORY + HISTORY_DAYS)
        since = np.busday_offset(np.datetime64(LAST), 1 - HISTORY_DAYS)
        wanted = {"from": str(since), "columns": list(COLUMNS[:SEED_COLUMNS])}
        sample = {"sample": SAMPLED // HISTORY_PART}
        history = run_analyzer(postgres, "history", {"history": wanted, "verify": sample})
        yield Figure("indicators_history_s", history.seconds * ASSETS / assets, "s")
        yield Figure("analyzer_peak_mib", max(run.mib for run in (first, *runs, history)), "MiB")
