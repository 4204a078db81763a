"""How fast one core of this machine is at the moment, to read figures by."""

from statistics import median
from time import process_time

ADDITIONS, TIMES = 1_000_000, 5


def additions_a_second() -> float:
    """Of Python's whole numbers one by one, of processor time; the median of a few."""
    return ADDITIONS / median(_seconds() for _ in range(TIMES))


def _seconds() -> float:
    began, total = process_time(), 0
    for number in range(ADDITIONS):
        total += number
    return process_time() - began
