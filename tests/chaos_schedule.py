"""Random schedules of what goes wrong, from a seed. Pure: the same seed gives the same schedule.

Times are parts of what the undisturbed stage took, so that a schedule means the same on a slow
machine. Every fault ends: a frozen pod thaws, Postgres comes back, a vendor's fault has a count.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

Fault = dict[str, Any]


@dataclass(frozen=True)
class Blow:
    """One thing that goes wrong with a process: `what` happens at `at`, to the pod that `pick`
    picks of those alive, for so long.
    """

    at: float
    what: str
    pick: int = 0
    lasts: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.lasts:.2f}" if self.lasts else ""
        return f"{self.at:.2f} {self.what} {self.pick}{lasts}"


@dataclass(frozen=True)
class Stage:
    """What goes wrong while a stage's runs are under way."""

    seed: int
    """Of the vendor's faults."""
    pods: tuple[int, ...]
    """How many pods of a Job are started at once, Job by Job, again from the front."""
    blows: tuple[Blow, ...]
    faults: tuple[Fault, ...]
    others: tuple[tuple[float, int], ...] = ()
    """When other clients of the key make how many calls at once."""


@dataclass(frozen=True)
class Schedule:
    """All that goes wrong, stage by stage."""

    seed: int
    stages: tuple[Stage, ...]
    soft: bool
    """Whether tries within the run get over every fault, so that each item ends as undisturbed."""

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, {'soft' if self.soft else 'hard'} faults"]
        for number, stage in enumerate(self.stages):
            lines.append(f"  stage {number}: pods at once {', '.join(map(str, stage.pods))}")
            lines += [f"    blow  {blow}" for blow in stage.blows]
            lines += [f"    fault {fault}" for fault in stage.faults]
            lines += [f"    others {at:.2f} {calls} calls" for at, calls in stage.others]
        return "\n".join(lines)


BLOWS = (
    ("kill", 8),  # kill -9
    ("freeze", 4),  # SIGSTOP, then SIGCONT
    ("replace", 4),  # frozen, its connections cut, so that others take over; then it wakes up
    ("cut", 3),  # one pod's connections to Postgres are cut
    ("another", 3),  # one more pod of a Job that works already
    ("terminate", 2),  # SIGTERM
    ("operator", 2),  # the operator dies and starts again
    ("crash", 2),  # Postgres is killed and restarted
    ("restart", 1),  # Postgres is restarted in order
)


def make(
    seed: int,
    stages: int,
    symbols: Sequence[str],
    *,
    shared: bool = True,
    aimed_at: Sequence[Fault] = (),
) -> Schedule:
    """The schedule of a seed. `symbols`: tickers that faults may pick; `shared`: whether others
    may use the key, too; `aimed_at`: answers of whole exchanges that a share of the faults and, as
    most of them come early, of the blows is aimed at.
    """
    dice = random.Random(f"chaos-{seed}")
    soft = dice.random() < 0.6
    made = [_stage(dice, symbols, soft) for _ in range(stages)]
    if shared:
        made = _of_the_key(seed, made)
    if aimed_at:
        made = _of_exchanges(seed, made, aimed_at)
    return Schedule(seed, tuple(made), soft)


def _of_exchanges(seed: int, stages: Sequence[Stage], aimed_at: Sequence[Fault]) -> list[Stage]:
    """With what goes wrong while lists are read and pages asked for. No fault is more than it was,
    so tries get over it as before.
    """
    dice = random.Random(f"chaos-exchanges-{seed}")
    aimed = []
    for stage in stages:
        faults = tuple(
            {
                **{key: value for key, value in fault.items() if key not in ("symbol", "endpoint")},
                **dice.choice(aimed_at),
            }
            if dice.random() < 0.6
            else fault
            for fault in stage.faults
        )
        blows = [
            replace(blow, at=round(blow.at * EARLY, 3)) if dice.random() < 0.5 else blow
            for blow in stage.blows
        ]
        blows.sort(key=lambda blow: blow.at)
        aimed.append(replace(stage, blows=tuple(blows), faults=faults))
    return aimed


def _of_the_key(seed: int, stages: Sequence[Stage]) -> list[Stage]:
    """With what becomes of the key: others call with it too, and the minute is refused (429)."""
    dice = random.Random(f"chaos-key-{seed}")  # whatever it throws, the rest is the same
    shared = []
    for stage in stages:
        others: tuple[tuple[float, int], ...] = ()
        if dice.random() < 0.25:
            times = sorted(dice.uniform(0.0, 1.0) for _ in range(dice.randint(1, 3)))
            others = tuple((round(at, 3), dice.randint(1, 12)) for at in times)
        faults = stage.faults
        if dice.random() < 0.12:
            skip = dice.randint(0, 12)
            full: Fault = {"status": 429, "endpoint": list(PER_ASSET), "skip": skip, "count": 1}
            faults = (*faults, full)
        shared.append(replace(stage, faults=faults, others=others))
    return shared


def _stage(dice: random.Random, symbols: Sequence[str], soft: bool) -> Stage:
    pods = tuple(dice.choice((1, 1, 2, 3)) for _ in range(3))
    names = [name for name, _ in BLOWS]
    weights = [weight for _, weight in BLOWS]
    blows = []
    for _ in range(dice.choice((0, 1, 1, 2, 3, 4))):
        what = dice.choices(names, weights)[0]
        lasts = round(dice.uniform(0.05, 1.0), 3) if what in ("freeze", "replace") else 0.0
        blows.append(Blow(round(dice.uniform(0.0, 1.5), 3), what, dice.randrange(12), lasts))
    blows.sort(key=lambda blow: blow.at)
    return Stage(dice.randrange(1000), pods, tuple(blows), _faults(dice, symbols, soft))


def _faults(dice: random.Random, symbols: Sequence[str], soft: bool) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    failures = 3  # one fewer than a request has tries, all together
    for _ in range(dice.choice((0, 0, 1, 2, 3))):
        fault: Fault = {}
        if dice.random() < 0.4:
            fault["symbol"] = dice.choice(symbols)
            fault["endpoint"] = dice.choice(PER_ASSET)
        elif dice.random() < 0.6:
            fault["endpoint"] = dice.choice((*PER_ASSET, "eod-bulk-last-day"))
        kind = dice.choice(SOFT if soft else (*SOFT, *HARD))
        if kind == "late":
            fault["latency_s"] = {"median_s": round(dice.uniform(0.01, 0.1), 3), "p99_s": 0.5}
            fault["count"] = dice.randint(1, 20)
        elif kind in SOFT:
            # Where every request fails the vendor is away, and is waited for twice as long each
            # time: so few that a schedule ends in seconds.
            most = 12 if "endpoint" in fault else 6
            count = dice.randint(1, failures) if soft else dice.randint(1, most)
            failures -= count
            fault |= {"count": count, **_answer(dice, kind)}
        else:
            fault |= {"count": dice.randint(1, 12), **_answer(dice, kind)}
        faults.append(fault)
        if failures < 1:
            break
    return tuple(faults)


def _answer(dice: random.Random, kind: str) -> Fault:
    match kind:
        case "failed":
            return {"status": dice.choice((500, 502, 503, 504))}
        case "cut" | "refuse":
            return {"status": kind}
        case "cut short":
            return {"cut_after": round(dice.uniform(0.0, 0.99), 2)}
        case "slow":
            return {"slow_s": round(dice.uniform(0.02, 0.3), 3)}
        case "refused":
            return {"status": dice.choice((401, 402, 403, 404))}
        case _:
            return {"wrong": dice.choice(WRONG)}


EARLY = 0.2
"""The part of a stage in which its lists are read."""
PER_ASSET = ("eod", "splits", "div", "fundamentals")
SOFT = ("late", "slow", "failed", "failed", "cut", "refuse", "cut short")
"""Faults that a few tries get over."""
HARD = ("refused", "wrong", "wrong", "wrong")
"""Faults that may cost an asset, an exchange or the whole run its turn."""
WRONG = (
    "html", "truncated", "error", "error_lower", "empty_list", "empty_object", "nothing", "null",
    "scalar", "text", "texts", "not_utf8", "nan", "na_text", "null_number", "wrong_date",
    "wrong_exchange", "wrong_subject",
)  # fmt: skip
