"""Whatever bulk days and pages of fundamentals hold is closed in real Postgres: a poisoned row
costs its own asset alone, and no bar is stored that no answer gave.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import fuzz_payloads as fuzz
import pytest
from fuzz_closing import GROUP, add_slice, assert_none, rows_of, slice_of
from fuzz_payloads import FIRST, LAST, Spoiler, encode, is_storable
from hypothesis_profile import FIRST_SEED, TIMES
from market import Asset, add_assets, add_sessions, open_execution
from psycopg import Connection
from psycopg.rows import TupleRow
from system_fixture import Database as Migrated

from screener_collector.work import Fetch, Result

pytestmark = pytest.mark.integration

RUNS, ASSETS, DAYS, PAGES = 40 * TIMES, 24, 2, 2
CODES = [f"A{number:02}" for number in range(ASSETS)]
GOOD = "A00"
"""The asset whose rows are good, in every answer."""
KINDS = ("bulk_dividends", "bulk_splits", "bulk_prices")
OPERATIONS = {"prices_incremental": "prices", "splits": "splits", "dividends": "dividends"}

Told = dict[tuple[str, date], set[tuple[float, ...]]]
"""By code and day the bars that answers gave, each its prices and volume."""


def plan(owner: Connection[TupleRow], execution_id: str, sessions: list[date]) -> None:
    """A run that asks for bulk days of the sessions and for pages, of which all assets wait."""
    open_execution(owner, execution_id)
    add_slice(owner, execution_id)
    # What an answer that was spoilt as a whole left open before is no matter of this run.
    known_to = sessions[0] - timedelta(days=1)
    owner.execute(
        "UPDATE financial_screener.asset_processing_state SET prices_checked_to = %s,"
        " splits_checked_to = %s, dividends_checked_to = %s",
        [known_to, known_to, known_to],
    )
    scope = [execution_id, GROUP]
    for session in sessions:
        for kind in KINDS:
            owner.execute(
                "INSERT INTO financial_screener.plan_fetches (execution_id, group_name, ordinal,"
                " kind, exchange_id, session, date_from, date_to, calls)"
                " SELECT %s, %s, 1, %s, id, %s, %s, %s, 100 FROM financial_screener.exchanges"
                " WHERE code = 'MC'",
                [*scope, kind, session, session, session],
            )
    for operation in OPERATIONS:
        owner.execute(
            "INSERT INTO financial_screener.plan_items (execution_id, group_name, asset_id,"
            " exchange_id, operation, way, expected_to)"
            " SELECT %s, %s, id, exchange_id, %s, 'bulk', %s FROM financial_screener.assets",
            [*scope, operation, sessions[-1]],
        )
    for page in range(PAGES):
        owner.execute(
            "WITH page AS (INSERT INTO financial_screener.plan_fetches (execution_id, group_name,"
            " ordinal, kind, exchange_id, page_offset, calls)"
            " SELECT %s, %s, 2, 'bulk_fundamentals', id, %s, 100 FROM financial_screener.exchanges"
            " WHERE code = 'MC' RETURNING id)"
            " INSERT INTO financial_screener.plan_items (execution_id, group_name, asset_id,"
            " exchange_id, operation, way, fetch_id, planned_calls)"
            " SELECT %s, %s, assets.id, exchange_id, 'fundamentals_bulk', 'bulk', page.id, 4"
            " FROM financial_screener.assets, page WHERE assets.id %% %s = %s",
            [*scope, page * 500, *scope, PAGES, page],
        )


class Vendor:
    """What is answered in one run: good rows of all assets, a few spoilt, and, where the run is not
    quiet, now and then the whole answer. `intact`: no answer of the exchange was spoilt as a whole.
    """

    def __init__(self, seed: int, told: Told) -> None:
        self.make = Spoiler(seed)
        self.dice = random.Random(f"bulk-{seed}")
        self.told = told
        self.quiet = self.dice.random() < 0.4
        self.intact = True

    def answer(self, fetch: Fetch) -> bytes:
        """The body; bars that it gives of a code and day are noted."""
        if fetch.is_bulk:
            body = self._of_exchange(fetch)
            alone = None
        else:
            body, alone = self._of_asset(fetch), fetch.code
        for row in rows_within(body):
            self._note(row, alone)
        return body

    def _of_exchange(self, fetch: Fetch) -> bytes:
        rows = [row for code in CODES for row in self._rows(fetch, code)]
        if self.dice.random() < 0.1:
            self.dice.shuffle(rows)
        body = encode(rows) if self.dice.random() < 0.9 or self.quiet else self.make.body(rows)
        # A list of actions that is mostly such as cannot be read is none.
        goods = [self._good(fetch, code) for code in CODES]
        spoilt = sum(row not in goods for row in rows)
        mostly_good = fetch.is_page or spoilt == 0 or 2 * spoilt < len(rows)
        self.intact = self.intact and body == encode(rows) and is_storable(rows) and mostly_good
        return body

    def _rows(self, fetch: Fetch, code: str) -> Iterator[Any]:
        """What an answer of the exchange has of an asset; mostly one row."""
        good = self._good(fetch, code)
        if fetch.kind in ("bulk_splits", "bulk_dividends") and self.dice.random() < 0.93:
            return
        if code == GOOD:
            yield good
            return
        for _ in range(self.dice.choice((0, 1, 1, 1, 1, 1, 1, 2))):
            if self.dice.random() < 0.8:
                yield good
                continue
            spoilt = self.make.sections(good) if fetch.is_page else self.make.object(good)
            # One number that is none in JSON, or half a character, spoils the whole answer.
            yield good if self.quiet and not is_storable(spoilt) else spoilt

    def _good(self, fetch: Fetch, code: str) -> dict[str, Any]:
        if fetch.is_page:
            general = fuzz.FUNDAMENTALS["General"] | {"Code": code}
            return fuzz.SHORT_FUNDAMENTALS | {"General": general}
        assert fetch.session is not None
        return {
            "bulk_prices": fuzz.BULK_BAR,
            "bulk_splits": fuzz.BULK_SPLIT,
            "bulk_dividends": fuzz.BULK_DIVIDEND,
        }[fetch.kind] | self._moved(fetch.kind, fetch.session, code)

    def _moved(self, kind: str, day: date, code: str) -> dict[str, Any]:
        """What differs from day to day and from asset to asset."""
        said: dict[str, Any] = {"code": code, "date": day.isoformat()}
        if kind != "bulk_prices":
            return said
        step = (day - FIRST).days * 7 + int(code[1:]) * 3
        close = 11 + step % 5 / 4
        return said | {"close": close, "adjusted_close": close, "volume": 1000 + step}

    def _of_asset(self, fetch: Fetch) -> bytes:
        """Asked for where the exchange's answer did not serve."""
        assert fetch.code is not None
        history = [
            fuzz.BAR | self._moved("bulk_prices", day, fetch.code)
            for day in days_between(fetch.date_from, fetch.date_to)
        ]
        good: dict[str, Any] = {
            "prices": history,
            "splits": [fuzz.SPLIT],
            "dividends": [fuzz.DIVIDEND],
            "fundamentals": fuzz.FUNDAMENTALS
            | {"General": fuzz.FUNDAMENTALS["General"] | {"Code": fetch.code}},
        }
        if fetch.code == GOOD or self.dice.random() < 0.5:
            return encode(good[fetch.kind])
        if fetch.kind == "fundamentals":
            return self.make.body(self.make.sections(good["fundamentals"]))
        return self.make.body(self.make.rows(*good[fetch.kind]))

    def _note(self, row: Any, alone: str | None) -> None:
        try:
            code = alone or str(row["code"]).strip()
            prices = [row[name] for name in ("open", "high", "low", "close", "adjusted_close")]
            bar = tuple(float(each) for each in (*prices, row["volume"]))
            self.told[code, date.fromisoformat(str(row["date"])[:10])].add(bar)
        except (TypeError, ValueError, KeyError, OverflowError):
            pass  # no bar: then nothing of it may be stored


def days_between(first: date | None, last: date | None) -> Iterator[date]:
    """Weekdays; none without a span."""
    if first and last:
        for number in range((last - first).days + 1):
            if (day := first + timedelta(days=number)).weekday() < 5:
                yield day


def rows_within(body: bytes) -> list[Any]:
    """The rows of a body, where it has some."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if isinstance(found, dict):
        return list(found.values())
    return found if isinstance(found, list) else []


async def test_whatever_bulk_answers_hold_is_closed_and_costs_its_own_asset_alone(
    owner: Connection[TupleRow], database: Migrated
) -> None:
    sessions = add_sessions(owner, "MC", FIRST, LAST)
    before = FIRST - timedelta(days=1)
    refreshed_at = datetime(2024, 1, 1, tzinfo=UTC)
    add_assets(
        owner,
        [Asset(code, "MC", checked_to=before, refreshed_at=refreshed_at) for code in CODES],
    )
    told: Told = defaultdict(set)
    intact, answers = [], 0
    for number in range(FIRST_SEED, FIRST_SEED + RUNS):
        execution_id, vendor = f"run-{number}", Vendor(number, told)
        at = number % (len(sessions) - DAYS)
        plan(owner, execution_id, sessions[at : at + DAYS])
        results: list[Result] = []
        async with slice_of(database, execution_id, number) as slice_:
            while closed := await slice_.close_open(vendor.answer):
                results += closed
        answers += len(results)
        if vendor.intact:
            intact.append(execution_id)
        check_bars(owner, told, number)
    assert_none(owner)
    wrong = rows_of(
        owner,
        "SELECT execution_id, operation, state, error_code, message FROM plan_items"
        " JOIN assets ON assets.id = asset_id WHERE code = 'A00' AND state <> 'succeeded'"
        " AND execution_id = ANY (%s)",
        intact,
    )
    assert not wrong, ("good rows beside bad ones", *wrong[:5])
    print(f"{answers} answers, of {len(intact)} of {RUNS} runs all whole")
    ended = rows_of(owner, "SELECT DISTINCT way, operation, state FROM plan_items")
    assert {tuple(row.values()) for row in ended} >= {
        ("bulk", "prices_incremental", "succeeded"),
        ("bulk", "prices_incremental", "failed"),
        ("bulk", "prices_incremental", "skipped"),
        ("asset", "prices_incremental", "succeeded"),
        ("bulk", "splits", "failed"),
        ("bulk", "dividends", "failed"),
        ("bulk", "fundamentals_bulk", "succeeded"),
        ("asset", "fundamentals_bulk", "succeeded"),
        ("asset", "fundamentals_bulk", "failed"),
    }
    assert len(intact) > RUNS // 5
    assert rows_of(owner, "SELECT count(*) FROM quarantined_bars")[0]["count"] > RUNS
    assert rows_of(owner, "SELECT count(*) FROM stock_prices")[0]["count"] > 200


def check_bars(owner: Connection[TupleRow], told: Told, number: int) -> None:
    """No bar is stored that no answer gave of its asset and day."""
    for row in rows_of(
        owner,
        "SELECT code, date, open, high, low, close, adj_close, stock_prices.volume"
        " FROM stock_prices JOIN assets ON assets.id = asset_id",
    ):
        code, day, *bar = row.values()
        assert tuple(map(float, bar)) in told[code, day], (f"FUZZ_SEED={number}", row)
