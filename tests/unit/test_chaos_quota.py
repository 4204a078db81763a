"""The judge of chaos sees a request that no calls were left for, and forgives what must be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chaos_quota import Made, sent_without_calls

BEGIN = datetime(2023, 9, 19, 8, 10, tzinfo=UTC)
AHEAD = timedelta(milliseconds=2)


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def arrival(
    at: float, counter: int, *, others: int = 0, cost: int = 1, endpoint: str = "eod"
) -> dict[str, Any]:
    """Of a day of 75 calls."""
    return {
        "at": after(at).isoformat(),
        "endpoint": endpoint,
        "status": 200,
        "counter": counter,
        "others": others,
        "cost": cost,
        "limit": 75,
    }


def reading(at: float, counter: int, *, others: int = 0) -> dict[str, Any]:
    return arrival(at, counter, others=others, endpoint="user")


def lease(at: float, read_at: float | None) -> Made:
    return Made(after(at), None if read_at is None else after(read_at))


@pytest.mark.parametrize(
    ("counter", "cost", "wrong"), [(74, 1, False), (65, 10, False), (75, 1, True), (66, 10, True)]
)
def test_a_request_fits_with_its_cost(counter: int, cost: int, wrong: bool) -> None:
    last = arrival(3, counter, cost=cost)
    entries = [reading(1, 0), last]
    assert sent_without_calls(entries, [lease(0.5, None), lease(2, 1)], AHEAD) == [last] * wrong


def test_calls_of_others_are_forgiven_until_a_reading_shows_them() -> None:
    entries = [reading(1, 0), arrival(3, 75, others=6)]
    assert not sent_without_calls(entries, [lease(0.5, None), lease(2, 1)], AHEAD)


def test_of_others_no_more_is_forgiven_than_they_called() -> None:
    last = arrival(3, 81, others=6)
    entries = [reading(1, 0), last]
    assert sent_without_calls(entries, [lease(0.5, None), lease(2, 1)], AHEAD) == [last]


def test_what_was_leased_before_a_reading_may_still_be_sent() -> None:
    entries = [reading(1, 0), reading(3, 40, others=6), arrival(4, 75, others=6)]
    leases = [lease(0.5, None), lease(2, 1), lease(2.9, 1)]
    assert not sent_without_calls(entries, leases, AHEAD)


def test_what_is_leased_after_a_reading_is_held_to_it_with_all_that_was_before() -> None:
    last = arrival(5, 75, others=6)
    entries = [reading(1, 0), reading(3, 40, others=6), last]
    leases = [lease(0.5, None), lease(2, 1), lease(2.9, 1), lease(4, 3)]
    assert sent_without_calls(entries, leases, AHEAD) == [last]


def test_a_reading_is_held_against_none_that_arrived_before_the_lease() -> None:
    first = arrival(3.5, 75, others=6)
    entries = [reading(1, 0), reading(3, 40, others=6), first, arrival(5, 60, others=6)]
    assert not sent_without_calls(entries, [lease(2, 1), lease(4, 3)], AHEAD)


def test_a_reading_is_found_though_the_clocks_differ() -> None:
    last = arrival(3, 75, others=6)
    entries = [reading(0.999, 6, others=6), last]
    assert sent_without_calls(entries, [lease(2, 1)], AHEAD) == [last]


def test_of_readings_at_once_the_first_counts() -> None:
    entries = [reading(1, 0), reading(1.1, 6, others=6), arrival(3, 75, others=6)]
    assert not sent_without_calls(entries, [lease(2, 1)], AHEAD)
    assert sent_without_calls(entries, [lease(2, 1.05)], AHEAD) == [entries[2]]
