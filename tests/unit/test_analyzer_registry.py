"""The registry, the table's columns and the statements that write and read them say the same."""

import re
from dataclasses import fields
from importlib.resources import files

import pytest

from screener_analyzer.panel import Panel
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY, Indicator
from screener_sql import query

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


def test_the_upsert_writes_every_column() -> None:
    text = query("analyzer/upsert_indicators").decode()
    assert re.findall(r"%\((\w+)\)s", text) == [*KEYS, *COLUMNS, *ABOUT_THE_ROW]
    assert re.findall(r"(\w+) = excluded\.\1\b", text) == [*COLUMNS, *ABOUT_THE_ROW]


def test_the_sample_reads_every_column_back_in_order() -> None:
    selected = query("analyzer/sample_rows").decode().split("FROM")[0]
    assert re.findall(r"stored\.(\w+)", selected) == [*KEYS, *COLUMNS]


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
