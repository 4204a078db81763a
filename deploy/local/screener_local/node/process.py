"""Adapter: a container's process: started by the launcher in a process group of its own, waited
for, signalled, never left behind."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from screener_local.background import ProcessIdentity
from screener_local.node.containerlog import LogWriter

LAUNCHER = Path(__file__).with_name("launcher.py")
LAST_OUTPUT_S = 1.0
"""How long an ended container's output is waited for, if something outside its process group holds
it open."""


class StartError(Exception):
    """The command could not be started; the message says why."""


@dataclass(frozen=True, slots=True)
class Mount:
    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: the code that a container reports (128 + n for signal n), and the
    signal."""

    code: int
    signal: int | None


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to be started, and in which surroundings. `keep` are folders that no mount may
    hide."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    mounts: Sequence[Mount]
    keep: Sequence[Path]
    scratch: Path
    log: Path


class ContainerProcess:
    """A running command. `identity` finds it again after the node's death."""

    def __init__(self, child: subprocess.Popen[bytes], output: LogWriter) -> None:
        self._child = child
        self._output = output
        self.identity = ProcessIdentity.of(child.pid)
        self._exit: asyncio.Task[Exit] = asyncio.create_task(self._wait())

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    @property
    def ended(self) -> bool:
        return self._exit.done()

    def signal(self, number: int) -> None:
        """To the whole process group, while its first process lives."""
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    async def end(self, grace_s: float) -> Exit:
        """SIGTERM, and SIGKILL when the grace is over."""
        self.signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), grace_s)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.wait()

    async def _wait(self) -> Exit:
        await _readable(os.pidfd_open(self._child.pid))
        # Before the process id can be used again: nothing of the group survives its first process.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        code = self._child.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._output.closed), LAST_OUTPUT_S)
        return Exit(code, None) if code >= 0 else Exit(128 - code, -code)


async def _readable(descriptor: int) -> None:
    """Returns when the descriptor is readable, and closes it."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def on_readable() -> None:
        if not done.done():
            done.set_result(None)

    loop.add_reader(descriptor, on_readable)
    try:
        await done
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def start(launch: Launch) -> ContainerProcess:
    """Starts a container's command. Raises StartError."""
    loop = asyncio.get_running_loop()
    launch.scratch.mkdir(parents=True, exist_ok=True)
    spec = {
        "argv": list(launch.command),
        "cwd": launch.folder,
        "names": list(launch.environment),
        "mounts": [
            {"source": str(m.source), "target": m.target, "read_only": m.read_only}
            for m in launch.mounts
        ],
        "keep": [str(path) for path in launch.keep],
        "scratch": str(launch.scratch),
        "parent": os.getpid(),
    }
    spec_read, spec_write = os.pipe()
    report_read, report_write = os.pipe()
    output_read, output_write = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(spec_read), str(report_write)],
            env=dict(launch.environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output_write,
            stderr=output_write,
            pass_fds=(spec_read, report_write),
            start_new_session=True,
        )
    finally:
        for descriptor in (spec_read, report_write, output_write):
            os.close(descriptor)
    _, output = await loop.connect_read_pipe(
        lambda: LogWriter(launch.log), os.fdopen(output_read, "rb", buffering=0)
    )
    process = ContainerProcess(child, output)
    # If the pipe is broken, the report or the exit says why.
    with contextlib.suppress(BrokenPipeError), os.fdopen(spec_write, "wb") as pipe:
        pipe.write(json.dumps(spec).encode())
    report = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(report), os.fdopen(report_read, "rb", buffering=0)
    )
    problem = await report.read()
    transport.close()
    if problem:
        await process.wait()
        raise StartError(problem.decode(errors="replace"))
    return process
