"""Registry, table and docs name the same columns."""

import re
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from screener_analyzer.panel import Panel
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY, Indicator, table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "indicators.md"
KIND = DOCS.parents[1] / "crds" / "indicatorruns.yaml"
ABOUT_THE_ROW = {
    "asset_id", "calculation_date", "bars_used", "calculated_at", "execution_id", "last_bar",
    "extra",
}  # fmt: skip


def table_columns() -> set[str]:
    """Of technical_indicators: those of numbers, after all migrations."""
    folder = files("screener_sql").joinpath("migrations")
    text = "\n".join(entry.read_text("utf-8") for entry in folder.iterdir())
    name = r"financial_screener\.technical_indicators"
    created = re.search(rf"CREATE TABLE {name} \((.*?)\n\)", text, re.S)
    assert created is not None
    found = set(re.findall(r"^    ([a-z]\w*) +double precision", created[1], re.M))
    for added in re.findall(rf"ALTER TABLE {name}\n(.*?);", text, re.S):
        found |= set(re.findall(r"ADD COLUMN (\w+) +double precision", added))
    return found


def test_the_table_has_the_columns_of_the_registry_and_no_other() -> None:
    assert table_columns() == set(COLUMNS)
    assert not set(COLUMNS) & ABOUT_THE_ROW


def test_a_history_can_have_each_of_the_columns_and_no_other() -> None:
    kind = yaml.safe_load(KIND.read_text("utf-8"))
    schema = kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    columns = schema["properties"]["history"]["properties"]["columns"]
    assert tuple(columns["items"]["enum"]) == COLUMNS
    assert columns["maxItems"] == len(COLUMNS)


def test_the_docs_have_the_table_of_the_registry() -> None:
    parts = DOCS.read_text("utf-8").split("<!-- registry -->")
    assert len(parts) == 3
    assert parts[1].strip() == table().strip()


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
