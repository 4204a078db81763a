"""The scenarios that schedules disturb, and how many schedules of each a test run has.

CHAOS_SCHEDULES is how many of each scenario; CHAOS_SEED, such as `day-17`, is one alone.
"""

import os
from datetime import date, timedelta

import chaos_schedule
from chaos_schedule import Fault, Schedule
from chaos_world import Chaos, Left, Runs, Scenario, differences, spec
from simulator_fixture import Simulator

from screener_collector.rules.codes import CODE_REUSED

HISTORY, SHORT = date(2023, 6, 1), date(2023, 8, 15)
MONDAY, TUESDAY = date(2023, 9, 18), date(2023, 9, 19)
BOTH = ("prices", "fundamentals")


def seeds(scenario: str, usual: int) -> list[int]:
    """The seeds of a scenario's schedules."""
    if alone := os.environ.get("CHAOS_SEED"):
        name, _, seed = alone.rpartition("-")
        return [int(seed)] if name == scenario else []
    first = int(os.environ.get("CHAOS_FIRST", "0"))
    return list(range(first, first + int(os.environ.get("CHAOS_SCHEDULES") or usual)))


def morning_after(day: date) -> str:
    """When the bars of a day are published everywhere, and its splits and dividends listed."""
    return f"{day + timedelta(days=1)}T08:10:00+00:00"


def codes(simulator: Simulator, exchange: str, count: int) -> tuple[str, ...]:
    """The first common stocks of an exchange."""
    rows = simulator.get(f"exchange-symbol-list/{exchange}").json()
    return tuple(row["Code"] for row in rows if row["Type"] == "Common Stock")[:count]


def _only_planned(**wanted: tuple[str, ...]) -> Runs:
    """A dry run that has made the exchanges, their calendars and their listings known."""
    groups = {exchange.lower(): (exchange, symbols) for exchange, symbols in wanted.items()}
    day = MONDAY - timedelta(days=3)
    return Runs(morning_after(day), (spec(day, HISTORY, BOTH, groups, dryRun=True),))


def first_load(simulator: Simulator) -> Scenario:
    """Nothing is known; two runs share the day's calls, and the next session follows. Both are
    published in part, or late.
    """
    dublin, lisbon = codes(simulator, "IR", 9), codes(simulator, "LS", 6)
    return Scenario(
        "first",
        tuple(f"{code}.IR" for code in dublin) + tuple(f"{code}.LS" for code in lisbon),
        (
            Runs(
                morning_after(MONDAY),
                (
                    spec(MONDAY, HISTORY, BOTH, {"dublin": ("IR", dublin)}),
                    spec(MONDAY, HISTORY, BOTH, {"lisbon": ("LS", lisbon)}),
                ),
            ),
            Runs(
                morning_after(TUESDAY),
                (
                    spec(
                        TUESDAY, HISTORY, BOTH,
                        {"dublin": ("IR", dublin), "lisbon": ("LS", lisbon)},
                    ),
                ),
            ),
        ),
        (_only_planned(IR=dublin, LS=lisbon),),
        (
            # Some of Monday's bars are there on Wednesday only, and none of Lisbon's of Tuesday.
            {
                "kind": "partial", "exchange": "IR", "session": MONDAY.isoformat(),
                "share": 0.5, "hours": 24,
            },
            {"kind": "late", "exchange": "LS", "session": TUESDAY.isoformat(), "hours": 40},
        ),
    )  # fmt: skip


def one_run(simulator: Simulator) -> Scenario:
    """One run of few assets: most schedules a minute."""
    lisbon = codes(simulator, "LS", 7)
    wanted = {"lisbon": ("LS", lisbon)}
    return Scenario(
        "one",
        tuple(f"{code}.LS" for code in lisbon),
        (Runs(morning_after(MONDAY), (spec(MONDAY, HISTORY, BOTH, wanted),)),),
        (_only_planned(LS=lisbon),),
    )


def scarce(simulator: Simulator) -> Scenario:
    """Two runs at once that the day's calls do not reach for, nor for the next; then they do."""
    dublin, lisbon = codes(simulator, "IR", 6), codes(simulator, "LS", 6)
    groups = {"dublin": ("IR", dublin), "lisbon": ("LS", lisbon)}
    apart = tuple(spec(MONDAY, HISTORY, BOTH, {name: groups[name]}) for name in groups)
    together = spec(MONDAY, HISTORY, BOTH, groups)
    return Scenario(
        "scarce",
        tuple(f"{code}.IR" for code in dublin),
        (
            Runs(morning_after(MONDAY), apart, account={"dailyLimit": 75}),
            Runs(morning_after(MONDAY), (together,), days=1, account={"dailyLimit": 110}),
            Runs(morning_after(MONDAY), (together,), days=2, account={"dailyLimit": 5000}),
        ),
        (_only_planned(IR=dublin, LS=lisbon),),
        scarce=True,
    )


def steady_day(simulator: Simulator) -> Scenario:
    """A session by bulk days, with a split and dividends of it, and another exchange one by one."""
    brussels, dublin = codes(simulator, "BR", 140), codes(simulator, "IR", 5)
    groups = {"brussels": ["BR"], "dublin": ("IR", dublin)}
    prices = ("prices",)
    happens = {"session": TUESDAY.isoformat()}
    return Scenario(
        "day",
        tuple(f"{code}.BR" for code in brussels[:4]),
        (
            Runs(
                morning_after(TUESDAY),
                (spec(TUESDAY, SHORT, prices, groups),),
            ),
        ),
        (
            Runs(
                morning_after(MONDAY),
                (spec(MONDAY, SHORT, prices, groups),),
            ),
        ),
        (
            {"kind": "split", "ticker": f"{brussels[3]}.BR", "ratio": "2/1", **happens},
            {"kind": "dividend", "ticker": f"{brussels[5]}.BR", "yield": 0.03, **happens},
            {"kind": "dividend", "ticker": f"{dublin[2]}.IR", "yield": 0.02, **happens},
        ),
    )


LISTED = 6
"""Where the rows of `assets` say whether a list has it."""
LISTS: tuple[Fault, ...] = (
    {"endpoint": "exchange-symbol-list", "symbol": "IR"},
    {"endpoint": "exchange-symbol-list", "symbol": "IR", "query": {"delisted": "1"}},
    {"endpoint": "eod", "until": f"{TUESDAY + timedelta(days=1)}T08:10:01+00:00"},
    {"endpoint": "bulk-fundamentals"},
)
"""Answers of whole exchanges, and the bars by which a list's doubts are told."""


def changed_lists(simulator: Simulator, *, truncated: bool = False) -> Scenario:
    """Two sessions in which listings come, leave, are renamed and change, and a code is given to
    another company; fundamentals come by pages.
    `truncated`: the first list that shows it is not believed.
    """
    lisbon = codes(simulator, "LS", 12)
    groups = {"dublin": ["IR"], "lisbon": ("LS", lisbon)}
    friday = MONDAY - timedelta(days=3)
    wednesday, thursday = TUESDAY + timedelta(days=1), TUESDAY + timedelta(days=2)
    span = {"from": friday.isoformat(), "to": wednesday.isoformat()}
    rows = [
        row
        for row in simulator.get("exchange-symbol-list/IR").json()
        if row["Type"] == "Common Stock"
        and len(simulator.get(f"eod/{row['Code']}.IR", **span).json()) == 4
    ]
    known = [row["Code"] for row in rows if row["Isin"]]
    unknown = [row["Code"] for row in rows if not row["Isin"]]
    first, second = ({"on": day.isoformat()} for day in (TUESDAY, thursday))
    events: list[Fault] = [
        {"kind": "granted", "endpoint": "bulk-fundamentals"},
        {"kind": "listing", "ticker": "NEWCO.IR", **first},
        {"kind": "delisting", "ticker": f"{known[0]}.IR", **first},
        {"kind": "rename", "ticker": f"{known[1]}.IR", "code": "RENAMED", **first},
        {"kind": "reuse", "ticker": f"{known[2]}.IR", **first},
        {"kind": "change", "ticker": f"{known[3]}.IR", "set": {"Isin": "IE0000000001"}, **first},
        {"kind": "change", "ticker": f"{unknown[0]}.IR", "set": {"Name": "Anew plc"}, **first},
        {"kind": "reuse", "ticker": f"{unknown[1]}.IR", **second},
        {"kind": "rename", "ticker": f"{known[4]}.IR", "code": "LATER", **second},
        {"kind": "delisting", "ticker": f"{known[5]}.IR", **second},
        {"kind": "change", "ticker": f"{known[6]}.IR", "set": {"Currency": "USD"}, **second},
    ]
    if truncated:
        events.append(
            {
                "kind": "list_truncated", "exchange": "IR", "share": 0.1,
                "from": f"{wednesday}T00:00:00+00:00", "until": f"{thursday}T00:00:00+00:00",
            }
        )  # fmt: skip
    return Scenario(
        "truncated" if truncated else "lists",
        (
            "NEWCO.IR", "RENAMED.IR", f"{known[1]}.IR", f"{known[2]}.IR", f"{known[2]}_old.IR",
            f"{known[4]}.IR", f"{unknown[1]}.IR", f"{lisbon[0]}.LS",
        ),
        tuple(
            Runs(morning_after(day), (spec(day, SHORT, BOTH, groups),))
            for day in (TUESDAY, wednesday)
        ),
        (Runs(morning_after(friday), (spec(friday, SHORT, ("prices",), groups),)),),
        tuple(events),
        aimed_at=LISTS,
        # Else the first page is the question whether the plan has them, and the other waits for it.
        in_plan=() if truncated else ("bulk-fundamentals",),
    )  # fmt: skip


def truncated_list(simulator: Simulator) -> Scenario:
    """The same, where the first list that shows it is truncated."""
    return changed_lists(simulator, truncated=True)


SCENARIOS = {
    "first": first_load,
    "one": one_run,
    "scarce": scarce,
    "day": steady_day,
    "lists": changed_lists,
    "truncated": truncated_list,
}


def assert_survives(chaos: Chaos, name: str, seed: int) -> None:
    """Lives through a scenario as the seed's schedule says, and compares what is left."""
    chaos.simulator.reset()
    scenario = SCENARIOS[name](chaos.simulator)
    schedule = chaos_schedule.make(
        seed,
        len(scenario.stages),
        scenario.symbols,
        shared=name != "day",
        aimed_at=scenario.aimed_at,
    )
    try:
        assert_same(chaos, scenario, schedule)
    except AssertionError as error:
        raise AssertionError(f"again: make chaos SEED={name}-{seed}\n{error}") from None


def whenever_listed(left: Left) -> Left:
    """What is left however late a list is believed: until then what it drops is asked for still,
    and what came by a code that it gives away is set aside. Bars are the same all the same.
    """
    gone = {row[0] for row in left["assets"] if not row[LISTED]}
    kept = {name: [row for row in rows if row[0] not in gone] for name, rows in left.items()}
    return left | {
        "bars in quarantine": [row for row in left["bars in quarantine"] if CODE_REUSED not in row],
        "findings": kept["findings"],
        "states": kept["states"],
        "last ends": kept["last ends"],
    }


def assert_same(chaos: Chaos, scenario: Scenario, schedule: Schedule) -> None:
    """Lives through a scenario as a schedule says, and compares what is left."""
    undisturbed = chaos.undisturbed(scenario)
    assert not undisturbed.wrong, "undisturbed: " + "\n".join(undisturbed.wrong)
    try:
        lived = chaos.disturbed(scenario, schedule)
    except AssertionError as error:
        raise AssertionError(f"{schedule}\n{error}") from None
    wanted, found = undisturbed.left, lived.left
    if scenario.aimed_at and not schedule.soft:
        wanted, found = whenever_listed(wanted), whenever_listed(found)
    wrong = lived.wrong + differences(wanted, found)
    assert not wrong, "\n".join([str(schedule), *wrong])
