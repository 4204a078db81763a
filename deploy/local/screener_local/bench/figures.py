"""Core: a figure of the bench, and how it is printed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and, where there is one, that of the plain way on the same machine.

    `more_is_better`: a rate, not a time.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better than the baseline."""
        if self.baseline is None:
            return None
        better, worse = self.value, self.baseline
        return better / worse if self.more_is_better else worse / better

    def line(self) -> str:
        """`name value unit baseline ratio`, with - where there is none."""
        numbers = (self.baseline, self.ratio)
        baseline, ratio = ("-" if number is None else _short(number) for number in numbers)
        return f"{self.name} {_short(self.value)} {self.unit} {baseline} {ratio}"


def _short(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"
