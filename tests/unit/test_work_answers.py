"""Splits and dividends of an asset, pages of fundamentals, and the requests that bring them."""

import csv
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from screener_collector import endpoints, fundamentals, parse, work
from screener_collector.answers import TABLE, Judged, NotJson, Symptom, Then, load
from screener_collector.endpoints import Endpoint
from screener_collector.parse import BadRow
from screener_collector.work import Actions, Failure, Fetch, Page
from screener_sql.model import ErrorCode

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "eodhd"
FIRST, LAST = date(2000, 1, 1), date(2024, 11, 5)


@pytest.mark.parametrize(
    ("endpoint", "path", "calls", "params"),
    [
        pytest.param(
            endpoints.splits("BRK-B.US", FIRST, LAST),
            "/splits/BRK-B.US",
            1,
            {"from": "2000-01-01", "to": "2024-11-05"},
            id="splits",
        ),
        pytest.param(
            endpoints.dividends("A&B.US", FIRST, LAST),
            "/div/A%26B.US",
            1,
            {"from": "2000-01-01", "to": "2024-11-05"},
            id="dividends",
        ),
        pytest.param(
            endpoints.bulk_fundamentals("SW", offset=500),
            "/bulk-fundamentals/SW",
            100,
            {"version": "1.2", "offset": "500", "limit": "500"},
            id="a page",
        ),
        pytest.param(
            endpoints.bulk_fundamentals("SW", symbols=["A", "TRUE"]),
            "/bulk-fundamentals/SW",
            102,
            {"version": "1.2", "symbols": "A.SW,TRUE.SW"},
            id="named assets",
        ),
    ],
)
def test_a_request_has_its_path_cost_and_parameters(
    endpoint: Endpoint, path: str, calls: int, params: dict[str, str]
) -> None:
    assert (endpoint.path, endpoint.calls) == (path, calls)
    assert endpoint.params == {"fmt": "json", **params}


def test_a_page_has_no_more_symbols_than_the_vendor_takes() -> None:
    with pytest.raises(ValueError, match="501 symbols"):
        endpoints.bulk_fundamentals("SW", symbols=[str(n) for n in range(501)])


# -- splits and dividends ---------------------------------------------------------


def test_dividends_of_an_asset_are_of_todays_shares_and_of_those_of_their_day() -> None:
    row = {
        "date": "2012-08-09",
        "declarationDate": "0000-00-00",
        "period": "",
        "value": "0.0946",
        "unadjustedValue": "2.65",
        "currency": "USD",
    }
    (action,) = parse.dividends([row], FIRST, LAST, "AAPL").rows
    assert (action.code, action.kind, action.ex_date) == ("AAPL", "dividend", date(2012, 8, 9))
    assert (action.dividend, action.unadjusted, action.currency) == (0.0946, 2.65, "USD")
    assert action.row == row


def dividend(value: Any, day: str = "2024-05-10", **more: Any) -> dict[str, Any]:
    return {"date": day, "value": value, "unadjustedValue": value, "currency": "USD", **more}


LISTS: list[Any] = [
    pytest.param([dividend("0.5"), dividend(0.25, period="Special")], [0.75], 0, id="two are one"),
    pytest.param([dividend("0.5"), dividend("0.5")], [0.5], 0, id="the same again"),
    pytest.param([dividend("0.5"), dividend(1, currency="EUR")], [], 1, id="of two currencies"),
    pytest.param([dividend(0)], [], 0, id="nothing"),
    pytest.param([dividend(-1)], [], 1, id="negative"),
    pytest.param([dividend("NA")], [], 1, id="no amount"),
    pytest.param([dividend(1, day="0000-00-00")], [], 1, id="no day"),
    pytest.param(["x", None, []], [], 3, id="no rows"),
    pytest.param(
        [dividend(1), dividend(2, day="1999-12-31")], [1.0], 0, id="before what was asked"
    ),
]


@pytest.mark.parametrize(("rows", "amounts", "unreadable"), LISTS)
def test_dividends_of_an_asset(rows: list[Any], amounts: list[float], unreadable: int) -> None:
    found = parse.dividends(rows, FIRST, LAST, "A")
    assert [action.dividend for action in found.rows] == amounts
    assert found.unreadable == unreadable
    assert found.doubtful == (("A",) if unreadable else ())


def test_two_different_splits_of_a_day_are_not_believed() -> None:
    rows = [
        {"date": "2024-05-10", "split": "2.000000/1.000000"},
        {"date": "2024-05-10", "split": "3.000000/1.000000"},
        {"date": "2023-05-10", "split": "4/1"},
    ]
    found = parse.splits(rows, FIRST, LAST, "A")
    assert [(action.ex_date.year, action.split_new) for action in found.rows] == [(2023, 4.0)]
    assert found.doubtful == ("A",)


@pytest.mark.parametrize(
    ("name", "column", "key", "count"),
    [("div", "Dividends", "value", 29), ("splits", "Stock Splits", "split", 3)],
)
def test_real_actions_of_an_asset(name: str, column: str, key: str, count: int) -> None:
    file = SAMPLES / name / "AAPL.US_from_2000-01-01.csv"
    if not file.exists():
        pytest.skip("no shared data")
    lines = [line for line in file.read_text().splitlines() if "," in line]
    rows = [{"date": row["Date"], key: row[column]} for row in csv.DictReader(lines)]
    reader = parse.dividends if name == "div" else parse.splits
    found = reader(rows, FIRST, LAST, "AAPL")
    assert (len(found.rows), found.refused, found.unreadable) == (count, 0, 0)


@pytest.mark.parametrize("poison", [r"a\u0000b", r"\ud83d"])
def test_a_text_that_cannot_be_stored_costs_its_own_row(poison: str) -> None:
    good = '{"code":"A","date":"2024-11-05","split":"2/1"}'
    bad = good.replace("A", "B").replace("2/1", poison).replace("}", ',"name":"b"}')
    assert load(f"[{good},{good},{bad}]".encode())[2] == {
        "code": "B",
        "date": "2024-11-05",
        "name": "b",
    }
    with pytest.raises(NotJson, match="unstorable"):
        load(f"[{good},{bad}]".encode())
    with pytest.raises(NotJson, match="unstorable"):
        load(bad.encode())
    # A text that only looks like it is one that can be.
    assert load(rb'[{"code":"\\u0000"}]') == [{"code": r"\u0000"}]


# -- fetches ------------------------------------------------------------------------


def fetch(kind: str, **more: Any) -> Fetch:
    bulk = kind.startswith("bulk")
    asset = (None, None) if bulk else (2, "A")
    session = LAST if bulk and kind != "bulk_fundamentals" else None
    return Fetch(7, 1, kind, 1, "US", *asset, session, FIRST, LAST, 1, **more)


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (fetch("splits"), "/splits/A.US"),
        (fetch("dividends"), "/div/A.US"),
        (fetch("bulk_fundamentals", page_offset=0), "/bulk-fundamentals/US"),
        (fetch("bulk_prices", purpose="correction"), "/eod-bulk-last-day/US"),
    ],
)
def test_a_fetch_knows_its_request(wanted: Fetch, path: str) -> None:
    assert wanted.endpoint.path == path


def test_items_wait_for_the_days_that_are_due_alone() -> None:
    assert fetch("bulk_prices").is_due_day
    assert not fetch("bulk_prices", purpose="correction").is_due_day
    assert not fetch("bulk_fundamentals", page_offset=0).is_due_day


@pytest.mark.parametrize("kind", ["splits", "dividends", "bulk_splits", "bulk_dividends"])
def test_an_empty_list_of_actions_is_a_list(kind: str) -> None:
    came = work.read(fetch(kind), Judged(Symptom.NO_ROWS), LAST)
    assert isinstance(came, Actions) and not came.rows.rows


def test_rows_that_cannot_be_read_cost_their_own_assets_unless_they_are_most() -> None:
    good = [{"code": c, "date": LAST.isoformat(), "split": "2/1"} for c in "ABC"]
    bad = [{"code": c, "date": LAST.isoformat(), "split": "oops"} for c in "WXYZ"]
    came = work.read(fetch("bulk_splits"), Judged(Symptom.DATA, data=[*good, *bad[:3]]), LAST)
    assert isinstance(came, Actions)
    assert came.rows.doubtful == ("W", "X", "Y")
    came = work.read(fetch("bulk_splits"), Judged(Symptom.DATA, data=[*good, *bad]), LAST)
    assert isinstance(came, Failure) and came.error_code is ErrorCode.BAD_PAYLOAD


READ = [
    # fetch, rows, symptom
    pytest.param(fetch("fundamentals"), {"x": 1}, Symptom.WRONG_ROWS, id="no fundamentals"),
    pytest.param(
        fetch("bulk_splits"), [{"code": "A", "date": "?"}], Symptom.WRONG_ROWS, id="no actions"
    ),
    pytest.param(
        fetch("fundamentals"),
        {"General": {"Code": "B"}},
        Symptom.WRONG_SUBJECT,
        id="of another code",
    ),
    pytest.param(
        replace(fetch("fundamentals"), exchange="SW"),
        {"General": {"Code": "A", "Exchange": "VN"}},
        Symptom.WRONG_SUBJECT,
        id="of another exchange",
    ),
    pytest.param(
        fetch("bulk_prices"),
        [{"code": "A", "date": "2024-11-04"}],
        Symptom.WRONG_DATE,
        id="of another day",
    ),
    pytest.param(fetch("bulk_prices"), [], Symptom.WRONG_DATE, id="of no day"),
]


@pytest.mark.parametrize("maintenance", [False, True])
@pytest.mark.parametrize(("of", "data", "symptom"), READ)
def test_what_only_a_reader_sees_ends_as_the_table_says(
    of: Fetch, data: Any, symptom: Symptom, maintenance: bool
) -> None:
    came = work.read(of, Judged(Symptom.DATA, data=data), LAST, maintenance=maintenance)
    row = TABLE[symptom]
    assert isinstance(came, Failure)
    assert came.error_code is row.error_code_during(maintenance)
    assert came.message.startswith(f"{row.says}: ")
    assert came.state == ("deferred" if row.then is Then.DEFER_EXCHANGE else "failed")


# -- pages of fundamentals ------------------------------------------------------------


def entry(code: str | None = "A", **sections: Any) -> dict[str, Any]:
    return {"General": {"Code": code, "Name": "A Company", "Sector": ""}, **sections}


def test_a_page_tells_what_it_has_and_nothing_else() -> None:
    found, unreadable = fundamentals.read_page([entry(Highlights={"PERatio": "12.5"})], "US")
    assert unreadable == 0
    columns = found["A"].columns
    assert columns["pe_ratio"] == 12.5 and columns["name"] == "A Company"
    assert "sector" not in columns and "eodhd_holders" not in columns
    assert columns[fundamentals.PARTIAL] is True


def test_statements_of_a_page_are_keyed_by_their_dates() -> None:
    quarter, year = {"date": "2024-06-30", "totalAssets": "5"}, {"date": "2023-12-31"}
    financials = {
        "Balance_Sheet": {
            "currency_symbol": "USD",
            "quarterly_last_0": quarter,
            "quarterly_last_1": {"date": "0000-00-00"},
            "yearly_last_0": year,
        },
        "Cash_Flow": {"quarterly": {"2024-06-30": quarter}},
    }
    found, _ = fundamentals.read_page(
        [entry(Financials=financials, Earnings={"Last_0": quarter})], "US"
    )
    assert found["A"].columns["eodhd_financials"] == {
        "Balance_Sheet": {
            "currency_symbol": "USD",
            "quarterly": {"2024-06-30": quarter},
            "yearly": {"2023-12-31": year},
        },
        "Cash_Flow": {"quarterly": {"2024-06-30": quarter}},
    }
    assert found["A"].columns["eodhd_earnings"] == {"History": {"2024-06-30": quarter}}


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param("x", id="a text"),
        pytest.param({}, id="an empty entry"),
        pytest.param(entry(None), id="of nobody"),
        pytest.param(entry("A"), id="of an asset that was there"),
        pytest.param(entry("B", Valuation="x"), id="a text for a section"),
        pytest.param(entry("B", Financials=["x"]), id="a list for statements"),
        pytest.param(entry("B", Earnings={"x": 1e999}), id="an overflow"),
    ],
)
def test_a_poisoned_entry_of_a_page_costs_its_own_asset(poison: Any) -> None:
    came = work.read(
        fetch("bulk_fundamentals", page_offset=0),
        Judged(Symptom.DATA, data=[entry("A"), poison, entry("C")]),
        LAST,
    )
    assert isinstance(came, Page)
    assert sorted(came.by_code) == ["A", "C"] and came.unreadable == 1


@pytest.mark.parametrize(
    ("exchange", "said", "believed"),
    [
        ("SW", "SW", True),
        ("SW", None, True),
        ("SW", "VN", False),
        ("US", "NASDAQ", True),
    ],
)
def test_fundamentals_of_another_exchange_are_refused(
    exchange: str, said: str | None, believed: bool
) -> None:
    payload = {"General": {"Code": "A", "Exchange": said}}
    assert len(fundamentals.read_page([payload], exchange)[0]) == believed
    if believed:
        assert fundamentals.read(payload, "A", exchange)
    else:
        with pytest.raises(BadRow, match="another exchange"):
            fundamentals.read(payload, "A", exchange)


def test_a_real_payload_reads_the_same_in_a_page() -> None:
    file = SAMPLES / "fundamentals" / "AAPL.US.json"
    if not file.exists():
        pytest.skip("no shared data")
    payload = json.loads(file.read_text())
    found, _ = fundamentals.read_page([payload], "US")
    whole = fundamentals.read(payload, "AAPL", "US").columns
    short = found["AAPL"].columns
    assert {c: v for c, v in whole.items() if not parse.is_nothing(v)} == {
        c: v for c, v in short.items() if c != fundamentals.PARTIAL
    }
