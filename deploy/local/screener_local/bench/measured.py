"""A program run to its end: how long it took, and the most memory that it had.

It is started by a small process in between: Linux counts what a parent had when it started a
program among what the program had.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter

from screener_local.errors import PartFailed


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    mib: float
    """The most that was resident."""
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
    ended = subprocess.run(sys.argv[1:], check=False)
    seconds = perf_counter() - began
    mib = getrusage(RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mib": mib}))
    return ended.returncode if ended.returncode >= 0 else os.EX_SOFTWARE


if __name__ == "__main__":
    sys.exit(main())
