"""Core: what an IndicatorRun asks of the analyzer, from its spec as the API server took it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from screener_analyzer.binary import days_of
from screener_analyzer.registry import COLUMNS
from screener_sql.errors import InvalidSpec

if TYPE_CHECKING:
    from screener_analyzer.extra import Extra

Adjusted = Literal["all", "splits", "none"]
SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Spec:
    adjusted: Adjusted = "all"
    """What prices are adjusted for before anything is computed."""
    history_from: dt.date | None = None
    """Every day since it is computed; None: the last day alone."""
    history_columns: tuple[str, ...] = COLUMNS
    """The columns that the days before the last one get."""
    sample: int = SAMPLE
    """About how many rows of the run the judge computes again."""

    extra: "tuple[Extra, ...]" = ()
    """What `ta` itself computes besides."""

    @property
    def as_usual(self) -> bool:
        """Whether it asks for what most runs do: the last day's row, adjusted for all. What was
        carried for it is of no use to others."""
        return self.adjusted == "all" and self.history_from is None

    @property
    def since(self) -> int | None:
        """`history_from` as a number of `binary.Days`."""
        return None if self.history_from is None else days_of(self.history_from)

    @classmethod
    def from_json(cls, spec: Mapping[str, Any]) -> "Spec":
        """What is left out, or of before there was such a field, is as the defaults are.

        Raises InvalidSpec where it names a column or a class of `ta` that there is not.
        """
        extra: tuple[Extra, ...] = ()
        if spec.get("extra"):
            from screener_analyzer.extra import named  # loads pandas and ta

            extra = named(spec["extra"])
        history = spec.get("history") or {}
        since = history.get("from")
        return cls(
            adjusted=spec.get("adjusted", "all"),
            history_from=None if since is None else dt.date.fromisoformat(since),
            history_columns=_columns(history.get("columns")),
            sample=(spec.get("verify") or {}).get("sample", SAMPLE),
            extra=extra,
        )


def _columns(wanted: Sequence[str] | None) -> tuple[str, ...]:
    """In the registry's order; None: every one."""
    if wanted is None:
        return COLUMNS
    for place, column in enumerate(wanted):
        if column not in COLUMNS:
            raise InvalidSpec(
                f"spec.history.columns[{place}]: {column!r} is no column of indicators;"
                f" there are {', '.join(COLUMNS)}"
            )
    if not wanted:
        raise InvalidSpec("spec.history.columns: names none; leave it out for every column")
    return tuple(column for column in COLUMNS if column in wanted)
