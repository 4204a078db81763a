"""Entry point `screener-migrate`: brings the database of DATABASE_URL to this version's schema.

Forward only, one migrator at a time; each `migrations/NNNN_what.sql` runs once, in a transaction
with its record; a newer database is refused unchanged. Run it as the schema's owner, who needs
CREATEROLE unless the three roles exist already.
"""

import os
import re
import sys
from importlib.resources import files
from typing import NamedTuple

import psycopg

from screener_sql import query
from screener_sql.connect import connect, translated
from screener_sql.errors import BadSetting, NewerDatabase, ScreenerError
from screener_sql.model import MIGRATE_LOCK, ExitCode

TIMEOUT_S = 3600
"""For one migration, and for waiting until another migrator is done."""


class Migration(NamedTuple):
    version: int
    name: str
    text: bytes


def known_migrations() -> list[Migration]:
    """This version's migrations in their order; number 0000 is the bookkeeping itself."""
    return sorted(
        Migration(int(match[1]), match[2], entry.read_bytes())
        for entry in files("screener_sql").joinpath("migrations").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name))
    )


def migrate(dsn: str) -> list[str]:
    """Applies what is missing; its names. Raises ScreenerError, or psycopg.Error of a migration."""
    bookkeeping, *migrations = known_migrations()
    session = connect(
        dsn, application_name="screener-migrate", autocommit=True, statement_timeout_s=TIMEOUT_S
    )
    with session as connection, translated():
        connection.execute(query("migrate/lock"), {"lock_class": MIGRATE_LOCK})
        connection.execute(bookkeeping.text)
        applied = {version for (version,) in connection.execute(query("migrate/applied_versions"))}
        if newer := applied - {each.version for each in migrations}:
            raise NewerDatabase(f"the database has migration {max(newer):04d}: use a newer version")
        missing = [each for each in migrations if each.version not in applied]
        for each in missing:
            with connection.transaction():
                connection.execute(each.text)
                record = {"version": each.version, "name": each.name}
                connection.execute(query("migrate/record_version"), record)
        return [f"{each.version:04d}_{each.name}" for each in missing]


def main() -> int:
    try:
        if not (dsn := os.environ.get("DATABASE_URL")):
            raise BadSetting("DATABASE_URL is not set; it must be that of the schema's owner")
        applied = migrate(dsn)
    except (ScreenerError, psycopg.Error) as error:
        print(f"screener-migrate: {error}", file=sys.stderr)
        wrong = isinstance(error, BadSetting)
        return ExitCode.BAD_SETTING if wrong else ExitCode.UNEXPECTED
    print("\n".join(f"applied {name}" for name in applied) or "the schema was current already")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
