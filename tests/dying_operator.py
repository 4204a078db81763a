"""The operator in a process of its own that dies, as by kill -9, after every n-th of its writes,
and is started again at once.

Run as `python dying_operator.py N` with the operator's environment; N 0: it never dies. Nothing of
the operator is changed: its reconciler gets the hook that it has for this. Writes a line to
standard output for each death: the word for the write that it died after. Ends when told to.
"""

import functools
import os
import signal
import sys

from screener_operator import __main__ as program
from screener_operator.reconciler import Reconciler

KILLED = 137


def operate(dies_after: int) -> int:
    """The operator's own exit code, if it does not die."""
    written = 0

    def wrote(what: str) -> None:
        nonlocal written
        written += 1
        if written == dies_after:
            os.write(1, f"{what}\n".encode())
            os._exit(KILLED)

    vars(program)["Reconciler"] = functools.partial(Reconciler, wrote=wrote)
    return program.main()


def main() -> int:
    """Starts one operator after the other; each is a fork, so that it starts within no time."""
    child = 0

    def stop(*_: object) -> None:
        if child:
            os.kill(child, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os._exit(operate(int(sys.argv[1])))
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != KILLED:
            return 1


if __name__ == "__main__":
    sys.exit(main())
