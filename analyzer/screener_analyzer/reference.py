"""Core: how `ta`, or pandas, gives what a column of the registry is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FEW = 28
"""Below so many bars some of `ta`'s classes raise an error of an index or of a size."""


@dataclass(frozen=True, slots=True)
class Ta:
    """A method of one of `ta`'s classes: `Ta("trend", "MACD", "macd_signal")`."""

    module: str
    name: str
    method: str
    parameters: Mapping[str, int | float | bool] = field(default_factory=dict)

    def __str__(self) -> str:
        from screener_analyzer.ta_classes import CLASSES  # see `values`

        given = [
            *CLASSES[self.name].inputs,
            *(f"{key}={value}" for key, value in self.parameters.items()),
        ]
        return f"ta.{self.module}.{self.name}({', '.join(given)}).{self.method}()"

    def values(self, bars: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """One number a bar, as `ta` gives them, from adjusted bars (INPUTS).

        NaN for fewer bars than a class can do with: some raise an error then.
        """
        from screener_analyzer.ta_classes import CLASSES  # only here: it loads pandas and ta

        of = CLASSES[self.name]
        length = len(bars[of.inputs[0]])
        try:
            indicator = of.of({name: bars[name] for name in of.inputs}, self.parameters)
            return np.asarray(getattr(indicator, self.method)(), dtype=np.float64)
        except (IndexError, ValueError):
            if length >= FEW:
                raise
            return np.full(length, np.nan)


Reference = Ta | str
"""A string is the same for people, in pandas' words: of the panel's fields and other columns."""
