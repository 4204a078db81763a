"""A program run to its end: how long it took, and the most memory that it had.

It is started by a small process in between: Linux counts what a parent had when it started a
program among what the program had.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getpagesize, getrusage
from threading import Event
from time import perf_counter

from screener_local.errors import PartFailed

LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    mib: float
    """The most that was resident of it and its children at a time; what they share counts twice."""
    output: str
    """Standard output."""


def measured(
    part: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> Measured:
    """Runs the command. Raises PartFailed where it does not end with 0."""
    between = [sys.executable, "-m", __name__, *command]
    ended = subprocess.run(
        between, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    if ended.returncode:
        text = (ended.stdout + ended.stderr)[-500:]
        raise PartFailed(part, f"it ended with {ended.returncode}: {text}")
    output, _, figures = ended.stdout.rstrip("\n").rpartition("\n")
    return Measured(**json.loads(figures), output=output)


def main() -> int:
    began = perf_counter()
    program = subprocess.Popen(sys.argv[1:])
    ended = Event()
    with ThreadPoolExecutor(1) as beside:
        most = beside.submit(_most_resident, program.pid, ended)
        code = program.wait()
        seconds = perf_counter() - began
        ended.set()
    # Between two looks one process alone may have had more.
    largest = getrusage(RUSAGE_CHILDREN).ru_maxrss * 1024
    mib = max(most.result(), largest) / 2**20
    print(json.dumps({"seconds": seconds, "mib": mib}))
    return code if code >= 0 else os.EX_SOFTWARE


def _most_resident(pid: int, ended: Event) -> int:
    """Bytes."""
    most = 0
    while not ended.wait(LOOK_S):
        most = max(most, sum(map(_resident, _family(pid))))
    return most


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end as it is looked at, and so may a process.
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _resident(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize()
    return 0


if __name__ == "__main__":
    sys.exit(main())
