"""Core: what an answer of the vendor means, and what follows. One table; no I/O.

The vendor's errors are plain text whatever format was asked for, and some wear a 200, so nothing is
believed for its status alone. Bodies may quote the request with its token: none is ever passed on.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from screener_collector.endpoints import UNKNOWN_NAME_CALLS, Shape
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
    NETWORK_ERROR = "network_error"
    """No whole answer came; worth another try."""
    BAD_PAYLOAD = "bad_payload"
    """An answer that is not what was asked for."""


class Then(StrEnum):
    """What follows when an answer stays so in all its tries."""

    TAKE = "its data is taken"
    READ = "what it means is its reader's to say"
    FAIL_ASSET = "the asset fails, and it counts against it"
    FAIL_FETCH = "the fetch fails, and it counts against no asset"
    DEFER_DAY = "everything open is deferred; no request until 00:00 GMT"
    DEFER_EXCHANGE = "the exchange's items are deferred"
    STOP_JOB = "the Job ends"
    OTHER_WAY = "another way is taken where there is one; else the asset fails, or the Job ends"
    WAIT = "it is asked again in the next minute, as often as it takes"


class Cost(StrEnum):
    """What of its calls a request costs."""

    ALL = "all"
    ONE = "one"
    NONE = "none"
    UNKNOWN = "all, for the rest of the day"
    """No end was seen: the vendor may still count it, so no reading takes it back."""


@dataclass(frozen=True, slots=True)
class Tries:
    """How often something is asked for, and how long is waited in between, at random and longer
    each time."""

    times: int = 1
    longest_wait_s: float = 0.0

    def __str__(self) -> str:
        if self.times == 1:
            return "once"
        return f"{self.times} times, waiting up to {self.longest_wait_s:.0f} s"


ONCE = Tries()
TWICE = Tries(2, 4.0)
"""Of what costs its calls each time."""
OFTEN = Tries(4, 8.0)
PATIENTLY = Tries(12, 60.0)
"""During the vendor's maintenance, of what is otherwise tried more than once."""


class Symptom(StrEnum):
    """How an answer, or none, looks. Each has its row in TABLE."""

    UNREACHABLE = "no connection"
    SILENT = "no answer in time"
    CUT = "the connection is cut"
    UNAUTHENTICATED = "401"
    PAYMENT = "402"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TOO_MANY = "429"
    REFUSED = "another 4xx, such as 422"
    FAILED = "5xx"
    REDIRECT = "3xx"
    NO_ANSWER = "another status, such as 204"
    TOO_LARGE = "a body of more than 64 MiB"
    NO_BODY = "200 with an empty body"
    PAGE = "200 with a web page"
    NOT_JSON = "200 with what is not JSON, such as a truncated list, CSV or plain text"
    UNSTORABLE = (
        "200 with JSON of NaN, endless numbers or nesting, or characters that no text holds"
    )
    ERROR_NOT_FOUND = '200 with {"Error": "… not found"}'
    ERROR_TEXT = "200 with another error text as JSON"
    SCALAR = "200 with a bare text, number, true, false or null"
    WRONG_SHAPE = "200 with an object for a list, a list for an object, or an empty object"
    NO_ROWS = "200 with an empty list"
    DATA = "200 with data of the shape asked for"
    WRONG_ROWS = "rows that cannot be read at all"
    WRONG_DATE = "a bulk day with rows of other days alone"
    WRONG_SUBJECT = "fundamentals of another code or exchange"


@dataclass(frozen=True, slots=True)
class Row:
    """What a symptom means."""

    symptom: Symptom
    meaning: Meaning
    tries: Tries
    then: Then
    error_code: ErrorCode | None
    cost: Cost
    says: str
    """For the item's message and the log; quotes nothing of the answer."""

    def calls(self, full: int) -> int:
        """What a request finally cost, when a good answer would cost `full`."""
        return {Cost.NONE: 0, Cost.ONE: min(UNKNOWN_NAME_CALLS, full)}.get(self.cost, full)

    def tries_during(self, maintenance: bool) -> Tries:
        """How often it is tried; longer in the vendor's maintenance."""
        return PATIENTLY if maintenance and self.tries.times > 1 else self.tries

    def error_code_during(self, maintenance: bool) -> ErrorCode | None:
        """Why an item fails by it; in the vendor's maintenance never by its asset's fault."""
        if maintenance and self.then is Then.FAIL_ASSET:
            return ErrorCode.SERVER_ERROR
        return self.error_code


def _table() -> dict[Symptom, Row]:
    s, m, t, e, c = Symptom, Meaning, Then, ErrorCode, Cost
    network, server, bad = e.NETWORK_ERROR, e.SERVER_ERROR, e.BAD_PAYLOAD
    rows = (
        # symptom, meaning, tries, then, error code, cost, words
        Row(s.UNREACHABLE, m.NETWORK_ERROR, OFTEN, t.FAIL_FETCH, network, c.NONE,
            "the vendor cannot be reached"),
        Row(s.SILENT, m.NETWORK_ERROR, OFTEN, t.FAIL_FETCH, network, c.UNKNOWN,
            "the vendor did not answer in time"),
        Row(s.CUT, m.NETWORK_ERROR, OFTEN, t.FAIL_FETCH, network, c.ALL,
            "the vendor's answer was cut off"),
        Row(s.UNAUTHENTICATED, m.TOKEN_REFUSED, ONCE, t.STOP_JOB, None, c.NONE,
            "the vendor refuses the token (401)"),
        Row(s.PAYMENT, m.DAY_SPENT, ONCE, t.DEFER_DAY, e.DAILY_LIMIT, c.NONE,
            "the vendor says that the day's calls are spent (402)"),
        Row(s.FORBIDDEN, m.NOT_IN_PLAN, ONCE, t.OTHER_WAY, e.NOT_IN_PLAN, c.NONE,
            "the vendor's plan does not include it (403)"),
        Row(s.NOT_FOUND, m.NOT_FOUND, ONCE, t.FAIL_ASSET, e.NOT_FOUND, c.ONE,
            "the vendor does not have it (404)"),
        Row(s.TOO_MANY, m.MINUTE_FULL, ONCE, t.WAIT, None, c.NONE,
            "the vendor says that the minute's requests are spent (429)"),
        Row(s.REFUSED, m.BAD_PAYLOAD, ONCE, t.FAIL_ASSET, bad, c.NONE,
            "the vendor refuses the request"),
        Row(s.FAILED, m.SERVER_ERROR, OFTEN, t.FAIL_FETCH, server, c.NONE,
            "the vendor failed"),
        Row(s.REDIRECT, m.SERVER_ERROR, TWICE, t.FAIL_FETCH, server, c.ALL,
            "the vendor sends elsewhere, where nothing is sent"),
        Row(s.NO_ANSWER, m.SERVER_ERROR, TWICE, t.FAIL_FETCH, server, c.ALL,
            "the vendor's answer is none"),
        Row(s.TOO_LARGE, m.BAD_PAYLOAD, ONCE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is larger than any that is known"),
        Row(s.NO_BODY, m.BAD_PAYLOAD, TWICE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is empty"),
        Row(s.PAGE, m.BAD_PAYLOAD, TWICE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is not JSON (a web page)"),
        Row(s.NOT_JSON, m.BAD_PAYLOAD, TWICE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is not JSON"),
        Row(s.UNSTORABLE, m.BAD_PAYLOAD, ONCE, t.FAIL_ASSET, bad, c.ALL,
            "the answer holds what no column takes"),
        Row(s.ERROR_NOT_FOUND, m.NOT_FOUND, ONCE, t.FAIL_ASSET, e.NOT_FOUND, c.ALL,
            "the vendor does not have it (an error text with status 200)"),
        Row(s.ERROR_TEXT, m.BAD_PAYLOAD, TWICE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is an error text with status 200"),
        Row(s.SCALAR, m.BAD_PAYLOAD, ONCE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is a single value"),
        Row(s.WRONG_SHAPE, m.BAD_PAYLOAD, ONCE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is of another shape"),
        Row(s.NO_ROWS, m.EMPTY, ONCE, t.READ, None, c.ALL,
            "the answer is an empty list"),
        Row(s.DATA, m.ROWS, ONCE, t.TAKE, None, c.ALL,
            "the answer has data"),
        Row(s.WRONG_ROWS, m.BAD_PAYLOAD, ONCE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is not as expected"),
        Row(s.WRONG_DATE, m.EMPTY, ONCE, t.DEFER_EXCHANGE, e.NOT_PUBLISHED, c.ALL,
            "the vendor has no bar of the session yet"),
        Row(s.WRONG_SUBJECT, m.BAD_PAYLOAD, ONCE, t.FAIL_ASSET, bad, c.ALL,
            "the answer is of another asset"),
    )  # fmt: skip
    return {row.symptom: row for row in rows}


TABLE = _table()
"""By symptom: the whole of what the vendor can answer. The code reads as it does: `judge` finds the
symptom, `vendor` tries and charges by its row, and the slices do what follows."""

BY_STATUS = {
    401: Symptom.UNAUTHENTICATED,
    402: Symptom.PAYMENT,
    403: Symptom.FORBIDDEN,
    404: Symptom.NOT_FOUND,
    429: Symptom.TOO_MANY,
}
BY_CLASS = {3: Symptom.REDIRECT, 4: Symptom.REFUSED, 5: Symptom.FAILED}
"""By the first digit, of statuses that say all; bodies of them are not looked at."""

FAILURES: dict[Meaning, ErrorCode] = {
    row.meaning: row.error_code
    for row in TABLE.values()
    if row.error_code is not None and row.then in (Then.FAIL_ASSET, Then.FAIL_FETCH, Then.OTHER_WAY)
}
"""The error code of a subject that was answered so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer as received. `body` None: it was larger than any that is known."""

    status: int
    content_type: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What an answer means. `data`: a list for `rows`, a dict for `object`, when it is ROWS."""

    symptom: Symptom
    message: str | None = None
    data: Any = None

    @property
    def row(self) -> Row:
        """Its row of the table."""
        return TABLE[self.symptom]

    @property
    def meaning(self) -> Meaning:
        """What it means."""
        return self.row.meaning


class NotJson(ValueError):
    """A body that is not JSON that Postgres can store; the message says why, without quoting it."""


class Unstorable(NotJson):
    """JSON, but what is in it cannot be stored."""


def judge(answer: Answer, shape: Shape) -> Judged:
    """What `answer` means to a request that expects `shape`."""
    status = answer.status
    symptom = BY_STATUS.get(status) or BY_CLASS.get(status // 100)
    if symptom is None and status != 200:
        symptom = Symptom.NO_ANSWER
    if symptom is not None:
        says = TABLE[symptom].says
        return Judged(symptom, says if str(status) in says else f"{says} ({status})")
    if answer.body is None:
        return judged_as(Symptom.TOO_LARGE)
    if not answer.body.strip():
        return judged_as(Symptom.NO_BODY)
    try:
        data = load(answer.body)
    except Unstorable as error:
        return Judged(Symptom.UNSTORABLE, f"the answer is {error}")
    except NotJson as error:
        if "html" in answer.content_type.lower() or answer.body.lstrip()[:1] == b"<":
            return judged_as(Symptom.PAGE)
        return Judged(Symptom.NOT_JSON, f"the answer is {error}")
    return _judge_body(data, shape)


def judged_as(symptom: Symptom) -> Judged:
    """A symptom in the table's words."""
    return Judged(symptom, TABLE[symptom].says)


def _judge_body(data: Any, shape: Shape) -> Judged:
    if isinstance(data, dict) and (text := _error_text(data)) is not None:
        found = "not found" in text.lower()
        return judged_as(Symptom.ERROR_NOT_FOUND if found else Symptom.ERROR_TEXT)
    if not isinstance(data, dict | list):
        wanted = "an object" if shape == "object" else "a list"
        return Judged(Symptom.SCALAR, f"the answer is {_kind(data)} where {wanted} was expected")
    if shape == "object":
        if isinstance(data, dict) and data:
            return Judged(Symptom.DATA, data=data)
        what = "empty" if not data else "a list where an object was expected"
        return Judged(Symptom.WRONG_SHAPE, f"the answer is {what}")
    rows = as_list(data)
    if rows is None:
        return Judged(Symptom.WRONG_SHAPE, "the answer is an object where a list was expected")
    if not rows:
        return judged_as(Symptom.NO_ROWS)
    return Judged(Symptom.DATA, data=rows)


def _error_text(data: dict[str, Any]) -> str | None:
    """What an object says that is an error and nothing else; None for any other object."""
    if len(data) > 3:
        return None
    said = [str(data[key]) for key in data if key.lower() in ("error", "errors", "message")]
    return said[0] if said else None


def _kind(data: Any) -> str:
    return {str: "a text", bool: "true or false"}.get(
        type(data), "null" if data is None else "a number"
    )


def as_list(data: Any) -> list[Any] | None:
    """A list from what the vendor uses as one: a list or an object keyed "0", "1", …; else None."""
    if isinstance(data, list):
        return data
    if isinstance(data, dict) and all(key.isdecimal() for key in data):
        return list(data.values())
    return None


def load(body: bytes) -> Any:
    """The value of a JSON body. Raises NotJson, also for NaN and for unstorable characters."""
    try:
        # json.loads() by itself also takes UTF-16, and halves of characters in UTF-8.
        data = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise Unstorable("nested too deeply") from None
    except UnicodeDecodeError:
        raise NotJson("not UTF-8") from None
    except json.JSONDecodeError:
        raise NotJson("not JSON") from None
    except NotJson:
        raise
    except ValueError:
        raise Unstorable("not JSON: it has a number of too many digits") from None
    if _is_deep(data):
        raise Unstorable("nested too deeply")
    # Valid JSON that Postgres refuses; both are rare, so look closer only at a sign of them.
    if rb"\u0000" in body or rb"\ud" in body or rb"\uD" in body:
        return _storable(data)
    return data


def _storable(data: Any) -> Any:
    """The data; of a list whose rows are mostly storable without the fields that are not."""
    fault = _unstorable(data)
    if fault is None:
        return data
    rows = as_list(data)
    bad = [_unstorable(row) is not None for row in rows or ()]
    if rows is None or 2 * sum(bad) >= len(rows):
        raise Unstorable(f"unstorable: it holds {fault}")
    # What a row then lacks costs the asset that it is of, or nobody.
    return [_whole_fields(row) if is_bad else row for row, is_bad in zip(rows, bad, strict=True)]


def _unstorable(value: Any) -> str | None:
    """What Postgres does not store of a value."""
    try:
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "half a character"
    # Two backslashes are a backslash, whatever follows.
    return "a NUL character" if rb"\u0000" in text.replace(rb"\\", b"") else None


def _whole_fields(row: Any) -> Any:
    if not isinstance(row, dict):
        return None
    return {
        key: value
        for key, value in row.items()
        if _unstorable(key) is None and _unstorable(value) is None
    }


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
    raise Unstorable(f"not JSON: it holds {name}")
