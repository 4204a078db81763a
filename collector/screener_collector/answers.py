"""Core: what an answer of the vendor means. One table, from status and body to meaning. No I/O.

The vendor's errors are plain text whatever format was asked for, and some wear a 200, so nothing is
believed for its status alone. Bodies may quote the request with its token: none is ever passed on.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from screener_collector.endpoints import Shape
from screener_sql.model import ErrorCode


class Meaning(StrEnum):
    """What an answer says."""

    ROWS = "rows"
    """Data of the shape asked for."""
    EMPTY = "empty"
    """A known subject without rows."""
    TOKEN_REFUSED = "token_refused"
    """The token is unknown or expired: nothing else will be answered either."""
    DAY_SPENT = "day_spent"
    """The day's calls are spent; ask again after 00:00 GMT."""
    NOT_IN_PLAN = "not_in_plan"
    """The vendor's plan lacks the endpoint, or this subject."""
    NOT_FOUND = "not_found"
    """The vendor does not have the subject."""
    MINUTE_FULL = "minute_full"
    """The minute's requests are spent; ask again in the next."""
    SERVER_ERROR = "server_error"
    """The vendor failed; worth another try."""
    BAD_PAYLOAD = "bad_payload"
    """An answer that is not what was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer as received."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Judged:
    """What an answer means. `data`: a list for `rows`, a dict for `object`, when it is ROWS."""

    meaning: Meaning
    message: str | None = None
    data: Any = None


BY_STATUS: dict[int, tuple[Meaning, str]] = {
    401: (Meaning.TOKEN_REFUSED, "the vendor refuses the token (401)"),
    402: (Meaning.DAY_SPENT, "the vendor says that the day's calls are spent (402)"),
    403: (Meaning.NOT_IN_PLAN, "the vendor's plan does not include it (403)"),
    404: (Meaning.NOT_FOUND, "the vendor does not have it (404)"),
    429: (Meaning.MINUTE_FULL, "the vendor says that the minute's requests are spent (429)"),
}
"""Statuses that say all; bodies of them are not looked at."""

FAILURES: dict[Meaning, ErrorCode] = {
    Meaning.NOT_FOUND: ErrorCode.NOT_FOUND,
    Meaning.NOT_IN_PLAN: ErrorCode.NOT_IN_PLAN,
    Meaning.SERVER_ERROR: ErrorCode.SERVER_ERROR,
    Meaning.BAD_PAYLOAD: ErrorCode.BAD_PAYLOAD,
}
"""The error code of a subject that was answered so."""


class NotJson(ValueError):
    """A body that is not JSON that Postgres can store; the message says why, without quoting it."""


def judge(answer: Answer, shape: Shape) -> Judged:
    """What `answer` means to a request that expects `shape`."""
    if answer.status in BY_STATUS:
        return Judged(*BY_STATUS[answer.status])
    if 500 <= answer.status < 600:
        return Judged(Meaning.SERVER_ERROR, f"the vendor failed ({answer.status})")
    if answer.status != 200:
        return Judged(Meaning.BAD_PAYLOAD, f"the vendor answered with status {answer.status}")
    try:
        data = load(answer.body)
    except NotJson as error:
        kind = " (a web page)" if "html" in answer.content_type.lower() else ""
        return Judged(Meaning.BAD_PAYLOAD, f"the answer is {error}{kind}")
    return _judge_body(data, shape)


def _judge_body(data: Any, shape: Shape) -> Judged:
    if isinstance(data, dict) and _is_error(data):
        return Judged(Meaning.BAD_PAYLOAD, "the answer is an error text with status 200")
    if shape == "object":
        if isinstance(data, dict) and data:
            return Judged(Meaning.ROWS, data=data)
        what = "empty" if data in ({}, []) else f"{_kind(data)} where an object was expected"
        return Judged(Meaning.BAD_PAYLOAD, f"the answer is {what}")
    rows = as_list(data)
    if rows is None:
        return Judged(Meaning.BAD_PAYLOAD, f"the answer is {_kind(data)} where a list was expected")
    if not rows:
        return Judged(Meaning.EMPTY, "the answer is an empty list")
    return Judged(Meaning.ROWS, data=rows)


def _is_error(data: dict[str, Any]) -> bool:
    return len(data) <= 3 and any(key.lower() in ("error", "errors", "message") for key in data)


def _kind(data: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return kinds.get(type(data), "null" if data is None else "a number")


def as_list(data: Any) -> list[Any] | None:
    """A list from what the vendor uses as one: a list or an object keyed "0", "1", …; else None."""
    if isinstance(data, list):
        return data
    if isinstance(data, dict) and all(key.isdecimal() for key in data):
        return list(data.values())
    return None


def load(body: bytes) -> Any:
    """The value of a JSON body. Raises NotJson, also for NaN and for unstorable characters."""
    if not body.strip():
        raise NotJson("empty")
    try:
        # json.loads() by itself also takes UTF-16, and halves of characters in UTF-8.
        data = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise NotJson("nested too deeply") from None
    except UnicodeDecodeError:
        raise NotJson("not UTF-8") from None
    except json.JSONDecodeError:
        raise NotJson("not JSON") from None
    except NotJson:
        raise
    except ValueError:
        raise NotJson("not JSON: it has a number of too many digits") from None
    if _is_deep(data):
        raise NotJson("nested too deeply")
    # Valid JSON that Postgres refuses; both are rare, so look closer only at a sign of them.
    if rb"\u0000" in body:
        raise NotJson("unstorable: it holds a NUL character")
    if rb"\ud" in body or rb"\uD" in body:
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise NotJson("unstorable: it holds half a character") from None
    return data


DEEPEST = 64
"""Levels of an answer, at most; the vendor has about six. What can just be read may be too deep to
be written."""


def _is_deep(data: Any) -> bool:
    level = [data]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            inside = value.values() if isinstance(value, dict) else value
            if isinstance(value, (dict, list)):
                below += [each for each in inside if isinstance(each, (dict, list))]
        if not below:
            return False
        level = below
    return True


def _refuse_constant(name: str) -> Any:
    raise NotJson(f"not JSON: it holds {name}")
