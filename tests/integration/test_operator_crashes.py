"""A run of the operator's core that is interrupted after any write, or any two, ends as one that
is not, and doubles nothing.
"""

from itertools import combinations
from typing import Any

import pytest
from operator_world import Crash, World, collection_run

SIZES = {"us": 30, "european": 20}


def clean(**more: Any) -> World:
    world = World(collection_run(), SIZES, **more)
    world.live()
    return world


def end_of(world: World) -> dict[str, Any]:
    """What must be the same however often the operator died: all but the times."""
    status = world.status
    return {
        "phase": status["phase"],
        "counts": status["counts"],
        "progress": status["progress"],
        "groups": [
            {key: group.get(key) for key in ("name", "state", "attempt", "reason", "message")}
            for group in status["groups"]
        ],
        "conditions": [
            (each["type"], each["status"], each["reason"], each["message"])
            for each in status["conditions"]
        ],
        "message": status["message"],
        "indicatorRun": status.get("indicatorRun"),
        "execution": world.execution and (world.execution.status, world.execution.reason),
        "details": world.details,
        "children": world.children,
    }


SCHEDULES: list[Any] = [
    pytest.param({}, id="everything succeeds"),
    pytest.param({"lose_jobs": frozenset({"us"})}, id="a group's Job is deleted"),
    pytest.param({"fail_jobs": frozenset({"european"})}, id="a group's Job fails"),
    pytest.param({"fail_jobs": frozenset({"preflight"})}, id="the preflight fails"),
    pytest.param({"lose_jobs": frozenset({"preflight"})}, id="the preflight's Job is deleted"),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_dying_once_after_any_write_changes_nothing(schedule: dict[str, Any]) -> None:
    wanted = clean(**schedule)
    assert wanted.writes >= 6
    for number in range(1, wanted.writes + 1):
        world = clean(crash_at=frozenset({number}), **schedule)
        assert end_of(world) == end_of(wanted), f"died after write {number}"
        assert sorted(world.created) == sorted(set(world.created))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_dying_twice_after_any_two_writes_changes_nothing(schedule: dict[str, Any]) -> None:
    wanted = clean(**schedule)
    for numbers in combinations(range(1, wanted.writes + 3), 2):
        world = clean(crash_at=frozenset(numbers), **schedule)
        assert end_of(world) == end_of(wanted), f"died after writes {numbers}"
        assert sorted(world.created) == sorted(set(world.created))


def test_dying_after_every_single_write_still_gets_there() -> None:
    world = clean(crash_at=frozenset(range(1, 200)))
    assert end_of(world) == end_of(clean())


def test_the_phases_of_a_plain_run_come_in_their_order() -> None:
    phases = list(dict.fromkeys(clean().phases))
    assert phases == ["Pending", "Preflight", "Planned", "Running", "Finishing", "Succeeded"]


def test_start_time_is_written_before_anything_is_opened() -> None:
    world = World(collection_run(), SIZES, crash_at=frozenset({1}))
    with pytest.raises(Crash):
        world.step()
    assert "startTime" in world.status
    assert world.execution is None
