"""Entry point `screener-migrate`: brings the database of DATABASE_URL to this version's schema.

Forward only. Each `migrations/NNNN_what.sql` runs once, with its record, in one transaction; one
migrator at a time, under an advisory lock; a database with a migration that this version does not
know is refused unchanged. Run it as the schema's owner, who needs CREATEROLE unless the three roles
exist already.
"""

import os
import re
import sys
from dataclasses import dataclass
from importlib.resources import files

import psycopg

from screener_sql import query
from screener_sql.connect import connect, translated
from screener_sql.errors import BadSetting, NewerDatabase, ScreenerError
from screener_sql.model import MIGRATE_LOCK, ExitCode

MIGRATION_TIMEOUT_S = 3600
"""For one migration, and for waiting until another migrator is done."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    text: bytes


def known_migrations() -> list[Migration]:
    """This version's migrations in their order; number 0000 is the bookkeeping itself."""
    found = [
        Migration(int(match[1]), match[2], entry.read_bytes())
        for entry in files("screener_sql").joinpath("migrations").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def migrate(dsn: str) -> list[str]:
    """Applies what is missing and returns its names, oldest first.

    Raises DatabaseUnreachable, or NewerDatabase if the database knows more than this version.
    """
    bookkeeping, *migrations = known_migrations()
    with (
        connect(
            dsn,
            application_name="screener-migrate",
            autocommit=True,
            statement_timeout_s=MIGRATION_TIMEOUT_S,
        ) as connection,
        translated(),
    ):
        connection.execute(query("migrate/lock"), {"lock_class": MIGRATE_LOCK})
        connection.execute(bookkeeping.text)
        applied = {version for (version,) in connection.execute(query("migrate/applied_versions"))}
        if newer := applied - {migration.version for migration in migrations}:
            raise NewerDatabase(
                f"the database has migration {max(newer):04d}, this version knows"
                f" {migrations[-1].version:04d} at most; use a newer version"
            )
        missing = [migration for migration in migrations if migration.version not in applied]
        for migration in missing:
            with connection.transaction():
                connection.execute(migration.text)
                connection.execute(
                    query("migrate/record_version"),
                    {"version": migration.version, "name": migration.name},
                )
        return [f"{migration.version:04d}_{migration.name}" for migration in missing]


def main() -> int:
    try:
        dsn = os.environ.get("DATABASE_URL")
        if not dsn:
            raise BadSetting(
                "DATABASE_URL is not set; it must be the connection string of the schema's owner"
            )
        applied = migrate(dsn)
    except BadSetting as error:
        print(f"screener-migrate: {error}", file=sys.stderr)
        return ExitCode.BAD_SETTING
    except (ScreenerError, psycopg.Error) as error:
        print(f"screener-migrate: {error}", file=sys.stderr)
        return ExitCode.UNEXPECTED
    for name in applied:
        print(f"applied {name}")
    print("the schema is current" if applied else "the schema was current already")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
