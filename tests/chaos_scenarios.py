"""The scenarios that schedules disturb, and how many schedules of each a test run has.

CHAOS_SCHEDULES is how many of each scenario; CHAOS_SEED, such as `day-17`, is one alone.
"""

import os
from datetime import date

import chaos_schedule
from chaos_world import Chaos, Runs, Scenario, differences, spec
from simulator_fixture import Simulator

HISTORY = date(2023, 6, 1)
BOTH = ("prices", "fundamentals")


def seeds(scenario: str, usual: int) -> list[int]:
    """The seeds of a scenario's schedules."""
    if alone := os.environ.get("CHAOS_SEED"):
        name, _, seed = alone.rpartition("-")
        return [int(seed)] if name == scenario else []
    first = int(os.environ.get("CHAOS_FIRST", "0"))
    return list(range(first, first + int(os.environ.get("CHAOS_SCHEDULES") or usual)))


def evening(day: date) -> str:
    """When the bars of a day are published everywhere."""
    return f"{day}T23:59:00Z"


def codes(simulator: Simulator, exchange: str, count: int) -> tuple[str, ...]:
    """The first common stocks of an exchange."""
    rows = simulator.get(f"exchange-symbol-list/{exchange}").json()
    return tuple(row["Code"] for row in rows if row["Type"] == "Common Stock")[:count]


def _only_planned(day: date, **wanted: tuple[str, ...]) -> Runs:
    """A dry run that has made the exchanges, their calendars and their listings known."""
    groups = {exchange.lower(): (exchange, symbols) for exchange, symbols in wanted.items()}
    return Runs(evening(day), (spec(day, HISTORY, BOTH, groups, dryRun=True),))


def first_load(simulator: Simulator) -> Scenario:
    """Nothing is known; two runs share the day's calls, and the next session follows."""
    dublin, lisbon = codes(simulator, "IR", 9), codes(simulator, "LS", 6)
    monday, tuesday = date(2023, 9, 18), date(2023, 9, 19)
    return Scenario(
        "first",
        tuple(f"{code}.IR" for code in dublin) + tuple(f"{code}.LS" for code in lisbon),
        (
            Runs(
                evening(monday),
                (
                    spec(monday, HISTORY, BOTH, {"dublin": ("IR", dublin)}),
                    spec(monday, HISTORY, BOTH, {"lisbon": ("LS", lisbon)}),
                ),
            ),
            Runs(
                evening(tuesday),
                (
                    spec(
                        tuesday, HISTORY, BOTH,
                        {"dublin": ("IR", dublin), "lisbon": ("LS", lisbon)},
                    ),
                ),
            ),
        ),
        (_only_planned(monday, IR=dublin, LS=lisbon),),
    )  # fmt: skip


SCENARIOS = {"first": first_load}


def assert_survives(chaos: Chaos, name: str, seed: int) -> None:
    """Lives through a scenario as the seed's schedule says, and compares what is left."""
    chaos.simulator.reset()
    scenario = SCENARIOS[name](chaos.simulator)
    schedule = chaos_schedule.make(seed, len(scenario.stages), scenario.symbols)
    undisturbed = chaos.undisturbed(scenario)
    assert not undisturbed.wrong, "undisturbed: " + "\n".join(undisturbed.wrong)
    try:
        lived = chaos.disturbed(scenario, schedule)
    except AssertionError as error:
        raise AssertionError(f"{_replay(name, seed)}\n{schedule}\n{error}") from None
    wrong = lived.wrong + differences(undisturbed.left, lived.left)
    assert not wrong, "\n".join([_replay(name, seed), str(schedule), *wrong])


def _replay(name: str, seed: int) -> str:
    return f"again: make chaos SEED={name}-{seed}"
