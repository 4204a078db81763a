"""Adapter: Postgres: what bulk days brought, and how the items end that wait for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from screener_collector.bars import BadBar, Bars, merge, sort_out_day
from screener_collector.findings import Judge, NewBars
from screener_collector.rules.batch import Batch, BatchVerdict
from screener_collector.store import jsonb
from screener_collector.storing import Changes
from screener_collector.transaction import Transaction, detail
from screener_collector.work import (
    ACTION_KINDS,
    Actions,
    BulkBars,
    Failure,
    Result,
)
from screener_sql.model import ErrorCode


@dataclass(frozen=True, slots=True)
class Day:
    """A bulk day as judged; `bars`, `bad`: of the assets that it is wanted for, where it has bars.

    `of_session` and `received`: rows of the session, and all, where there was an answer.
    `unchanged`: of the former those that repeat a traded bar of the session before.
    `disbelieved`: the rows, as they came, of known assets, where the answer is not believed.
    """

    result: Result
    bars: Mapping[int, Bars] = field(default_factory=dict)
    bad: Mapping[int, BadBar] = field(default_factory=dict)
    of_session: int | None = None
    received: int = 0
    unchanged: int = 0
    verdict: BatchVerdict | None = None
    new: NewBars | None = None
    disbelieved: Sequence[Mapping[str, Any]] = ()


async def read(batch: Transaction, result: Result, judge: Judge) -> Day:
    """The bars of a bulk day that are wanted, checked; a failure where it is not believed."""
    came, fetch = result.came, result.fetch
    if isinstance(came, Actions):
        return Day(result, of_session=len(came.rows.rows), received=came.rows.received)
    if not isinstance(came, BulkBars):
        return Day(result)
    received = came.rows.received
    scope = {
        "exchange_id": fetch.exchange_id,
        "session": fetch.session,
        "asked_at": result.started_at,
    }
    known = await batch.run("bulk_assets" if fetch.is_due_day else "correction_assets", **scope)
    wanted = {row["code"]: row["id"] for row in known}
    rows = [(code, row) for code, row in came.rows.rows if code in wanted]
    codes = {code for code, _ in came.rows.rows}
    before = {row["code"] for row in await batch.run("traded_before", **scope)}
    assert fetch.session is not None  # a constraint of plan_fetches
    last = max(fetch.session, result.ended_at.date())
    day = sort_out_day(rows, fetch.session, last)
    bars = {wanted[code]: day.bars.take(slice(at, at + 1)) for at, code in enumerate(day.codes)}
    new = await judge.new_bars(batch.cursor, fetch.session, bars)
    traded, unchanged = new.unchanged()
    counted = Batch(
        received,
        len(codes),
        traded,
        unchanged,
        # An exchange of which few assets are wanted still shows by all that are known of it.
        tuple((len(assets & codes), len(assets)) for assets in (set(wanted), before)),
        result.started_at,
    )
    verdict = await judge.batch(batch.cursor, fetch.exchange_id, fetch.session, counted)
    if not verdict.believed:
        failure = Failure(
            ErrorCode.NOT_PUBLISHED, f"{fetch.session} in bulk: {verdict.reason}", "deferred"
        )
        refused = replace(result, came=failure)
        served = (*came.rows.rows, *came.rows.others)
        ours = [row for code, row in served if code in wanted or code in before]
        return Day(refused, {}, {}, len(codes), received, unchanged, verdict, disbelieved=ours)
    bad = {wanted[code]: bar for code, bar in day.bad.items()}
    return Day(result, bars, bad, len(codes), received, unchanged, verdict, new)


async def judge_bars(batch: Transaction, day: Day, judge: Judge) -> Day:
    """The day without the bars that a rule sets aside, which are among the bad ones then."""
    fetch = day.result.fetch
    if day.verdict is not None and fetch.session is not None:
        answer = day.result.started_at, day.disbelieved
        await judge.note_batch(batch.cursor, fetch.exchange_id, fetch.session, day.verdict, *answer)
    aside = {}
    if day.new is not None:
        aside = await judge.day(batch.cursor, day.new)
        await judge.count(batch.cursor, len(day.bars) + len(day.bad))
    good = {asset_id: bars for asset_id, bars in day.bars.items() if asset_id not in aside}
    return replace(day, bars=good, bad={**day.bad, **aside}, new=None)


def bars_of(days: Sequence[Day]) -> dict[int, Bars]:
    """The bars of the days by asset; of two of a session the one that was asked for later."""
    found: dict[int, Bars] = {}
    for day in sorted(days, key=lambda each: each.result.started_at):
        for asset_id, bars in day.bars.items():
            found[asset_id] = merge(found.get(asset_id, Bars.empty()), bars)
    return found


async def record_days(batch: Transaction, days: Sequence[Day]) -> None:
    """What the vendor answered, in `bulk_days`."""
    answered = []
    for day in days:
        fetch, came = day.result.fetch, day.result.came
        if day.of_session is not None:
            answered.append(
                {
                    "exchange_id": fetch.exchange_id,
                    "session": fetch.session,
                    "kind": fetch.kind,
                    "asked_at": day.result.started_at,
                    "rows": day.received,
                    "of_session": day.of_session,
                    "unchanged": day.unchanged,
                    "believed": not isinstance(came, Failure),
                    "reason": came.message if isinstance(came, Failure) else None,
                }
            )
    if answered:
        await batch.run("record_bulk_days", days=jsonb(answered))


@dataclass(frozen=True, slots=True)
class Stored:
    """The bars that days brought, by asset, and what storing them changed.

    `due`: of days that items wait for; else of corrections.
    """

    due: bool
    bars: Mapping[int, Bars]
    changes: Changes


async def close(
    batch: Transaction, days: Sequence[Day], stored: Sequence[Stored], recorded: Mapping[int, int]
) -> None:
    """The days' detail rows and the states of their assets; `recorded`: actions, by fetch."""
    details = []
    for day in days:
        fetch = day.result.fetch
        operation = fetch.kind if fetch.purpose == "due" else f"{fetch.kind}_{fetch.purpose}"
        inserted = recorded.get(fetch.id, len(day.bars))
        details.append(detail(day.result, operation, calls=day.result.calls, inserted=inserted))
    await batch.tell(details)
    for each in stored:
        rows = [
            {
                "asset_id": asset_id,
                "last_date": bars.last_date,
                "inserted": each.changes.inserted.get(asset_id, 0),
                "updated": each.changes.updated.get(asset_id, 0),
            }
            for asset_id, bars in sorted(each.bars.items())
        ]
        if rows:
            await batch.run("count_bulk_bars", stored=jsonb(rows), due=each.due)


async def finish(batch: Transaction, exchange_id: int, days: Sequence[Day]) -> None:
    """Ends the items of an exchange whose days have all been closed."""
    for kind in ACTION_KINDS:
        of_kind = [
            day.result
            for day in days
            if day.result.fetch.kind == kind and day.result.fetch.exchange_id == exchange_id
        ]
        scope: dict[str, Any] = {"exchange_id": exchange_id, "kind": kind}
        if of_kind:
            await batch.run("bulk_actions_reach", **scope)
        doubtful = {
            code
            for result in of_kind
            if isinstance(result.came, Actions)
            for code in result.came.rows.doubtful
        }
        await batch.run("finish_action_items", **scope, doubtful=sorted(doubtful))
    await batch.run("finish_bulk_items", exchange_id=exchange_id)
