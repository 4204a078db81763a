"""Adapter: Postgres: records splits and dividends, and looks for them in the stored bars.

An action counts as confirmed once the adjusted closes show it. Until then its asset's history is
fetched again, session after session, and its indicators are not current.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from screener_collector import actions, endpoints
from screener_collector.actions import MAX_CHECKS, Dividend, Price, Shown, Split, Verdict
from screener_collector.parse import Action
from screener_collector.store import jsonb
from screener_collector.transaction import Transaction, storable
from screener_collector.work import Actions, Result
from screener_sql.model import Operation

REFETCH_CALLS = endpoints.eod("", date.min, date.min).calls
"""What a history costs that is fetched again."""
PRICES = [Operation.PRICES_BULK.value, Operation.PRICES_INCREMENTAL.value]
SETTLED_AFTER = timedelta(days=2)
"""From an ex-date on: a history that is asked for later shows what cannot be judged, too."""


@dataclass(slots=True)
class Recorded:
    """What lists of actions brought: how many were new or changed, by fetch; assets to look at."""

    counts: dict[int, int] = field(default_factory=dict)
    asset_ids: set[int] = field(default_factory=set)
    withdrawn: set[int] = field(default_factory=set)
    """Assets of which the vendor has withdrawn one."""


async def record(batch: Transaction, results: Sequence[Result]) -> Recorded:
    """Records the actions in the results, of bulk days and of assets alike."""
    recorded = Recorded()
    lists: dict[tuple[int, str], Result] = {}
    for result in sorted(results, key=lambda each: each.started_at):
        if not isinstance(result.came, Actions):
            continue
        if result.fetch.asset_id is None:
            await _record_day(batch, result, result.came, recorded)
        else:
            lists[result.fetch.asset_id, _KINDS[result.fetch.kind]] = result
    if lists:
        await _record_lists(batch, lists, recorded)
    return recorded


_KINDS = {
    "splits": "split",
    "bulk_splits": "split",
    "dividends": "dividend",
    "bulk_dividends": "dividend",
}


async def _record_day(
    batch: Transaction, result: Result, came: Actions, recorded: Recorded
) -> None:
    fetch, rows = result.fetch, came.rows.rows
    if rows:
        actions = jsonb([_row(fetch.exchange_id, action) for action in rows])
        known = await batch.run("record_actions", actions=actions)
        recorded.counts[fetch.id] = len(known)
        recorded.asset_ids |= {row["asset_id"] for row in known}
    if rows and not came.rows.unreadable:
        gone = await batch.run(
            "withdraw_early_actions",
            exchange_id=fetch.exchange_id,
            session=fetch.session,
            kind=_KINDS[fetch.kind],
            asked_at=result.started_at,
            codes=[action.code for action in rows],
        )
        recorded.withdrawn |= {row["asset_id"] for row in gone}
    if came.rows.doubtful and fetch.is_due_day:
        await batch.run(
            "doubt_actions",
            exchange_id=fetch.exchange_id,
            kind=fetch.kind,
            codes=list(came.rows.doubtful),
        )


async def _record_lists(
    batch: Transaction, lists: Mapping[tuple[int, str], Result], recorded: Recorded
) -> None:
    """Assets' own lists by asset and kind; all of them in the same two statements."""
    rows, told = [], []
    for (asset_id, kind), result in lists.items():
        fetch = result.fetch
        assert isinstance(result.came, Actions)
        recorded.asset_ids.add(asset_id)
        recorded.counts[fetch.id] = 0
        rows += [_row(fetch.exchange_id, action) for action in result.came.rows.rows]
        told.append(
            {
                "asset_id": asset_id,
                "kind": kind,
                "first": fetch.date_from,
                "last": fetch.date_to,
                "ex_dates": [action.ex_date for action in result.came.rows.rows],
            }
        )
    if rows:
        for row in await batch.run("record_actions", actions=jsonb(rows)):
            recorded.counts[lists[row["asset_id"], row["kind"]].fetch.id] += 1
    gone = await batch.run("withdraw_actions", lists=jsonb(told))
    recorded.withdrawn |= {row["asset_id"] for row in gone}


def _row(exchange_id: int, action: Action) -> dict[str, Any]:
    return {
        "exchange_id": exchange_id,
        "code": action.code,
        "ex_date": action.ex_date,
        "kind": action.kind,
        "split_new": action.split_new,
        "split_old": action.split_old,
        "dividend": action.dividend,
        "unadjusted": action.unadjusted,
        "currency": action.currency,
        "payload": storable(action.row),
    }


@dataclass(frozen=True, slots=True)
class History:
    """A whole history that was stored: when it was asked for, and up to which session."""

    asked_at: datetime
    session: date


async def look(
    batch: Transaction, asset_ids: Collection[int], histories: Mapping[int, History]
) -> set[int]:
    """Looks for the open actions of assets in their stored bars; the assets that must wait.

    `histories`: those of the assets that this transaction has stored, which alone count as a
    session at which an action was looked for. After `MAX_CHECKS` of them it is a finding.
    """
    if not asset_ids:
        return set()
    judged: list[dict[str, Any]] = []
    verdicts: dict[_Key, Verdict | None] = {}
    for happened in _together(await batch.run("open_actions", asset_ids=sorted(asset_ids))):
        first = happened[0]
        history = histories.get(first["asset_id"])
        if first["after_date"] is None:
            continue  # no bar to show it is there yet
        verdict = _judge(happened)
        for row in happened:
            shown = verdict is None or verdict.shown is Shown.YES
            if verdict is not None and verdict.shown is Shown.UNKNOWN:
                asked_at = history.asked_at if history else row["prices_refreshed_at"]
                shown = asked_at is not None and _settles(row, asked_at)
            if not row["open"]:
                continue
            key = (row["asset_id"], row["ex_date"], row["kind"])
            verdicts[key] = verdict
            session = history.session if history else None
            judged.append(_named(key) | {"shown": shown, "session": session})
    if not judged:
        return set()
    waiting: set[int] = set()
    found, shown_after_all = [], []
    for row in await batch.run("check_actions", judged=jsonb(judged)):
        key = (row["asset_id"], row["ex_date"], row["kind"])
        verdict = verdicts[key]
        if row["shown"]:
            if row["checked_sessions"] >= MAX_CHECKS:
                shown_after_all.append(_named(key))
        elif row["checked_sessions"] < MAX_CHECKS:
            waiting.add(row["asset_id"])
        elif row["asset_id"] in histories and verdict is not None:
            measured = {"measured": verdict.measured, "expected": verdict.expected}
            found.append(_named(key) | measured)
    if found:
        await batch.run("find_actions", found=jsonb(found))
    if shown_after_all:
        await batch.run("release_action_findings", shown=jsonb(shown_after_all))
    return waiting


_Key = tuple[int, date, str]
"""Asset, ex-date and kind of an action."""


def _named(key: _Key) -> dict[str, Any]:
    return dict(zip(("asset_id", "ex_date", "kind"), key, strict=True))


def _together(rows: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The actions between the same two bars of an asset, which show as one."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["asset_id"], row["before_date"], row["after_date"] or row["ex_date"]].append(row)
    return list(groups.values())


def _judge(happened: Sequence[Mapping[str, Any]]) -> Verdict | None:
    """None: there is nothing before to show it."""
    first = happened[0]
    if first["before_date"] is None:
        return None
    return actions.judge(
        Price(first["before_close"], first["before_adjusted"]),
        Price(first["after_close"], first["after_adjusted"]),
        [
            Split(row["split_new"], row["split_old"])
            if row["kind"] == "split"
            else Dividend(row["amount"], row["sure"], row["converted"])
            for row in happened
        ],
    )


def _settles(row: Mapping[str, Any], asked_at: datetime) -> bool:
    """Whether a history that was asked for then has an action in it that cannot be judged."""
    ex_date: date = row["ex_date"]
    settled = datetime.combine(ex_date + SETTLED_AFTER, time(), asked_at.tzinfo)
    return bool(asked_at > row["first_seen_at"]) or asked_at >= settled


async def fetch_again(
    batch: Transaction, waiting: Collection[int], histories: Mapping[int, History]
) -> None:
    """The histories of assets that wait are fetched again, in this run where that is not done.

    A history of this transaction that does not show all waits for the next session.
    """
    stale = sorted(set(waiting) - histories.keys())
    if stale:
        await batch.run("flag_reprocess", asset_ids=stale)
        await batch.run(
            "reroute_items",
            exchange_id=None,
            asset_ids=stale,
            operations=PRICES,
            calls=REFETCH_CALLS,
        )
        await batch.run("add_refetches", asset_ids=stale, calls=REFETCH_CALLS)
    later = [
        {"asset_id": asset_id, "session": histories[asset_id].session}
        for asset_id in sorted(set(waiting) & histories.keys())
    ]
    if later:
        await batch.run("wait_for_actions", waiting=jsonb(later))
