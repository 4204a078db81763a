"""Adapter: Postgres: what assets' own requests brought: bars, lists of actions, fundamentals."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from screener_collector.bars import BadBar, Bars, Sorted, merge
from screener_collector.closing_actions import History
from screener_collector.findings import Judge
from screener_collector.fundamentals import Fundamentals
from screener_collector.store import jsonb
from screener_collector.storing import Changes
from screener_collector.transaction import Transaction
from screener_collector.work import Actions, End, Result, Served, end

_WHAT = {"prices": "prices", "splits": "actions", "dividends": "actions"}


class OwnFetches:
    """Assets' own fetches of a batch, by ascending time of the request."""

    def __init__(
        self, results: Sequence[Result], served: Mapping[int, Sequence[Served]], batch: Transaction
    ) -> None:
        self._results = results
        self._served = served
        self._batch = batch

    @classmethod
    async def read(cls, batch: Transaction, results: Sequence[Result]) -> "OwnFetches":
        """With what each of them serves."""
        served: dict[int, list[Served]] = defaultdict(list)
        if results:
            rows = await batch.run(
                "items_of_fetches", fetch_ids=[result.fetch.id for result in results]
            )
            for row in rows:
                served[row.pop("fetch_id")].append(Served(**row))
        return cls(sorted(results, key=lambda each: each.started_at), served, batch)

    async def judged(self, judge: Judge) -> "OwnFetches":
        """The same with the histories judged, and without the bars that a rule sets aside."""
        results = {result.fetch.id: result for result in self._results}
        rest = self._series()
        while rest:
            # Of an asset that was asked for twice the newer history has the last word.
            one = {result.fetch.asset_id: result for result in reversed(rest)}
            came = {
                asset_id: result.came
                for asset_id, result in one.items()
                if asset_id is not None and isinstance(result.came, Sorted)
            }
            for asset_id, sorted_out in (await judge.histories(self._batch.cursor, came)).items():
                result = one[asset_id]
                results[result.fetch.id] = replace(result, came=sorted_out)
            rest = [result for result in rest if result not in one.values()]
        return OwnFetches(list(results.values()), self._served, self._batch)

    def bars(self) -> dict[int, Bars]:
        """The bars that came in, by asset."""
        found: dict[int, Bars] = {}
        for asset_id, came in self._sorted():
            found[asset_id] = merge(found.get(asset_id, Bars.empty()), came.bars)
        return found

    def bad(self) -> list[tuple[int, BadBar]]:
        """The bars that broke a rule."""
        return [(asset_id, bar) for asset_id, came in self._sorted() for bar in came.bad]

    def spoilt(self, asset_ids: Collection[int]) -> list[tuple[int, date]]:
        """The days of these assets that were asked for and of which no bar came that keeps the
        rules."""
        spans, bars = self.spans(), self.bars()
        return [
            (asset_id, bar.date)
            for asset_id, bar in self.bad()
            if asset_id in asset_ids and bar.date is not None and asset_id in spans
            if spans[asset_id][0] <= bar.date <= spans[asset_id][1]
            if np.datetime64(bar.date, "D") not in bars[asset_id].dates
        ]

    def _sorted(self) -> list[tuple[int, Sorted]]:
        return [
            (result.fetch.asset_id, result.came)
            for result in self._series()
            if result.fetch.asset_id is not None and isinstance(result.came, Sorted)
        ]

    def _series(self) -> list[Result]:
        return [
            result
            for result in self._results
            if result.fetch.asset_id is not None
            and isinstance(result.came, Sorted)
            and self._served.get(result.fetch.id)
        ]

    def spans(self) -> dict[int, tuple[date, date]]:
        """The days that the histories were asked for, by asset."""
        return {
            result.fetch.asset_id: (result.fetch.date_from, result.fetch.date_to)
            for result in self._results
            if isinstance(result.came, Sorted)
            and result.fetch.asset_id is not None
            and result.fetch.date_from is not None
            and result.fetch.date_to is not None
        }

    def histories(self) -> dict[int, History]:
        """Of the assets of which at least one bar came in: when they were asked for, up to when."""
        found: dict[int, History] = {}
        for result in self._results:
            fetch = result.fetch
            if (
                isinstance(result.came, Sorted)
                and len(result.came.bars)
                and fetch.asset_id is not None
                and fetch.date_to is not None
                and self._served.get(fetch.id)
            ):
                found[fetch.asset_id] = History(result.started_at, fetch.date_to)
        return found

    async def close(self, changes: Changes, recorded: Mapping[int, int], waiting: set[int]) -> None:
        """Ends their items and tells the states; `recorded`: actions, by fetch; `waiting`: assets
        whose histories do not show an action yet."""
        items, details, failed, prices, lists = [], [], [], [], []
        fundamentals: dict[int, Fundamentals] = {}
        for result in self._results:
            for item in self._served.get(result.fetch.id, ()):
                ended = _end(result, item, changes, recorded, waiting)
                row = _end_row(item, ended)
                if item.item_id is not None:
                    items.append(row)
                details.append(_detail(result, item, row))
                if ended.state == "failed":
                    what = _WHAT.get(result.fetch.kind, "fundamentals")
                    failed.append(
                        row | {"asset_id": item.asset_id, "counted": ended.counted, "what": what}
                    )
                elif isinstance(result.came, Fundamentals):
                    fundamentals[item.asset_id] = result.came
                elif isinstance(result.came, Sorted):
                    prices.append(_prices_row(result, result.came, item, ended))
                elif isinstance(result.came, Actions):
                    lists.append(
                        {
                            "asset_id": item.asset_id,
                            "kind": result.fetch.kind,
                            "date_to": result.fetch.date_to,
                            "asked_at": result.started_at,
                        }
                    )
        run = self._batch.run
        if items:
            await run("close_items", ended=jsonb(items))
        await self._batch.tell(details)
        if failed:
            await run("state_failures", failed=jsonb(failed))
        for each in _one_an_asset(prices):
            await run("state_prices", ended=jsonb(each))
        if lists:
            await run("state_actions", lists=jsonb(lists))
        await store_fundamentals(self._batch, fundamentals)


def _one_an_asset(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows in lists in which no asset is twice, each asset's in their order."""
    lists: list[dict[int, dict[str, Any]]] = []
    for row in rows:
        for each in lists:
            if row["asset_id"] not in each:
                each[row["asset_id"]] = row
                break
        else:
            lists.append({row["asset_id"]: row})
    return [list(each.values()) for each in lists]


async def store_fundamentals(batch: Transaction, came: Mapping[int, Fundamentals]) -> None:
    """Stores fundamentals by asset."""
    if came:
        rows = [{"id": asset_id, **each.columns} for asset_id, each in came.items()]
        await batch.run("store_fundamentals", rows=jsonb(rows))
        await batch.run("state_fundamentals", asset_ids=list(came))


def _end(
    result: Result,
    item: Served,
    changes: Changes,
    recorded: Mapping[int, int],
    waiting: set[int],
) -> End:
    if isinstance(result.came, Sorted):
        inserted = changes.inserted.get(item.asset_id, 0)
        updated = changes.updated.get(item.asset_id, 0) + changes.withdrawn.get(item.asset_id, 0)
        shows_all = item.asset_id not in waiting
        if result.fetch.purpose == "refresh":  # done, whatever it brought
            item = replace(item, needs_reprocess=True)
        ended = end(item, result.came, inserted, updated, shows_all=shows_all)
        if lacking := changes.kept_withdrawn.get(item.asset_id):
            remark = f"it lacks {lacking} stored bars, which are kept"
            ended = replace(ended, message="; ".join(filter(None, (ended.message, remark))))
        return ended
    return end(item, result.came, recorded.get(result.fetch.id, 0), 0)


def _end_row(item: Served, ended: End) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "state": ended.state,
        "error_code": ended.error_code,
        "message": ended.message,
        "inserted": ended.inserted,
        "updated": ended.updated,
    }


def _detail(result: Result, item: Served, row: Mapping[str, Any]) -> dict[str, Any]:
    """Its detail row; that of no item names no asset, as counts of assets are counts of items."""
    asset: dict[str, Any] = {"asset_id": item.asset_id, "ticker": item.ticker}
    if item.item_id is None:
        message = f"{item.ticker}: {row['message']}" if row["message"] else item.ticker
        asset = {"asset_id": None, "ticker": None, "message": message}
    return {
        **row,
        **asset,
        "operation": item.operation,
        "calls": result.calls,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
    }


def _prices_row(result: Result, came: Sorted, item: Served, ended: End) -> dict[str, Any]:
    return {
        "asset_id": item.asset_id,
        "first_date": came.bars.first_date,
        "last_date": came.bars.last_date,
        "checked_from": result.fetch.date_from,
        "expected_to": item.expected_to,
        "inserted": ended.inserted,
        "updated": ended.updated,
        "started_at": result.started_at,
    }
