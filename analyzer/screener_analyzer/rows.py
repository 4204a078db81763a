"""Core: rows of technical_indicators, one array a column."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.binary import Days
from screener_analyzer.registry import COLUMNS


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Rows of technical_indicators."""

    asset_ids: NDArray[np.int32]
    days: Days
    values: dict[str, NDArray[np.float64]]
    """By column of the registry, every one or some; NaN for NULL."""
    bars_used: NDArray[np.int32]
    extra: NDArray[np.object_] | None = None
    """JSON as bytes, of what `extra.json_of` computes; None where nothing is wanted of it."""

    def __len__(self) -> int:
        return len(self.asset_ids)

    @classmethod
    def none(cls) -> "Rows":
        """No row."""
        nothing = np.zeros(0, dtype=np.int32)
        return cls(nothing, nothing, {column: np.zeros(0) for column in COLUMNS}, nothing)

    def of(self, asset_ids: Collection[int]) -> "Rows":
        """Those of these assets."""
        return self.where(np.isin(self.asset_ids, list(asset_ids)))

    def where(self, kept: NDArray[np.bool_]) -> "Rows":
        """Some of them."""
        if kept.all():
            return self
        return Rows(
            self.asset_ids[kept],
            self.days[kept],
            {column: values[kept] for column, values in self.values.items()},
            self.bars_used[kept],
            None if self.extra is None else self.extra[kept],
        )

    def without_values(self) -> "Rows":
        """Of which assets and days they are."""
        return Rows(self.asset_ids, self.days, {}, self.bars_used)

    def with_more(self, more: "Rows") -> "Rows":
        """These and then those; before anything of `extra` is computed."""
        if not len(self) or not len(more):
            return self if len(self) else more
        return Rows(
            np.concatenate([self.asset_ids, more.asset_ids]),
            np.concatenate([self.days, more.days]),
            {
                column: np.concatenate([values, more.values[column]])
                for column, values in self.values.items()
            },
            np.concatenate([self.bars_used, more.bars_used]),
        )
