"""The columns that `ta` has: what it gives of a panel, and how near ours has to be."""

import numpy as np

from screener_analyzer.panel import Matrix, Panel
from screener_analyzer.reference import Ta
from screener_analyzer.registry import REGISTRY, Output

TOLERANCE = 1e-9
WITH_TA = [
    output
    for indicator in REGISTRY
    for output in indicator.outputs
    if isinstance(output.reference, Ta)
]


def random_bars(seed: int, length: int, digits: int | None = 2) -> Matrix:
    """(length, FIELDS): a random walk with a dividend and a split; prices rounded to `digits`."""
    random = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(random.normal(0.0003, 0.02, length)))
    open_ = close * np.exp(random.normal(0, 0.01, length))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.01, length)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.01, length)))
    prices = np.stack([open_, high, low, close])
    if digits is not None:
        prices = np.maximum(np.round(prices, digits), 10.0**-digits)
    factor = np.where(np.arange(length) < length // 2, 0.25, 1.0)
    factor[: length // 3] *= 0.985
    volume = random.integers(1_000, 2_000_000, length).astype(float)
    return np.stack([*prices, prices[3] * factor, volume], axis=1)


def theirs(output: Output, whole: Panel, asset: int, length: int) -> np.ndarray:
    assert isinstance(output.reference, Ta)
    fields = {
        name: np.ascontiguousarray(getattr(whole, name)[-length:, asset])
        for name in ("open", "high", "low", "close", "volume")
    }
    return output.reference.values(fields)


def scale(output: Output, closes: np.ndarray) -> float:
    """Of a column's values, for what is near 0 by cancellation: a price, 100, 1."""
    if output.unit.text.startswith("price"):
        return float(np.max(closes))
    return 100.0 if output.unit.text.startswith(("0 to 100", "-100", "%")) else 1.0
