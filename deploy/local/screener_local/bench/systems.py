"""Adapter: what a bench needs to run on: each is in a temporary folder, and removed afterwards,
even where the bench is killed.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from screener_local.install import prepare_database
from screener_local.keeper import kept
from screener_local.postgres import Postgres
from screener_local.simulator_process import SimulatorProcess
from screener_local.system import LocalSystem


def say(line: str) -> None:
    """A remark beside the figures: standard output has these alone."""
    print(f"# {line}", file=sys.stderr, flush=True)


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that an unprivileged Postgres can enter."""
    with tempfile.TemporaryDirectory(prefix="screener-bench-") as name:
        path = Path(name)
        path.chmod(0o711)
        with kept(path):
            yield path


@contextmanager
def local_system(*simulator_options: str) -> Iterator[LocalSystem]:
    """The whole system, started; with more arguments of its simulator."""
    with folder() as state:
        system = LocalSystem(state, say=say, simulator_options=simulator_options)
        try:
            system.start()
            yield system
        finally:
            system.stop()
            system.postgres.wipe()


@contextmanager
def database(*, durable: bool = False) -> Iterator[Postgres]:
    """A Postgres of its own with the schema and the programs' logins.

    `durable`: what it commits is on the disk, as it has to be outside of tests.
    """
    with folder() as state:
        postgres = Postgres(state, say, durable=durable)
        try:
            postgres.start()
            prepare_database(postgres)
            yield postgres
        finally:
            postgres.stop()
            postgres.wipe()


@contextmanager
def simulator(*options: str) -> Iterator[SimulatorProcess]:
    """The vendor's simulator; `options` are more arguments of it."""
    with folder() as state:
        process = SimulatorProcess(state, options)
        try:
            process.start()
            yield process
        finally:
            process.stop()
