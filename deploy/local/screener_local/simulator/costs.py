"""What a request costs in calls, by endpoint. Pure: the vendor's price list and nothing else."""

from __future__ import annotations

from typing import Final

COSTS: Final[dict[str, int]] = {
    "eod": 1,
    "div": 1,
    "splits": 1,
    "exchange-symbol-list": 1,
    "exchanges-list": 1,
    "exchange-details": 5,
    "fundamentals": 10,
    "eod-bulk-last-day": 100,
    "bulk-fundamentals": 100,
    "symbol-change-history": 5,
    "user": 1,
    "internal-user": 1,
}

#: Each named symbol costs one call more here.
_PER_SYMBOL: Final = frozenset({"eod-bulk-last-day", "bulk-fundamentals"})

#: An unknown ticker or exchange still answers, and counts.
NOT_FOUND_COST: Final = 1


def cost(endpoint: str, symbols: int = 0) -> int:
    """Calls that an answered request costs;

    `symbols` is how many the request names in `symbols=`.
    """
    return COSTS[endpoint] + (symbols if endpoint in _PER_SYMBOL else 0)


def final_cost(status: int, full: int) -> int:
    """Calls that count once the answer is known: all of it for an answer, one for an unknown name,
    none for a refusal.
    """
    if status == 404:
        return NOT_FOUND_COST
    return full if 200 <= status < 300 else 0
