"""The vendor's account and the order in which it refuses: token, minute, route, plan, day. No HTTP
here.

Deciding and counting happen without a pause in between, before the answer leaves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from screener_local.simulator import account_events, bodies, plans
from screener_local.simulator.accounting import BadAccount, Ledger
from screener_local.simulator.answers import Answer, Query, text
from screener_local.simulator.arrivals import Arrival, Arrivals
from screener_local.simulator.clocks import Clocks
from screener_local.simulator.costs import COSTS, cost, final_cost
from screener_local.simulator.faults import Struck, Subject
from screener_local.simulator.render import as_json
from screener_local.simulator.script import Script

DEMO_TOKEN: Final = "demo"

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

    @property
    def symbols(self) -> int:
        """How many symbols the request names, for the price of bulk requests."""
        return len([name for name in self.query.get("symbols", "").split(",") if name])


@dataclass
class Vendor:
    """One account with its clocks, ledger, script of faults and arrivals. Used from one thread."""

    start: Account
    clocks: Clocks
    compute: Compute
    account: Account = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    script: Script = field(default_factory=Script)
    arrivals: Arrivals = field(default_factory=Arrivals)
    _others_seen: dict[date, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Usage, minute, clocks, account, script and arrivals as at the start."""
        first = self.start
        self.account = Account(
            first.plan, first.daily_limit, first.minute_limit, first.tokens, first.withdrawn
        )
        self.ledger = Ledger()
        self.script = Script()
        self.clocks.reset()
        self.arrivals = Arrivals()
        self._others_seen = {}

    def set_script(self, script: Script) -> None:
        """Puts a script in the place of the one before; what others used stays counted."""
        self.script = script
        now = self.clocks.accounting()
        self._others_seen = {now.date(): account_events.calls_of_others(script.account, now)}
        past = [event for event in script.account if event.calls and event.since <= now]
        if past:  # calls at once of a moment that is over are due now
            self._others_seen[now.date()] -= sum(
                event.calls for event in past if event.since.date() == now.date()
            )

    def strike(self, request: Request) -> Struck:
        """What the script does to a request."""
        subject = Subject(request.endpoint, request.subject, request.query, request.path)
        return self.script.strike(subject, self.clocks.accounting(), self.clocks.data())

    def arrive(self, request: Request) -> Arrival:
        """Notes that a request is here, and how the account stands at this moment."""
        now = self.clocks.accounting()
        self._let_others_call(now)
        known = request.endpoint in COSTS
        return self.arrivals.add(
            now,
            request.path,
            request.endpoint,
            cost=cost(request.endpoint, request.symbols) if known else 0,
            counter=self.ledger.used(now.date()),
            others=self.ledger.others(now.date()),
            limit=self.limits_now(now)[0],
            extra=self.ledger.extra_limit,
        )

    async def handle(self, request: Request, arrival: Arrival) -> Answer:
        """The answer to one request that no fault stops; counted when this returns."""
        account, endpoint = self.account, request.endpoint
        demo = request.token == DEMO_TOKEN
        if not demo and request.token not in account.tokens:
            return self.refuse(request, arrival, _standard(401))
        now = self.clocks.accounting()
        daily_limit, minute_limit = self.limits_now(now)
        if self.ledger.enter_minute(now, minute_limit) is None:
            return self.refuse(request, arrival, _standard(429))
        if endpoint not in COSTS:
            return self.refuse(request, arrival, _no_such_page(request))
        plan = "demo" if demo else account.plan
        forbidden = self._forbidden(plan, request, now)
        if forbidden is not None:
            return self.refuse(request, arrival, text(403, forbidden))
        if not self.ledger.affords(now, 1, daily_limit):
            return self.refuse(request, arrival, _standard(402))
        if endpoint in ("user", "internal-user"):
            found = self._user(plan)  # the counter as it was before this request
        else:
            found = await self.compute(
                endpoint, request.subject, request.query, self.clocks.data(), plan == "free"
            )
        return self._settle(request, arrival, found)

    def _forbidden(self, plan: str, request: Request, now: datetime) -> str | None:
        events, endpoint = self.script.account, request.endpoint
        if endpoint in self.account.withdrawn or endpoint in account_events.endpoints(
            events, account_events.WITHDRAWN, now
        ):
            return plans.FORBIDDEN_SHORT
        if endpoint in account_events.endpoints(events, account_events.GRANTED, now):
            return None
        return plans.refusal(plan, endpoint, request.subject.upper())

    def _settle(self, request: Request, arrival: Arrival, found: Answer) -> Answer:
        calls = final_cost(found.status, cost(request.endpoint, request.symbols))
        now = self.clocks.accounting()
        self._let_others_call(now)
        limit = self.limits_now(now)[0]
        if calls == 0:
            return self.refuse(request, arrival, found)
        if not self.ledger.affords(now, calls, limit):
            return self.refuse(request, arrival, _standard(402))
        self.ledger.count(now, request.endpoint, calls, limit)
        arrival.status, arrival.calls = found.status, calls
        return found

    def refuse(self, request: Request, arrival: Arrival, answer: Answer) -> Answer:
        """Notes a request that was refused or failed, and cost nothing."""
        self.ledger.refuse(self.clocks.accounting(), request.endpoint, answer.status)
        arrival.status = answer.status
        return answer

    def unknown(self, request: Request, arrival: Arrival) -> Answer:
        """Counts a request as one for an unknown name."""
        return self._settle(request, arrival, _standard(404))

    def _let_others_call(self, now: datetime) -> None:
        """Counts what other clients of the key have called since the last look; the day's limit
        stops them as well.
        """
        if not self.script.account:
            return
        due = account_events.calls_of_others(self.script.account, now)
        fresh = due - self._others_seen.get(now.date(), 0)
        self._others_seen[now.date()] = due
        left = self.limits_now(now)[0] - self.ledger.used(now.date())
        if fresh > 0 and left > 0:
            self.ledger.count_others(now, min(fresh, left))

    def limits_now(self, now: datetime) -> tuple[int, int]:
        """(calls a day, requests a minute) in force."""
        return account_events.limits(
            self.script.account, now, self.account.daily_limit, self.account.minute_limit
        )

    def limits(self) -> tuple[int, int]:
        """Requests a minute, and how many are left of the present one, for the headers."""
        now = self.clocks.accounting()
        limit = self.limits_now(now)[1]
        return limit, self.ledger.minute_left(now, limit)

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
        now = self.clocks.accounting()
        calls, day = self.ledger.shown(now.date())
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
                    "dailyRateLimit": self.limits_now(now)[0],
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


def _standard(status: int) -> Answer:
    body, kind = bodies.standard(status)
    return Answer(status, body, kind)


def _no_such_page(request: Request) -> Answer:
    """The vendor's page repeats the whole address, token and all: clients must not log it."""
    shown = f"/api/{request.path}".replace("<", "&lt;")
    separator = "&amp;" if "?" in shown else "?"
    page = (
        "<!DOCTYPE html><html><head><title>Not Found</title></head><body><h1>404</h1>"
        f"<p>Requested URL: {shown}{separator}api_token={request.token}</p></body></html>"
    )
    return text(404, page, "text/html")
