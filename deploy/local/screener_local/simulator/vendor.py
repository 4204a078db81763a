"""The vendor's account and the order in which it refuses: token, minute, route, plan, day. No HTTP
here.

Deciding and counting happen without a pause in between, before the answer leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from screener_local.simulator import plans
from screener_local.simulator.accounting import BadAccount, Ledger
from screener_local.simulator.answers import Answer, Query, text
from screener_local.simulator.clocks import Clocks, show
from screener_local.simulator.costs import COSTS, cost, final_cost
from screener_local.simulator.faults import Outage
from screener_local.simulator.render import as_json

DEMO_TOKEN: Final = "demo"
UNAUTHENTICATED: Final = "Unauthenticated"
MINUTE_EXCEEDED: Final = '{"error":"API rate limit exceeded"}'
#: Two spaces, as the vendor writes it.
DAY_EXCEEDED: Final = (
    "You exceeded your daily API requests limit.  Please contact support@eodhistoricaldata.com"
)
_LOG_SIZE: Final = 50_000

Compute = Callable[[str, str, Query, datetime, bool], Awaitable[Answer]]


@dataclass
class Account:
    """What the account may do. Admin requests change it."""

    plan: str
    daily_limit: int
    minute_limit: int
    tokens: frozenset[str]
    withdrawn: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "dailyLimit": self.daily_limit,
            "minuteLimit": self.minute_limit,
            "withdrawn": sorted(self.withdrawn),
        }


@dataclass(frozen=True)
class Request:
    """`token` is what the client showed, "" for none; `path` is without it."""

    endpoint: str
    subject: str
    query: Query
    token: str
    path: str


@dataclass
class Vendor:
    """One account with its clocks, ledger, faults and log. Used from one thread."""

    start: Account
    clocks: Clocks
    compute: Compute
    account: Account = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    outages: list[Outage] = field(default_factory=list)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LOG_SIZE))
    _logged: int = 0

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Usage, minute, clocks, account, faults and log as at the start."""
        first = self.start
        self.account = Account(
            first.plan, first.daily_limit, first.minute_limit, first.tokens, first.withdrawn
        )
        self.ledger = Ledger()
        self.outages = []
        self.clocks.reset()
        self.log.clear()
        self._logged = 0

    async def handle(self, request: Request) -> Answer:
        """The answer to one request that no fault stops; counted when this returns."""
        account, endpoint = self.account, request.endpoint
        demo = request.token == DEMO_TOKEN
        if not demo and request.token not in account.tokens:
            return self._refuse(request, text(401, UNAUTHENTICATED))
        if self.ledger.enter_minute(self.clocks.accounting(), account.minute_limit) is None:
            return self._refuse(request, Answer(429, MINUTE_EXCEEDED.encode()))
        if endpoint not in COSTS:
            return self._refuse(request, _no_such_page(request))
        plan = "demo" if demo else account.plan
        forbidden = plans.refusal(plan, endpoint, request.subject.upper())
        if endpoint in account.withdrawn:
            forbidden = plans.FORBIDDEN_SHORT
        if forbidden is not None:
            return self._refuse(request, text(403, forbidden))
        now = self.clocks.accounting()
        if not self.ledger.affords(now, 1, account.daily_limit):
            return self._refuse(request, text(402, DAY_EXCEEDED))
        if endpoint in ("user", "internal-user"):
            found = self._user(plan)  # the counter as it was before this request
        else:
            found = await self.compute(
                endpoint, request.subject, request.query, self.clocks.data(), plan == "free"
            )
        return self._settle(request, found)

    def _settle(self, request: Request, found: Answer) -> Answer:
        calls = final_cost(found.status, cost(request.endpoint, found.symbols))
        now, limit = self.clocks.accounting(), self.account.daily_limit
        if calls == 0:
            return self._refuse(request, found)
        if not self.ledger.affords(now, calls, limit):
            return self._refuse(request, text(402, DAY_EXCEEDED))
        self.ledger.count(now, request.endpoint, calls, limit)
        self.write_log(request, found.status, calls)
        return found

    def _refuse(self, request: Request, answer: Answer) -> Answer:
        self.ledger.refuse(self.clocks.accounting(), request.endpoint, answer.status)
        self.write_log(request, answer.status, 0)
        return answer

    def fail(self, request: Request, status: int) -> None:
        """Notes a request that a fault stopped before it was counted; status 0 for a cut
        connection.
        """
        self.ledger.refuse(self.clocks.accounting(), request.endpoint, status)
        self.write_log(request, status, 0)

    def write_log(self, request: Request, status: int, calls: int) -> None:
        self._logged += 1
        self.log.append(
            {
                "n": self._logged,
                "at": show(self.clocks.accounting()),
                "path": request.path,
                "status": status,
                "calls": calls,
            }
        )

    def limits(self) -> tuple[int, int]:
        """Requests a minute, and how many are left of the present one, for the headers."""
        limit = self.account.minute_limit
        return limit, self.ledger.minute_left(self.clocks.accounting(), limit)

    def set_account(self, change: dict[str, Any]) -> None:
        """Applies the admin's change whole or not at all. Raises BadAccount."""
        known = {"plan", "dailyLimit", "minuteLimit", "extraLimit", "used", "tokens", "withdrawn"}
        unknown = sorted(set(change) - known)
        if unknown:
            raise BadAccount(
                f"{unknown[0]}: no field of the account; there are {', '.join(sorted(known))}"
            )
        plan = change.get("plan", self.account.plan)
        if plan not in plans.PLANS:
            raise BadAccount(f"plan: one of {', '.join(plans.PLANS)}")
        for name in ("dailyLimit", "minuteLimit", "extraLimit", "used"):
            value = change.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise BadAccount(f"{name}: a whole number from 0 on")
        for name in ("tokens", "withdrawn"):
            value = change.get(name, [])
            if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
                raise BadAccount(f"{name}: a list of texts")
        withdrawn = frozenset(change.get("withdrawn", self.account.withdrawn))
        if not withdrawn <= set(COSTS):
            raise BadAccount(f"withdrawn: of {', '.join(COSTS)}")
        if "used" in change:
            self.ledger.set_used(self.clocks.accounting(), change["used"])
        self.ledger.extra_limit = change.get("extraLimit", self.ledger.extra_limit)
        self.account = Account(
            plan,
            change.get("dailyLimit", self.account.daily_limit),
            change.get("minuteLimit", self.account.minute_limit),
            frozenset(change.get("tokens", self.account.tokens)),
            withdrawn,
        )

    def _user(self, plan: str) -> Answer:
        calls, day = self.ledger.shown(self.clocks.accounting().date())
        subscription, mode = plans.SUBSCRIPTION[plan]
        return Answer(
            200,
            as_json(
                {
                    "name": "Local Simulator",
                    "email": "someone@example.com",
                    "subscriptionType": subscription,
                    "paymentMethod": "Not Available",
                    "apiRequests": calls,
                    "apiRequestsDate": day.isoformat(),
                    "dailyRateLimit": self.account.daily_limit,
                    "extraLimit": self.ledger.extra_limit,
                    "inviteToken": None,
                    "inviteTokenClicked": 0,
                    "subscriptionMode": mode,
                    "canManageOrganizations": False,
                    "availableDataFeeds": plans.feeds(plan, self.account.withdrawn),
                    "availableMarketplaceDataFeeds": [],
                }
            ),
        )


def _no_such_page(request: Request) -> Answer:
    """The vendor's page repeats the whole address, token and all: clients must not log it."""
    shown = f"/api/{request.path}".replace("<", "&lt;")
    separator = "&amp;" if "?" in shown else "?"
    page = (
        "<!DOCTYPE html><html><head><title>Not Found</title></head><body><h1>404</h1>"
        f"<p>Requested URL: {shown}{separator}api_token={request.token}</p></body></html>"
    )
    return text(404, page, "text/html")
