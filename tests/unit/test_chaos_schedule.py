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


def test_what_a_schedule_is_aimed_at_changes_where_it_strikes_and_not_how_hard() -> None:
    lists = {"endpoint": "exchange-symbol-list", "symbol": "IR"}
    before = [chaos_schedule.make(seed, 2, SYMBOLS) for seed in range(60)]
    aimed = [chaos_schedule.make(seed, 2, SYMBOLS, aimed_at=[lists]) for seed in range(60)]
    where = {"endpoint", "symbol"}
    pairs = [
        (old, new)
        for one, other in zip(before, aimed, strict=True)
        for stage, other_stage in zip(one.stages, other.stages, strict=True)
        for old, new in zip(stage.faults, other_stage.faults, strict=True)
    ]
    struck = [new for old, new in pairs if new != old]
    assert len(pairs) // 3 < len(struck) < len(pairs)
    assert all(lists.items() <= new.items() for new in struck)
    for old, new in pairs:
        assert {k: old[k] for k in old.keys() - where} == {k: new[k] for k in new.keys() - where}
    early = [b.at for s in aimed for stage in s.stages for b in stage.blows if b.at <= 0.3]
    late = [b.at for s in before for stage in s.stages for b in stage.blows if b.at <= 0.3]
    assert len(early) > 2 * len(late)
