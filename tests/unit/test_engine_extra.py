"""Classes of `ta` by name: what `ta` itself gives, and nothing where it has no answer yet."""

import importlib
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray

from screener_analyzer.bars import Bars
from screener_analyzer.extra import MOST, Extra, json_of, named, values
from screener_analyzer.panel import Adjusted, Matrix
from screener_analyzer.reference import Ta
from screener_analyzer.registry import REGISTRY
from screener_analyzer.rows import Rows
from screener_analyzer.ta_classes import CLASSES, LEFT_OUT, table
from screener_local.paths import CRDS
from screener_sql.errors import InvalidSpec

DOCS = Path(__file__).resolve().parents[2] / "docs" / "indicators.md"
LONGEST = 160
FIRST_DAY = 8_000

OTHER_PARAMETERS: dict[str, dict[str, Any]] = {
    "ADXIndicator": {"window": 3},
    "AverageTrueRange": {"window": 40},
    "BollingerBands": {"window": 7, "window_dev": 2.5},
    "DPOIndicator": {"window": 2},
    "DonchianChannel": {"window": 5, "offset": 4},
    "IchimokuIndicator": {"window1": 5, "window2": 7, "window3": 11, "visual": True},
    "KAMAIndicator": {"window": 4, "pow1": 3, "pow2": 10},
    "KSTIndicator": {
        "roc1": 2, "roc2": 9, "roc3": 3, "roc4": 4, "window1": 1, "window2": 2, "window3": 20,
        "window4": 5, "nsig": 4,
    },
    "KeltnerChannel": {"window": 5, "window_atr": 12, "original_version": False, "multiplier": 1.5},
    "MACD": {"window_slow": 5, "window_fast": 9, "window_sign": 2},
    "PSARIndicator": {"step": 0.05, "max_step": 0.1},
    "RSIIndicator": {"window": 1},
    "TRIXIndicator": {"window": 1},
    "UltimateOscillator": {"window1": 9, "window2": 2, "window3": 3, "weight1": 0.5},
    "VolumePriceTrendIndicator": {"smoothing_factor": 6},
    "VortexIndicator": {"window": 3},
}  # fmt: skip
ENTRIES = [
    {"name": name} | ({"parameters": {"window": 20}} if name == "SMAIndicator" else {})
    for name in CLASSES
] + [{"name": name, "parameters": given} for name, given in OTHER_PARAMETERS.items()]
EXTRAS = [named([entry])[0] for entry in ENTRIES]
every_extra = pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.key)


def stored_bars(seed: int, length: int) -> tuple[Matrix, NDArray[np.float64]]:
    """(length, open high low close adj_close volume) with a dividend and a split of 4:1, in cents,
    as a vendor gives them; what each price is multiplied by for the split."""
    random = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(random.normal(0.0003, 0.02, length)))
    open_ = close * np.exp(random.normal(0, 0.01, length))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.01, length)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.01, length)))
    splits = np.where(np.arange(length) < length // 2, 0.25, 1.0)
    prices = np.round(np.stack([open_, high, low, close]) / splits, 2)
    factor = splits * np.where(np.arange(length) < length * 2 // 3, 0.985, 1.0)
    volume = random.integers(1_000, 2_000_000, length).astype(float)
    return np.stack([*prices, prices[3] * factor, volume], axis=1), splits


@cache
def series(length: int = LONGEST) -> dict[str, NDArray[np.float64]]:
    """A walk in ta's names, of its first `length` bars."""
    bars, splits = stored_bars(1, LONGEST)
    prices = bars[:, :4] * splits[:, np.newaxis]
    found = dict(zip(("open", "high", "low", "close"), prices.T, strict=True))
    return {name: each[:length] for name, each in (found | {"volume": bars[:, 5]}).items()}


def by_ta(extra: Extra, fed: Mapping[str, NDArray[np.float64]], method: str) -> NDArray[np.float64]:
    """As somebody calls `ta` by hand, with Series on a RangeIndex."""
    made = getattr(importlib.import_module(f"ta.{extra.of.module}"), extra.of.name)
    inputs = {name: pd.Series(fed[name]) for name in extra.of.inputs}
    with np.errstate(all="ignore"):
        return np.asarray(getattr(made(**inputs, **extra.parameters), method)(), dtype=np.float64)


@every_extra
def test_every_class_gives_what_ta_gives(extra: Extra) -> None:
    found = values(extra, series())
    assert found.keys() == set(extra.of.outputs)
    for method, ours in found.items():
        theirs = by_ta(extra, series(), method)
        known = np.isfinite(ours)
        np.testing.assert_array_equal(ours[known], theirs[known], err_msg=method)
        # Nothing is left out that ta has once it has the bars.
        least = extra.minimums[method]
        assert (known[least - 1 :] == np.isfinite(theirs[least - 1 :])).all(), method
        assert known[-60:].sum() > 5, method


@every_extra
def test_a_value_is_that_of_its_own_day(extra: Extra) -> None:
    """No look-ahead: what all bars give for a day is what the bars up to it gave."""
    whole = values(extra, series())
    for length in [*range(1, 60), *range(60, LONGEST, 9)]:
        upto = values(extra, series(length))
        for method, ours in whole.items():
            np.testing.assert_allclose(
                upto[method][-1], ours[length - 1], rtol=1e-9, atol=1e-9, err_msg=f"{length}"
            )


def test_what_is_in_the_registry_too_begins_with_the_same_bar() -> None:
    compared = 0
    for indicator in REGISTRY:
        for output in indicator.outputs:
            if not isinstance(output.reference, Ta):
                continue
            [extra] = named(
                [{"name": output.reference.name, "parameters": output.reference.parameters}]
            )
            if output.minimum_bars > LONGEST:
                continue
            found = values(extra, series())[output.reference.method]
            assert np.flatnonzero(np.isfinite(found))[0] + 1 == output.minimum_bars, output.column
            compared += 1
    assert compared > 60


@every_extra
def test_a_value_changes_with_the_unit_of_prices_and_shares_as_its_rows_are_brought_to_their_day(
    extra: Extra,
) -> None:
    """The powers that bring a row to its own day, by what `ta` does with others."""
    length = LONGEST
    bars, _ = stored_bars(1, length)
    ones = np.ones(length)
    bars[:, 4] = bars[:, 3]
    plain = answers(extra, bars, ones, "all", since=60)
    # Halved for a later dividend of half the price, and a later split of 8 for 1: as on their day.
    paid = bars.copy()
    paid[:-1, 4] *= 0.5
    assert_same(plain[:-1], answers(extra, paid, ones, "all", since=60)[:-1])
    split, factors = bars.copy(), np.where(np.arange(length) < length - 1, 0.125, 1.0)
    split[:-1, 4] *= 0.125
    split[:-1, 5] *= 8  # stored as if the split had been
    assert_same(plain[:-1], answers(extra, split, factors, "all", since=60)[:-1])


def answers(
    extra: Extra,
    bars: Matrix,
    splits: NDArray[np.float64],
    adjusted: Adjusted,
    *,
    since: int | None = None,
) -> list[dict[str, float | None]]:
    """Of each bar from number `since` on (None: of the last), what is stored for it."""
    length = len(bars)
    at = np.arange(length - 1 if since is None else since, length)
    at = at[np.isfinite(bars[at]).all(axis=1)]
    days = (FIRST_DAY + at).astype(np.int32)
    nothing = np.zeros(len(at), dtype=np.int32)
    rows = Rows(nothing + 7, days, {}, nothing)
    of = Bars(
        np.arange(FIRST_DAY, FIRST_DAY + length, dtype=np.int32), bars,
        np.array([length], dtype=np.intp), splits, np.full(length, np.nan), np.ones(1),
        np.zeros(1, dtype=np.intp),
    )  # fmt: skip
    texts = json_of([extra], [7], of, rows, adjusted)
    return [json.loads(text)[extra.key] for text in texts]


def assert_same(some: list[dict[str, float | None]], others: list[dict[str, float | None]]) -> None:
    assert len(some) == len(others) > 0
    for one, other in zip(some, others, strict=True):
        assert one.keys() == other.keys()
        for method, value in one.items():
            right = other[method]
            if right is None:
                assert value is None, method
            else:
                assert value == pytest.approx(right, rel=1e-9, abs=1e-9), method


@pytest.mark.parametrize("adjusted", ["all", "splits", "none"])
@pytest.mark.parametrize(
    "name",
    ["EMAIndicator", "ForceIndexIndicator", "EaseOfMovementIndicator", "OnBalanceVolumeIndicator"],
)
def test_a_row_of_a_history_is_as_it_was_on_its_day(name: str, adjusted: Adjusted) -> None:
    [extra] = named([{"name": name}])
    bars, splits = stored_bars(3, 120)
    history = answers(extra, bars, splits, adjusted, since=40)
    for at in (40, 59, 60, 79, 80, 100, 119):
        # As that day was: bars up to it, factors re-based by later ones or not.
        assert_same([history[at - 40]], answers(extra, bars[: at + 1], splits[: at + 1], adjusted))


@pytest.mark.parametrize("adjusted", ["all", "splits", "none"])
def test_prices_are_adjusted_for_what_the_spec_says(adjusted: Adjusted) -> None:
    [extra] = named([{"name": "VolumeWeightedAveragePrice"}])
    bars, splits = stored_bars(4, 70)
    factor = {"all": bars[:, 4] / bars[:, 3], "splits": splits, "none": np.ones(70)}[adjusted]
    high, low, close = (bars[:, n] * factor / factor[-1] for n in (1, 2, 3))
    fed = {"high": high, "low": low, "close": close,
           "volume": bars[:, 5] * (splits if adjusted == "none" else 1.0)}  # fmt: skip
    [found] = answers(extra, bars, splits, adjusted)
    right = by_ta(extra, fed, "volume_weighted_average_price")[-1]
    assert found["volume_weighted_average_price"] == pytest.approx(right, rel=1e-12)


def test_nothing_is_computed_across_a_hole() -> None:
    [extra] = named([{"name": "EMAIndicator", "parameters": {"window": 10}}])
    bars, splits = stored_bars(5, 60)
    whole = answers(extra, bars, splits, "all", since=0)
    bars[30] = math.nan
    found = answers(extra, bars, splits, "all", since=0)
    assert len(found) == 59
    assert_same(found[:30], whole[:30])
    assert [row["ema_indicator"] for row in found[30:39]] == [None] * 9
    alone = answers(extra, bars[31:], splits[31:], "all", since=0)
    assert_same(found[30:], alone)


@every_extra
@pytest.mark.parametrize("length", [1, 2, 5, 13])
def test_few_bars_are_no_error(extra: Extra, length: int, caplog: pytest.LogCaptureFixture) -> None:
    bars, splits = stored_bars(6, length)
    [found] = answers(extra, bars, splits, "all")
    assert found.keys() == set(extra.of.outputs)
    assert not caplog.records


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "SMAIndicator"])
def test_a_flat_silent_series_has_no_infinite_value(name: str) -> None:
    [extra] = named([{"name": name}])
    bars = np.tile([9.0, 9.0, 9.0, 9.0, 9.0, 0.0], (90, 1))
    [found] = answers(extra, bars, np.ones(90), "all")
    assert all(value is None or math.isfinite(value) for value in found.values())


def test_an_error_of_ta_costs_its_key_of_its_asset_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extras = named([{"name": "RSIIndicator"}, {"name": "ROCIndicator", "as": "roc"}])
    import ta.momentum

    right = ta.momentum.ROCIndicator.roc

    def fails_at_13(self: Any) -> Any:
        if 13.0 in set(self._close):
            raise RuntimeError("no such thing")
        return right(self)

    monkeypatch.setattr(ta.momentum.ROCIndicator, "roc", fails_at_13)
    bars, splits = stored_bars(7, 90)
    other = bars.copy()
    other[40, 3:5] = 13.0
    other[:, 4] = other[:, 3]
    of = Bars(
        np.tile(np.arange(90, dtype=np.int32), 3), np.concatenate([bars, other, other]),
        np.array([90, 90, 90], dtype=np.intp), np.tile(splits, 3), np.full(270, np.nan), np.ones(3),
        np.zeros(3, dtype=np.intp),
    )  # fmt: skip
    nothing = np.zeros(3, dtype=np.int32)
    rows = Rows(np.array([3, 4, 5], dtype=np.int32), nothing + 89, {}, nothing)
    found = [json.loads(text) for text in json_of(extras, [3, 4, 5], of, rows, "all")]
    assert [row["roc"]["roc"] is None for row in found] == [False, True, True]
    assert [row["RSIIndicator"]["rsi"] is None for row in found] == [False] * 3
    [record] = caplog.records
    assert (record.levelname, vars(record)["key"], vars(record)["assets"]) == ("WARNING", "roc", 2)
    assert vars(record)["first_asset_id"] == 4
    assert vars(record)["error"] == "RuntimeError: no such thing"


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"name": "RSIIndicator"}, "RSIIndicator"),
        ({"name": "RSIIndicator", "parameters": {}}, "RSIIndicator"),
        ({"name": "KAMAIndicator", "parameters": {"pow2": 9, "window": 20}},
         "KAMAIndicator(window=20, pow2=9)"),
        ({"name": "BollingerBands", "parameters": {"window_dev": 2.0}},
         "BollingerBands(window_dev=2)"),
        ({"name": "BollingerBands", "parameters": {"window_dev": 2.5}},
         "BollingerBands(window_dev=2.5)"),
        ({"name": "KeltnerChannel", "parameters": {"original_version": False}},
         "KeltnerChannel(original_version=false)"),
        ({"name": "KAMAIndicator", "as": "kama_10"}, "kama_10"),
    ],
)  # fmt: skip
def test_a_key_is_what_is_asked_for_or_tells_what_it_is(entry: dict[str, Any], key: str) -> None:
    assert [each.key for each in named([entry])] == [key]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "KAMA"}, "spec.extra[1].name: 'KAMA' is no class of ta; there are ADXIndicator,"),
        ({"name": "kama"}, "VolumeWeightedAveragePrice, VortexIndicator, WMAIndicator"),
        ({}, "spec.extra[1].name: 'None' is no class of ta"),
        ({"name": "RSIIndicator", "parameters": {"windw": 3}},
         "spec.extra[1].parameters.windw: RSIIndicator has no such; it has window"),
        ({"name": "RSIIndicator", "parameters": {"fillna": True}},
         "spec.extra[1].parameters.fillna: RSIIndicator has no such"),
        ({"name": "RSIIndicator", "parameters": {"close": 1}}, "spec.extra[1].parameters.close"),
        ({"name": "DailyReturnIndicator", "parameters": {"window": 1}}, "it has none"),
        ({"name": "RSIIndicator", "parameters": {"window": 2.5}},
         "spec.extra[1].parameters.window: 2.5; it must be a whole number"),
        ({"name": "RSIIndicator", "parameters": {"window": "14"}},
         "spec.extra[1].parameters.window: '14'; it must be a whole number"),
        ({"name": "RSIIndicator", "parameters": {"window": True}}, "it must be a whole number"),
        ({"name": "RSIIndicator", "parameters": {"window": 0}}, "0; it must be 1 or more"),
        ({"name": "DonchianChannel", "parameters": {"offset": -1}}, "-1; it must be 0 or more"),
        ({"name": "PSARIndicator", "parameters": {"step": 0}}, "0; it must be more than 0"),
        ({"name": "IchimokuIndicator", "parameters": {"visual": 1}}, "it must be true or false"),
        ({"name": "SMAIndicator"}, "spec.extra[1].parameters.window: SMAIndicator needs it"),
        ({"name": "RSIIndicator", "as": "RSI"}, "spec.extra[1].as: 'RSI'; it must match ^[a-z]"),
        ({"name": "ROCIndicator", "as": "first"},
         "spec.extra[1].as: first is the key of another entry too"),
    ],
)  # fmt: skip
def test_what_ta_does_not_have_is_refused_by_field(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        named([{"name": "RSIIndicator", "as": "first"}, entry])
    assert said in str(caught.value)


def test_too_many_are_refused() -> None:
    entries = [{"name": "RSIIndicator", "as": f"rsi_{n}"} for n in range(MOST + 1)]
    assert len(named(entries[1:])) == MOST
    with pytest.raises(InvalidSpec, match=f"spec.extra: {MOST + 1} are named; {MOST} is the most"):
        named(entries)


def test_the_docs_have_the_classes_of_ta() -> None:
    parts = DOCS.read_text("utf-8").split("<!-- classes of ta -->")
    assert len(parts) == 3
    assert parts[1].strip() == table().strip()


def schema() -> dict[str, Any]:
    """Of spec.extra, as the API server has it."""
    kind = yaml.safe_load((CRDS / "indicatorruns.yaml").read_text("utf-8"))
    version = kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found: dict[str, Any] = version["properties"]["spec"]["properties"]["extra"]
    return found


def test_the_api_server_takes_the_classes_that_ta_has_and_no_other() -> None:
    assert schema()["items"]["properties"]["name"]["enum"] == list(CLASSES)
    assert schema()["maxItems"] == MOST


def test_the_api_server_takes_the_parameters_of_each_class() -> None:
    items = schema()["items"]
    having: dict[str, list[str]] = {}
    kinds = {}
    for each in CLASSES.values():
        for parameter in each.parameters:
            having.setdefault(parameter.name, []).append(each.name)
            kinds[parameter.name] = {int: "integer", float: "number", bool: "boolean"}[
                parameter.kind
            ]
    fields = items["properties"]["parameters"]["properties"]
    assert {name: field["type"] for name, field in fields.items()} == kinds
    assert not set(LEFT_OUT) & set(fields)
    rules = {rule["rule"]: rule for rule in items["x-kubernetes-validations"]}
    for name, classes in having.items():
        listed = ", ".join(f"'{each}'" for each in classes)
        rule = rules.pop(
            f"!has(self.parameters) || !has(self.parameters.{name}) || self.name in [{listed}]"
        )
        assert rule["fieldPath"] == f".parameters.{name}"
        assert all(each in rule["message"] for each in classes)
    needed = [
        f"self.name != '{each.name}' || (has(self.parameters) && has(self.parameters.{name}))"
        for each in CLASSES.values()
        for name in (parameter.name for parameter in each.parameters if parameter.needed)
    ]
    assert list(rules) == needed
