"""Adapter: programs that run on after the command that started them, found again by a record on
disk.

A record names a process by its id, the boot and its start time, so that a process id used again is
never taken for ours. Nothing else is ever signalled.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from screener_local.errors import PartFailed

KEPT_LOG_BYTES = 8_000_000
"""A log longer than this is set aside as `<name>.log.1` when its part starts."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of one boot; stays unique when its number is used again."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """None if there is no such process, or only its unreaped remains."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The program's name may hold spaces and brackets; the fields begin after the last bracket.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in ("Z", "X"):
            return None
        return cls(pid, f"{boot}/{fields[19]}")

    def alive(self) -> bool:
        return ProcessIdentity.of(self.pid) == self

    def signal(self, number: int) -> bool:
        """Signals exactly this process. False if it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


@dataclass(frozen=True, slots=True)
class User:
    """A user that a program is started as."""

    name: str
    uid: int
    gid: int


def printed_version(program: Path) -> str:
    """What a program says of its version; empty if it cannot be run here."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log; empty if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 32_768))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class BackgroundProcess:
    """One program of the local system.

    `state` holds its record (`run/<part>.json`) and its log (`logs/<part>.log`).
    """

    def __init__(self, part: str, state: Path) -> None:
        self.part = part
        self.log = state / "logs" / f"{part}.log"
        self._record = state / "run" / f"{part}.json"
        self._child: subprocess.Popen[bytes] | None = None

    def identity(self) -> ProcessIdentity | None:
        try:
            return ProcessIdentity(**json.loads(self._record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def running(self) -> bool:
        if self._child is not None:
            self._child.poll()
        identity = self.identity()
        return identity is not None and identity.alive()

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: Path | None = None,
        user: User | None = None,
    ) -> None:
        """Starts it in a session of its own, without the terminal. Raises PartFailed if it cannot
        be started."""
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.log.exists() and self.log.stat().st_size > KEPT_LOG_BYTES:
            self.log.rename(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            try:
                self._child = subprocess.Popen(
                    list(argv),
                    env=dict(env),
                    cwd=cwd or "/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=user.uid if user else None,
                    group=user.gid if user else None,
                    extra_groups=[] if user else None,
                )
            except OSError as error:
                raise PartFailed(self.part, f"cannot start {argv[0]}: {error.strerror}") from error
        identity = ProcessIdentity.of(self._child.pid)
        if identity is None:
            self._reap()
            raise self.failed("it ended at once")
        temporary = self._record.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(identity)))
        temporary.replace(self._record)

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float, hint: str = "") -> None:
        """Returns when `ready()` is true. Raises PartFailed when the process dies or the time is
        over."""
        deadline = time.monotonic() + timeout_s
        pause = 0.02
        while not ready():
            if not self.running():
                raise self.failed("it ended while starting", hint)
            if time.monotonic() > deadline:
                raise self.failed(f"it did not become ready within {timeout_s:g} s", hint)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def failed(self, what: str, hint: str = "") -> PartFailed:
        return PartFailed(self.part, what, log_tail=tail(self.log), hint=hint or f"read {self.log}")

    def stop(self, grace_s: float = 10, number: int = signal.SIGTERM) -> None:
        """Asks it to end, and kills it when the grace is over. Does nothing if it is not
        running."""
        identity = self.identity()
        if identity is not None and identity.signal(number) and not self._gone(identity, grace_s):
            identity.signal(signal.SIGKILL)
            if not self._gone(identity, 10):
                raise self.failed("it does not end, not even when killed")
        self._reap()
        self._record.unlink(missing_ok=True)

    def _gone(self, identity: ProcessIdentity, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while identity.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
            if self._child is not None:
                self._child.poll()
        return True

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait()
            self._child = None


def bare_environment(*, path: str = "/usr/local/bin:/usr/bin:/bin") -> dict[str, str]:
    """What a part gets: nothing of the caller's but its home, so that no secret of theirs
    wanders."""
    environment = {"PATH": path, "LANG": "C.UTF-8", "TZ": "UTC"}
    if home := os.environ.get("HOME"):
        environment["HOME"] = home
    return environment
