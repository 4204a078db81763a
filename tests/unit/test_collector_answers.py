"""What answers of the vendor mean, what requests cost, what a request looks like."""

from datetime import date

import pytest

from screener_collector import endpoints
from screener_collector.answers import Answer, Judged, Meaning, judge
from screener_collector.endpoints import Endpoint, Shape, final_calls

ANSWERS: list[tuple[str, int, str, Shape, Meaning]] = [
    # what, status, body, expected shape, meaning
    ("rows", 200, '[{"a":1}]', "rows", Meaning.ROWS),
    ("rows keyed as an object", 200, '{"0":{"a":1},"1":{"a":2}}', "rows", Meaning.ROWS),
    ("no rows", 200, "[]", "rows", Meaning.EMPTY),
    ("no rows, as an object", 200, "{}", "rows", Meaning.EMPTY),
    ("an object", 200, '{"General":{"Code":"A"}}', "object", Meaning.ROWS),
    ("no object", 200, "{}", "object", Meaning.BAD_PAYLOAD),
    ("an empty list for an object", 200, "[]", "object", Meaning.BAD_PAYLOAD),
    ("a list for an object", 200, '[{"a":1}]', "object", Meaning.BAD_PAYLOAD),
    ("an object for rows", 200, '{"General":{}}', "rows", Meaning.BAD_PAYLOAD),
    ("a bare number", 200, "295.21", "rows", Meaning.BAD_PAYLOAD),
    ("a bare text", 200, '"AAPL"', "object", Meaning.BAD_PAYLOAD),
    ("null", 200, "null", "rows", Meaning.BAD_PAYLOAD),
    ("an error text", 200, '{"Error":"Ticker Not Found."}', "rows", Meaning.BAD_PAYLOAD),
    (
        "an error text for an object",
        200,
        '{"error":"no","code":403}',
        "object",
        Meaning.BAD_PAYLOAD,
    ),
    ("a message", 200, '{"message":"bad request URL"}', "object", Meaning.BAD_PAYLOAD),
    ("plain text", 200, "Unauthenticated", "rows", Meaning.BAD_PAYLOAD),
    ("CSV", 200, "Date,Open\n2024-01-02,1\n", "rows", Meaning.BAD_PAYLOAD),
    ("a web page", 200, "<html></html>", "rows", Meaning.BAD_PAYLOAD),
    ("nothing", 200, "", "rows", Meaning.BAD_PAYLOAD),
    ("white space", 200, " \n", "rows", Meaning.BAD_PAYLOAD),
    ("a truncated body", 200, '[{"date":"2024-', "rows", Meaning.BAD_PAYLOAD),
    ("NaN", 200, '[{"open":NaN}]', "rows", Meaning.BAD_PAYLOAD),
    ("Infinity", 200, '[{"open":-Infinity}]', "rows", Meaning.BAD_PAYLOAD),
    ("a NUL character", 200, r'[{"name":"a\u0000b"}]', "rows", Meaning.BAD_PAYLOAD),
    ("half a character", 200, r'[{"name":"\ud83d"}]', "rows", Meaning.BAD_PAYLOAD),
    ("a whole character in two halves", 200, r'[{"name":"\ud83d\ude00"}]', "rows", Meaning.ROWS),
    ("an endless number", 200, '[{"v":' + "9" * 5000 + "}]", "rows", Meaning.BAD_PAYLOAD),
    ("endless nesting", 200, "[" * 200_000, "rows", Meaning.BAD_PAYLOAD),
    ("nesting that can just be read", 200, "[" * 900 + "]" * 900, "rows", Meaning.BAD_PAYLOAD),
    ("a byte order mark", 200, "\ufeff[1]", "rows", Meaning.ROWS),
    ("a status that is no answer", 204, "", "rows", Meaning.BAD_PAYLOAD),
    ("a redirect", 302, "", "rows", Meaning.BAD_PAYLOAD),
    ("malformed parameters", 422, '{"errors":{}}', "rows", Meaning.BAD_PAYLOAD),
    ("a refused token", 401, "Unauthenticated", "rows", Meaning.TOKEN_REFUSED),
    ("a spent day", 402, "You exceeded your daily API requests limit.", "rows", Meaning.DAY_SPENT),
    ("outside the plan", 403, "Forbidden", "rows", Meaning.NOT_IN_PLAN),
    ("unknown", 404, "Ticker Not Found.", "rows", Meaning.NOT_FOUND),
    ("a full minute", 429, '{"error":"API rate limit exceeded"}', "rows", Meaning.MINUTE_FULL),
    ("a server error", 500, "Error occurred.", "rows", Meaning.SERVER_ERROR),
    ("a bad gateway", 502, "<html></html>", "object", Meaning.SERVER_ERROR),
    ("a gateway's time-out", 504, "", "rows", Meaning.SERVER_ERROR),
]


@pytest.mark.parametrize(
    ("status", "body", "shape", "meaning"),
    [pytest.param(*case, id=f"{case[0]} {what}") for what, *case in ANSWERS],
)
def test_an_answer_means(status: int, body: str, shape: Shape, meaning: Meaning) -> None:
    judged = judge(Answer(status, "text/html", body.encode()), shape)
    assert judged.meaning is meaning
    assert (judged.data is not None) == (meaning is Meaning.ROWS)
    if meaning is not Meaning.ROWS:
        assert judged.message


def test_rows_keyed_as_an_object_become_a_list() -> None:
    body = b'{"0":{"a":1},"1":{"a":2}}'
    assert judge(Answer(200, "application/json", body), "rows") == Judged(
        Meaning.ROWS, data=[{"a": 1}, {"a": 2}]
    )


def test_no_message_quotes_a_body() -> None:
    for status in (200, 400, 401, 403, 404, 500):
        judged = judge(Answer(status, "text/html", b"?api_token=s3cr3t.t0ken"), "rows")
        assert judged.message is not None
        assert "s3cr3t" not in judged.message


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'[{"name":"\xe9"}]', id="Latin-1"),
        pytest.param(b'[{"name":"\xed\xa0\x80"}]', id="half a character in three bytes"),
        pytest.param('[{"name":"a"}]'.encode("utf-16"), id="UTF-16"),
    ],
)
def test_a_body_that_is_not_utf_8_is_bad(body: bytes) -> None:
    judged = judge(Answer(200, "application/json", body), "rows")
    assert judged.meaning is Meaning.BAD_PAYLOAD


DAY = date(2024, 1, 2)
REQUESTS = [
    pytest.param(endpoints.user(), "user", "/user", 1, id="the account"),
    pytest.param(
        endpoints.exchanges_list(), "exchanges-list", "/exchanges-list", 1, id="exchanges"
    ),
    pytest.param(
        endpoints.exchange_symbol_list("SW"),
        "exchange-symbol-list",
        "/exchange-symbol-list/SW",
        1,
        id="a symbol list",
    ),
    pytest.param(
        endpoints.exchange_details("SW"),
        "exchange-details",
        "/exchange-details/SW",
        5,
        id="details",
    ),
    pytest.param(endpoints.eod("BRK-B.US", DAY, DAY), "eod", "/eod/BRK-B.US", 1, id="a history"),
    pytest.param(
        endpoints.fundamentals("A&B.US"),
        "fundamentals",
        "/fundamentals/A%26B.US",
        10,
        id="an ampersand",
    ),
    pytest.param(endpoints.eod("^X.US", DAY, DAY), "eod", "/eod/%5EX.US", 1, id="a caret"),
    pytest.param(
        endpoints.eod("../user.US", DAY, DAY), "eod", "/eod/..%2Fuser.US", 1, id="a slash"
    ),
    pytest.param(
        endpoints.eod_bulk_last_day("US", DAY, "splits"),
        "eod-bulk-last-day",
        "/eod-bulk-last-day/US",
        100,
        id="a bulk day",
    ),
]


@pytest.mark.parametrize(("endpoint", "name", "path", "calls"), REQUESTS)
def test_a_request_has_its_name_path_and_cost(
    endpoint: Endpoint, name: str, path: str, calls: int
) -> None:
    assert (endpoint.name, endpoint.path, endpoint.calls) == (name, path, calls)
    assert endpoint.params["fmt"] == "json"


def test_the_days_of_a_request_are_written_as_the_vendor_wants_them() -> None:
    assert endpoints.eod("A.US", date(2022, 9, 1), DAY).params == {
        "fmt": "json",
        "period": "d",
        "order": "a",
        "from": "2022-09-01",
        "to": "2024-01-02",
    }
    assert endpoints.eod_bulk_last_day("US", DAY, "dividends").params == {
        "fmt": "json",
        "date": "2024-01-02",
        "type": "dividends",
    }


@pytest.mark.parametrize(
    ("status", "calls"),
    [
        pytest.param(200, 10, id="an answer costs all"),
        pytest.param(404, 1, id="an unknown name costs one"),
        pytest.param(401, 0, id="a refused token costs nothing"),
        pytest.param(402, 0, id="a spent day costs nothing"),
        pytest.param(403, 0, id="a refused endpoint costs nothing"),
        pytest.param(422, 0, id="a malformed request costs nothing"),
        pytest.param(429, 0, id="a full minute costs nothing"),
        pytest.param(500, 0, id="a server error costs nothing"),
        pytest.param(302, 10, id="what is no answer may have cost all"),
        pytest.param(None, 10, id="no answer may have cost all"),
    ],
)
def test_what_a_request_finally_cost(status: int | None, calls: int) -> None:
    assert final_calls(status, 10) == calls
