"""Registry, table and docs name the same columns."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import registry_copies
import yaml
from engine_bars import random_asset
from registry_copies import AGAIN, DOCS, KIND, documented, listed, table_columns
from ta_columns import scale

from screener_analyzer.engine import compute
from screener_analyzer.judge.verdict import DEFINED
from screener_analyzer.panel import Panel
from screener_analyzer.reference import Ta
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY, Indicator
from screener_analyzer.spec import Spec
from screener_analyzer.ta_classes import CLASSES

ABOUT_THE_ROW = {
    "asset_id", "calculation_date", "bars_used", "calculated_at", "execution_id", "last_bar",
    "extra",
}  # fmt: skip


def test_the_table_has_the_columns_of_the_registry_and_no_other() -> None:
    assert table_columns() == set(COLUMNS), registry_copies.migration()
    assert not set(COLUMNS) & ABOUT_THE_ROW


def test_a_history_can_have_each_of_the_columns_and_no_other() -> None:
    text = KIND.read_text("utf-8")
    kind = yaml.safe_load(text)
    schema = kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    columns = schema["properties"]["history"]["properties"]["columns"]
    assert tuple(columns["items"]["enum"]) == COLUMNS, AGAIN
    assert columns["maxItems"] == len(COLUMNS), AGAIN
    assert listed(text) == text


def test_twenty_rows_of_a_run_are_verified_where_its_spec_does_not_say_how_many() -> None:
    kind = yaml.safe_load(KIND.read_text("utf-8"))
    schema = kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    sample = schema["properties"]["verify"]["properties"]["sample"]
    assert sample["default"] == Spec.from_json({}).sample == 20


def test_the_docs_have_the_table_of_the_registry() -> None:
    text = DOCS.read_text("utf-8")
    assert documented(text) == text, AGAIN


def test_what_repeats_the_registry_is_written_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (*COLUMNS[:3], "one_more", *COLUMNS[4:])
    monkeypatch.setattr(registry_copies, "COLUMNS", columns)
    monkeypatch.setattr(registry_copies, "table", lambda: "| another |\n")
    assert registry_copies.migration() == (
        "ALTER TABLE financial_screener.technical_indicators\n"
        "    ADD COLUMN one_more double precision;\n"
        "SELECT financial_screener.follow_indicator_columns();\n"
    )
    before, now = KIND.read_text("utf-8"), listed(KIND.read_text("utf-8"))
    assert now == before.replace(f"- {COLUMNS[3]}\n", "- one_more\n")
    monkeypatch.setattr(registry_copies, "COLUMNS", columns[:2])
    assert "maxItems: 2\n" in listed(before)
    assert "| another |" in documented(DOCS.read_text("utf-8"))


def test_there_are_the_31_of_before_and_50_more_at_least() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) >= 31 + 50
    assert COLUMNS[:31][-1] == "current_price"


def test_every_row_says_what_it_is() -> None:
    assert len({indicator.name for indicator in REGISTRY}) == len(REGISTRY)
    groups = {"trend", "momentum", "volatility", "volume", "price"}
    for indicator in REGISTRY:
        assert indicator.sentence.endswith("."), indicator.name
        assert indicator.group in groups
        assert all(output.unit.text and str(output.reference) for output in indicator.outputs)


@pytest.mark.parametrize("indicator", REGISTRY, ids=lambda indicator: indicator.name)
def test_an_indicator_takes_fields_that_a_panel_has(indicator: Indicator) -> None:
    assert set(indicator.inputs) <= {field.name for field in fields(Panel)}


def test_no_output_needs_more_bars_than_are_read() -> None:
    outputs = [output for row in REGISTRY for output in row.outputs]
    assert max(output.history for output in outputs) <= LONGEST_HISTORY
    assert all(output.history == 0 or output.history >= output.minimum_bars for output in outputs)
    assert LONGEST_HISTORY >= 540


def test_every_class_of_ta_is_in_the_registry() -> None:
    outputs = [output for row in REGISTRY for output in row.outputs]
    named = {each.reference.name for each in outputs if isinstance(each.reference, Ta)}
    assert named == set(CLASSES)
    assert len(CLASSES) == 43


def test_the_history_of_an_output_gives_what_all_bars_give() -> None:
    # Of even seeds the benchmark has every bar: beta counts those that both have.
    assets = [random_asset(seed, 1_500, digits=seed % 4) for seed in range(0, 12, 2)]
    outputs = [output for row in REGISTRY for output in row.outputs if output.history]
    for bars in {output.history for output in outputs}:
        needing = {output.column: output for output in outputs if output.history == bars}
        rows = [row for row in REGISTRY if set(needing) & set(row.columns)]
        for asset in assets:
            of_all = compute(asset.panel(), rows)
            of_last = compute(asset.last(bars).panel(whole=False), rows)
            for column, output in needing.items():
                right, ours = float(of_all[column][0, 0]), float(of_last[column][0, 0])
                size = max(abs(right), scale(output, asset.bars[:, 3]))
                assert ours == pytest.approx(right, rel=0, abs=1e-9 * size, nan_ok=True), column


PROSE = {
    *("beta", "golden_cross_bars", "death_cross_bars", "macd_rise_bars", "macd_fall_bars"),
    *("rsi_rise_bars", "rsi_fall_bars", "unchanged_bars"),
    *("relative_strength_3m", "relative_strength_6m", "relative_strength_12m"),
}
"""Columns whose `reference` is no expression."""


def test_what_the_docs_say_in_pandas_words_is_what_the_columns_are() -> None:
    asset = random_asset(3, 700)
    whole = replace(asset.panel(), bases=None)
    computed = compute(whole, rows=whole.rows)
    dates = pd.DatetimeIndex(whole.dates[:, 0].astype("datetime64[D]"))
    series = {
        name: pd.Series(values[:, 0], index=dates)
        for name, values in (*computed.items(), *matrices(whole))
    }
    words = {**series, "dates": dates, "minor_units": asset.minor_units, "pd": pd, "np": np}
    evaluated = set()
    for output in (output for row in REGISTRY for output in row.outputs):
        if isinstance(output.reference, str) and output.column not in PROSE:
            right = eval(output.reference, words)[output.minimum_bars - 1 :]
            ours = series[output.column][output.minimum_bars - 1 :]
            np.testing.assert_allclose(ours, right, rtol=1e-9, atol=1e-9, err_msg=output.column)
            assert np.isfinite(ours).any(), output.column
            evaluated.add(output.column)
    defined = {column for names in DEFINED for column in names.split()}
    assert evaluated == defined - PROSE - {"return_1d"}


def matrices(whole: Panel) -> list[tuple[str, np.ndarray]]:
    """The panel's prices and volumes by name."""
    names = "open close volume raw_close split_close split_high split_low"
    return [(name, getattr(whole, name)) for name in names.split()]
