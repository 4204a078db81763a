"""Adapter: Postgres: pages of fundamentals; what a page lacks is asked for asset by asset."""

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

from screener_collector import endpoints
from screener_collector.closing_assets import store_fundamentals
from screener_collector.fundamentals import Fundamentals
from screener_collector.store import jsonb
from screener_collector.transaction import Transaction, detail
from screener_collector.work import Failure, Page, Result
from screener_sql.model import Operation

SINGLE_CALLS = endpoints.fundamentals("").calls
"""What an asset's fundamentals cost alone."""


async def close(batch: Transaction, results: Sequence[Result]) -> None:
    """Stores what pages have, and ends the items of it; the others go by requests of their own."""
    if not results:
        return
    rows = await batch.run("items_of_pages", fetch_ids=[result.fetch.id for result in results])
    details: list[Mapping[str, Any]] = []
    items, came = [], {}
    for result in results:
        fetch, page = result.fetch, result.came
        of_page = [row for row in rows if row["fetch_id"] == fetch.id]
        found: Mapping[str, Fundamentals] = page.by_code if isinstance(page, Page) else {}
        stored = [row for row in of_page if row["code"] in found and row["asset_id"] not in came]
        details.append(detail(result, fetch.kind, calls=result.calls, updated=len(stored)))
        if isinstance(page, Failure) and page.state == "deferred":
            ended: dict[str, Any] = {
                "state": page.state,
                "error_code": page.error_code,
                "message": page.message,
            }
            for row in filter(itemgetter("is_own"), of_page):
                items.append(_item(row) | ended)
                details.append(_detail(result, row) | ended)
            continue
        for row in stored:
            columns = found[row["code"]]
            unread = f"unreadable: {', '.join(columns.unreadable)}" if columns.unreadable else None
            ended = {"state": "succeeded", "message": unread, "updated": 1}
            came[row["asset_id"]] = columns
            items.append(_item(row) | ended)
            details.append(_detail(result, row) | ended)
    if items:
        await batch.run("close_items", ended=jsonb(items))
    await batch.tell(details)
    await store_fundamentals(batch, came)
    await reroute(batch, {result.fetch.exchange_id for result in results})


async def reroute(batch: Transaction, exchange_ids: Collection[int]) -> None:
    """Items that no page has served go by requests of their own."""
    await batch.run("reroute_page_items", exchange_ids=sorted(exchange_ids), calls=SINGLE_CALLS)


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"item_id": row["item_id"], "inserted": 0, "updated": 0}


def _detail(result: Result, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "asset_id": row["asset_id"],
        "ticker": row["ticker"],
        "operation": Operation.FUNDAMENTALS_BULK,
        "calls": 0,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
    }
