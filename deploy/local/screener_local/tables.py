"""Rows as a table for a terminal. No I/O."""

from collections.abc import Sequence
from datetime import date, datetime


def cell(value: object) -> str:
    """A value as people read it: floats to two decimals, times to the second, NULL empty."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:,.2f}"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case date():
            return value.isoformat()
        case list():
            return ", ".join(map(cell, value))
        case _:
            return str(value)


def table(header: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "  ") -> str:
    """Columns aligned, numbers to the right; the header alone says that there are no rows."""
    lines = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
    right = [
        bool(rows) and all(isinstance(row[n], int | float) or row[n] is None for row in rows)
        for n in range(len(header))
    ]
    return "\n".join(
        indent
        + "  ".join(
            text.rjust(width) if to_the_right else text.ljust(width)
            for text, width, to_the_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )
