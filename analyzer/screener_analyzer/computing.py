"""Core: stored bars of many assets -> rows of technical_indicators."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import TO_UNIX_DAYS, Bars
from screener_analyzer.engine import compute
from screener_analyzer.panel import Adjusted, panel
from screener_analyzer.registry import REGISTRY, Indicator
from screener_analyzer.rows import Rows

logger = logging.getLogger(__name__)

Faults = dict[int, Exception]
"""What went wrong, by asset."""

LONG_GROUP = 20
"""How many assets with a long history are computed together, as a panel is as long as its longest
asset."""


def rows_of(
    asset_ids: NDArray[np.int32],
    bars: Bars,
    *,
    usual: int,
    adjusted: Adjusted = "all",
    since: int | None = None,
    indicators: Sequence[Indicator] = REGISTRY,
) -> tuple[Rows, Faults]:
    """The row of each asset's last bar and of its bars from day `since` on, and what went wrong, by
    asset, for those without.

    Each asset has a bar at least. `usual`: how many bars most have at most.
    """
    rows = Rows.none()
    faults: Faults = {}
    long = bars.lengths > usual
    groups = [np.flatnonzero(~long)]
    longer = np.flatnonzero(long)
    groups += [longer[at : at + LONG_GROUP] for at in range(0, len(longer), LONG_GROUP)]
    for group in groups:
        if len(group):
            chosen = np.zeros(len(asset_ids), dtype=np.bool_)
            chosen[group] = True
            more, wrong = _panel_rows(
                asset_ids[chosen], bars.of(chosen), adjusted, since, indicators
            )
            rows, faults = rows.with_more(more), faults | wrong
    return rows, faults


def _panel_rows(
    asset_ids: NDArray[np.int32],
    bars: Bars,
    adjusted: Adjusted,
    since: int | None,
    indicators: Sequence[Indicator],
) -> tuple[Rows, Faults]:
    ends = np.cumsum(bars.lengths)
    wanted = np.zeros(len(bars.dates), dtype=np.bool_)
    if since is not None:
        wanted = bars.dates >= since
    wanted[ends - 1] = True
    counts = np.add.reduceat(wanted, ends - bars.lengths, dtype=np.intp)
    try:
        columns = compute(
            panel(
                bars.values,
                bars.lengths.tolist(),
                dates=bars.dates + np.int32(TO_UNIX_DAYS),
                split_factors=bars.splits,
                benchmark=bars.benchmark,
                minor_units=bars.minor_units,
                adjusted=adjusted,
            ),
            indicators,
            rows=int(counts.max()),
        )
    except Exception as error:
        if len(asset_ids) == 1:
            logger.exception("computing failed", extra={"asset_id": int(asset_ids[0])})
            return Rows.none(), {int(asset_ids[0]): error}
        # One of them is at fault: it is found by halving.
        half = len(asset_ids) // 2
        first, faults = _panel_rows(
            asset_ids[:half], bars.part(0, half), adjusted, since, indicators
        )
        second, more = _panel_rows(
            asset_ids[half:], bars.part(half, len(asset_ids)), adjusted, since, indicators
        )
        return first.with_more(second), faults | more
    in_rows = np.arange(counts.max()) >= (counts.max() - counts)[:, np.newaxis]
    within = np.arange(1, len(bars.dates) + 1) - np.repeat(ends - bars.lengths, bars.lengths)
    rows = Rows(
        np.repeat(asset_ids, counts),
        bars.dates[wanted],
        {column: values.T[in_rows] for column, values in columns.items()},
        within[wanted].astype(np.int32),
    )
    # A bar that was set aside has no row.
    return rows.where(np.isfinite(bars.values[wanted, 3])), {}
