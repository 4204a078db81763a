"""Adapter: starts and stops the vendor simulator as a process of its own."""

import json
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path

from screener_local.background import BackgroundProcess, bare_environment
from screener_local.paths import SHARED_DATA
from screener_local.ports import Ports
from screener_local.simulator.companies import find_companies

PART = "simulator"
READY_TIMEOUT_S = 60


class SimulatorProcess:
    """The simulator kept in `state`, usable without the rest of the local system.

    `options` are more arguments of `python -m screener_local.simulator`. Its token is made once and
    kept in `<state>/simulator.json`, readable by its user only.
    """

    def __init__(self, state: Path, options: tuple[str, ...] = ()) -> None:
        self._state = state
        self._options = options
        self._ports = Ports(state)
        self._process = BackgroundProcess(PART, state)
        self._secret = state / "simulator.json"

    @property
    def root(self) -> str:
        """The server's root, below which `/admin` is."""
        return f"http://127.0.0.1:{self._ports.get(PART)}"

    @property
    def base_url(self) -> str:
        """What a client takes for the vendor's address."""
        return f"{self.root}/api"

    @property
    def token(self) -> str:
        if not self._secret.exists():
            self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._secret.touch(mode=0o600)
            self._secret.write_text(json.dumps({"token": secrets.token_hex(12)}))
        return str(json.loads(self._secret.read_text())["token"])

    def running(self) -> bool:
        return self._process.running()

    def start(self) -> None:
        """Returns when it answers. Raises PartFailed."""
        if not self._process.running():
            arguments = ["--port", str(self._ports.for_start(PART))]
            if companies := find_companies():
                arguments += ["--companies", str(companies)]
            if SHARED_DATA.is_dir():
                arguments += ["--data-dir", str(SHARED_DATA)]
            self._process.start(
                [sys.executable, "-m", "screener_local.simulator", *arguments, *self._options],
                bare_environment() | {"SIMULATOR_TOKEN": self.token},
            )
        self._process.wait_ready(self.ready, READY_TIMEOUT_S)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.root}/admin/usage", timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        self._process.stop(5)
