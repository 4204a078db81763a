"""Which assets a run of mode `changed` takes: those whose bars, actions or quarantine have changed
since their indicators were computed, and no other. Each change as the collector stores it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from analyzer_world import Owner, carry_out, items, plan, rows_of
from collector_world import World, world_of_two
from simulator_fixture import Simulator

pytestmark = pytest.mark.integration

FIRST = date(2023, 9, 1)
SESSIONS = [date(2023, 9, day) for day in (11, 12, 13, 14, 15, 18, 19)]
EARLIER, EX = SESSIONS[1], SESSIONS[3]
Row = dict[str, Any]


def bars(
    days: Sequence[date] = SESSIONS[:6], *, split: float = 1, paid: Sequence[date] = ()
) -> list[Row]:
    """A series of 100, and from the ex-date on of 100 / `split`, with dividends of 2 on the days
    `paid`."""
    return [
        {
            "date": day.isoformat(),
            **dict.fromkeys(("open", "high", "low", "close"), 100 / (split if day >= EX else 1)),
            "adjusted_close": 100 / split * 0.98 ** sum(day < ex for ex in paid),
            "volume": 5,
        }
        for day in days
    ]


def changed(series: Sequence[Row], day: date, **values: float) -> list[Row]:
    return [row | values if row["date"] == day.isoformat() else row for row in series]


def a_split(day: date = EX, ratio: float = 2) -> Row:
    return {"date": day.isoformat(), "split": f"{ratio}/1"}


def a_dividend(day: date = EX) -> Row:
    return {"value": 2, "unadjustedValue": 2, "currency": "CHF", "date": day.isoformat()}


@dataclass(frozen=True)
class Vendor:
    """What the vendor has of an asset."""

    eod: list[Row] = field(default_factory=bars)
    splits: list[Row] = field(default_factory=list)
    div: list[Row] = field(default_factory=list)


WRONG = changed(bars(SESSIONS), SESSIONS[6], low=-1, close=-1, adjusted_close=-1)
"""The last bar cannot be: it is set aside."""
WRONG_BETWEEN = changed(bars(), EX, low=-1, close=-1, adjusted_close=-1)
IN_CENTS = changed(
    bars(), EX, open=10_000, high=10_000, low=10_000, close=10_000, adjusted_close=10_000
)
"""One bar is in another unit: it is set aside."""
WITHOUT = [row for row in bars() if row["date"] != EX.isoformat()]
SPLIT, PAID, PAID_TWICE = bars(split=2), bars(paid=[EX]), bars(paid=[EARLIER, EX])


def serve(world: World, has: Vendor) -> None:
    """What the vendor has of A; of B it is always the same."""
    world.simulator.admin(
        "faults",
        [
            {"endpoint": name, "symbol": symbol, "status": 200, "body": json.dumps(body)}
            for symbol, its in (("A.SW", has), ("B.SW", Vendor()))
            for name, body in (("eod", its.eod), ("splits", its.splits), ("div", its.div))
        ],
    )


LISTS = ("splits", "dividends")


def collect(world: World, execution_id: str, codes: str, *what: str) -> None:
    """What the vendor has of the assets, fetched and stored; a list that has changed makes the
    history be fetched again."""
    world.open(execution_id=execution_id)
    for code in codes:
        for each in what:
            kind = each if each in LISTS else "prices"
            world.plan(f"{code}.SW", kind, operation=each, first=FIRST, last=SESSIONS[-1])
    ended = world.group()
    assert ended.code == 0, ended.log


def state(world: World, code: str = "A") -> Row:
    return world.rows("SELECT * FROM asset_processing_state WHERE ticker = %s", f"{code}.SW")[0]


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    """Assets A and B, of which nothing is stored."""
    with world_of_two(owner, simulator, FIRST, SESSIONS[-1]) as world:
        yield world


CHANGES = [
    ("bars", "a new bar", Vendor(), Vendor(bars(SESSIONS))),
    ("bars", "a corrected bar", Vendor(), Vendor(changed(bars(), EARLIER, close=101, high=101))),
    ("bars", "a bar withdrawn", Vendor(), Vendor(WITHOUT)),
    ("bars", "a bar set aside and come in good", Vendor(WRONG_BETWEEN), Vendor()),
    ("actions", "a new split", Vendor(SPLIT), Vendor(SPLIT, splits=[a_split()])),
    ("actions", "a new dividend", Vendor(PAID), Vendor(PAID, div=[a_dividend()])),
    (
        "actions",
        "a split withdrawn",
        Vendor(SPLIT, splits=[a_split(EARLIER, 1), a_split()]),
        Vendor(SPLIT, splits=[a_split(EARLIER, 1)]),
    ),
    (
        "actions",
        "a dividend withdrawn",
        Vendor(PAID_TWICE, div=[a_dividend(EARLIER), a_dividend()]),
        Vendor(PAID_TWICE, div=[a_dividend(EARLIER)]),
    ),
    ("quarantine", "a bar set aside", Vendor(), Vendor(WRONG)),
    ("quarantine", "a bar released that does not come", Vendor(IN_CENTS), Vendor(WITHOUT)),
]


@pytest.mark.parametrize(
    ("source", "before", "after"),
    [pytest.param(source, before, after, id=what) for source, what, before, after in CHANGES],
)
def test_an_asset_is_due_for_each_change_alone(
    world: World, analyzer_url: str, source: str, before: Vendor, after: Vendor
) -> None:
    serve(world, before)
    collect(world, "load", "AB", "prices_bulk", *LISTS)
    plan(world.owner, "first", exchanges=("SW",))
    carry_out(analyzer_url, "first")
    assert items(world.owner, "first") == {
        "A.SW": ("succeeded", None), "B.SW": ("succeeded", None),
    }  # fmt: skip
    known = state(world)

    # Asked for again without a change.
    collect(world, "same", "A", "prices_incremental", *LISTS)
    plan(world.owner, "same indicators", exchanges=("SW",))
    untouched = ("skipped", "up_to_date")
    assert items(world.owner, "same indicators") == {"A.SW": untouched, "B.SW": untouched}

    serve(world, after)
    collect(world, "change", "A", *(LISTS if source == "actions" else ["prices_incremental"]))
    bars_changed = state(world)["prices_changed_at"] > known["prices_changed_at"]
    assert bars_changed == (source == "bars"), "it is due for what is named alone"
    assert not state(world)["needs_prices_reprocess"]
    plan(world.owner, "second", exchanges=("SW",))
    assert items(world.owner, "second") == {"A.SW": ("planned", None), "B.SW": untouched}

    carry_out(analyzer_url, "second")
    assert items(world.owner, "second")["A.SW"] == ("succeeded", None)
    assert [row["execution_id"] for row in rows_of(world.owner, "A.SW")][-1] == "second"
    assert [row["execution_id"] for row in rows_of(world.owner, "B.SW")] == ["first"]
    plan(world.owner, "third", exchanges=("SW",))
    assert items(world.owner, "third") == {"A.SW": untouched, "B.SW": untouched}
