"""Fixture `simulator`: a vendor simulator of this test session, as it was at its start for every
test.

The process is one a session; the account, clocks, faults and usage are reset for each test. Codes
are made up, so that tests do not depend on what lies beside the project; six US companies have
their real bars where the package with them is installed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from screener_local.simulator.companies import find_companies

TOKEN = "6123abc456def789.12345678"
START_TIMEOUT_S = 30.0

#: A moment at which the real companies still have real bars, and all exchanges are published.
DATA_MOMENT = "2023-09-19T23:59:00Z"


@dataclass(frozen=True)
class Simulator:
    """`url` ends in `/api` and is what EODHD_BASE_URL takes; `root` is the same without it."""

    root: str
    token: str
    _client: httpx.Client

    @property
    def url(self) -> str:
        return f"{self.root}/api"

    def get(self, path: str, **params: str) -> httpx.Response:
        """A request of the vendor's API with the account's token, JSON wanted, as in
        `get("eod/A.US")`.

        Name `api_token` or `fmt` to give another; "" leaves it away.
        """
        query = {"api_token": self.token, "fmt": "json"} | params
        return self._client.get(
            f"{self.url}/{path}", params={name: value for name, value in query.items() if value}
        )

    def admin(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """The JSON answer of `/admin/<path>`: GET, or PUT where there is a body."""
        verb = method or ("GET" if body is None else "PUT")
        content = None if body is None else json.dumps(body)
        answer = self._client.request(verb, f"{self.root}/admin/{path}", content=content)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def admin_error(self, path: str, body: Any) -> str:
        """The sentence with which `/admin/<path>` refuses a body."""
        answer = self._client.put(f"{self.root}/admin/{path}", content=json.dumps(body))
        assert answer.status_code == 400, answer.text
        return str(answer.json()["error"])

    def faults(self, *entries: Mapping[str, Any], seed: int = 1) -> None:
        """Puts a script of faults and events in the place of the one before; none ends them."""
        self.admin("faults", {"seed": seed, "faults": list(entries)})

    def arrivals(self, since: int = 0) -> list[dict[str, Any]]:
        """Every request that arrived after number `since`, refused ones too."""
        found: list[dict[str, Any]] = []
        while page := self.admin(f"log?since={since + len(found)}&limit=20000"):
            found += page
        return found

    def published(self, exchange: str, first: str, last: str) -> dict[str, Any]:
        """What is published last of an exchange between two days, both included."""
        truth: dict[str, Any] = self.admin(f"published?exchange={exchange}&from={first}&to={last}")
        return truth

    def step(self, exchange: str, sessions: int = 1, hours: float = 0.0) -> str:
        """Moves both clocks to so many hours after the publication of a next session: the moment
        of the data clock.
        """
        step = {"exchange": exchange, "sessions": sessions, "hours": hours}
        return str(self.admin("clock", {"step": step})["data"])

    def clock(self, **moments: str | None) -> None:
        """Sets `data` and `accounting`; None is real time."""
        self.admin("clock", moments)

    def usage(self) -> dict[str, dict[str, dict[str, int]]]:
        """Requests and calls by GMT day and endpoint, as the simulator counted them."""
        usage: dict[str, dict[str, dict[str, int]]] = self.admin("usage")
        return usage

    def calls(self) -> int:
        """All calls counted since the test began, over all days."""
        return sum(use["calls"] for day in self.usage().values() for use in day.values())

    def reset(self) -> None:
        self.admin("reset", method="POST")


def start_simulator(folder: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    """Starts a simulator with state and log in the folder: the process, and its root address."""
    state, log = folder / "simulator.json", folder / "simulator.log"
    companies = find_companies()
    command = [sys.executable, "-m", "screener_local.simulator", "--state-file", str(state)]
    if companies is not None:
        command += ["--companies", str(companies)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *arguments],
            env=os.environ | {"SIMULATOR_TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while not state.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise AssertionError(f"the simulator did not start:\n{log.read_text()}")
        time.sleep(0.02)
    port = json.loads(state.read_text())["port"]
    return process, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def _simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    process, root = start_simulator(tmp_path_factory.mktemp("simulator"))
    with httpx.Client(timeout=30.0, trust_env=False) as client:
        yield Simulator(root, TOKEN, client)
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def simulator(_simulator_process: Simulator) -> Simulator:
    _simulator_process.reset()
    return _simulator_process
