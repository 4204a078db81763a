"""The vendor's clock from its Date headers; how many requests are under way at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener_collector.clock import Skew, in_maintenance, parse_date
from screener_collector.pace import CEILING, FLOOR, START, Gate, Pace

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Tue, 24 Nov 2026 12:00:00 GMT", NOON),
        ("Tue, 24 Nov 2026 13:00:00 +0100", NOON),
        ("", None),
        ("yesterday", None),
        ("Tue, 31 Feb 2026 12:00:00 GMT", None),
    ],
)
def test_a_date_header_is_a_moment_or_nothing(header: str, moment: datetime | None) -> None:
    assert parse_date(header) == moment


@given(
    skew_s=st.floats(-100_000, 100_000),
    answers=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=30),
)
def test_the_clocks_true_difference_is_never_contradicted(
    skew_s: float, answers: list[tuple[float, float]]
) -> None:
    """Each answer is dated somewhere between sending and receiving, cut to whole seconds."""
    true, seen, now = timedelta(seconds=skew_s), Skew(), NOON
    for before_s, after_s in answers:
        sent, dated = now, now + timedelta(seconds=before_s)
        now = dated + timedelta(seconds=after_s)
        seen.see((dated + true).replace(microsecond=0), sent, now)
        assert seen.corrects(true) is None
    assert seen.low is not None and seen.high is not None
    assert seen.high - seen.low <= SECOND + timedelta(seconds=sum(answers[0]) + 1e-5)
    wrong = seen.high + timedelta(seconds=1)
    better = seen.corrects(wrong)
    assert better is not None and seen.low <= better <= seen.high


def test_a_clock_that_was_set_is_learnt_anew() -> None:
    seen = Skew()
    seen.see(NOON, NOON, NOON)
    seen.see(NOON + timedelta(hours=7), NOON, NOON)
    better = seen.corrects(timedelta())
    assert better is not None and abs(better - timedelta(hours=7)) <= SECOND


@pytest.mark.parametrize(
    ("moment", "is_on"),
    [((5, 29, 59), False), ((5, 30, 0), True), ((5, 59, 59), True), ((6, 0, 0), False)],
)
def test_maintenance_is_from_half_past_five_to_six(
    moment: tuple[int, int, int], is_on: bool
) -> None:
    hour, minute, second = moment
    assert in_maintenance(NOON.replace(hour=hour, minute=minute, second=second)) is is_on


def test_the_pace_is_halved_at_trouble_and_grows_by_one_after_a_streak() -> None:
    pace = Pace()
    pace.bad(sent_at=1.0, now=2.0)
    assert pace.limit == START // 2
    for _ in range(START // 2 - 1):
        pace.good()
    assert pace.limit == START // 2
    pace.good()
    assert pace.limit == START // 2 + 1


def test_what_was_under_way_when_the_pace_was_halved_does_not_halve_it_again() -> None:
    pace = Pace()
    for sent_at in (1.0, 1.5, 1.9):
        pace.bad(sent_at, now=2.0)
    assert pace.limit == START // 2
    pace.bad(2.5, now=3.0)
    assert pace.limit == START // 4


def test_the_pace_has_a_floor_and_a_ceiling() -> None:
    pace = Pace()
    for second in range(20):
        pace.bad(second + 0.5, now=second + 1.0)
    assert pace.limit == FLOOR
    for _ in range(CEILING * CEILING):
        pace.good()
    assert pace.limit == CEILING


async def test_the_gate_lets_in_as_many_as_the_pace_allows_in_their_order() -> None:
    gate = Gate(Pace(limit=2))
    inside: list[int] = []
    most, go_on = 0, asyncio.Event()

    async def enter(number: int) -> None:
        nonlocal most
        async with gate.room():
            inside.append(number)
            most = max(most, gate._inside)
            await go_on.wait()

    tasks = [asyncio.create_task(enter(number)) for number in range(6)]
    await asyncio.sleep(0)
    assert inside == [0, 1]
    tasks[2].cancel()
    go_on.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert inside == [0, 1, 3, 4, 5]
    assert most == 2 and gate._inside == 0
