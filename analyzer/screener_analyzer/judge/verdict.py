"""Core: which column is judged how, what it must be, and how far a stored row is from that."""

import math
from collections.abc import Callable, Collection, Mapping
from functools import partial

import numpy as np

from screener_analyzer.judge import definitions
from screener_analyzer.judge.definitions import UNDECIDED, Value, Values, cycle_is_rounding
from screener_analyzer.judge.history import History
from screener_analyzer.judge.lines import Lines
from screener_analyzer.reference import Ta
from screener_analyzer.registry import LONGEST_HISTORY, REGISTRY, Output

_YEAR = 252

DEFINED: Mapping[str, Callable[[Lines], Values]] = {
    "volatility": partial(definitions.volatility, window=30, days=_YEAR),
    "std_dev": partial(definitions.deviation, window=20),
    "slope": partial(definitions.slope, window=20),
    "avg_volume_30": partial(definitions.average_volume, window=30),
    "avg_volume_90": partial(definitions.average_volume, window=90),
    "current_price": definitions.raw_close,
    "beta": partial(definitions.beta, window=_YEAR, least=120),
    "week_52_high week_52_low": partial(definitions.year_range, window=_YEAR),
    "week_52_high_distance week_52_low_distance": partial(definitions.year_distances, window=_YEAR),
    "return_1d price_return_1d return_5d price_return_5d": partial(
        definitions.bar_returns, ago=(1, 5)
    ),
    "return_1m price_return_1m return_3m price_return_3m return_6m price_return_6m"
    " return_12m price_return_12m return_ytd price_return_ytd": partial(
        definitions.month_returns, months=(1, 3, 6, 12, 0)
    ),
    "relative_strength_3m relative_strength_6m relative_strength_12m": partial(
        definitions.relative_strength, months=(3, 6, 12)
    ),
    "drawdown max_drawdown": partial(definitions.drawdown, window=_YEAR),
    "gap": definitions.gap,
    "golden_cross_bars death_cross_bars": partial(
        definitions.mean_crossings, fast=50, slow=200, lookback=20
    ),
    "macd_rise_bars macd_fall_bars": partial(definitions.macd_crossings, lookback=20),
    "rsi_rise_bars rsi_fall_bars": partial(
        definitions.strength_crossings, low=30.0, high=70.0, lookback=20
    ),
    "traded_value_30": partial(definitions.traded_value, window=30),
    "relative_volume silent_bars_30 illiquidity_30": partial(definitions.liquidity, window=30),
    "unchanged_bars days_since_previous_bar": partial(definitions.staleness, lookback=60),
}
"""By columns, how what `ta` has no class for is computed. Of return_1d, which is among
them, `ta`'s counts."""

_OUTPUTS = {output.column: output for indicator in REGISTRY for output in indicator.outputs}
COLUMNS = tuple(_OUTPUTS)
"""Every column that is judged: every one."""


def judged(history: History, wanted: Collection[str] = COLUMNS) -> dict[str, Value | None]:
    """The columns that are wanted at the last bar: a finite number; None: NULL."""
    lines, whole = Lines(history.after_old_hole(LONGEST_HISTORY)), Lines(history)
    values: dict[str, Value] = {}
    with np.errstate(all="ignore"):
        for names, value_of in DEFINED.items():
            columns = names.split()
            if set(columns).isdisjoint(wanted):
                continue
            if len(history) >= min(_OUTPUTS[column].minimum_bars for column in columns):
                values |= dict(zip(columns, value_of(lines), strict=True))
        for column in wanted:
            output = _OUTPUTS[column]
            if isinstance(output.reference, Ta) and len(history) >= output.minimum_bars:
                of = lines if output.history else whole
                values[column] = of.last(output.reference, output.history)
        if "stc" in values and cycle_is_rounding(lines.history.close):
            values["stc"] = UNDECIDED
    found: dict[str, Value | None] = dict.fromkeys(wanted)
    for column in found.keys() & values.keys():
        value = values[column]
        known = value is UNDECIDED or math.isfinite(value)
        if known and len(history) >= _OUTPUTS[column].minimum_bars:
            found[column] = value
    return found


def deviations(
    stored: Mapping[str, float | None], right: Mapping[str, Value | None], history: History
) -> dict[str, float]:
    """By column stored, how far its value is from the right one, relative to the larger of that and
    the column's scale; infinite where one of the two alone is None."""
    found = {}
    # A run that read further back than it had to has seen it.
    old_hole = history.after_old_hole(LONGEST_HISTORY) is not history
    for column, mine in stored.items():
        output, theirs = _OUTPUTS[column], right[column]
        if theirs is UNDECIDED or (old_hole and mine is None and output.history):
            found[column] = 0.0
        elif mine is None or theirs is None:
            found[column] = 0.0 if mine is theirs else math.inf
        else:
            size = max(abs(theirs), _scale(output, history))
            deviation = abs(mine - theirs) / size if mine != theirs else 0.0
            found[column] = math.inf if math.isnan(deviation) else deviation
    return found


def _scale(output: Output, history: History) -> float:
    """What a deviation is measured by where the value itself is smaller: 100 or 1 of what is
    bounded, and of what is made of prices, or of shares, one of them."""
    unit = output.unit
    if output.column == "illiquidity_30":
        return 0.0
    if unit.text.startswith(("0 to 100", "-100")):
        return 100.0
    size = 1.0
    if unit.text.startswith("price"):
        size = float(abs(history.close[-1]))
    if unit.shares:
        volume = history.volume[np.isfinite(history.volume)]
        size *= max(1.0, float(np.mean(volume))) ** unit.shares
    if unit.prices == 2:
        size *= 1e8 * float(history.high[-1] - history.low[-1])
    return size
