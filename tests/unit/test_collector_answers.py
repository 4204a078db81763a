"""What answers of the vendor mean, what requests cost, what a request looks like."""

from datetime import date
from pathlib import Path

import pytest

from screener_collector import endpoints
from screener_collector.answers import TABLE, Answer, Meaning, Symptom, Then, judge
from screener_collector.endpoints import Endpoint, Shape
from screener_sql.model import TRANSIENT

ANSWERS: list[tuple[str, int, str, Shape, Symptom]] = [
    # what, status, body, expected shape, symptom
    ("rows", 200, '[{"a":1}]', "rows", Symptom.DATA),
    ("rows keyed as an object", 200, '{"0":{"a":1},"1":{"a":2}}', "rows", Symptom.DATA),
    ("no rows", 200, "[]", "rows", Symptom.NO_ROWS),
    ("no rows, as an object", 200, "{}", "rows", Symptom.NO_ROWS),
    ("an object", 200, '{"General":{"Code":"A"}}', "object", Symptom.DATA),
    ("no object", 200, "{}", "object", Symptom.WRONG_SHAPE),
    ("an empty list for an object", 200, "[]", "object", Symptom.WRONG_SHAPE),
    ("a list for an object", 200, '[{"a":1}]', "object", Symptom.WRONG_SHAPE),
    ("an object for rows", 200, '{"General":{}}', "rows", Symptom.WRONG_SHAPE),
    ("a bare number", 200, "295.21", "rows", Symptom.SCALAR),
    ("a bare text", 200, '"AAPL"', "object", Symptom.SCALAR),
    ("null", 200, "null", "rows", Symptom.SCALAR),
    ("an error text", 200, '{"Error":"Ticker Not Found."}', "rows", Symptom.ERROR_NOT_FOUND),
    ("an error text for an object", 200, '{"error":"no","code":403}', "object", Symptom.ERROR_TEXT),
    ("a message", 200, '{"message":"bad request URL"}', "object", Symptom.ERROR_TEXT),
    ("plain text", 200, "Unauthenticated", "rows", Symptom.NOT_JSON),
    ("CSV", 200, "Date,Open\n2024-01-02,1\n", "rows", Symptom.NOT_JSON),
    ("a web page", 200, "<html></html>", "rows", Symptom.PAGE),
    ("nothing", 200, "", "rows", Symptom.NO_BODY),
    ("white space", 200, " \n", "rows", Symptom.NO_BODY),
    ("a truncated body", 200, '[{"date":"2024-', "rows", Symptom.NOT_JSON),
    ("NaN", 200, '[{"open":NaN}]', "rows", Symptom.UNSTORABLE),
    ("Infinity", 200, '[{"open":-Infinity}]', "rows", Symptom.UNSTORABLE),
    ("a NUL character", 200, r'[{"name":"a\u0000b"}]', "rows", Symptom.UNSTORABLE),
    ("half a character", 200, r'[{"name":"\ud83d"}]', "rows", Symptom.UNSTORABLE),
    ("a whole character in two halves", 200, r'[{"name":"\ud83d\ude00"}]', "rows", Symptom.DATA),
    ("an endless number", 200, '[{"v":' + "9" * 5000 + "}]", "rows", Symptom.UNSTORABLE),
    ("endless nesting", 200, "[" * 200_000, "rows", Symptom.UNSTORABLE),
    ("nesting that can just be read", 200, "[" * 900 + "]" * 900, "rows", Symptom.UNSTORABLE),
    ("a byte order mark", 200, "\ufeff[1]", "rows", Symptom.DATA),
    ("a status that is no answer", 204, "", "rows", Symptom.NO_ANSWER),
    ("a redirect", 302, "", "rows", Symptom.REDIRECT),
    ("malformed parameters", 422, '{"errors":{}}', "rows", Symptom.REFUSED),
    ("a refused token", 401, "Unauthenticated", "rows", Symptom.UNAUTHENTICATED),
    ("a spent day", 402, "You exceeded your daily API requests limit.", "rows", Symptom.PAYMENT),
    ("outside the plan", 403, "Forbidden", "rows", Symptom.FORBIDDEN),
    ("unknown", 404, "Ticker Not Found.", "rows", Symptom.NOT_FOUND),
    ("a full minute", 429, '{"error":"API rate limit exceeded"}', "rows", Symptom.TOO_MANY),
    ("a server error", 500, "Error occurred.", "rows", Symptom.FAILED),
    ("a bad gateway", 502, "<html></html>", "object", Symptom.FAILED),
    ("a gateway's time-out", 504, "", "rows", Symptom.FAILED),
]


@pytest.mark.parametrize(
    ("status", "body", "shape", "symptom"),
    [pytest.param(*case, id=f"{case[0]} {what}") for what, *case in ANSWERS],
)
def test_an_answer_is_told_by_its_looks(
    status: int, body: str, shape: Shape, symptom: Symptom
) -> None:
    judged = judge(Answer(status, "text/plain", body.encode()), shape)
    assert judged.symptom is symptom
    assert (judged.data is not None) == (symptom is Symptom.DATA)
    if symptom is not Symptom.DATA:
        assert judged.message


def test_each_row_of_the_table_has_a_case() -> None:
    """Here, or in the tests of what is seen before and after an answer's body is looked at."""
    without_body = {Symptom.UNREACHABLE, Symptom.SILENT, Symptom.CUT, Symptom.TOO_LARGE}
    by_readers = {Symptom.WRONG_ROWS, Symptom.WRONG_DATE, Symptom.WRONG_SUBJECT}
    assert set(TABLE) == set(Symptom)
    assert {case[4] for case in ANSWERS} == set(Symptom) - without_body - by_readers


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json"])
def test_a_web_page_is_one_whatever_it_says_of_itself(content_type: str) -> None:
    page = Answer(200, content_type, b" <!DOCTYPE html><p>Maintenance</p>")
    assert judge(page, "rows").symptom is Symptom.PAGE


def test_an_answer_larger_than_any_that_is_known_is_refused() -> None:
    assert judge(Answer(200, "application/json", None), "rows").symptom is Symptom.TOO_LARGE


MEANINGS = [
    # symptom, meaning, tries, error code, calls of ten
    (Symptom.UNREACHABLE, Meaning.NETWORK_ERROR, 4, "network_error", 0),
    (Symptom.SILENT, Meaning.NETWORK_ERROR, 4, "network_error", 10),
    (Symptom.CUT, Meaning.NETWORK_ERROR, 4, "network_error", 10),
    (Symptom.UNAUTHENTICATED, Meaning.TOKEN_REFUSED, 1, None, 0),
    (Symptom.PAYMENT, Meaning.DAY_SPENT, 1, "daily_limit", 0),
    (Symptom.FORBIDDEN, Meaning.NOT_IN_PLAN, 1, "not_in_plan", 0),
    (Symptom.NOT_FOUND, Meaning.NOT_FOUND, 1, "not_found", 1),
    (Symptom.TOO_MANY, Meaning.MINUTE_FULL, 1, None, 0),
    (Symptom.REFUSED, Meaning.BAD_PAYLOAD, 1, "bad_payload", 0),
    (Symptom.FAILED, Meaning.SERVER_ERROR, 4, "server_error", 0),
    (Symptom.REDIRECT, Meaning.SERVER_ERROR, 2, "server_error", 10),
    (Symptom.NO_ANSWER, Meaning.SERVER_ERROR, 2, "server_error", 10),
    (Symptom.TOO_LARGE, Meaning.BAD_PAYLOAD, 1, "bad_payload", 10),
    (Symptom.NO_BODY, Meaning.BAD_PAYLOAD, 2, "bad_payload", 10),
    (Symptom.PAGE, Meaning.BAD_PAYLOAD, 2, "bad_payload", 10),
    (Symptom.NOT_JSON, Meaning.BAD_PAYLOAD, 2, "bad_payload", 10),
    (Symptom.UNSTORABLE, Meaning.BAD_PAYLOAD, 1, "bad_payload", 10),
    (Symptom.ERROR_NOT_FOUND, Meaning.NOT_FOUND, 1, "not_found", 10),
    (Symptom.ERROR_TEXT, Meaning.BAD_PAYLOAD, 2, "bad_payload", 10),
    (Symptom.SCALAR, Meaning.BAD_PAYLOAD, 1, "bad_payload", 10),
    (Symptom.WRONG_SHAPE, Meaning.BAD_PAYLOAD, 1, "bad_payload", 10),
    (Symptom.NO_ROWS, Meaning.EMPTY, 1, None, 10),
    (Symptom.DATA, Meaning.ROWS, 1, None, 10),
    (Symptom.WRONG_ROWS, Meaning.BAD_PAYLOAD, 1, "bad_payload", 10),
    (Symptom.WRONG_DATE, Meaning.EMPTY, 1, "not_published", 10),
    (Symptom.WRONG_SUBJECT, Meaning.BAD_PAYLOAD, 1, "bad_payload", 10),
]


@pytest.mark.parametrize(
    ("symptom", "meaning", "tries", "error_code", "calls"),
    [pytest.param(*case, id=case[0].name.lower()) for case in MEANINGS],
)
def test_what_a_symptom_means(
    symptom: Symptom, meaning: Meaning, tries: int, error_code: str | None, calls: int
) -> None:
    row = TABLE[symptom]
    assert (row.meaning, row.tries.times, row.error_code) == (meaning, tries, error_code)
    assert row.calls(10) == calls


@pytest.mark.parametrize("symptom", Symptom)
def test_during_maintenance_it_is_tried_longer_and_no_asset_is_to_blame(symptom: Symptom) -> None:
    row = TABLE[symptom]
    assert (row.tries_during(True).times > row.tries.times) == (row.tries.times > 1)
    code = row.error_code_during(True)
    if row.then in (Then.FAIL_ASSET, Then.FAIL_FETCH):
        assert code in TRANSIENT
    assert row.error_code_during(False) == row.error_code


def test_only_what_says_nothing_of_an_asset_is_not_counted_against_it() -> None:
    for row in TABLE.values():
        if row.then is Then.FAIL_FETCH:
            assert row.error_code in TRANSIENT
        if row.then is Then.FAIL_ASSET:
            assert row.error_code is not None and row.error_code not in TRANSIENT


def test_rows_keyed_as_an_object_become_a_list() -> None:
    body = b'{"0":{"a":1},"1":{"a":2}}'
    assert judge(Answer(200, "application/json", body), "rows").data == [{"a": 1}, {"a": 2}]


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


def test_the_reference_has_the_table_of_answers() -> None:
    wanted = [
        (
            row.symptom.value,
            str(row.tries),
            row.then.value,
            f"`{row.error_code}`" if row.error_code else "",
            row.cost.value,
        )
        for row in TABLE.values()
    ]
    text = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    section = text.split("## What the vendor may answer\n")[1].split("\n## ")[0]
    found = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in section.splitlines()
        if line.startswith("|")
    ][2:]
    assert found == wanted
