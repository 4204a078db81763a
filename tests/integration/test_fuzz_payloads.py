"""Whatever the vendor answers: never a crash, never a bad bar believed, always a reason."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import fuzz_payloads as fuzz
import pytest
from fuzz_payloads import FIRST, LAST, SECRET, SESSION, TODAY, fuzzed, is_storable

from screener_collector import exchange_details, parse
from screener_collector.answers import FAILURES, Answer, Judged, Meaning, as_list, judge, load
from screener_collector.bars import MAX_VOLUME, PRICE_TOLERANCE, Bars, Sorted, sort_out_day
from screener_collector.fundamentals import Fundamentals
from screener_collector.work import Actions, BulkBars, Came, Failure, Fetch, Page, read


def fetch(kind: str) -> Fetch:
    """A fetch of the asset AAA.MC, or of the exchange."""
    bulk = kind.startswith("bulk")
    of_session = bulk and kind != "bulk_fundamentals"
    return Fetch(
        id=1,
        ordinal=1,
        kind=kind,
        exchange_id=1,
        exchange="MC",
        asset_id=None if bulk else 7,
        code=None if bulk else "AAA",
        session=SESSION if of_session else None,
        date_from=SESSION if of_session else None if "fundamentals" in kind else FIRST,
        date_to=SESSION if of_session else None if "fundamentals" in kind else LAST,
        calls=1,
        page_offset=0 if kind == "bulk_fundamentals" else None,
    )


def came(kind: str, body: bytes, status: int = 200) -> Came:
    """What the collector makes of an answer to a fetch."""
    of = fetch(kind)
    judged = judge(Answer(status, "application/json", body), of.endpoint.shape)
    if judged.meaning not in (Meaning.ROWS, Meaning.EMPTY) and judged.meaning not in FAILURES:
        pytest.fail(f"a 200 was taken for {judged.meaning}")
    found = read(of, judged, TODAY)
    if isinstance(found, Failure):
        assert found.error_code and found.state in ("failed", "deferred")
        assert_says_why(found.message)
    return found


def assert_says_why(message: str) -> None:
    """A sentence of ours, that quotes nothing of the body."""
    assert len(message) > 10 and len(message) < 300
    assert SECRET not in message


def assert_good(bars: Bars, first: date, last: date) -> None:
    """No bar among them that nobody should believe; said again here, the plain way."""
    for day, o, h, l, c, adjusted, volume in zip(  # noqa: E741
        *(column.tolist() for column in bars.columns()), strict=True
    ):
        assert first <= day <= last and day <= TODAY
        assert all(math.isfinite(value) and value > 0 for value in (o, h, l, c, adjusted))
        assert l <= min(o, c) + PRICE_TOLERANCE * max(o, c)
        assert h >= max(o, c) - PRICE_TOLERANCE * max(o, c)
        assert isinstance(volume, int) and 0 <= volume <= MAX_VOLUME


@fuzzed(5000, lambda make: make.body(make.rows(fuzz.BAR, fuzz.OTHER_BAR)))
def test_a_history_gives_good_bars_and_names_what_is_wrong_with_the_others(body: bytes) -> None:
    found = came("prices", body)
    if isinstance(found, Failure):
        return
    assert isinstance(found, Sorted)
    assert_good(found.bars, FIRST, LAST)
    days = found.bars.dates.tolist()
    assert all(before < after for before, after in pairwise(days))
    assert all(bad.rule for bad in found.bad)
    assert all(is_storable(dict(bad.row)) or has_endless(bad.row) for bad in found.bad)
    # Every row is a bar, or set aside, or says the same as a bar.
    rows = as_list(load(body)) or []
    assert len(found.bars) + len(found.bad) <= len(rows)
    told = set(days) | {bad.date for bad in found.bad}
    assert all(day in told for row in rows if (day := day_of(row)) is not None)


def has_endless(value: Any) -> bool:
    """Whether a number in it is beyond all, as 1e999 is read."""
    if isinstance(value, dict):
        return any(has_endless(each) for each in value.values())
    if isinstance(value, list):
        return any(has_endless(each) for each in value)
    return isinstance(value, float) and not math.isfinite(value)


def day_of(row: Any) -> date | None:
    """The date of a row that says one."""
    text = row.get("date") if isinstance(row, dict) else None
    if not isinstance(text, str) or len(text) != 10 or not text.isascii() or "W" in text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@fuzzed(4000, lambda make: make.body(make.rows(fuzz.BULK_BAR, fuzz.OTHER_BULK_BAR)))
def test_a_bulk_day_gives_good_bars_of_its_session_alone(body: bytes) -> None:
    found = came("bulk_prices", body)
    if isinstance(found, Failure):
        return
    assert isinstance(found, BulkBars)
    codes = [code for code, _ in found.rows.rows]
    assert len(codes) == len(set(codes)) and all(codes)
    day = sort_out_day(found.rows.rows, SESSION, TODAY)
    assert_good(day.bars, SESSION, SESSION)
    assert sorted((*day.codes, *day.bad)) == sorted(codes)
    assert all(bad.rule for bad in day.bad.values())


@pytest.mark.parametrize("kind", ["splits", "dividends", "bulk_splits", "bulk_dividends"])
def test_action_lists_give_actions_that_can_be(kind: str) -> None:
    good = {
        "splits": fuzz.SPLIT,
        "dividends": fuzz.DIVIDEND,
        "bulk_splits": fuzz.BULK_SPLIT,
        "bulk_dividends": fuzz.BULK_DIVIDEND,
    }[kind]
    bulk = kind.startswith("bulk")
    first, last = (SESSION, SESSION) if bulk else (FIRST, LAST)

    @fuzzed(1500, lambda make: make.body(make.rows(good, good | {"date": "2024-01-12"})))
    def check(body: bytes) -> None:
        found = came(kind, body)
        if isinstance(found, Failure):
            return
        assert isinstance(found, Actions)
        keys = [(action.code, action.ex_date) for action in found.rows.rows]
        assert len(keys) == len(set(keys))
        for action in found.rows.rows:
            assert action.code and first <= action.ex_date <= last
            assert bulk or action.code == "AAA"
            amounts = (action.split_new, action.split_old, action.dividend, action.unadjusted)
            assert all(amount is None or math.isfinite(amount) for amount in amounts)
            if action.kind == "split":
                assert action.split_new and action.split_old
                assert action.split_new > 0 and action.split_old > 0
            else:
                assert action.dividend is not None and action.dividend >= 0
        rows = as_list(load(body)) or []
        assert found.rows.received <= len(rows)

    check()


@fuzzed(4000, lambda make: make.body(make.sections(fuzz.FUNDAMENTALS)))
def test_fundamentals_fill_columns_that_take_them(body: bytes) -> None:
    found = came("fundamentals", body)
    if isinstance(found, Failure):
        return
    assert isinstance(found, Fundamentals)
    assert_fits(found)


def assert_fits(found: Fundamentals) -> None:
    """Values that Postgres takes, and named what it does not."""
    assert is_storable(dict(found.columns))
    for name in found.unreadable:
        assert_says_why(f"unreadable: {name}")
    employees = found.columns.get("employees")
    assert employees is None or -(2**31) <= employees < 2**31
    for name in ("market_cap", "ebitda", "revenue_ttm", "shares_outstanding", "enterprise_value"):
        amount = found.columns.get(name)
        assert amount is None or str(amount).isascii(), (name, amount)


@fuzzed(
    1500,
    lambda make: make.body(make.rows(fuzz.SHORT_FUNDAMENTALS, fuzz.SHORT_FUNDAMENTALS_B, most=3)),
)
def test_a_page_of_fundamentals_costs_only_the_assets_that_are_wrong_in_it(body: bytes) -> None:
    found = came("bulk_fundamentals", body)
    if isinstance(found, Failure):
        return
    assert isinstance(found, Page)
    for code, fundamentals in found.by_code.items():
        assert code
        assert_fits(fundamentals)
    rows = as_list(load(body)) or []
    assert len(found.by_code) + found.unreadable == len(rows)


@fuzzed(1500, lambda make: make.body(make.object(fuzz.USER)))
def test_the_vendors_counter_is_read_or_refused(body: bytes) -> None:
    judged = judge(Answer(200, "application/json", body), "object")
    if judged.meaning is not Meaning.ROWS:
        return
    try:
        account = parse.account(judged.data)
    except parse.BadRow as error:
        assert_says_why(str(error))
        return
    for count in (account.calls_used, account.daily_limit, account.extra_limit):
        assert 0 <= count < 2**31 / 2
    # A later day is told of by a day that can be read alone.
    counted, tomorrow = account.counted_day, TODAY + timedelta(days=1)
    if counted is None or counted <= TODAY:
        assert account.calls_used_on(tomorrow) == (None if counted is None else 0)


@fuzzed(1500, lambda make: make.body(make.rows(fuzz.LISTING, fuzz.LISTING | {"Code": "BBB"})))
def test_a_symbol_list_gives_each_code_once(body: bytes) -> None:
    rows = rows_of(body)
    listed = parse.listings(rows)
    assert len({listing.code for listing in listed.rows}) == len(listed.rows) <= len(rows)
    assert listed.rows or listed.broken or not rows
    for listing in listed.rows:
        for text in (listing.code, listing.name, listing.type, listing.currency, listing.isin):
            assert text is None or (isinstance(text, str) and text == text.strip() != "")


@fuzzed(1000, lambda make: make.body(make.rows(fuzz.EXCHANGE)))
def test_a_list_of_exchanges_gives_each_code_once(body: bytes) -> None:
    rows = rows_of(body)
    for code, exchange in parse.exchanges(rows).items():
        assert code == exchange.code.strip() != ""
        assert all(mic == mic.strip() != "" for mic in exchange.mics)


@fuzzed(
    1000,
    lambda make: make.body(make.rows(fuzz.SYMBOL_CHANGE, fuzz.SYMBOL_CHANGE | {"new_symbol": "A"})),
)
def test_renames_have_a_day_and_two_names(body: bytes) -> None:
    for change in parse.symbol_changes(rows_of(body)):
        assert change.old and change.new and change.effective.year > 0


def spoilt_details(make: fuzz.Spoiler) -> bytes:
    """Of an exchange; each of its holidays too."""
    holidays = make.rows(*fuzz.DETAILS["ExchangeHolidays"].values())
    return make.body(make.sections(fuzz.DETAILS | {"ExchangeHolidays": holidays}))


@fuzzed(2000, spoilt_details)
def test_details_of_an_exchange_close_days_of_no_trade_alone(body: bytes) -> None:
    judged = judge(Answer(200, "application/json", body), "object")
    if judged.meaning is not Meaning.ROWS:
        return
    said = exchange_details.read(judged.data)
    assert is_storable([said.time_zone, *said.holidays.values()])
    assert said.working_days is None or said.working_days <= set(range(7))
    assert all(type(day) is date for day in said.holidays)
    believed = exchange_details.judge(
        said,
        time_zone="Europe/Madrid",
        has_calendar=True,
        sessions={SESSION, FIRST},
        traded={SESSION},
        now=datetime(2024, 2, 2, tzinfo=UTC),
    )
    if believed.hours and said.time_zone is not None:
        assert ZoneInfo(said.time_zone)
    if believed.holidays is not None:
        assert believed.hours and SESSION not in believed.holidays


def rows_of(body: bytes) -> list[Any]:
    """The rows of an answer that has some."""
    judged: Judged = judge(Answer(200, "application/json", body), "rows")
    return judged.data if judged.meaning is Meaning.ROWS else []
