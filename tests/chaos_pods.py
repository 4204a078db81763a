"""Collector pods that start within no time: real processes, forked from one that has everything
imported, killed and frozen like any other.

Run as a script it is that one process: it reads a line of JSON for each pod to start, and writes a
line when a pod has started and one when it has ended. It ends, and its pods with it, when its
standard input does.
"""

import contextlib
import gc
import json
import os
import random
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

START_TIMEOUT_S = 30.0


@dataclass(eq=False)
class Pod:
    """One process. `code` None: it has not ended; negative: it was killed by that signal."""

    name: str
    kind: str
    slice: str
    log: Path
    pid: int = 0
    code: int | None = None
    frozen: bool = False
    _handle: int = -1

    def signal(self, number: int) -> None:
        """Signals exactly this process, if it is still there."""
        if self.code is None and self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen = True
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.frozen = False
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM; a frozen one gets it when it wakes up."""
        self.signal(signal.SIGTERM)

    def ended(self, status: int) -> None:
        """The process is gone."""
        self.code = os.waitstatus_to_exitcode(status)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def text(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class Pods:
    """The process that pods are forked from, and its pods by process id."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    _by_name: dict[str, Pod] = field(default_factory=dict)
    _by_pid: dict[int, Pod] = field(default_factory=dict)
    _buffer: bytes = b""
    _number: int = 0

    @classmethod
    def begin(cls, folder: Path) -> Self:
        """Starts it; logs of pods go to the folder."""
        process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__],
            env={"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise AssertionError("the process that pods are forked from did not start")
        os.set_blocking(process.stdout.fileno(), False)
        return cls(folder, process)

    def start(self, kind: str, slice_name: str, environment: Mapping[str, str]) -> Pod:
        """Starts a pod."""
        self._number += 1
        name = f"pod-{self._number}"
        pod = Pod(name, kind, slice_name, self.folder / f"{name}.log")
        self._by_name[name] = pod
        order = {
            "name": name,
            "kind": kind,
            "log": str(pod.log),
            "environment": {"PATH": os.environ["PATH"], "POD_NAME": name, **environment},
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        while pod.pid == 0:
            self.look(START_TIMEOUT_S)
        return pod

    def look(self, timeout_s: float) -> None:
        """Takes in who has started and ended, waiting so long for the first such news."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                return
        chunk = self.process.stdout.read()
        if chunk == b"":
            raise AssertionError("the process that pods are forked from has gone")
        *lines, self._buffer = (self._buffer + (chunk or b"")).split(b"\n")
        for line in lines:
            self._take_in(json.loads(line))

    def _take_in(self, news: dict[str, Any]) -> None:
        if "name" in news:
            pod = self._by_name[news["name"]]
            pod.pid = news["pid"]
            self._by_pid[pod.pid] = pod
            with contextlib.suppress(ProcessLookupError):  # it ended at once
                pod._handle = os.pidfd_open(pod.pid)
        else:
            self._by_pid.pop(news["pid"]).ended(news["status"])

    def forget(self) -> None:
        """Kills what is left, and removes the logs."""
        while self._by_pid:
            for pod in self._by_pid.values():
                pod.signal(signal.SIGKILL)
            self.look(1.0)
        for pod in self._by_name.values():
            pod.log.unlink(missing_ok=True)
        self._by_name.clear()

    def end(self) -> None:
        """Ends it."""
        self.forget()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


# -- the process ----------------------------------------------------------------------------------


def _pod(order: dict[str, Any]) -> None:
    """Becomes a pod: returns never."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(order["environment"])
    random.seed()
    code = 1
    try:
        from screener_collector.__main__ import main

        code = main([order["kind"]])
        sys.stderr.flush()
    finally:
        os._exit(code)


def _warm_up() -> None:
    """Imports all that a pod does in its life, and makes the TLS context that each would make."""
    import asyncio
    import ssl

    import exchange_calendars  # noqa: F401
    import httpx

    import screener_collector.__main__  # noqa: F401

    context = ssl.create_default_context()
    # The vendor of a test speaks plain HTTP.
    vars(httpx._transports.default)["create_ssl_context"] = lambda *_, **__: context

    async def ask() -> None:
        async with httpx.AsyncClient() as client:
            with contextlib.suppress(httpx.TransportError):
                await client.get("http://127.0.0.1:1/")

    asyncio.run(ask())


def _serve() -> None:
    _warm_up()
    gc.collect()
    gc.freeze()
    news_in, news_out = os.pipe()
    os.set_blocking(news_in, False)
    os.set_blocking(news_out, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(news_out, warn_on_full_buffer=False)
    os.write(1, b"ready\n")
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(news_in, selectors.EVENT_READ)
    children: set[int] = set()
    buffer = b""
    while True:
        for key, _ in selector.select():
            if key.fd == news_in:
                with contextlib.suppress(BlockingIOError):
                    os.read(news_in, 4096)
                continue
            chunk = os.read(0, 65536)
            if not chunk:
                for pid in children:
                    os.kill(pid, signal.SIGKILL)
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    selector.close()
                    os.close(news_in)
                    os.close(news_out)
                    _pod(order)
                children.add(pid)
                _tell({"name": order["name"], "pid": pid})
        while children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            children.discard(pid)
            _tell({"pid": pid, "status": status})


def _tell(news: dict[str, Any]) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    _serve()
