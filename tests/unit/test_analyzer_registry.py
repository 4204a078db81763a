"""The registry, and the table's columns say the same."""

import re
from dataclasses import fields
from importlib.resources import files

import pytest

from screener_analyzer.panel import Panel
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY, Indicator

KEYS = ["asset_id", "calculation_date"]
ABOUT_THE_ROW = ["bars_used", "calculated_at", "execution_id"]


def table_columns() -> list[str]:
    migrations = files("screener_sql").joinpath("migrations")
    text = "\n".join(entry.read_text("utf-8") for entry in migrations.iterdir())
    found = re.search(
        r"CREATE TABLE financial_screener\.technical_indicators \((.*?)\n\)", text, re.S
    )
    assert found is not None
    return re.findall(r"^    ([a-z]\w*) ", found[1], re.M)


def test_the_table_has_the_registrys_columns_in_its_order() -> None:
    assert table_columns() == [*KEYS, *COLUMNS, *ABOUT_THE_ROW]


def test_there_are_the_31_columns_of_before() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 31


def test_names_are_unique_and_sentences_end() -> None:
    assert len({indicator.name for indicator in REGISTRY}) == len(REGISTRY)
    assert all(indicator.sentence.endswith(".") for indicator in REGISTRY)


@pytest.mark.parametrize("indicator", REGISTRY, ids=lambda indicator: indicator.name)
def test_an_indicator_takes_fields_that_a_panel_has(indicator: Indicator) -> None:
    assert set(indicator.inputs) <= {field.name for field in fields(Panel)}


def test_no_output_needs_more_bars_than_are_read() -> None:
    outputs = [output for row in REGISTRY for output in row.outputs]
    assert max(output.history for output in outputs) <= LONGEST_HISTORY
    assert all(output.history == 0 or output.history >= output.minimum_bars for output in outputs)
    assert LONGEST_HISTORY >= 540
