"""Figures of the product on this machine, each on a system of its own that is removed afterwards.

A topic is a module with `NAMES`, the figures that it measures, and `measure()`, which yields them.
To add one, write the module and name it in TOPICS, or in BY_NAME if it takes long. A line a figure
is printed as it comes: name value unit baseline ratio, with - where there is none. How fast the
processor was is told before and after each topic, as a virtual machine's may differ by half from
one minute to the next.
"""

import importlib
import os
import signal
from collections.abc import Iterator
from typing import Protocol

from screener_local.bench.figures import Figure
from screener_local.bench.processor import additions_a_second
from screener_local.bench.systems import say
from screener_local.errors import LocalError

TOPICS = ("operator", "plan", "store", "daily", "lease", "pace", "screen", "indicators")
"""Modules of this package, in the order in which `make bench` runs them."""
BY_NAME = ("indicators_curve",)
"""Topics that take long, and run only where they are named."""


class Topic(Protocol):
    """What a module of TOPICS has."""

    NAMES: tuple[str, ...]
    """The figures that `measure` yields."""

    def measure(self) -> Iterator[Figure]:
        """Measures; raises PartFailed."""


def topics(only: str) -> list[str]:
    """The topics to run for `only`: TOPICS for "", else the topic, or those with the figure.

    Raises LocalError where it is neither.
    """
    if not only:
        return list(TOPICS)
    every = (*TOPICS, *BY_NAME)
    found = [name for name in every if only == name or only in load(name).NAMES]
    if not found:
        figures = [figure for name in every for figure in load(name).NAMES]
        raise LocalError(f"ONLY={only}: one of {', '.join((*every, *figures))}")
    return found


def load(name: str) -> Topic:
    """The module of a topic; loaded only when it is wanted, as each brings much with it."""
    topic: Topic = importlib.import_module(f"{__name__}.{name}")
    return topic


def main(only: str = "") -> int:
    # What would end the process at once is as Ctrl-C: what was started is stopped.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        for name in topics(only):
            say(f"{name}: {_speed()}")
            for figure in load(name).measure():
                print(figure.line(), flush=True)
            say(f"{name} is measured: {_speed()}")
    except KeyboardInterrupt:
        say("interrupted; nothing that it started is left")
        return 130
    return os.EX_OK


def _speed() -> str:
    return f"one core adds {additions_a_second() / 1e6:.1f} million numbers a second"
