"""Entry point `python -m screener_local.keeper FOLDER`: removes a system that was left behind.

It waits on its standard input. Where that ends without DONE, whoever started it is gone, killed
perhaps: what runs in the folder is stopped, and the folder removed.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from screener_local.system import LocalSystem

DONE = b"done"
TIMEOUT_S = 120
"""So long a whole system may take to stop."""


@contextmanager
def kept(state: Path) -> Iterator[None]:
    """Meanwhile a process of its own sees to it that what is started in `state` does not outlive
    this one, however it ends; nor an error, for one may be of what stops it."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    said = b""
    try:
        yield
        said = DONE
    finally:
        keeper.communicate(said, timeout=TIMEOUT_S)


def main() -> None:
    state = Path(sys.argv[1])
    if sys.stdin.buffer.read() != DONE and state.exists():
        system = LocalSystem(state)
        system.stop()
        system.wipe()


if __name__ == "__main__":
    main()
