"""Core: how `ta`, or pandas, gives what a column of the registry is.

What `ta` is fed is what it needs: one asset's bars, oldest first, on a RangeIndex (its PSAR is
silently wrong on any other with pandas 3).
"""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MODULES = ("momentum", "trend", "volatility", "volume", "others")
"""Of `ta`, with indicator classes."""
INPUTS = ("open", "high", "low", "close", "volume")
"""Parameters of `ta`'s classes that are series."""
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
        given = [*self._inputs(), *(f"{key}={value}" for key, value in self.parameters.items())]
        return f"ta.{self.module}.{self.name}({', '.join(given)}).{self.method}()"

    def values(self, bars: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """One number a bar, as `ta` gives them, from adjusted bars (INPUTS).

        NaN for fewer bars than a class can do with: some raise an error then.
        """
        import pandas as pd  # only here, as programs read the registry and never ask for this

        series = {name: pd.Series(bars[name], dtype="float64") for name in self._inputs()}
        length = len(next(iter(series.values())))
        try:
            indicator = self._class()(**series, **self.parameters)
            return np.asarray(getattr(indicator, self.method)(), dtype=np.float64)
        except (IndexError, ValueError):
            if length >= FEW:
                raise
            return np.full(length, np.nan)

    def _class(self) -> type:
        return getattr(importlib.import_module(f"ta.{self.module}"), self.name)  # type: ignore[no-any-return]

    def _inputs(self) -> list[str]:
        return [name for name in inspect.signature(self._class()).parameters if name in INPUTS]


Reference = Ta | str
"""A string is the same for people, in pandas' words."""
