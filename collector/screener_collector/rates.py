"""Adapter: Postgres: units of money and exchange rates, as `units` takes them."""

from collections.abc import Collection
from datetime import date

from screener_collector.store import Cursor, run
from screener_collector.units import Parts, Unit


async def read_parts(cursor: Cursor) -> Parts:
    """The parts of currencies by code."""
    rows = await run(cursor, "currency_units", {})
    return {row["code"]: Unit(row["currency"], row["per_major"]) for row in rows}


async def read_rates(
    cursor: Cursor, wanted: Collection[tuple[str, date]]
) -> dict[tuple[str, date], float]:
    """USD for one of a currency on a day, by both: the rate's last close of the five days to it.

    Pairs without a stored rate are not in the answer.
    """
    pairs = sorted(set(wanted))
    rows = await run(
        cursor,
        "usd_rates",
        {
            "currencies": [currency for currency, _ in pairs],
            "days": [day for _, day in pairs],
        },
    )
    return {(row["currency"], row["day"]): row["rate"] for row in rows}
