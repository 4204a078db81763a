"""Adapter: Postgres: what was asked for by the codes of assets that other companies have now.

What came since a list last showed a code as the asset's may be either company's. Its bars are set
aside (rule `code_reused`), its splits and dividends withdrawn, its fundamentals and an ISIN that
only they gave forgotten, and all of it is asked for again where the vendor has the asset by another
code. In the transaction that stores the list, before this counts as read.
"""

from collections.abc import Sequence
from datetime import date

from screener_collector.findings import Judge
from screener_collector.fundamentals import COLUMNS, SECTIONS
from screener_collector.store import Cursor, jsonb, run
from screener_collector.universe import Rename


async def doubt(cursor: Cursor, judge: Judge, renames: Sequence[Rename]) -> dict[str, int]:
    """Doubts what came of the renamed assets; by new code, of those with any, how many bars."""
    codes = {rename.asset.id: rename.code for rename in renames}
    asset_ids = sorted(codes)
    await run(cursor, "lock_states", {"asset_ids": asset_ids, "exchange_ids": []})
    known = await run(cursor, "codes_own_to", {"asset_ids": asset_ids})
    own_to: dict[int, date] = {row["asset_id"]: row["own_to"] for row in known}
    since = {"asset_ids": list(own_to), "moments": [row["own_at"] for row in known]}
    withdrawn = {row["asset_id"] for row in await run(cursor, "withdraw_actions_since", since)}
    closes: dict[int, dict[date, float]] = {}
    for row in await run(cursor, "closes_then", since):
        closes.setdefault(row["asset_id"], {})[row["date"]] = row["close"]
    bars = await judge.codes(cursor, own_to, closes)
    empty = {row["asset_id"] for row in await run(cursor, "forget_fundamentals_since", since)}
    if empty:
        nothing = dict.fromkeys([*COLUMNS, *SECTIONS])
        rows = [{"id": asset_id, **nothing} for asset_id in sorted(empty)]
        await run(cursor, "store_fundamentals", {"rows": jsonb(rows)})
    await run(cursor, "forget_unproved_isins", {"asset_ids": asset_ids})
    doubted = sorted(bars.keys() | withdrawn | empty)
    if doubted:
        days = [own_to[asset_id] for asset_id in doubted]
        await run(cursor, "ask_under_new_code", {"asset_ids": doubted, "days": days})
    if ours := [rename.asset.id for rename in renames if not rename.is_vendors]:
        await run(cursor, "forget_wanted", {"asset_ids": ours})
    return {codes[asset_id]: bars.get(asset_id, 0) for asset_id in doubted}
