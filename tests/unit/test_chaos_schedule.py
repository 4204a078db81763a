"""A schedule of chaos is told by its seed alone."""

import os
import subprocess
import sys
from pathlib import Path

import chaos_schedule

SYMBOLS = ("AAA.IR", "BBB.IR", "CCC.LS")
TELL = (
    "import chaos_schedule as c\n"
    f"print(*(c.make(seed, 2, {SYMBOLS!r}) for seed in range(60)), sep='\\n')"
)


def test_a_seed_is_the_same_schedule_in_every_process() -> None:
    def told(hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", TELL],
            cwd=Path(chaos_schedule.__file__).parent,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    assert told("1") == told("2")


def test_schedules_differ_and_some_share_their_key_or_are_refused_for_a_minute() -> None:
    made = [chaos_schedule.make(seed, 2, SYMBOLS) for seed in range(60)]
    assert len({str(schedule) for schedule in made}) == 60
    stages = [stage for schedule in made for stage in schedule.stages]
    assert any(stage.others for stage in stages)
    refused = [fault for stage in stages for fault in stage.faults if fault.get("status") == 429]
    assert refused and all(fault["count"] == 1 for fault in refused)
