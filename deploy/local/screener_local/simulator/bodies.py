"""Wrong bodies: what a good answer becomes when the vendor, or something on the way, spoils it.
Pure.

Every one of them takes the good body and gives a body and its content type; those that need rows
leave a body without rows as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from screener_local.simulator.render import as_json

#: What the vendor says with a status, in its own words.
STANDARD: Final[dict[int, tuple[str, str]]] = {
    401: ("Unauthenticated", "text/plain"),
    402: (
        "You exceeded your daily API requests limit.  Please contact support@eodhistoricaldata.com",
        "text/plain",
    ),
    403: ("Forbidden. Please contact support@eodhistoricaldata.com", "text/plain"),
    404: ("Ticker Not Found.", "text/plain"),
    429: ('{"error":"API rate limit exceeded"}', "application/json"),
}
SERVER_ERROR: Final = "Error occurred. Please contact support@eodhistoricaldata.com"

_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head>"
    "<body><h1>Checking your browser</h1></body></html>"
)

Body = tuple[bytes, str]
_JSON: Final = "application/json"


def _html(body: bytes, key: int) -> Body:
    return _PAGE.encode(), "text/html"


def _truncated(body: bytes, key: int) -> Body:
    """A whole HTTP answer whose text ends early."""
    return body[: max(1, len(body) * (30 + key % 60) // 100)], _JSON


def _error(body: bytes, key: int) -> Body:
    return b'{"Error":"Ticker Not Found."}', _JSON


def _error_small(body: bytes, key: int) -> Body:
    return b'{"error":"Something went wrong","code":500}', _JSON


def _empty_list(body: bytes, key: int) -> Body:
    return b"[]", _JSON


def _empty_object(body: bytes, key: int) -> Body:
    return b"{}", _JSON


def _nothing(body: bytes, key: int) -> Body:
    return b"", _JSON


def _null(body: bytes, key: int) -> Body:
    return b"null", _JSON


def _scalar(body: bytes, key: int) -> Body:
    return b"295.21", _JSON


def _text(body: bytes, key: int) -> Body:
    return b'"NA"', _JSON


def _not_utf8(body: bytes, key: int) -> Body:
    """One byte in the middle of the first text is no UTF-8."""
    at = body.find(b'"') + 1
    return body[:at] + b"\xff\xfe" + body[at:], _JSON


def _nan(body: bytes, key: int) -> Body:
    """A number of every fifth row is NaN, which JSON does not have."""
    return _spoil_rows(body, key, _number, math.nan)


def _text_number(body: bytes, key: int) -> Body:
    """A number of every fifth row is the text NA."""
    return _spoil_rows(body, key, _number, "NA")


def _null_number(body: bytes, key: int) -> Body:
    """A number of every fifth row is null."""
    return _spoil_rows(body, key, _number, None)


def _wrong_date(body: bytes, key: int) -> Body:
    """Every row's date is a week earlier."""

    def shift(row: dict[str, Any]) -> dict[str, Any]:
        day = row.get("date")
        if not isinstance(day, str):
            return row
        return row | {"date": (date.fromisoformat(day) - timedelta(days=7)).isoformat()}

    return _each(body, shift)


def _wrong_exchange(body: bytes, key: int) -> Body:
    """Every row says that it is of another exchange: Ho Chi Minh's, as once seen for Manila."""
    names = {"exchange": "VN", "exchange_short_name": "VN", "Exchange": "VN"}

    def move(row: dict[str, Any]) -> dict[str, Any]:
        moved = {name: names.get(name, value) for name, value in row.items()}
        if isinstance(moved.get("General"), dict):
            moved["General"] = moved["General"] | {"Exchange": "VN", "CurrencyCode": "VND"}
        return moved

    return _each(body, move)


def _wrong_subject(body: bytes, key: int) -> Body:
    """Every row or payload says that it is of another code."""

    def move(row: dict[str, Any]) -> dict[str, Any]:
        moved = dict(row)
        for name in ("code", "Code"):
            if name in moved:
                moved[name] = "ELSE"
        if isinstance(moved.get("General"), dict):
            moved["General"] = moved["General"] | {"Code": "ELSE", "ISIN": "US0000000000"}
        return moved

    return _each(body, move)


def _partial(body: bytes, key: int) -> Body:
    """Only the first third of the rows."""
    rows = _rows(body)
    return (body, _JSON) if rows is None else (as_json(rows[: len(rows) // 3]), _JSON)


def _doubled(body: bytes, key: int) -> Body:
    """Every row twice."""
    rows = _rows(body)
    return (body, _JSON) if rows is None else (as_json([*rows, *rows]), _JSON)


def _list_of_text(body: bytes, key: int) -> Body:
    """Rows that are no rows."""
    return b'["AAPL","MSFT"]', _JSON


WRONG: Final[dict[str, Callable[[bytes, int], Body]]] = {
    "html": _html,
    "truncated": _truncated,
    "error": _error,
    "error_lower": _error_small,
    "empty_list": _empty_list,
    "empty_object": _empty_object,
    "nothing": _nothing,
    "null": _null,
    "scalar": _scalar,
    "text": _text,
    "texts": _list_of_text,
    "not_utf8": _not_utf8,
    "nan": _nan,
    "na_text": _text_number,
    "null_number": _null_number,
    "wrong_date": _wrong_date,
    "wrong_exchange": _wrong_exchange,
    "wrong_subject": _wrong_subject,
    "partial": _partial,
    "doubled": _doubled,
}


def standard(status: int) -> Body:
    """The vendor's own body of a status."""
    body, kind = STANDARD.get(status, (SERVER_ERROR, "text/plain"))
    return body.encode(), kind


def _rows(body: bytes) -> list[Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def _each(body: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Body:
    try:
        value = json.loads(body)
    except ValueError:
        return body, _JSON
    if isinstance(value, list):
        return as_json([change(row) if isinstance(row, dict) else row for row in value]), _JSON
    return (as_json(change(value)) if isinstance(value, dict) else body), _JSON


def _number(row: dict[str, Any]) -> str | None:
    for name in ("close", "value", "dividend", "adjusted_close"):
        if isinstance(row.get(name), int | float):
            return name
    return None


def _spoil_rows(
    body: bytes, key: int, which: Callable[[dict[str, Any]], str | None], value: Any
) -> Body:
    rows = _rows(body)
    if rows is None:
        return body, _JSON
    for at, row in enumerate(rows):
        name = which(row) if isinstance(row, dict) else None
        if name is not None and (at + key) % 5 == 0:
            row[name] = value
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return text.encode(), _JSON
