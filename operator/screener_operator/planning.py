"""Adapter: makes a run's plan in one transaction: discovery, ways, budget, and the rows of it all.

Nothing is half planned: the rows and `process_executions.planned_at` appear together, and planning
again changes nothing. The decisions are `plan`'s; the statements are those of `queries/planning/`.
First everything is decided, on counts and on a queue of single requests; then it is stored.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from screener_operator.budget import (
    Calls,
    Day,
    Fit,
    Later,
    Work,
    fit_beside,
    refreshes,
    schedule,
    when,
)
from screener_operator.plan import (
    BULK_CALLS,
    BY_SESSION,
    PAGE_SIZE,
    PRICES,
    Days,
    Needs,
    Pages,
    PlanRequest,
    choice_sentence,
    choose_days,
    choose_pages,
    probe,
)
from screener_sql import query
from screener_sql.model import PLANNER_LOCK

logger = logging.getLogger(__name__)

NONE = "-infinity"
"""A session that there is not, as text, for Python has no such date."""
BULK_DAYS, BULK_FUNDAMENTALS = "eod-bulk-last-day", "bulk-fundamentals"
"""Endpoints that the vendor's plan may lack."""
CORRECTED_ASSETS = BULK_CALLS
"""Loaded assets above which a session's final volumes are worth a bulk day."""
LOGGED_DAYS = 31
"""How many days of a schedule the log tells; status has more."""

_DEFERRED_BECAUSE = {
    "keep_calls": "spec.quota.keepCalls leaves no calls for it",
    "daily_limit": "the calls left of the day do not reach for it",
    "run_limit": "spec.quota.maxCalls does not reach for it",
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange of the run. Sessions as text, NONE where there is none."""

    id: int
    code: str
    group: str
    group_ordinal: int
    prices_to: str
    actions_to: str
    listed_rows: int | None
    benchmark: str | None
    correction: date | None
    """A session whose volumes have become final without having been asked for since."""
    named: tuple[int, ...] | None = None
    """The assets that its group names; None for its universe."""
    currencies: tuple[str, ...] | None = None
    """Those of the assets that are named."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference series that is due."""

    asset_id: int
    exchange_id: int
    group_ordinal: int
    date_to: date
    date_from: date


@dataclass(frozen=True, slots=True)
class Found:
    """What a decision goes by."""

    needs: Mapping[int, Needs]
    since: Mapping[tuple[int, str, int | None], str]
    """Of an exchange's assets that lack so many sessions of prices, splits or dividends, the
    earliest day since when one does."""
    in_plan: Mapping[str, tuple[bool, date]]
    """Endpoints: whether the vendor's plan has them, and when that was seen."""
    reference: tuple[Reference, ...]
    """The series that are due, those of the first group first."""
    day_left: int
    """Calls of the day, without those that the run must keep; may be negative."""
    run_left: int | None
    """Calls of what the run may use; None: without bound."""
    kept: bool
    """Whether the day has calls that the run must keep."""
    per_day: int
    """Calls that a later day may have for such a run."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was decided."""

    work: Work
    fit: Fit
    later: Later
    days: tuple[Day, ...]
    """The calls of this day and of those after it until all is done."""
    cuts: Mapping[tuple[int, str], str]
    """Of an exchange's prices, splits or dividends, the day since which bulk days serve."""
    reference: tuple[Reference, ...]
    corrections: frozenset[int]
    """Exchanges whose latest final session is asked for again."""
    refreshes: int
    """How many histories are fetched again."""
    bound_by: str
    """The error code of what does not fit."""
    message: str


def plan_run(connection: Connection[TupleRow], request: PlanRequest, now: datetime) -> None:
    """Plans a CollectionRun whose execution is open. `now` (aware): what to expect, which day."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(query("planning/one_snapshot"))
        if not _begin(cursor, request.execution_id, now):
            return
        planner = Planner(cursor, request, now)
        planner.store(planner.decide())


def plan_indicators(
    connection: Connection[TupleRow],
    execution_id: str,
    *,
    exchanges: tuple[str, ...] | None,
    symbols: tuple[str, ...] | None,
    mode: str,
    as_of: date | None,
    now: datetime,
    extra: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Plans an IndicatorRun whose execution is open. None for exchanges or symbols: all. `extra`:
    as in its spec."""
    with connection.transaction(), connection.cursor() as cursor:
        if not _begin(cursor, execution_id, now):
            return
        scope: dict[str, Any] = {
            "execution_id": execution_id,
            "exchanges": None if exchanges is None else list(exchanges),
            "symbols": None if symbols is None else list(symbols),
            "mode": mode,
            "as_of": as_of,
            "now": now,
            "extra": Jsonb(list(extra)) if extra else None,
            "schedule": None,
            "choices": Jsonb({}),
        }
        cursor.execute(query("planning/insert_indicator_slice"), scope)
        cursor.execute(query("planning/insert_indicator_items"), scope)
        cursor.execute(query("planning/note_unknown_symbols"), scope)
        cursor.execute(query("planning/set_slice_plans"), scope)
        _end(cursor, scope)


def _begin(cursor: Cursor[TupleRow], execution_id: str, now: datetime) -> bool:
    """Whether the execution is still to be planned; then nobody else plans until we are done."""
    cursor.execute(query("planning/lock"), {"lock_class": PLANNER_LOCK})
    row = cursor.execute(query("planning/planned_at"), {"execution_id": execution_id}).fetchone()
    if row is None:
        raise LookupError(f"execution {execution_id} is not open")
    if row[0] is not None:
        return False
    cursor.execute(query("planning/ensure_partitions"), {"now": now})
    return True


def _end(cursor: Cursor[TupleRow], scope: dict[str, Any]) -> None:
    cursor.execute(query("planning/insert_details"), scope)
    cursor.execute(query("planning/set_planned"), scope)


def _cuts(work: Work, found: Found) -> dict[tuple[int, str], str]:
    """Of each choice of bulk days the day since which they serve: who is known up to it, or later,
    lacks no other session. `infinity` where nothing goes by bulk.
    """
    return {
        (id_, kind): found.since[id_, kind, way.sessions] if way.sessions else "infinity"
        for id_, of in work.days.items()
        for kind, way in of.items()
    }


@dataclass(slots=True)
class Planner:
    """One plan in its transaction."""

    cursor: Cursor[TupleRow]
    request: PlanRequest
    now: datetime
    exchanges: dict[int, Exchange] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    """Sentences for the run's message, and the groups that they are about."""
    scope: dict[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.now.astimezone(UTC).date()

    def decide(self) -> Choices:
        """Discovery, choice and order; nothing is stored but temporary tables."""
        self.cursor.execute(query("planning/create_decision"))
        # What needs no answer yet is asked before it comes: waiting for one takes as long as a
        # small statement.
        with self.cursor.connection.pipeline():
            self.exchanges = self._read_exchanges()
            self.scope = self._scope()
            choices = self._choose(self._find())
            again = self._order(choices)
        # Nothing that is due, and calls of the day all the same.
        beside = Calls(prices=BULK_CALLS * len(choices.corrections) + again)
        first, *later = choices.days
        first = replace(first, calls=first.calls + beside)
        return replace(choices, refreshes=again, days=(first, *later))

    def _ask(self, name: str, **more: Any) -> Cursor[TupleRow]:
        return self.cursor.connection.execute(query(f"planning/{name}"), self.scope | more)

    def _read_exchanges(self) -> dict[int, Exchange]:
        groups = {
            code: (ordinal, group)
            for ordinal, group in enumerate(self.request.groups)
            for code in group.exchanges
        }
        parameters = {
            "exchanges": list(groups),
            "now": self.now,
            "as_of": self.request.as_of,
        }
        rows = self.cursor.execute(query("planning/exchanges"), parameters).fetchall()
        found = {}
        for id_, code, listed_rows, benchmark, prices_to, actions_to, correction in rows:
            ordinal, group = groups[code]
            named = currencies = None
            if group.symbols is not None:
                symbols = {"exchange": code, "symbols": list(group.symbols)}
                assets = self.cursor.execute(query("planning/named_assets"), symbols).fetchall()
                named = tuple(asset for asset, _ in assets)
                currencies = tuple({currency for _, currency in assets if currency})
            found[id_] = Exchange(
                id_, code, group.name, ordinal, prices_to, actions_to, listed_rows, benchmark,
                correction, named, currencies,
            )  # fmt: skip
        return found

    def _scope(self) -> dict[str, Any]:
        known = self.exchanges.values()
        request = self.request
        return {
            "execution_id": request.execution_id,
            "operations": list(request.operations),
            "asset_types": list(request.asset_types),
            "as_of": request.as_of,
            "history_from": request.history_from,
            "dry_run": request.dry_run,
            "now": self.now,
            "today": datetime.combine(self.today, time(), UTC),
            "page_size": PAGE_SIZE,
            "exchange_ids": [each.id for each in known if each.named is None],
            "named": [asset for each in known for asset in each.named or ()],
            "prices_to": self._by_exchange({each.id: each.prices_to for each in known}, NONE),
            "actions_to": self._by_exchange({each.id: each.actions_to for each in known}, NONE),
        }

    def _by_exchange(self, values: Mapping[int, Any], default: Any) -> list[Any]:
        """An array for SQL whose index is the exchange's id, from 1."""
        return [values.get(id_, default) for id_ in range(1, max(self.exchanges, default=0) + 1)]

    def _find(self) -> Found:
        discovered = self._ask("discover")
        self._ask("sort_again")
        endpoints = self._ask("vendor_plan")
        calls = self._ask("calls_left")
        reference = self._ask_reference()

        gaps: dict[int, dict[str, dict[int | None, int]]] = {id_: {} for id_ in self.exchanges}
        since = {}
        for id_, kind, sessions, assets, earliest in discovered:
            gaps[id_].setdefault(kind, {})[sessions] = assets
            since[id_, kind, sessions] = earliest

        def count(id_: int, kind: str) -> int:
            return sum(gaps[id_].get(kind, {}).values())

        needs = {
            id_: Needs(
                {kind: gaps[id_].get(kind, {}) for kind in BY_SESSION},
                count(id_, "fundamentals"),
                count(id_, "loaded"),
                count(id_, "refreshed"),
            )
            for id_ in self.exchanges
        }
        in_plan = {endpoint: (included, seen) for endpoint, included, seen in endpoints}
        row = calls.fetchone()
        assert row is not None  # it always has one
        return Found(needs, since, in_plan, tuple(Reference(*each) for each in reference), *row)

    def _choose(self, found: Found) -> Choices:
        needs, reference = found.needs, found.reference
        bulk_included = found.in_plan.get(BULK_DAYS, (True, None))[0]
        work = Work(len(reference), self._choose_days(found), self._choose_pages(found))
        bound_by, left = "daily_limit", found.day_left
        if found.run_left is not None and found.run_left < found.day_left:
            bound_by, left = "run_limit", found.run_left
        left = max(0, left)
        wanted = self._corrections(needs, bulk_included)
        done, corrected = fit_beside(work, left, len(wanted))
        again = self._refreshes(needs, left - done.calls.total - BULK_CALLS * corrected, done.rest)
        upkeep = len(reference) + sum(
            min(BULK_CALLS, each.loaded) * len(BY_SESSION) for each in needs.values()
        )
        days = schedule(self.today, done.calls, done.rest, per_day=found.per_day, upkeep=upkeep)
        return Choices(
            work=work,
            fit=done,
            later=when(work, done, days),
            days=days,
            cuts=_cuts(work, found),
            reference=reference[: done.reference],
            corrections=frozenset(wanted[:corrected]),
            refreshes=again,
            bound_by=bound_by,
            message=_DEFERRED_BECAUSE[
                "keep_calls" if bound_by == "daily_limit" and found.kept else bound_by
            ],
        )

    def _choose_days(self, found: Found) -> dict[int, dict[str, Days]]:
        """While the vendor's plan does not include bulk days each asset is asked for by itself; the
        run then says so, for it costs more.
        """
        included, seen = found.in_plan.get(BULK_DAYS, (True, None))
        days = {
            id_: {kind: choose_days(of.gaps[kind], bulk_in_plan=included) for kind in BY_SESSION}
            for id_, of in found.needs.items()
        }
        dearer = [
            self.exchanges[id_].group
            for id_, of in found.needs.items()
            if not included and any(choose_days(of.gaps[kind]).sessions for kind in BY_SESSION)
        ]
        if dearer:
            self.notes[
                f"The vendor refused bulk days on {seen} and is not asked for them for a week;"
                " each asset is asked for by itself."
            ] = dearer
        return days

    def _choose_pages(self, found: Found) -> dict[int, Pages]:
        due = {id_: of.fundamentals for id_, of in found.needs.items() if of.fundamentals}
        if BULK_FUNDAMENTALS not in found.in_plan:
            return probe(due)
        if not found.in_plan[BULK_FUNDAMENTALS][0]:
            return {id_: Pages(assets) for id_, assets in due.items()}
        return {
            id_: choose_pages(assets, self.exchanges[id_].listed_rows)
            for id_, assets in due.items()
        }

    def _ask_reference(self) -> Iterable[TupleRow]:
        if PRICES not in self.request.operations:
            return ()
        scope = [
            {
                "group_ordinal": each.group_ordinal,
                "exchange_id": each.id,
                "prices_to": each.prices_to,
                "benchmark": each.benchmark,
                "currencies": each.currencies,
            }
            for each in self.exchanges.values()
            if each.prices_to != NONE
        ]
        return self._ask("reference", scope=Jsonb(scope))

    def _corrections(self, needs: Mapping[int, Needs], bulk_included: bool) -> list[int]:
        """The exchanges whose latest final session is to be asked for again."""
        if PRICES not in self.request.operations or self.request.as_of is not None:
            return []
        return [
            id_
            for id_, each in sorted(self.exchanges.items())
            if each.correction is not None
            and bulk_included
            and needs[id_].loaded > CORRECTED_ASSETS
        ]

    def _refreshes(self, needs: Mapping[int, Needs], spare: int, rest: Calls) -> int:
        """How many histories are fetched again, with calls that nothing due needs."""
        if rest.total or PRICES not in self.request.operations or self.request.as_of is not None:
            return 0
        return refreshes(
            sum(each.loaded for each in needs.values()),
            sum(each.refreshed_today for each in needs.values()),
            spare,
        )

    def _order(self, choices: Choices) -> int:
        """Puts single requests in order; how many histories are fetched again."""
        for kind in BY_SESSION:
            cuts = {id_: choices.cuts[id_, kind] for id_ in self.exchanges}
            self.scope[f"{kind}_cut"] = self._by_exchange(cuts, "infinity")
        on_pages = {id_: way.on_pages for id_, way in choices.fit.pages.items()}
        self.scope["on_pages"] = self._by_exchange(on_pages, 0)
        self._ask("order")
        if not choices.refreshes:
            return 0
        row = self._ask("refresh", count=choices.refreshes).fetchone()
        assert row is not None  # it always has one
        return int(row[0])

    def store(self, choices: Choices) -> None:
        """Writes the plan's rows."""
        run = self.cursor.execute
        scope = self.scope | {
            "wanted": Jsonb(
                [
                    {"group_name": group.name, "group_ordinal": ordinal}
                    for ordinal, group in enumerate(self.request.groups)
                ]
            ),
            "choices": Jsonb([self._choice_row(each, choices) for each in self.exchanges.values()]),
            "series": Jsonb(
                [
                    {
                        "group_name": self.request.groups[each.group_ordinal].name,
                        "exchange_id": each.exchange_id,
                        "asset_id": each.asset_id,
                        "date_from": each.date_from.isoformat(),
                        "date_to": each.date_to.isoformat(),
                    }
                    for each in choices.reference
                ]
            ),
            "prices_fit": choices.fit.prices,
            "actions_fit": choices.fit.actions,
            "fundamentals_fit": choices.fit.fundamentals,
            "prices_served": list(choices.later.prices),
            "actions_served": list(choices.later.actions),
            "fundamentals_served": list(choices.later.fundamentals),
            "error_code": choices.bound_by,
            "message": choices.message,
        }
        run(query("planning/insert_slices"), scope)
        run(query("planning/create_choice"), scope)
        run(query("planning/create_queue"), scope)
        run(query("planning/create_delta"), scope)
        run(query("planning/analyze"))
        run(query("planning/insert_reference_fetches"), scope)
        run(query("planning/insert_bulk_fetches"), scope)
        run(query("planning/insert_page_fetches"), scope)
        run(query("planning/insert_asset_fetches"), scope)
        run(query("planning/insert_items"), scope)
        if self.request.dry_run:
            run(query("planning/skip_for_dry_run"), scope)
        for note, groups in self.notes.items():
            run(query("planning/note_slices"), scope | {"note": note, "groups": groups})
        sentences = self._tell(choices)
        run(query("planning/set_slice_plans"), scope | {"choices": Jsonb(sentences)})
        told = [
            {
                "day": each.day.isoformat(),
                "prices": each.calls.prices,
                "actions": each.calls.actions,
                "fundamentals": each.calls.fundamentals,
                "calls": each.calls.total,
            }
            for each in choices.days
        ]
        _end(self.cursor, scope | {"schedule": Jsonb(told)})

    def _choice_row(self, exchange: Exchange, choices: Choices) -> dict[str, Any]:
        id_ = exchange.id
        row: dict[str, Any] = {
            "exchange_id": id_,
            "group_name": exchange.group,
            "prices_to": exchange.prices_to,
            "actions_to": exchange.actions_to,
            "whole_pages": choices.fit.pages[id_].whole if id_ in choices.fit.pages else 0,
            "correction": exchange.correction.isoformat()
            if exchange.correction and id_ in choices.corrections
            else None,
        }
        for kind in BY_SESSION:
            due_on = choices.later.bulk.get((id_, kind))
            row[f"{kind}_cut"] = choices.cuts[id_, kind]
            row[f"{kind}_fit"] = (id_, kind) in choices.fit.bulk
            row[f"{kind}_due_on"] = due_on.isoformat() if due_on else None
        return row

    def _tell(self, choices: Choices) -> dict[str, str]:
        """Logs what was chosen, a sentence an exchange, and the days; returns the sentences."""
        sentences = {}
        for id_, each in self.exchanges.items():
            pages = choices.work.pages.get(id_, Pages())
            if pages.due or any(way.calls for way in choices.work.days[id_].values()):
                sentences[each.code] = choice_sentence(each.code, choices.work.days[id_], pages)
        extra = {"action": "planned", "execution_id": self.request.execution_id}
        for sentence in sentences.values():
            logger.info("%s", sentence, extra=extra)
        for told in choices.days[:LOGGED_DAYS]:
            of = told.calls
            logger.info(
                "%s: %d calls: %d for prices, %d for actions, %d for fundamentals",
                told.day, of.total, of.prices, of.actions, of.fundamentals, extra=extra,
            )  # fmt: skip
        due, days = choices.work.calls, len(choices.days)
        logger.info(
            "planned %d of %d calls that are due; %d %s until all is current",
            choices.fit.calls.total, due.total, days, "day" if days == 1 else "days", extra=extra,
        )  # fmt: skip
        return sentences
