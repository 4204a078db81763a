"""Core: what a plan is made of, and its two decisions: which way is cheapest, who gets the calls.

Values in, values out: no clock, no database. `planning` finds the facts and stores the decisions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

BULK_CALLS_PER_SESSION = 300
"""A session of an exchange by bulk: its dividends, its splits and its bars, 100 calls each."""
PRICES_CALLS = 1
"""An asset's whole price history in one request."""
FUNDAMENTALS_CALLS = 10
"""An asset's fundamentals in one request."""
FUNDAMENTALS_SHARE = 0.1
"""Of a budget that is too small for everything, what fundamentals get even while prices are due."""


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A group of the run: one Job's worth of exchanges. `symbols`: None for all that are listed."""

    name: str
    exchanges: tuple[str, ...]
    symbols: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a CollectionRun asks for. `operations` holds `prices`, `fundamentals` or both."""

    execution_id: str
    groups: tuple[GroupSpec, ...]
    operations: tuple[str, ...]
    history_from: date
    asset_types: tuple[str, ...] = ("Common Stock",)
    """The vendor's types of what is collected where a group names no symbols."""
    as_of: date | None = None
    max_calls: int | None = None
    keep_calls: int = 0
    dry_run: bool = False


def sessions_by_bulk(assets_by_gap: Mapping[int, int]) -> int:
    """How many of an exchange's latest sessions by bulk make the fewest calls; 0 for none.

    `assets_by_gap`: how many assets lack that many sessions and could take them by bulk. Assets
    with a longer gap than the answer are asked for one by one. Where both cost the same, one by
    one wins: it brings whole histories.
    """
    gaps = sorted(gap for gap, assets in assets_by_gap.items() if gap > 0 and assets > 0)

    def calls(sessions: int) -> int:
        alone = sum(assets_by_gap[gap] for gap in gaps if gap > sessions)
        return BULK_CALLS_PER_SESSION * sessions + PRICES_CALLS * alone

    return min([0, *gaps], key=lambda sessions: (calls(sessions), sessions))


@dataclass(frozen=True, slots=True)
class Budget:
    """Calls that a run may plan for each kind of work, and what bounds them."""

    prices: int
    fundamentals: int
    bound_by: str
    """`daily_limit` or `run_limit`: the error code of what does not fit."""


def share_budget(
    *, day_left: int, run_left: int | None, prices_due: int, fundamentals_due: int
) -> Budget:
    """Shares the calls that are left between prices and fundamentals; all arguments are calls.

    Prices come first; but while fundamentals are due they keep FUNDAMENTALS_SHARE, so that neither
    starves. What one side does not need goes to the other.
    """
    run_binds = run_left is not None and run_left < day_left
    left = max(0, min(day_left, run_left) if run_left is not None else day_left)
    kept = min(fundamentals_due, int(left * FUNDAMENTALS_SHARE))
    prices = min(prices_due, left - kept)
    return Budget(
        prices=prices,
        fundamentals=min(fundamentals_due, left - prices),
        bound_by="run_limit" if run_binds else "daily_limit",
    )
