"""The rules of the code and the rows that the table is seeded with are the same."""

import json
import re
from importlib.resources import files
from pathlib import Path

from screener_collector.rules.model import RULES, Parameters


def test_code_and_table_hold_the_same_rules() -> None:
    migration = files("screener_sql").joinpath("migrations/0009_data_rules.sql").read_text()
    seeded = re.findall(
        r"^    \('(\w+)', '(\w+)', '(\w+)', '(\{.*\})',\n     '((?:[^']|'')+)'\)",
        migration,
        re.MULTILINE,
    )
    assert [
        (name, scope, severity, json.loads(numbers), sentence.replace("''", "'"))
        for name, scope, severity, numbers, sentence in seeded
    ] == [
        (rule.name, rule.scope, rule.severity, dict(rule.parameters), rule.sentence)
        for rule in RULES
    ]


def test_a_number_and_a_severity_of_the_table_hold() -> None:
    rows = [
        {
            "rule": rule.name,
            "severity": "flag" if rule.name == "unit_switch" else rule.severity,
            "sentence": rule.sentence,
            "parameters": dict(rule.parameters)
            | ({"return": 0.9} if rule.name == "return_unexplained" else {}),
        }
        for rule in RULES
    ]
    parameters = Parameters.of_rows(rows)
    assert parameters.severity("unit_switch") == "flag"
    assert parameters.value("return_unexplained", "return") == 0.9


def test_the_docs_hold_the_same_rules() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data-rules.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [
        (
            rule.name,
            rule.severity,
            rule.sentence,
            ", ".join(f"{name} {value:g}" for name, value in rule.parameters.items()) or "-",
        )
        for rule in RULES
    ]
