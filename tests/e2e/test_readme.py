"""What the README tells a person to type, typed."""

import os
import re
import subprocess
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from screener_local.install import Kubectl
from screener_local.paths import PROJECT
from screener_local.system import LocalSystem

pytestmark = pytest.mark.e2e

README = (PROJECT / "README.md").read_text()


def blocks(heading: str, language: str = "") -> list[str]:
    """The fenced blocks of a section."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [text for of_language, text in found if of_language == language]


COMMANDS = [
    command for block in blocks("Use it") for command in block.splitlines() if command.strip()
]
ON_A_CLUSTER = [
    command
    for block in blocks("On your cluster")
    for command in block.splitlines()
    if command.startswith("kubectl apply")
]
STATEMENTS = [
    statement.strip() for block in blocks("Use it", "sql") for statement in block.split(";\n")
]


def typed(system: LocalSystem, command: str, timeout_s: float = 120) -> str:
    """What a shell that has sourced `.local/env` prints. A watch is left after a moment."""
    environment = {
        "PATH": f"{system.cluster.tools.folder}:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
    } | system.exports()
    watches = command.endswith(" -w")
    done = subprocess.run(
        ["timeout", "3", *command.split()] if watches else ["sh", "-c", command],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == (124 if watches else 0), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def outputs(local_system: LocalSystem) -> Iterator[dict[str, str]]:
    # As `make up` leaves it: tests before may have set the vendor's clock to another year.
    httpx.put(
        f"{local_system.simulator.root}/admin/clock", json={"data": None}, timeout=10
    ).raise_for_status()
    yield {command: typed(local_system, command) for command in COMMANDS}
    Kubectl(local_system.cluster).ask("readme", "delete", "colrun", "a-few-symbols")


def test_there_is_something_to_type() -> None:
    assert len(COMMANDS) >= 4
    assert len(ON_A_CLUSTER) == 2
    assert len(STATEMENTS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_prints_something(outputs: dict[str, str], command: str) -> None:
    assert outputs[command].strip()


def test_the_sample_run_is_told_to_have_succeeded(outputs: dict[str, str]) -> None:
    (describe,) = [output for command, output in outputs.items() if "describe" in command]
    assert "Succeeded" in describe and "4 assets" in describe


@pytest.mark.parametrize("command", ON_A_CLUSTER)
def test_the_manifests_apply(local_system: LocalSystem, command: str) -> None:
    """Not in earnest: they would take away what `make up` set in them for its own machine."""
    where = "server" if "--server-side" in command else "client"
    assert "dry run" in typed(local_system, f"{command} --dry-run={where}")


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_query_of_the_readme_runs(local_system: LocalSystem, statement: str) -> None:
    with psycopg.connect(local_system.postgres.owner_url) as connection:
        connection.execute("SET search_path TO financial_screener")
        connection.execute(statement.encode())


def test_every_sample_is_taken(local_system: LocalSystem) -> None:
    for sample in sorted((PROJECT / "deploy/samples").glob("*.yaml")):
        typed(local_system, f"kubectl apply --dry-run=server -f {sample}")
