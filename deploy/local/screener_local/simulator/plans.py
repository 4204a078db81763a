"""Which endpoint and which ticker a plan includes, and the refusal in the vendor's own words.

Pure.
"""

from __future__ import annotations

from typing import Final

from screener_local.simulator.costs import COSTS

FORBIDDEN: Final = "Forbidden. Please contact support@eodhistoricaldata.com"
FORBIDDEN_SHORT: Final = "Forbidden"
ONLY_EOD_FOR_FREE: Final = (
    "Only EOD data allowed for free users. "
    "Please, contact our support team: support@eodhistoricaldata.com"
)
DEMO_TICKERS: Final = frozenset({"AAPL.US", "MSFT.US", "TSLA.US", "VTI.US"})

_USER: Final = frozenset({"user", "internal-user"})
_EVERYTHING: Final = frozenset(COSTS)
ENDPOINTS: Final[dict[str, frozenset[str]]] = {
    "extended": _EVERYTHING,
    "all": _EVERYTHING - {"bulk-fundamentals"},
    "eod": _EVERYTHING - {"bulk-fundamentals", "fundamentals", "exchange-details"},
    "free": _USER | {"eod", "exchange-symbol-list", "exchanges-list"},
    "demo": _USER | {"eod", "div", "splits", "fundamentals"},
}
PLANS: Final = tuple(ENDPOINTS)

DAILY_LIMIT: Final = 100_000
DAILY_LIMITS: Final[dict[str, int]] = {"free": 20}
SUBSCRIPTION: Final[dict[str, tuple[str, str]]] = {
    "extended": ("All-In-One Extended Fundamentals", "paid"),
    "all": ("All-In-One", "paid"),
    "eod": ("EOD Historical Data — All World", "paid"),
    "free": ("free", "free"),
    "demo": ("demo", "demo"),
}
_FEEDS: Final[dict[str, str]] = {
    "eod": "EOD Historical Data",
    "div": "Splits and Dividends Data",
    "fundamentals": "Fundamental Data",
    "eod-bulk-last-day": "Bulk Splits and Dividends API",
    "exchange-symbol-list": "Exchanges List API",
    "exchange-details": "Exchange Details API",
    "bulk-fundamentals": "Bulk Fundamentals API",
}


def refusal(plan: str, endpoint: str, subject: str) -> str | None:
    """The body of the 403, or None when the plan includes it.

    `subject` is the ticker or exchange of the path.
    """
    if endpoint not in ENDPOINTS[plan]:
        return ONLY_EOD_FOR_FREE if plan == "free" else FORBIDDEN
    if plan == "demo" and endpoint not in _USER and subject not in DEMO_TICKERS:
        return FORBIDDEN
    return None


def feeds(plan: str, withdrawn: frozenset[str]) -> list[str]:
    """`availableDataFeeds` of the user details."""
    included = ENDPOINTS[plan] - withdrawn
    return [name for endpoint, name in _FEEDS.items() if endpoint in included]
