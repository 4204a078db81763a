"""Core: the indicator classes of `ta`: which there are, what they take, what they give, and how to
feed them.

`ta` is fed one asset's bars, oldest first, on a RangeIndex: its PSAR is silently wrong on any other
with pandas 3.
"""

import importlib
import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MODULES = ("momentum", "trend", "volatility", "volume", "others")
"""Of `ta`, with indicator classes."""
INPUTS = ("open", "high", "low", "close", "volume")
"""Parameters of `ta`'s classes that are series."""
LEFT_OUT = ("fillna", "dropnans")
"""Parameters that nobody may give: the one puts guesses where there is no value, the other takes
rows away."""
NUMBERS = ("window_dev", "multiplier")
"""Parameters that `ta` calls int and only multiplies with: any number serves."""

Value = int | float | bool
"""Of a parameter."""


class Elements(list[float]):
    """Numbers with as much of a Series' face as `ta`'s PSAR uses: by position they are what a
    Series on a RangeIndex is. PSAR reads and writes element by element, which costs a Series fifty
    times what it costs a list."""

    @property
    def iloc(self) -> "Elements":
        return self

    @property
    def index(self) -> Any:  # not list.index: ta asks a Series for its labels
        return pd.RangeIndex(len(self))

    def copy(self) -> "Elements":
        return Elements(self)


class _Lists:
    """As much of pandas as the loop of PSAR uses."""

    @staticmethod
    def Series(index: pd.RangeIndex, dtype: str) -> Elements:
        return Elements([math.nan] * len(index))


def _on_lists(psar: Any) -> type:
    """`ta`'s PSAR with the same loop, which makes lists where it makes Series."""
    loop = FunctionType(psar._run.__code__, {**psar._run.__globals__, "pd": _Lists})

    def run(self: Any) -> None:
        loop(self)
        self._psar_up, self._psar_down = pd.Series(self._psar_up), pd.Series(self._psar_down)

    return type(psar.__name__, (psar,), {"_run": run})


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: type
    """int, float (any number) or bool."""
    default: Value | None
    """None: `ta` does without it, or it must be given."""
    needed: bool
    """Whether it must be given."""

    def accepts(self, value: object) -> bool:
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        return isinstance(value, int) or (self.kind is float and isinstance(value, float))


@dataclass(frozen=True, slots=True)
class TaClass:
    """An indicator class of `ta`."""

    name: str
    module: str
    make: type
    inputs: tuple[str, ...]
    """Which of INPUTS it takes."""
    parameters: tuple[Parameter, ...]
    """In the order of `ta`, without LEFT_OUT."""
    outputs: tuple[str, ...]
    """Its methods, each of which gives one number a bar."""

    def of(
        self,
        series: Mapping[str, "NDArray[np.float64] | pd.Series[float]"],
        parameters: Mapping[str, Value],
    ) -> Any:
        """An instance, fed with the bars of one asset: of INPUTS, those that it takes; what is a
        Series already has to be on a RangeIndex, and stays as it is.

        Raises whatever `ta` raises.
        """
        if self.name == "PSARIndicator":
            fed: dict[str, Any] = {name: Elements(series[name].tolist()) for name in self.inputs}
        else:
            fed = {name: as_series(series[name]) for name in self.inputs}
        return self.make(**fed, **parameters)


def as_series(values: "NDArray[np.float64] | pd.Series[float]") -> "pd.Series[float]":
    """What `ta` is fed with."""
    return values if isinstance(values, pd.Series) else pd.Series(values, dtype="float64")


def _parameter(found: inspect.Parameter) -> Parameter:
    # Optional[int] is an int that may be left out.
    [kind] = [each for each in get_args(found.annotation) or (found.annotation,)
              if each is not type(None)]  # fmt: skip
    if found.name in NUMBERS:
        kind = float
    needed = found.default is inspect.Parameter.empty
    return Parameter(found.name, kind, None if needed else found.default, needed)


def _class(module: str, name: str, found: type) -> TaClass:
    taken = inspect.signature(found).parameters.values()
    return TaClass(
        name,
        module,
        _on_lists(found) if name == "PSARIndicator" else found,
        tuple(each.name for each in taken if each.name in INPUTS),
        tuple(_parameter(each) for each in taken if each.name not in (*INPUTS, *LEFT_OUT)),
        tuple(
            method
            for method, value in vars(found).items()
            if inspect.isfunction(value) and not method.startswith("_")
        ),
    )


def _classes() -> dict[str, TaClass]:
    found = {}
    for module in MODULES:
        loaded = importlib.import_module(f"ta.{module}")
        for name, each in vars(loaded).items():
            if inspect.isclass(each) and each.__module__ == loaded.__name__:
                found[name] = _class(module, name, each)
    return dict(sorted(found.items()))


CLASSES: Mapping[str, TaClass] = _classes()
"""Every one by its name, in alphabetical order."""


def table() -> str:
    """The classes for people: a table in Markdown."""
    lines = ["| class | parameters | outputs |", "| --- | --- | --- |"]
    for each in CLASSES.values():
        parameters = ", ".join(
            f"`{parameter.name}`"
            if parameter.default is None
            else f"`{parameter.name}={json.dumps(parameter.default)}`"
            for parameter in each.parameters
        )
        outputs = ", ".join(f"`{output}`" for output in each.outputs)
        lines.append(f"| `{each.name}` | {parameters} | {outputs} |")
    return "\n".join(lines) + "\n"
