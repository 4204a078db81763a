"""Values into the vendor's text: JSON, and CSV with its oddities. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def as_json(value: Any) -> bytes:
    """JSON as PHP writes it: no spaces, slashes escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("/", "\\/").encode()


def fraction(new: float, old: float) -> str:
    """A split as the vendor writes it: `4.000000/1.000000`."""
    return f"{new:.6f}/{old:.6f}"


def _field(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if any(char in text for char in ' ,"\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def as_csv(
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    blank_first: bool = False,
    count_last: bool = False,
) -> bytes:
    """CSV.

    Bulk answers begin with a blank line; the answers for one ticker end with a stray line, the
    text's length.
    """
    lines = [",".join(_field(name) for name in header)]
    lines += [",".join(_field(value) for value in row) for row in rows]
    text = "".join(line + "\n" for line in lines)
    if count_last:
        text += str(len(text.encode()))
    return (("\n" if blank_first else "") + text).encode()


def keyed(rows: Iterable[Any]) -> Mapping[str, Any] | list[Any]:
    """An array as PHP gives a sparse one: an object with keys "0", "1", …; an empty one is `[]`."""
    out = {str(number): row for number, row in enumerate(rows)}
    return out or []
