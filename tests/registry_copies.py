"""What repeats the registry: the table of the docs, the columns that the CustomResourceDefinition
lists, the columns of technical_indicators.

`.venv/bin/python tests/registry_copies.py` writes the first two anew, and prints the migration that
adds the columns that no migration has.
"""

import re
from importlib.resources import files
from pathlib import Path

from screener_analyzer.registry import COLUMNS, table

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs" / "indicators.md"
KIND = PROJECT / "crds" / "indicatorruns.yaml"
AGAIN = "write it anew: .venv/bin/python tests/registry_copies.py"
MARK = "<!-- registry -->"
TABLE = "financial_screener.technical_indicators"


def documented(text: str) -> str:
    """The page with the registry's table between its marks."""
    before, _, after = text.split(MARK)
    return f"{before}{MARK}\n{table()}{MARK}{after}"


def listed(text: str) -> str:
    """The definition with the registry's columns as those that a history can have."""
    before, history = text.split("                    columns:\n", 1)
    names = "".join(f"                          - {column}\n" for column in COLUMNS)
    history = re.sub(r"maxItems: \d+", f"maxItems: {len(COLUMNS)}", history, count=1)
    history = re.sub(r"(?<=enum:\n)( +- \w+\n)+", names, history, count=1)
    return f"{before}                    columns:\n{history}"


def table_columns() -> set[str]:
    """Of technical_indicators: those of numbers, after all migrations."""
    folder = files("screener_sql").joinpath("migrations")
    text = "\n".join(entry.read_text("utf-8") for entry in folder.iterdir())
    name = re.escape(TABLE)
    created = re.search(rf"CREATE TABLE {name} \((.*?)\n\)", text, re.S)
    assert created is not None
    found = set(re.findall(r"^    ([a-z]\w*) +double precision", created[1], re.M))
    for added in re.findall(rf"ALTER TABLE {name}\n(.*?);", text, re.S):
        found |= set(re.findall(r"ADD COLUMN (\w+) +double precision", added))
    return found


def migration() -> str:
    """What adds the columns that the table lacks; empty where it has all."""
    known = table_columns()
    lines = [f"    ADD COLUMN {name} double precision" for name in COLUMNS if name not in known]
    if not lines:
        return ""
    added = ",\n".join(lines)
    return f"ALTER TABLE {TABLE}\n{added};\nSELECT financial_screener.follow_indicator_columns();\n"


if __name__ == "__main__":
    for path, written in ((DOCS, documented), (KIND, listed)):
        path.write_text(written(path.read_text("utf-8")), "utf-8")
    print(migration(), end="")
