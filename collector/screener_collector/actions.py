"""Core: whether a series of prices shows a split or a dividend. No I/O, no clock.

The vendor rewrites the adjusted closes before an ex-date: with k = adjusted close / close, the k of
the last bar before it is that of the first bar from it on, times old / new shares for a split and
times 1 - D / c for a dividend D, where c is the close of that last bar and D as paid then, in the
unit of c.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod

MOST_DECIMALS = 4
"""The vendor serves no more."""
SLACK = 1e-6
"""Relative: adjusted closes are products of factors that are themselves rounded."""
CONVERTED_SLACK = 0.05
"""Of a converted dividend: the vendor's exchange rate is another day's, or of another source."""
MAX_CHECKS = 5
"""Sessions at which an action is looked for in vain before it is a finding."""


@dataclass(frozen=True, slots=True)
class Price:
    """The close of a bar, as traded and as adjusted; both above 0."""

    close: float
    adjusted: float

    @property
    def k(self) -> float:
        """What the vendor's adjustment makes of a price of the day."""
        return self.adjusted / self.close


@dataclass(frozen=True, slots=True)
class Split:
    """`new` shares for `old` before."""

    new: float
    old: float


@dataclass(frozen=True, slots=True)
class Dividend:
    """An amount a share in the unit of the closes before it; None where that is not known."""

    amount: float | None
    sure: bool = True
    """Whether its currency was said."""
    converted: bool = False
    """Whether an exchange rate is in it."""


class Shown(StrEnum):
    """Whether a series shows what happened between two of its bars."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """It cannot be judged: an amount or its currency is not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`measured`: k before over k after; `expected`: what it should be, None: not known."""

    shown: Shown
    measured: float
    expected: float | None


def judge(before: Price, after: Price, happened: Sequence[Split | Dividend]) -> Verdict:
    """Whether k changes from `before` to the bar `after` as all that `happened` between them says.

    A dividend on the day of a split may be of a new share or of an old one. An effect that is
    smaller than the rounding cannot be missed, so it counts as shown.
    """
    splits = prod(each.old / each.new for each in happened if isinstance(each, Split))
    dividends = [each for each in happened if isinstance(each, Dividend)]
    measured = before.k / after.k
    amounts = [each.amount for each in dividends if each.amount is not None]
    if len(amounts) < len(dividends):
        return Verdict(Shown.UNKNOWN, measured, None)
    best = min(
        (
            splits * prod(1 - amount / close for amount in amounts)
            for close in (before.close, before.close * splits)  # of an old share, of a new one
        ),
        key=lambda expected: abs(measured - expected),
    )
    room = measured * (SLACK + _rounding(before) + _rounding(after))
    if any(each.converted for each in dividends):
        room += CONVERTED_SLACK * abs(splits - best)
    if best > 0 and abs(measured - best) <= room:
        return Verdict(Shown.YES, measured, best)
    if not all(each.sure for each in dividends):
        return Verdict(Shown.UNKNOWN, measured, best)
    return Verdict(Shown.NO, measured, best)


def _rounding(price: Price) -> float:
    """How far, relatively, the k of a bar may be off for the decimals of its two closes."""
    served = max(_decimals(price.close), _decimals(price.adjusted))
    unit = 10.0 ** -min(max(served, 2), MOST_DECIMALS)
    # The close is exact where it has fewer decimals than are served.
    of_close = unit if _decimals(price.close) >= served else 0.0
    return unit / price.adjusted + of_close / price.close


def _decimals(value: float) -> int:
    """Decimals of the shortest text of a number: 2 of 177.09."""
    text = repr(value)
    if "e" in text:
        return MOST_DECIMALS
    _, _, rest = text.partition(".")
    return 0 if rest == "0" else len(rest)
