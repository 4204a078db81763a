"""Rows of the vendor's answers: accounts, exchanges, listings, actions, fundamentals."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from screener_collector import fundamentals, parse
from screener_collector.answers import load
from screener_collector.fundamentals import COLUMNS, SECTIONS
from screener_collector.parse import BadRow

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "eodhd"
PAYLOADS = ["AAPL.US", "ABBN.SW", "E6Z.BE", "EEMU.PA", "SSMI.INDX", "UBUB.F", "ZUGN.SW"]
TODAY = date(2026, 11, 24)
DAY = date(2024, 11, 5)
NOTHING = ["", "NA", "N/A", "0000-00-00", None, [], {}]


@pytest.mark.parametrize("value", NOTHING, ids=repr)
def test_the_vendor_means_nothing_by(value: Any) -> None:
    assert parse.is_nothing(value)
    assert parse.text(value) is None
    assert parse.number(value) is None
    assert parse.day(value) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        *((code, code) for code in ("NA", "TRUE", "NULL", "007", "BRK-B")),
        (700, "700"),
        *((value, None) for value in (None, "", True, 1.5)),
    ],
)
def test_a_code_is_no_value(value: Any, code: str | None) -> None:
    assert parse.code(value) == code


@pytest.mark.parametrize(
    ("data", "used"),
    [
        pytest.param({"apiRequests": 12, "apiRequestsDate": "2026-11-24"}, 12, id="of today"),
        pytest.param({"apiRequests": "12", "apiRequestsDate": "2026-11-24"}, 12, id="as a text"),
        pytest.param({"apiRequests": 99, "apiRequestsDate": "2026-11-23"}, 0, id="of yesterday"),
        pytest.param({"apiRequests": 99}, None, id="of no day"),
        pytest.param({"apiRequests": 99, "apiRequestsDate": "2026-11-25"}, None, id="of tomorrow"),
    ],
)
def test_the_counter_is_believed_for_its_own_day(data: dict[str, Any], used: int | None) -> None:
    account = parse.account({"dailyRateLimit": "100000", **data})
    assert account.calls_used_on(TODAY) == used
    assert account.daily_limit == 100_000


@pytest.mark.parametrize("field", ["apiRequests", "dailyRateLimit"])
@pytest.mark.parametrize("value", [None, "many", -1, 0.5, 1e999])
def test_an_account_without_its_counts_names_the_field(field: str, value: Any) -> None:
    data = {"apiRequests": 1, "dailyRateLimit": 1, field: value}
    with pytest.raises(BadRow, match=f"^{field}: "):
        parse.account(data)


def test_counts_of_an_account_are_what_columns_take() -> None:
    endless = {"apiRequests": 1, "dailyRateLimit": 10**400, "extraLimit": 2**31}
    account = parse.account(endless)
    assert (account.daily_limit, account.extra_limit) == (parse.MOST_CALLS, parse.MOST_CALLS)
    # A limit may be without end; nobody has made so many calls.
    with pytest.raises(BadRow, match=r"^apiRequests: "):
        parse.account(endless | {"apiRequests": 2**31})


@pytest.mark.parametrize("day", [None, [], "", "0000-00-00", "NA", 20261124])
def test_a_counter_of_a_day_that_cannot_be_read_never_says_that_nothing_was_used(day: Any) -> None:
    counted = {"apiRequests": 17, "apiRequestsDate": day, "dailyRateLimit": 100_000}
    assert parse.account(counted).calls_used_on(TODAY) is None


@pytest.mark.parametrize(
    "amounts",
    [
        pytest.param({"value": 1.7e308, "unadjustedValue": 0.24}, id="the adjusted one beyond all"),
        pytest.param({"value": 0.24, "unadjustedValue": 1.7e308}, id="the paid one beyond all"),
        pytest.param({"value": 0.24, "unadjustedValue": 5e-324}, id="the paid one next to nothing"),
        pytest.param({"value": 0.24, "unadjustedValue": -0.24}, id="the paid one below zero"),
        pytest.param({"value": -1, "unadjustedValue": ""}, id="below zero"),
        pytest.param({"value": "NA", "unadjustedValue": None}, id="none at all"),
    ],
)
def test_a_dividend_of_an_amount_that_cannot_be_is_unreadable(amounts: dict[str, Any]) -> None:
    row = {"date": "2024-11-05", "currency": "USD", **amounts}
    found = parse.dividends([row, row | {"date": "2024-11-06", "value": 1}], DAY, DAY, "A")
    assert (found.rows, found.unreadable, found.doubtful) == ((), 1, ("A",))


def test_an_exchange_may_have_several_operating_mics_or_none() -> None:
    found = parse.exchanges(
        [
            {"Code": "US", "OperatingMIC": "XNAS, XNYS, OTCM", "Name": "USA Stocks"},
            {"Code": "NONE", "OperatingMIC": None},
            {"Name": "without a code"},
            "no row",
        ]
    )
    assert {code: row.mics for code, row in found.items()} == {
        "US": ("XNAS", "XNYS", "OTCM"),
        "NONE": (),
    }


def test_listings_are_one_a_code() -> None:
    rows = [
        {"Code": "NA", "Name": "N A", "Type": "Common Stock", "Isin": None, "Currency": "USD"},
        {"Code": "A", "Type": "ETF"},
        {"Code": "A", "Type": "Common Stock"},
        {"Code": None},
        {"Code": "007", "Type": "Common Stock", "Currency": "Unknown"},
        {"Code": "007", "Type": "Common Stock", "Currency": "Unknown"},
        {"Code": "TRUE", "Type": "Common Stock", "Currency": "GBp"},
    ]
    found = parse.listings(rows)
    assert [(row.code, row.type, row.isin, row.currency) for row in found.rows] == [
        ("NA", "Common Stock", None, "USD"),
        ("A", "Common Stock", None, None),
        ("007", "Common Stock", None, None),
        ("TRUE", "Common Stock", None, "GBp"),
    ]
    assert found.broken == 2


def test_symbol_changes_that_cannot_be_read_are_left_out() -> None:
    good = {"exchange": "US", "old_symbol": "FB", "new_symbol": "META", "effective": "2022-06-09"}
    rows = [good, good | {"new_symbol": None}, good | {"effective": "0000-00-00"}, "none"]
    assert parse.symbol_changes(rows) == [parse.SymbolChange("FB", "META", date(2022, 6, 9))]


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        ("4.000000/1.000000", (4.0, 1.0)),
        ("1.000000/20.000000", (1.0, 20.0)),
        ("1.05/1", (1.05, 1.0)),
        ("4:1", (4.0, 1.0)),
        ("0/1", None),
        ("4", None),
        ("4/1/1", None),
        ("x/1", None),
        ("1e308/1e-308", None),
        ("1/1e12", None),
        ("5e-324/1", None),
        (None, None),
    ],
)
def test_split_ratios(value: Any, ratio: tuple[float, float] | None) -> None:
    assert parse.split_ratio(value) == ratio


def test_splits_of_a_bulk_day() -> None:
    row = {"code": "AQMS", "exchange": "US", "date": "2024-11-05", "split": "1.000000/20.000000"}
    found = parse.splits([row, row | {"code": "B", "date": "2024-11-04"}], DAY, DAY)
    assert [(a.code, a.kind, a.split_new, a.split_old) for a in found.rows] == [
        ("AQMS", "split", 1.0, 20.0)
    ]
    assert (found.refused, found.unreadable) == (1, 0)


def test_dividends_of_a_bulk_day_with_empty_texts() -> None:
    row = {
        "code": "18RA",
        "exchange": "F",
        "date": "2024-11-05",
        "dividend": "0.07",
        "currency": "USD",
        "declarationDate": "",
        "recordDate": "",
        "unadjustedValue": 0.07,
    }
    found = parse.dividends([row, {"code": "X", "date": "2024-11-05"}, "row"], DAY, DAY)
    assert [(a.code, a.kind, a.dividend, a.currency) for a in found.rows] == [
        ("18RA", "dividend", 0.07, "USD")
    ]
    assert (found.refused, found.unreadable) == (0, 2)


def test_bulk_bars_of_another_day_are_refused() -> None:
    rows = [{"code": "A", "date": "2024-11-05"}, {"code": "B", "date": "2024-11-04"}]
    found = parse.bulk_bars(rows, DAY)
    assert [code for code, _ in found.rows] == ["A"]
    assert found.refused == 1


@pytest.mark.parametrize(
    ("name", "kind", "actions"),
    [
        ("F_dividends_date_2019-10-01_.csv", "dividend", 9),
        ("F_splits_date_2019-10-01_.csv", "split", 2),
    ],
)
def test_real_bulk_actions(name: str, kind: str, actions: int) -> None:
    file = SAMPLES / "eod-bulk-last-day" / name
    if not file.exists():
        pytest.skip("no shared data")
    lines = [line for line in file.read_text().splitlines() if "," in line]
    rows = [{key.lower(): value for key, value in row.items()} for row in csv.DictReader(lines)]
    reader = parse.dividends if kind == "dividend" else parse.splits
    found = reader(rows, date(2019, 10, 1), date(2019, 10, 1))
    assert len(found.rows) + found.unreadable == len(rows)
    assert {action.kind for action in found.rows} == {kind}
    assert found.unreadable == 0


# -- fundamentals -------------------------------------------------------------


def meant(value: Any) -> Any:
    """What a raw field of a payload means, told apart from the collector's own way."""
    if value in (None, "", "NA", "N/A", "0000-00-00"):
        return None
    try:
        return float(value)
    except ValueError:
        return value.strip()


@pytest.mark.parametrize("ticker", PAYLOADS)
def test_a_real_payload_loses_nothing_that_the_schema_has(ticker: str) -> None:
    file = SAMPLES / "fundamentals" / f"{ticker}.json"
    if not file.exists():
        pytest.skip("no shared data")
    payload = load(file.read_bytes())
    found = fundamentals.read(payload, *ticker.split("."))

    assert found.unreadable == ()
    for column, (section, field, _) in COLUMNS.items():
        raw = (payload.get(section) or {}).get(field)
        value = found.columns[column]
        assert (meant(value) if value is not None else None) == meant(raw), column
    for column, section in SECTIONS.items():
        assert found.columns[column] == payload.get(section)
    json.dumps(found.columns, allow_nan=False)


def payload(**sections: Any) -> dict[str, Any]:
    return {"General": {"Code": "A", "Name": "A Corp"}, **sections}


@pytest.mark.parametrize(
    ("section", "field", "column", "raw", "value"),
    [
        pytest.param(
            "Highlights",
            "MarketCapitalization",
            "market_cap",
            989519609856,
            "989519609856",
            id="a large integer",
        ),
        pytest.param(
            "Highlights",
            "RevenueTTM",
            "revenue_ttm",
            "259034005504.00",
            "259034005504.00",
            id="an amount as a text",
        ),
        pytest.param(
            "Highlights", "EBITDA", "ebitda", "1.5e9", "1500000000.0", id="an amount by exponent"
        ),
        pytest.param(
            "Highlights", "EBITDA", "ebitda", "1e-20000", "0.0", id="an exponent beyond all"
        ),
        pytest.param(
            "Highlights", "PERatio", "pe_ratio", "18.5922", 18.5922, id="a ratio as a text"
        ),
        pytest.param("Highlights", "PERatio", "pe_ratio", "NA", None, id="NA"),
        pytest.param("Highlights", "PERatio", "pe_ratio", 0, 0.0, id="zero is a number"),
        pytest.param(
            "Highlights",
            "MostRecentQuarter",
            "most_recent_quarter",
            "0000-00-00",
            None,
            id="no date",
        ),
        pytest.param("General", "IsDelisted", "is_delisted", False, False, id="false is a value"),
        pytest.param(
            "General", "FullTimeEmployees", "employees", "100000", 100000, id="a count as a text"
        ),
        pytest.param(
            "General", "UpdatedAt", "fundamentals_date", "2019-10-02", "2019-10-02", id="a date"
        ),
        pytest.param("AnalystRatings", "StrongBuy", "analyst_strong_buy", 7, 7, id="a count"),
        pytest.param(
            "SplitsDividends", "LastSplitFactor", "last_split_factor", "4:1", "4:1", id="a factor"
        ),
    ],
)
def test_a_field_fills_its_column(
    section: str, field: str, column: str, raw: Any, value: Any
) -> None:
    data = payload()
    data.setdefault(section, {})[field] = raw
    assert fundamentals.read(data, "A", "US").columns[column] == value


@pytest.mark.parametrize(
    ("financials", "currency"),
    [
        pytest.param({"Income_Statement": {"currency_symbol": "USD"}}, "USD", id="as stated"),
        pytest.param(
            {"Income_Statement": [], "Balance_Sheet": {"currency_symbol": "EUR"}},
            "EUR",
            id="by the first statement that there is",
        ),
        pytest.param(
            {"Income_Statement": {"quarterly": {"2024-03-31": {"currency_symbol": "PGK"}}}},
            None,
            id="not by a single period",
        ),
        pytest.param([], None, id="no statements"),
    ],
)
def test_statements_have_a_currency_of_their_own(financials: Any, currency: str | None) -> None:
    columns = fundamentals.read(payload(Financials=financials), "A", "US").columns
    assert columns["statements_currency"] == currency


@pytest.mark.parametrize("empty", [[], None, {}], ids=repr)
def test_an_empty_section_is_no_error(empty: Any) -> None:
    found = fundamentals.read(payload(Highlights=empty, Holders=[]), "A", "US")
    assert found.columns["pe_ratio"] is None
    assert found.unreadable == ()


@pytest.mark.parametrize(
    ("field", "raw"),
    [("IPODate", "1980"), ("FullTimeEmployees", 10**12), ("FullTimeEmployees", "many")],
)
def test_a_field_that_its_column_cannot_take_is_named(field: str, raw: Any) -> None:
    data = payload()
    data["General"][field] = raw
    assert fundamentals.read(data, "A", "US").unreadable == (f"General.{field}",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param({}, "General: missing", id="nothing"),
        pytest.param({"General": []}, "General: missing", id="an empty General"),
        pytest.param({"General": {"Code": "B"}}, "General.Code: another asset's", id="another's"),
        pytest.param(payload(Valuation="x"), "Valuation: not an object", id="a text section"),
        pytest.param(payload(Earnings={"x": 1e999}), "a number is too large", id="an overflow"),
    ],
)
def test_what_is_no_payload_of_the_asset_is_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRow, match=message):
        fundamentals.read(data, "A", "US")
