"""What the vendor simulator charges, refuses, lists and writes, without a server."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from screener_local.simulator import (
    account_events,
    bodies,
    costs,
    faults,
    fundamentals,
    plans,
    script,
)
from screener_local.simulator.accounting import BadAccount, Ledger
from screener_local.simulator.clocks import BadClock, Clocks, parse_moment
from screener_local.simulator.exchanges import EXCHANGES, find
from screener_local.simulator.render import as_csv, as_json, fraction, keyed
from screener_local.simulator.universe import Listing, listings

NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize(
    ("endpoint", "symbols", "calls"),
    [
        ("eod", 0, 1),
        ("div", 0, 1),
        ("splits", 0, 1),
        ("exchange-symbol-list", 0, 1),
        ("exchanges-list", 0, 1),
        ("exchange-details", 0, 5),
        ("fundamentals", 0, 10),
        ("eod-bulk-last-day", 0, 100),
        ("eod-bulk-last-day", 3, 103),
        ("bulk-fundamentals", 0, 100),
        ("bulk-fundamentals", 500, 600),
        ("symbol-change-history", 0, 5),
        ("user", 0, 1),
        ("internal-user", 0, 1),
    ],
)
def test_an_answered_request_costs(endpoint: str, symbols: int, calls: int) -> None:
    assert costs.cost(endpoint, symbols) == calls


@pytest.mark.parametrize(
    ("status", "calls"),
    [(200, 10), (404, 1), (401, 0), (402, 0), (403, 0), (422, 0), (429, 0), (500, 0), (502, 0)],
)
def test_what_counts_depends_on_the_answer(status: int, calls: int) -> None:
    assert costs.final_cost(status, 10) == calls


@pytest.mark.parametrize(
    ("plan", "endpoint", "subject", "body"),
    [
        ("all", "fundamentals", "SAN.MC", None),
        ("all", "bulk-fundamentals", "US", plans.FORBIDDEN),
        ("extended", "bulk-fundamentals", "US", None),
        ("eod", "fundamentals", "SAN.MC", plans.FORBIDDEN),
        ("eod", "exchange-details", "MC", plans.FORBIDDEN),
        ("eod", "eod-bulk-last-day", "MC", None),
        ("demo", "eod", "AAPL.US", None),
        ("demo", "eod", "SAN.MC", plans.FORBIDDEN),
        ("demo", "exchange-symbol-list", "US", plans.FORBIDDEN),
        ("demo", "user", "", None),
        ("free", "fundamentals", "AAPL.US", plans.ONLY_EOD_FOR_FREE),
        ("free", "eod", "SAN.MC", None),
    ],
)
def test_a_plan_includes(plan: str, endpoint: str, subject: str, body: str | None) -> None:
    assert plans.refusal(plan, endpoint, subject) == body


def test_the_counter_shows_the_last_active_day_until_the_first_counted_request() -> None:
    ledger = Ledger()
    ledger.count(NOW, "eod", 1, 100)
    tomorrow = NOW + timedelta(days=1)
    assert ledger.shown(tomorrow.date()) == (1, NOW.date())
    ledger.count(tomorrow, "user", 1, 100)
    assert ledger.shown(tomorrow.date()) == (1, tomorrow.date())


def test_a_minute_is_a_clock_minute() -> None:
    ledger = Ledger()
    assert [ledger.enter_minute(NOW, 2) for _ in range(3)] == [1, 0, None]
    assert ledger.minute_left(NOW, 2) == 0
    assert ledger.enter_minute(NOW + timedelta(seconds=29), 2) is None
    assert ledger.enter_minute(NOW + timedelta(seconds=30), 2) == 1


def test_the_day_ends_exactly_at_the_limit() -> None:
    ledger = Ledger()
    ledger.count(NOW, "fundamentals", 10, 11)
    assert ledger.affords(NOW, 1, 11)
    assert not ledger.affords(NOW, 2, 11)
    assert ledger.affords(NOW + timedelta(days=1), 11, 11)


def test_bought_calls_go_after_the_days_and_do_not_come_back() -> None:
    ledger = Ledger(extra_limit=5)
    ledger.count(NOW, "fundamentals", 10, 8)
    assert ledger.extra_limit == 3
    assert ledger.used(NOW.date()) == 10


def test_calls_of_another_client_are_kept_apart_and_cannot_undo_ours() -> None:
    ledger = Ledger()
    ledger.count(NOW, "eod", 7, 100)
    ledger.set_used(NOW, 90)
    assert ledger.usage()["2026-11-24"]["other"] == {"requests": 0, "calls": 83}
    with pytest.raises(BadAccount, match="used"):
        ledger.set_used(NOW, 6)


def test_a_set_data_clock_stands_and_a_set_accounting_clock_runs() -> None:
    moment = [NOW]
    clocks = Clocks(lambda: moment[0])
    clocks.set_data(NOW - timedelta(days=900))
    clocks.set_accounting(NOW + timedelta(days=2))
    moment[0] = NOW + timedelta(seconds=90)
    assert clocks.data() == NOW - timedelta(days=900)
    assert clocks.accounting() == NOW + timedelta(days=2, seconds=90)


@pytest.mark.parametrize("text", ["2023-09-19T23:59:00", "yesterday", 5, ""])
def test_a_clock_refuses_what_is_no_moment(text: object) -> None:
    with pytest.raises(BadClock, match="data"):
        parse_moment("data", text)


def test_json_is_the_vendors() -> None:
    assert as_json({"split": fraction(4, 1)}) == b'{"split":"4.000000\\/1.000000"}'
    assert keyed([]) == []
    assert keyed(["a", "b"]) == {"0": "a", "1": "b"}


def test_csv_is_the_vendors() -> None:
    rows = [("2000-06-21", "2.000000/1.000000")]
    text = as_csv(("Date", "Stock Splits"), rows, count_last=True)
    assert text == b'Date,"Stock Splits"\n2000-06-21,2.000000/1.000000\n49'
    assert as_csv(("Code",), [("A",)], blank_first=True) == b"\nCode\nA\n"


# -- faults of answers ------------------------------------------------------------

SUBJECT = faults.Subject("eod", "A.US", {"fmt": "json"}, "eod/A.US?fmt=json")
BULK = faults.Subject(
    "eod-bulk-last-day", "MC", {"type": "splits", "date": "2023-09-15"}, "eod-bulk-last-day/MC?x"
)


def struck(document: Any, subject: faults.Subject = SUBJECT, *, times: int = 1) -> list[Any]:
    """The status of the fault that each request of a row meets, None for none."""
    parsed = script.parse(document)
    found = [parsed.strike(subject, NOW, NOW).fault for _ in range(times)]
    return [None if fault is None else fault.status for fault in found]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"status": 99}, "status"),
        ({"endpoint": "nope"}, "endpoint"),
        ({"count": 0}, "count"),
        ({"skip": -1}, "skip"),
        ({"probability": 1.5}, "probability"),
        ({"latency_s": "x"}, "latency_s"),
        ({"latency_s": {"median_s": 2, "p99_s": 1}}, "p99_s"),
        ({"wrong": "nope"}, "wrong"),
        ({"from": "yesterday"}, "from"),
        ({"cut_after": 2}, "cut_after"),
        ({"what": 1}, "what"),
        ({"kind": "nope"}, "kind"),
        ({"kind": "limit", "calls": 5}, "calls"),
        ({"kind": "withdrawn", "endpoint": "nope"}, "endpoint"),
        ({"kind": "other_clients", "calls": 5}, "from"),
        ({"seed": "x", "faults": []}, "seed"),
        (["x"], "object"),
    ],
)
def test_a_fault_that_cannot_be_names_its_field(document: Any, field: str) -> None:
    with pytest.raises(faults.BadFault, match=field):
        script.parse(document)


@pytest.mark.parametrize(
    ("where", "strikes"),
    [
        ({}, True),
        ({"endpoint": "eod-bulk-last-day"}, True),
        ({"endpoint": ["eod", "div"]}, False),
        ({"symbol": "MC"}, True),
        ({"symbol": ["SW", "M*"]}, True),
        ({"symbol": "*.MC"}, False),
        ({"query": {"type": "splits"}}, True),
        ({"query": {"type": "eod"}}, False),
        ({"from": "2026-11-24T12:00:00Z", "until": "2026-11-24T12:01:00Z"}, True),
        ({"until": "2026-11-24T12:00:30Z"}, False),
        ({"data_from": "2026-11-24T12:00:31Z"}, False),
    ],
)
def test_a_fault_strikes_by_endpoint_subject_query_and_clocks(
    where: dict[str, Any], strikes: bool
) -> None:
    assert struck(where | {"status": 502}, BULK) == [502 if strikes else None]


def test_a_fault_is_used_up_after_those_it_skips() -> None:
    fault = {"status": 502, "symbol": "A.US", "count": 1, "skip": 1}
    assert struck(fault, times=4) == [None, 502, None, None]


def test_draws_hang_on_the_seed_and_the_request_not_on_what_comes_in_between() -> None:
    document = {"seed": 5, "faults": [{"status": 503, "probability": 0.4}]}
    alone = struck(document, times=50)
    assert 8 < alone.count(503) < 32
    parsed = script.parse(document)
    mixed = []
    for _ in range(50):
        parsed.strike(BULK, NOW, NOW)
        found = parsed.strike(SUBJECT, NOW, NOW).fault
        mixed.append(None if found is None else found.status)
    assert mixed == alone
    assert struck(document | {"seed": 6}, times=50) != alone


def test_a_latency_has_the_median_and_the_99th_percentile_asked_for() -> None:
    document = {"faults": [{"latency_s": {"median_s": 0.3, "p99_s": 3.0}}]}
    parsed = script.parse(document)
    times = sorted(parsed.strike(SUBJECT, NOW, NOW).latency_s for _ in range(20_000))
    assert times[10_000] == pytest.approx(0.3, rel=0.05)
    assert times[19_800] == pytest.approx(3.0, rel=0.15)


def test_a_latency_and_a_status_may_come_from_two_faults() -> None:
    parsed = script.parse([{"latency_s": 0.5}, {"status": 502, "transit_s": 0.25}])
    found = parsed.strike(SUBJECT, NOW, NOW)
    assert (found.transit_s, found.latency_s) == (0.25, 0.5)
    assert found.fault is not None
    assert found.fault.status == 502


@pytest.mark.parametrize(
    ("document", "free"),
    [
        ({"status": 200}, False),
        ({"status": 404}, False),
        ({"status": "cut"}, False),
        ({"status": "refuse"}, True),
        ({"status": 402}, True),
        ({"status": 503}, True),
        ({"status": 503, "counted": True}, False),
        ({"wrong": "html", "counted": False}, True),
    ],
)
def test_what_a_faulty_answer_costs(document: Any, free: bool) -> None:
    assert script.parse(document).faults[0].uncounted is free


ROWS = (
    b'[{"date":"2023-09-15","close":10.5,"exchange_short_name":"MC","code":"X"},'
    b'{"date":"2023-09-18","close":11,"exchange_short_name":"MC","code":"Y"}]'
)


@pytest.mark.parametrize("name", bodies.WRONG)
def test_a_wrong_body_is_another_than_the_good_one(name: str) -> None:
    body, kind = bodies.WRONG[name](ROWS, 0)
    assert body != ROWS
    assert kind in ("application/json", "text/html")


def test_wrong_bodies_are_what_they_are_called() -> None:
    wrong = {name: make(ROWS, 0)[0] for name, make in bodies.WRONG.items()}
    assert json.loads(wrong["error"]) == {"Error": "Ticker Not Found."}
    assert [row["date"] for row in json.loads(wrong["wrong_date"])] == ["2023-09-08", "2023-09-11"]
    assert {row["exchange_short_name"] for row in json.loads(wrong["wrong_exchange"])} == {"VN"}
    assert {row["code"] for row in json.loads(wrong["wrong_subject"])} == {"ELSE"}
    assert b":NaN," in wrong["nan"]
    assert len(json.loads(wrong["doubled"])) == 4
    with pytest.raises(UnicodeDecodeError):
        wrong["not_utf8"].decode()
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        json.loads(wrong["truncated"])


# -- events of the account ------------------------------------------------------------


def test_other_clients_call_at_once_and_at_a_rate_on_their_own_days() -> None:
    events = script.parse(
        [
            {"kind": "other_clients", "from": "2026-11-24T10:00:00Z", "calls": 500},
            {
                "kind": "other_clients",
                "from": "2026-11-23T23:00:00Z",
                "until": "2026-11-24T11:00:00Z",
                "calls_per_minute": 2,
            },
        ]
    ).account
    nine, noon = NOW.replace(hour=9, second=0), NOW
    assert account_events.calls_of_others(events, nine) == 9 * 60 * 2
    assert account_events.calls_of_others(events, noon) == 11 * 60 * 2 + 500
    assert account_events.calls_of_others(events, noon + timedelta(days=1)) == 0


def test_limits_and_endpoints_change_at_their_time() -> None:
    events = script.parse(
        [
            {"kind": "limit", "from": "2026-11-24T12:00:00Z", "daily_limit": 500},
            {"kind": "limit", "until": "2026-11-24T12:00:00Z", "minute_limit": 7},
            {"kind": "withdrawn", "endpoint": "div", "from": "2026-11-24T12:01:00Z"},
        ]
    ).account
    assert account_events.limits(events, NOW, 1000, 60) == (500, 60)
    assert account_events.limits(events, NOW - timedelta(minutes=1), 1000, 60) == (1000, 7)
    assert account_events.endpoints(events, account_events.WITHDRAWN, NOW) == frozenset()
    later = NOW + timedelta(minutes=1)
    assert account_events.endpoints(events, account_events.WITHDRAWN, later) == {"div"}


# -- the universe ------------------------------------------------------------


def common(rows: list[Listing]) -> list[Listing]:
    return [row for row in rows if row.type == "Common Stock" and not row.delisted]


MADE_UP = {code: listings(exchange, None) for code, exchange in EXCHANGES.items()}


def test_made_up_exchanges_have_the_size_of_the_real_ones() -> None:
    sizes = {code: len(common(rows)) for code, rows in MADE_UP.items()}
    assert sizes["MC"] == 239
    assert sizes["SW"] == 218
    assert (
        sum(sizes[code] for code in ["US", "LSE", "F", "XETRA", "PA", "AS", "BR", "LS", "MC", "SW"])
        == 21_817
    )


def test_made_up_codes_are_as_awkward_as_real_ones() -> None:
    codes = {code: {row.code for row in rows} for code, rows in MADE_UP.items()}
    assert {"NA", "TRUE", "NULL", "ON"} <= codes["US"]
    assert "1E0" in codes["F"]
    assert sum(code[0].isdigit() for code in codes["F"]) > 3000
    assert any("-" in code for code in codes["MC"])
    assert len(codes["F"] & codes["XETRA"]) > 500
    assert sum("AIR" in codes[code] for code in ("US", "F", "XETRA", "PA", "MC")) == 5


def test_companies_and_the_demonstration_tickers_are_listed() -> None:
    us = {row.code: row for row in MADE_UP["US"]}
    assert {"AAPL", "AMZN", "GOOG", "META", "NFLX", "NVDA", "MSFT", "TSLA"} <= set(us)
    assert us["VTI"].type == "ETF"
    assert us["AAPL"].venue == "NASDAQ"
    assert us["AAPL"].isin == "US0378331005"


def test_lists_have_other_types_delisted_ones_and_missing_isins() -> None:
    rows = MADE_UP["LSE"]
    assert {row.type for row in rows} == {"Common Stock", "ETF", "Preferred Stock", "FUND"}
    assert any(row.delisted and row.code.endswith("_old") for row in rows)
    share = sum(row.isin is None for row in rows) / len(rows)
    assert 0.25 < share < 0.42
    assert {"GBX", "GBP", "USD", "EUR"} <= {row.currency for row in rows}


def test_isins_have_their_check_digit() -> None:
    for isin in [row.isin for row in MADE_UP["US"] if row.isin]:
        digits = "".join(str(int(char, 36)) for char in isin)
        doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits))]
        assert sum(value // 10 + value % 10 for value in doubled) % 10 == 0, isin


def test_new_york_venues_are_part_of_us() -> None:
    found = find("NASDAQ")
    assert found is not None
    assert found[0].code == "US"
    assert found[1] == "NASDAQ"
    assert find("NOWHERE") is None


@pytest.mark.skipif(not (SHARED / "tickers").is_dir(), reason="no shared data")
def test_real_code_lists_are_used_where_they_are() -> None:
    real = {code: common(listings(EXCHANGES[code], SHARED / "tickers")) for code in EXCHANGES}
    assert (
        sum(
            len(real[code])
            for code in ["US", "LSE", "F", "XETRA", "PA", "AS", "BR", "LS", "MC", "SW"]
        )
        == 21_817
    )
    assert sum(len(real[code]) for code in ("PA", "AS", "BR", "LS")) == 890
    assert len(real["PA"]) > len(real["AS"]) > len(real["LS"])


# -- fundamentals ------------------------------------------------------------

TODAY = date(2023, 9, 19)


def payload_of(code: str) -> dict[str, Any]:
    row = next(row for row in MADE_UP["US"] if row.code == code)
    return fundamentals.payload(row, EXCHANGES["US"], 1, TODAY, 40.0)


def test_a_payload_has_every_section_and_agrees_with_the_list() -> None:
    full = payload_of("NVDA")
    assert tuple(full) == fundamentals.SECTIONS
    assert full["General"]["Code"] == "NVDA"
    assert full["General"]["ISIN"] == "US67066G1040"
    assert full["General"]["Exchange"] == "NASDAQ"
    assert 20_000 < len(as_json(full)) < 80_000


def missing(real: Any, made: Any, path: str = "") -> set[str]:
    """Keys of the real payload that the made-up one lacks; of keyed rows the first is looked at."""
    if not isinstance(real, dict) or not isinstance(made, dict) or not real or not made:
        return set()
    first = next(iter(real))
    if first[0].isdigit() and first != "52WeekHigh":
        return missing(real[first], next(iter(made.values())), f"{path}*.")
    lacking = {f"{path}{key}" for key in real if key not in made}
    parts = [missing(real[key], made[key], f"{path}{key}.") for key in real if key in made]
    return lacking.union(*parts)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data")
def test_a_payload_has_every_field_of_a_real_one() -> None:
    real = json.loads((SHARED / "eodhd/fundamentals/AAPL.US.json").read_text())
    assert missing(real, payload_of("AAPL")) == set()


def test_statements_are_texts_and_balance() -> None:
    sheets = payload_of("NVDA")["Financials"]["Balance_Sheet"]["quarterly"]
    newest = sheets["2023-06-30"]
    assert isinstance(newest["totalAssets"], str)
    total = float(newest["totalLiab"]) + float(newest["totalStockholderEquity"])
    assert float(newest["totalAssets"]) == total
    assert newest["warrants"] is None


def test_some_payloads_are_nearly_empty() -> None:
    thin = [
        fundamentals.payload(row, EXCHANGES["US"], 1, TODAY, None)
        for row in common(MADE_UP["US"])[:200]
    ]
    thin = [full for full in thin if full["Holders"] == []]
    assert 10 <= len(thin) <= 60
    assert thin[0]["General"]["IPODate"] == "0000-00-00"
    assert thin[0]["Financials"]["Balance_Sheet"]["quarterly"] == []
    assert thin[0]["Highlights"]["EBITDA"] == "NA"


def test_a_filter_takes_the_wrapper_off() -> None:
    full = payload_of("NVDA")
    assert fundamentals.filtered(full, "General::Code") == "NVDA"
    assert fundamentals.filtered(full, "General") == full["General"]
    assert set(fundamentals.filtered(full, "General,Highlights")) == {"General", "Highlights"}
    assert fundamentals.filtered(full, "General::Nothing") == "NA"


def test_quarters_are_reported_after_45_days() -> None:
    assert fundamentals.quarter_ends(date(2023, 8, 13), 2) == [
        date(2023, 3, 31),
        date(2022, 12, 31),
    ]
    assert fundamentals.quarter_ends(date(2023, 8, 20), 1) == [date(2023, 6, 30)]
