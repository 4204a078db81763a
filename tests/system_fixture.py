"""Fixtures: a Postgres server of this test session, databases on it, and the whole local system.

Never the one of `make up`, and never an outside vendor: each session has its own in a temporary
folder, on free ports, and removes it. What a killed session left behind, the next one removes.
"""

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from screener_local.background import ProcessIdentity
from screener_local.postgres import LOGINS, OWNER, Postgres
from screener_local.system import LocalSystem
from screener_sql.migrate import migrate

FOLDER_PREFIX = "financial-screener-tests-"
SESSION_FILE = "session.json"
TEMPLATE = "migrated_template"
_numbers = itertools.count(1)


@contextmanager
def session_folder(what: str) -> Iterator[Path]:
    """A temporary folder that can be found, and cleared, after this process was killed."""
    sweep_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{what}-"))
    # Postgres may run as another user, who must be able to enter.
    folder.chmod(0o711)
    _sign(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def sweep_abandoned() -> None:
    """Stops and removes the systems of test sessions that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        record = folder / SESSION_FILE
        try:
            owner = ProcessIdentity(**json.loads(record.read_text()))
            if owner.alive():
                continue
            # Of several that sweep at once only one finds it to rename.
            record.rename(folder / f"swept-by-{os.getpid()}.json")
        except (OSError, ValueError, TypeError):
            continue  # being made or removed at this moment, or another user's
        _sign(folder)
        system = LocalSystem(folder / "state")
        system.stop()
        system.wipe()
        shutil.rmtree(folder, ignore_errors=True)


def _sign(folder: Path) -> None:
    """It is this process's now."""
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    (folder / SESSION_FILE).write_text(json.dumps(asdict(me)))


@dataclass(frozen=True)
class Database:
    """A database of one test, migrated. `urls` has one connection string a program."""

    name: str
    owner_url: str
    urls: dict[str, str]


class PostgresServer:
    """The session's Postgres, with databases for single tests."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres

    def make_template(self) -> None:
        """A migrated database that others are copied from, and the programs' logins."""
        self._create(TEMPLATE)
        migrate(self.postgres.url(OWNER, TEMPLATE))
        self.postgres.make_logins()
        # Tests step into each program's role, and cut the programs' connections.
        roles = [role for _, role in LOGINS.values()] + ["pg_signal_backend"]
        with self.administrator() as connection:
            for role in roles:
                connection.execute(
                    sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(OWNER))
                )

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The owner's connection string of a database with nothing in it."""
        name = f"empty_{next(_numbers)}"
        self._create(name)
        yield self.postgres.url(OWNER, name)
        self._drop(name)

    @contextmanager
    def migrated_database(self, template: str = TEMPLATE) -> Iterator[Database]:
        """A copy of the template, or of a migrated database that nobody is connected to."""
        name = f"test_{next(_numbers)}"
        self._create(name, template=template)
        self._copy_settings(name)
        yield Database(name, self.postgres.url(OWNER, name), self.postgres.program_urls(name))
        self._drop(name)

    def administrator(self, database: str = "postgres") -> Connection[TupleRow]:
        """An autocommit connection of the superuser; close it."""
        return psycopg.connect(self.postgres.url("postgres", database), autocommit=True)

    def _create(self, name: str, template: str = "template1") -> None:
        with self.administrator() as connection:
            connection.execute(
                # Copying the files takes a seventh of the time that writing a log of them does.
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template)
                )
            )

    def _copy_settings(self, name: str) -> None:
        """What a migration set on, or granted for, the database itself is not in a copy of it."""
        with self.administrator() as connection:
            settings = connection.execute(
                "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database"
                " ON pg_database.oid = setdatabase WHERE datname = %s AND setrole = 0",
                [TEMPLATE],
            ).fetchall()
            for (setting,) in settings:
                key, _, value = setting.partition("=")
                # A list, such as search_path, is kept with its own quotes.
                connection.execute(
                    sql.SQL("ALTER DATABASE {} SET {} TO ").format(
                        sql.Identifier(name), sql.Identifier(key)
                    )
                    + (sql.SQL(value) if "," in value else sql.Literal(value))
                )
            grants = connection.execute(
                "SELECT grantee::regrole::text, privilege_type FROM pg_database,"
                " aclexplode(datacl) WHERE datname = %s AND grantee <> 0",
                [TEMPLATE],
            ).fetchall()
            for role, privilege in grants:
                connection.execute(
                    sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
                        sql.SQL(privilege), sql.Identifier(name), sql.Identifier(role)
                    )
                )

    def _drop(self, name: str) -> None:
        with self.administrator() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Postgres alone, without the rest of the local system."""
    with session_folder("postgres") as folder:
        postgres = Postgres(folder / "state")
        postgres.start()
        try:
            server = PostgresServer(postgres)
            server.make_template()
            yield server
        finally:
            postgres.stop()
            postgres.wipe()


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The owner's connection string of a database with nothing in it."""
    with postgres_server.empty_database() as url:
        yield url


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A migrated database of this test's own."""
    with postgres_server.migrated_database() as database:
        yield database


@pytest.fixture
def owner(database: Database) -> Iterator[Connection[TupleRow]]:
    """An autocommit connection of the schema's owner to a migrated database of this test's own."""
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def local_system() -> Iterator[LocalSystem]:
    """The whole local system with the product in it, as `make up` starts it, with a simulator."""
    with session_folder("system") as folder:
        system = LocalSystem(folder / "state")
        try:
            system.start()
            yield system
        finally:
            system.stop()
            system.wipe()
