"""A made market for screens: assets with what a test says of them, and the newest sessions."""

from collections.abc import Mapping, Sequence
from datetime import date

from psycopg import Connection, sql
from psycopg.rows import TupleRow

Facts = Mapping[str, object]
"""Columns of `assets` and of `technical_indicators` with their values; `last_price` is
`current_price`, and `last_bar` the date of the row of indicators (None: there is none)."""


def add_calendar(owner: Connection[TupleRow], exchange: str = "US", days: int = 12) -> list[date]:
    """Sessions on each of the last days up to tomorrow; those that have ended long enough ago for
    their bars to be there, oldest first."""
    owner.execute(
        "INSERT INTO financial_screener.exchange_sessions"
        " SELECT id, (now() AT TIME ZONE 'UTC')::date - n, now() - n * interval '1 day'"
        " FROM financial_screener.exchanges, generate_series(-1, %s) AS n WHERE code = %s",
        (days, exchange),
    )
    return [
        day
        for (day,) in owner.execute(
            "SELECT session FROM financial_screener.exchange_sessions AS known"
            " JOIN financial_screener.exchanges ON id = exchange_id"
            " WHERE code = %s AND closes_at + publication_delay <= now() ORDER BY session",
            [exchange],
        )
    ]


def add_listing(owner: Connection[TupleRow], ticker: str, facts: Facts) -> int:
    """The asset with its facts, in a transaction with its row of indicators; its id."""
    code, _, exchange = ticker.rpartition(".")
    facts = dict(facts)
    last_bar = facts.pop("last_bar", None)
    if "last_price" in facts:
        facts["current_price"] = facts.pop("last_price")
    kept = _columns(owner, "technical_indicators")
    indicators = {name: value for name, value in facts.items() if name in kept}
    others = {name: value for name, value in facts.items() if name not in kept}
    with owner.transaction():
        row = owner.execute(
            sql.SQL(
                "INSERT INTO financial_screener.assets (code, exchange_id, ticker, {})"
                " SELECT %s, id, %s, {} FROM financial_screener.exchanges WHERE code = %s"
                " RETURNING id"
            ).format(_names(["name", *others]), _places(1 + len(others))),
            [code, ticker, f"{code} Corporation", *others.values(), exchange],
        ).fetchone()
        assert row is not None
        if last_bar is not None:
            add_indicators(owner, row[0], last_bar, indicators)
    return int(row[0])


def add_indicators(
    owner: Connection[TupleRow], asset_id: int, day: object, values: Facts, bars_used: int = 300
) -> None:
    """A row of indicators."""
    owner.execute(
        sql.SQL(
            "INSERT INTO financial_screener.technical_indicators"
            " (asset_id, calculation_date, bars_used, execution_id{}{})"
            " VALUES (%s, %s, %s, 'made'{}{})"
        ).format(*_more(values)),
        [asset_id, day, bars_used, *values.values()],
    )


def add_finding(
    owner: Connection[TupleRow], asset_id: int, rule: str, severity: str, state: str = "open"
) -> None:
    """A finding of the rules of data about the asset."""
    owner.execute(
        "INSERT INTO financial_screener.data_findings"
        " (asset_id, rule, severity, state, execution_id) VALUES (%s, %s, %s, %s, 'made')",
        [asset_id, rule, severity, state],
    )


def _more(values: Facts) -> list[sql.Composable]:
    comma = sql.SQL(", " if values else "")
    return [comma, _names(values), comma, _places(len(values))]


def _names(names: Sequence[str] | Facts) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _places(count: int) -> sql.Composed:
    return sql.SQL(", ").join([sql.Placeholder()] * count)


def _columns(owner: Connection[TupleRow], table: str) -> set[str]:
    return {
        name
        for (name,) in owner.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'financial_screener' AND table_name = %s",
            [table],
        )
    }
