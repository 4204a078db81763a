"""Core: classes of `ta` that a run names besides the registry's columns, computed by `ta` itself,
asset by asset, for the column `extra`.

A value is what `ta` answers from an asset's whole stored history since its last hole, and nothing
(null in the JSON) where that is not finite, where `ta` raises an error, and where it answers before
it has the bars: see `minimum_bars`.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import Bars
from screener_analyzer.panel import Adjusted, Matrix
from screener_analyzer.registry import EASE, NUMBER, PRICE, SHARES, WORTH, Unit
from screener_analyzer.rows import Rows
from screener_analyzer.ta_classes import CLASSES, Parameter, TaClass, Value
from screener_sql.errors import InvalidSpec

logger = logging.getLogger(__name__)

MOST = 32
"""How many a run may name."""
KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")

_UNITS: dict[str, Unit] = {
    method: unit
    for unit, methods in (
        (
            PRICE,
            "average_true_range awesome_oscillator bollinger_hband bollinger_lband bollinger_mavg"
            " donchian_channel_hband donchian_channel_lband donchian_channel_mband dpo"
            " ema_indicator ichimoku_a ichimoku_b ichimoku_base_line ichimoku_conversion_line kama"
            " keltner_channel_hband keltner_channel_lband keltner_channel_mband macd macd_diff"
            " macd_signal psar psar_down psar_up sma_indicator volume_weighted_average_price wma",
        ),
        (SHARES, "acc_dist_index on_balance_volume volume_price_trend"),
        (WORTH, "force_index"),
        (EASE, "ease_of_movement sma_ease_of_movement"),
    )
    for method in methods.split()
}


@dataclass(frozen=True, slots=True)
class Extra:
    """A class of `ta` with parameters, and where its values are stored."""

    key: str
    """In the JSON."""
    of: TaClass
    parameters: Mapping[str, Value]
    """Those that were given."""

    @property
    def minimums(self) -> dict[str, int]:
        """Of each output, with how many bars it has a value at the earliest."""
        return {
            method: minimum_bars(self.of, method, self.parameters) for method in self.of.outputs
        }


def named(entries: Sequence[Mapping[str, Any]]) -> tuple[Extra, ...]:
    """What `spec.extra` names. Raises InvalidSpec, which names the field."""
    if len(entries) > MOST:
        raise InvalidSpec(f"spec.extra: {len(entries)} are named; {MOST} is the most")
    found: dict[str, Extra] = {}
    for place, entry in enumerate(entries):
        each = _one(f"spec.extra[{place}]", entry)
        if each.key in found:
            raise InvalidSpec(f"spec.extra[{place}].as: {each.key} is the key of another entry too")
        found[each.key] = each
    return tuple(found.values())


def _one(at: str, entry: Mapping[str, Any]) -> Extra:
    name = str(entry.get("name"))
    if name not in CLASSES:
        raise InvalidSpec(f"{at}.name: {name!r} is no class of ta; there are {', '.join(CLASSES)}")
    of = CLASSES[name]
    given: dict[str, Any] = dict(entry.get("parameters") or {})
    known = [parameter.name for parameter in of.parameters]
    for other in given:
        if other not in known:
            has = ", ".join(known) or "none"
            raise InvalidSpec(f"{at}.parameters.{other}: {name} has no such; it has {has}")
    parameters = {}
    for parameter in of.parameters:
        if parameter.name in given:
            parameters[parameter.name] = _value(at, parameter, given[parameter.name])
        elif parameter.needed:
            raise InvalidSpec(f"{at}.parameters.{parameter.name}: {name} needs it")
    return Extra(_key(at, name, parameters, entry.get("as")), of, parameters)


def _key(at: str, name: str, parameters: Mapping[str, Value], wanted: object) -> str:
    if wanted is None:
        listed = ", ".join(f"{each}={json.dumps(value)}" for each, value in parameters.items())
        return f"{name}({listed})" if listed else name
    if not isinstance(wanted, str) or not KEY.fullmatch(wanted):
        raise InvalidSpec(f"{at}.as: {wanted!r}; it must match ^{KEY.pattern}$")
    return wanted


def _value(at: str, parameter: Parameter, value: object) -> Value:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not parameter.accepts(value):
        kind = {int: "a whole number", float: "a number", bool: "true or false"}[parameter.kind]
        raise InvalidSpec(f"{at}.parameters.{parameter.name}: {value!r}; it must be {kind}")
    assert isinstance(value, (int, float, bool))
    least = 0 if parameter.name == "offset" else 1
    if parameter.kind is int and value < least:
        raise InvalidSpec(f"{at}.parameters.{parameter.name}: {value}; it must be {least} or more")
    if parameter.kind is float and value <= 0:
        raise InvalidSpec(f"{at}.parameters.{parameter.name}: {value}; it must be more than 0")
    return value


def minimum_bars(of: TaClass, method: str, parameters: Mapping[str, Value]) -> int:
    """With how many bars an output has a value at the earliest; 1 where `ta` itself says so, by
    NaN.

    Elsewhere `ta` 0.11 answers before: with 0 (ATR, ADX, the flags of the bands), from a window
    that is not full (Ichimoku's span B, Keltner's outer bands, KST's signal), with the mean of the
    whole series in the place of a bar that is not there (KST, TRIX, DPO, Ichimoku that is shifted),
    or with the close (PSAR).
    """
    p = {
        each.name: int(parameters.get(each.name, each.default) or 0)  # of numbers, none is asked
        for each in of.parameters
    }
    match of.name:
        case "ADXIndicator":
            return 2 * p["window"] if method == "adx" else p["window"] + 2
        case "AverageTrueRange" | "BollingerBands":
            return p["window"]
        case "DPOIndicator":
            return max(p["window"], p["window"] // 2 + 2)
        case "IchimokuIndicator":
            windows = {
                "ichimoku_conversion_line": ["window1"],
                "ichimoku_base_line": ["window2"],
                "ichimoku_a": ["window1", "window2"],
                "ichimoku_b": ["window3"],
            }[method]
            shifted = p["window2"] if p["visual"] and method in ("ichimoku_a", "ichimoku_b") else 0
            return max(p[name] for name in windows) + shifted
        case "KSTIndicator":
            full = max(p[f"roc{n}"] + p[f"window{n}"] for n in (1, 2, 3, 4))
            return full if method == "kst" else full + p["nsig"] - 1
        case "KeltnerChannel":
            return p["window"] if p["original_version"] else max(p["window"], p["window_atr"])
        case "PSARIndicator":
            # The first bar with a trend does not reverse one.
            return 4 if method.endswith("_indicator") else 3
        case "RSIIndicator":
            return max(2, p["window"])
        case "TRIXIndicator":
            return 3 * (p["window"] - 1) + 2
    return 1


def values(
    extra: Extra, series: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """By output, one number a bar of one asset (INPUTS, every one finite); NaN for none.

    Raises whatever `ta` raises.
    """
    minimums = extra.minimums
    bars = len(series["close"])
    found = {method: np.full(bars, np.nan) for method in extra.of.outputs}
    if bars < min(minimums.values()):
        return found
    with np.errstate(all="ignore"):
        instance = extra.of.of({name: series[name] for name in extra.of.inputs}, extra.parameters)
        for method, least in minimums.items():
            if bars >= least:
                given = np.array(getattr(instance, method)(), dtype=np.float64)
                given[: least - 1] = np.nan
                given[~np.isfinite(given)] = np.nan
                found[method][:] = given
    return found


@dataclass(slots=True)
class _Failures:
    """What `ta` raised, by key."""

    assets: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, Exception]] = field(default_factory=dict)

    def note(self, key: str, asset_id: int, error: Exception) -> None:
        self.assets[key] += 1
        self.first.setdefault(key, (asset_id, error))

    def log(self) -> None:
        for key, (asset_id, error) in self.first.items():
            logger.warning(
                "ta raised an error; the key is null for these assets",
                extra={
                    "key": key,
                    "assets": self.assets[key],
                    "first_asset_id": asset_id,
                    "error": f"{type(error).__name__}: {error}"[:200],
                },
            )


def json_of(
    extras: Sequence[Extra], asset_ids: Sequence[int], bars: Bars, rows: Rows, adjusted: Adjusted
) -> NDArray[np.object_]:
    """Of each of `rows` the JSON of what `extras` name: {key: {output: number or null}}.

    `bars`: the whole stored history of the assets `asset_ids`, up to the last of their rows; values
    are in prices and shares of each row's own day, as the columns are.
    """
    found = np.full(len(rows), None, dtype=np.object_)
    failures = _Failures()
    ends = np.cumsum(bars.lengths)
    places: dict[int, list[int]] = {}
    for place, asset_id in enumerate(rows.asset_ids.tolist()):
        places.setdefault(asset_id, []).append(place)
    for asset_id, end, length in zip(asset_ids, ends, bars.lengths, strict=True):
        mine = np.array(places.get(asset_id, []), dtype=np.intp)
        part = slice(end - length, end)
        at = np.searchsorted(bars.dates[part], rows.days[mine])
        # A row is computed from the bars since the last hole before it.
        holes = np.flatnonzero(~np.isfinite(bars.values[part]).all(axis=1))
        begins = np.concatenate([[0], holes + 1])[np.searchsorted(holes, at)]
        for begin in np.unique(begins):
            together = begins == begin
            reach = slice(int(begin), int(at[together].max()) + 1)
            series, prices, shares = _series(
                bars.values[part][reach], bars.splits[part][reach], adjusted
            )
            texts = _texts(extras, series, prices, shares, at[together] - begin, asset_id, failures)
            for place, text in zip(mine[together], texts, strict=True):
                found[place] = text
    failures.log()
    return found


def _series(
    bars: Matrix, splits: NDArray[np.float64], adjusted: Adjusted
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """INPUTS in prices and shares of the last bar's day, and what prices must be divided, and
    shares multiplied, by to be in those of each bar's."""
    factors = {"all": bars[:, 4] / bars[:, 3], "splits": splits, "none": np.ones(len(bars))}[
        adjusted
    ]
    prices = factors / factors[-1]
    adjusted_prices = bars[:, :4] * prices[:, np.newaxis]
    series = {
        name: adjusted_prices[:, n] for n, name in enumerate(("open", "high", "low", "close"))
    }
    # Stored volume is as if all splits had been; traded, without the later ones.
    series["volume"] = bars[:, 5] * (splits if adjusted == "none" else splits[-1])
    shares = np.ones(len(bars)) if adjusted == "none" else splits / splits[-1]
    return series, prices, shares


def _texts(
    extras: Sequence[Extra],
    series: Mapping[str, NDArray[np.float64]],
    prices: NDArray[np.float64],
    shares: NDArray[np.float64],
    at: NDArray[np.intp],
    asset_id: int,
    failures: _Failures,
) -> list[bytes]:
    rows: list[dict[str, dict[str, float | None]]] = [{} for _ in at]
    for extra in extras:
        try:
            of_bars = values(extra, series)
        except Exception as error:
            failures.note(extra.key, asset_id, error)
            of_bars = {method: np.full(len(series["close"]), np.nan) for method in extra.of.outputs}
        of_rows = {}
        for method, every in of_bars.items():
            unit = _UNITS.get(method, NUMBER)
            own = every[at] / prices[at] ** unit.prices * shares[at] ** unit.shares
            of_rows[method] = [value if np.isfinite(value) else None for value in own.tolist()]
        for place, row in enumerate(rows):
            row[extra.key] = {method: column[place] for method, column in of_rows.items()}
    return [json.dumps(row, allow_nan=False).encode() for row in rows]
