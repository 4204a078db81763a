"""A program run to its end: how long it took, and the most memory that it had.

It is started by a small process in between: Linux counts what a parent had when it started a
program among what the program had.
"""

import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getpagesize, getrusage
from threading import Event
from time import perf_counter

from screener_local.errors import PartFailed

LOOK_S, FILES_S = 0.02, 0.5
"""Between two looks at a process, and at the files that it maps."""
MAPPED = re.compile(r"[0-9a-f]+-[0-9a-f]+ (?:\S+ +){4}(.*)")
RESIDENT = re.compile(r"(Rss|Anonymous): +(\d+) kB")


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    mib: float
    """The most that was resident of it and its children at a time; pages of files once, as the
    kernel counts a container."""
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
    most, files, files_at = 0, 0, -math.inf
    while not ended.wait(LOOK_S):
        family = list(_family(pid))
        if perf_counter() - files_at > FILES_S:
            files, files_at = _of_files(family), perf_counter()
        most = max(most, files + sum(map(_own, family)))
    return most


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        # A thread may end as it is looked at, and so may a process.
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _own(pid: int) -> int:
    """What of it is of no file."""
    with suppress(OSError):
        _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
        return (resident - shared) * getpagesize()
    return 0


def _of_files(family: Iterable[int]) -> int:
    """Of each file that one of them maps, what is resident of it where most is."""
    most: Counter[str] = Counter()
    for pid in family:
        its: Counter[str] = Counter()
        with suppress(OSError):
            file = ""
            for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
                if mapped := MAPPED.match(line):
                    file = mapped[1]
                elif file and (found := RESIDENT.match(line)):
                    its[file] += int(found[2]) if found[1] == "Rss" else -int(found[2])
        most |= its
    return most.total() * 1024


if __name__ == "__main__":
    sys.exit(main())
