"""Adapter: the judge in a process of its own, beside the one that computes.

To verify a sample takes about as long as to compute the rows of all assets, and of the threads of
one process only one computes at a time. It is given rows and bars, and knows no database. It ends
with its input: however the program ends, and if it is killed.
"""

import gc
import importlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from screener_analyzer.spec import Adjusted
from screener_analyzer.verification import Mismatch, Sampled, verified
from screener_sql.logs import start_logging

logger = logging.getLogger("screener_analyzer.judge_process")

_KEPT_FROM_IT = frozenset({"DATABASE_URL"})


class JudgeLost(Exception):
    """The process has ended, and nothing can be verified any more."""


class JudgeProcess:
    """Of threads that want a verdict one waits for another."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._one = threading.Lock()
        self.pid = process.pid

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["JudgeProcess"]:
        """It loads what it needs while the program goes on, and ends with the block."""
        environment = {
            name: value for name, value in os.environ.items() if name not in _KEPT_FROM_IT
        }
        with subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                yield cls(process)
            finally:
                process.kill()

    def verified(self, sample: Sequence[Sampled], adjusted: Adjusted) -> float:
        """As `verification.verified`. Raises JudgeLost."""
        if not sample:
            return 0.0
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            with self._one:
                _send((sample, adjusted), self._process.stdin)
                answer = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self._process.kill()
            code = self._process.wait()
            raise JudgeLost(f"the process that verifies indicators ended with {code}") from error
        if isinstance(answer, Mismatch):
            raise answer
        return float(answer)


def _send(what: object, to: IO[bytes]) -> None:
    pickle.dump(what, to, pickle.HIGHEST_PROTOCOL)
    to.flush()


def main() -> int:
    """The process: an answer for each sample that comes."""
    start_logging(os.environ.get("LOG_FORMAT", "").strip() or "json")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # what is asked of the program
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    importlib.import_module("screener_analyzer.judge")
    # What is loaded stays, and is much: no collection need look through it.
    gc.freeze()
    try:
        while True:
            sample, adjusted = pickle.load(sys.stdin.buffer)
            try:
                answer: float | Mismatch = verified(sample, adjusted)
            except Mismatch as mismatch:
                answer = mismatch
            _send(answer, answers)
    except (EOFError, BrokenPipeError):
        return os.EX_OK
    except Exception:
        logger.exception("verifying failed")
        return os.EX_SOFTWARE


if __name__ == "__main__":
    sys.exit(main())
