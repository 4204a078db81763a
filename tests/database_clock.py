"""A database whose `now()` a test sets, so that days pass in no time."""

from datetime import timedelta

import psycopg
from psycopg import sql
from system_fixture import Database


def let_clock_be_set(database: Database) -> None:
    """From now on the programs' statements find the functions that `set_clock` makes before
    Postgres' own.
    """
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA clock")
        owner.execute("GRANT USAGE ON SCHEMA clock TO PUBLIC")
        owner.execute(
            sql.SQL(
                "ALTER DATABASE {} SET search_path TO clock, pg_catalog, financial_screener, public"
            ).format(sql.Identifier(database.name))
        )


def set_clock(database: Database, ahead_by: timedelta) -> None:
    """How far `now()` and `clock_timestamp()` are ahead of real time; less than nothing: behind."""
    ahead = sql.Literal(f"{ahead_by.total_seconds():.6f} seconds")
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        for name, kind in (("now", "STABLE"), ("clock_timestamp", "VOLATILE")):
            owner.execute(
                sql.SQL(
                    "CREATE OR REPLACE FUNCTION clock.{name}() RETURNS timestamptz LANGUAGE sql"
                    " {kind} RETURN pg_catalog.{name}() + {ahead}::interval"
                ).format(name=sql.Identifier(name), kind=sql.SQL(kind), ahead=ahead)
            )
