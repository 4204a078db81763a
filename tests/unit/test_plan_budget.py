"""Who gets the calls, and on which day the rest comes."""

from datetime import date, timedelta

import pytest

from screener_operator.budget import (
    Calls,
    Day,
    Work,
    fit,
    fit_beside,
    refreshes,
    schedule,
    share_calls,
    when,
)
from screener_operator.plan import Days, Pages

TODAY = date(2026, 11, 24)


def day(n: int) -> date:
    return TODAY + timedelta(days=n)


@pytest.mark.parametrize(
    ("left", "due", "share"),
    [
        pytest.param(100_000, Calls(463, 20, 4_630), Calls(463, 20, 4_630), id="everything fits"),
        pytest.param(
            100_000,
            Calls(21_817, 43_634, 218_170),
            Calls(21_817, 43_634, 34_540),
            id="on the first day prices and actions come first, fundamentals take the rest",
        ),
        pytest.param(
            1_000,
            Calls(21_817, 43_634, 500),
            Calls(900, 0, 100),
            id="a share is kept, so that fundamentals do not starve",
        ),
        pytest.param(
            1_000, Calls(21_817, 0, 30), Calls(970, 0, 30), id="no more than what is due is kept"
        ),
        pytest.param(1_009, Calls(2_000, 0, 500), Calls(909, 0, 100), id="in whole requests"),
        pytest.param(100, Calls(20, 200, 0), Calls(20, 80, 0), id="prices before actions"),
        pytest.param(-7, Calls(80, 5, 10), Calls(), id="less than nothing is left"),
    ],
)
def test_calls_are_shared(left: int, due: Calls, share: Calls) -> None:
    assert share_calls(left, due) == share


WORK = Work(
    reference=2,
    days={
        1: {"prices": Days(1, 400, 10), "splits": Days(1, 400, 10), "dividends": Days(1, 400, 10)},
        2: {"prices": Days(2, 300, 5), "splits": Days(), "dividends": Days()},
    },
    pages={1: Pages(30), 2: Pages(20, named=1, on_pages=20)},
)


def test_all_the_work_fits_into_enough_calls() -> None:
    done = fit(WORK, 100_000)
    assert done.calls == WORK.calls == Calls(2 + 310 + 5, 220, 420)
    assert done.rest == Calls()
    assert done.bulk == {(1, "prices"), (2, "prices"), (1, "splits"), (1, "dividends")}
    assert (done.prices, done.actions, done.fundamentals) == (15, 20, 30)


@pytest.mark.parametrize("left", range(0, 1000, 7))
def test_the_limit_holds_and_nothing_is_lost(left: int) -> None:
    done = fit(WORK, left)
    assert done.calls.total <= left
    assert done.calls.prices + done.rest.prices == WORK.calls.prices
    assert done.calls.actions + done.rest.actions == WORK.calls.actions
    assert done.rest.fundamentals % 10 == 0
    days = schedule(TODAY, done.calls, done.rest, per_day=500)
    assert sum(each.calls.total for each in days) == done.calls.total + done.rest.total
    assert all(each.calls.total <= 500 for each in days[1:])


def test_bulk_days_that_do_not_fit_leave_their_calls_to_others() -> None:
    work = Work(days={1: {"prices": Days(2, 300, 5), "splits": Days(0, 0, 80)}})
    done = fit(work, 150)
    assert (done.bulk, done.prices, done.actions) == (set(), 5, 80)


@pytest.mark.parametrize(
    ("left", "calls", "corrections"),
    [
        pytest.param(1_000, Calls(250, 0, 300), 1, id="all is done"),
        pytest.param(500, Calls(250, 0, 150), 1, id="before fundamentals"),
        pytest.param(349, Calls(250, 0, 90), 0, id="after prices"),
        pytest.param(90, Calls(90, 0, 0), 0, id="not of what is not there"),
    ],
)
def test_final_volumes_come_after_prices_and_before_fundamentals(
    left: int, calls: Calls, corrections: int
) -> None:
    work = Work(days={1: {"prices": Days(0, 0, 250)}}, pages={1: Pages(30)})
    done, number = fit_beside(work, left, 1)
    assert (done.calls, number) == (calls, corrections)


def test_the_schedule_tells_each_day_until_all_is_done() -> None:
    assert schedule(
        TODAY, Calls(21_817, 43_634, 34_540), Calls(0, 0, 183_630), per_day=100_000, upkeep=3_000
    ) == (
        Day(TODAY, Calls(21_817, 43_634, 34_540)),
        Day(day(1), Calls(0, 0, 97_000)),
        Day(day(2), Calls(0, 0, 86_630)),
    )


@pytest.mark.parametrize(
    ("per_day", "days"),
    [
        pytest.param(0, 1, id="a day has no calls"),
        pytest.param(9, 1, id="too few for a single request"),
        pytest.param(10, 366, id="no further ahead than a year"),
    ],
)
def test_the_schedule_ends(per_day: int, days: int) -> None:
    assert len(schedule(TODAY, Calls(), Calls(0, 0, 10**6), per_day=per_day)) == days


def test_each_part_that_does_not_fit_has_its_day() -> None:
    work = Work(days={1: {"prices": Days(2, 300, 250)}}, pages={1: Pages(30)})
    done = fit(work, 100)
    assert (done.bulk, done.prices, done.fundamentals) == (set(), 90, 1)
    days = schedule(TODAY, done.calls, done.rest, per_day=150)
    later = when(work, done, days)
    assert [each.calls for each in days[1:]] == [
        Calls(140, 0, 10),
        Calls(140, 0, 10),
        Calls(80, 0, 70),
        Calls(0, 0, 150),
        Calls(0, 0, 50),
    ]
    assert later.bulk == {(1, "prices"): day(2)}
    assert later.prices == (90, 170, 250, 250, 250)
    assert later.fundamentals == (2, 3, 10, 25, 30)


@pytest.mark.parametrize(
    ("loaded", "today", "spare", "number"),
    [
        pytest.param(21_817, 0, 50_000, 1_039, id="all in the working days of 30 days"),
        pytest.param(21_817, 1_000, 50_000, 39, id="what came in today counts"),
        pytest.param(21_817, 5_000, 50_000, 0, id="enough came in today"),
        pytest.param(21_817, 0, 12, 12, id="no more than is spare"),
        pytest.param(0, 0, 50_000, 0, id="nothing is loaded"),
    ],
)
def test_a_part_of_all_histories_is_fetched_again(
    loaded: int, today: int, spare: int, number: int
) -> None:
    assert refreshes(loaded, today, spare) == number
