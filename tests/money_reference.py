"""What `financial_screener.convert_money` must say, written a second time and without a database.

A unit is a currency (`GBP`) or a part of one that the vendor quotes in (`GBX`, of which 100 are one
GBP). Amounts of different currencies need the rates of a day; without them there is no answer, and
never one from old rates.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

_CURRENCY = re.compile(r"[A-Z]{3}")
BASE = "USD"
"""The currency that rates are to: the vendor has a series XXXUSD of every other."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A currency, and how many of the unit make one of it."""

    currency: str
    per_major: int = 1


Parts = Mapping[str, Unit]
"""Units that are parts of a currency, by code: the rows of `currency_units`."""
Rates = Mapping[str, float]
"""USD for one of a currency, by currency; USD itself needs none."""


def unit_of(code: str | None, parts: Parts) -> Unit | None:
    """What `code` stands for; None for what is no currency, such as `Unknown`."""
    if code is None:
        return None
    return parts.get(code) or (Unit(code) if _CURRENCY.fullmatch(code) else None)


def factor(source: str | None, target: str | None, parts: Parts, rates: Rates) -> float | None:
    """What an amount in `source` is multiplied with to be one in `target`.

    None when either is no currency, or they differ and a rate is missing or not above zero.
    """
    one, other = unit_of(source, parts), unit_of(target, parts)
    if one is None or other is None:
        return None
    scale = other.per_major / one.per_major
    if one.currency == other.currency:
        return scale
    worth, unit_worth = _rate(one.currency, rates), _rate(other.currency, rates)
    if worth is None or unit_worth is None:
        return None
    return scale * worth / unit_worth


def convert(
    amount: float, source: str | None, target: str | None, parts: Parts, rates: Rates
) -> float | None:
    """`amount` of `source` in `target`; None where `factor` is None."""
    found = factor(source, target, parts, rates)
    return None if found is None else amount * found


def _rate(currency: str, rates: Rates) -> float | None:
    if currency == BASE:
        return 1.0
    rate = rates.get(currency)
    return rate if rate is not None and math.isfinite(rate) and rate > 0 else None
