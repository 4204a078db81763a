"""The simulator's HTTP: the vendor's routes under `/api`, and `/admin` at the root, without a
token, for tests and demonstrations.

    GET  /admin/usage    requests and calls by GMT day and endpoint
    GET  /admin/refused  what was refused or failed, by GMT day, endpoint and status (0: cut)
    GET  /admin/clock    both clocks
    PUT  /admin/clock    {"data": "2023-09-19T23:59:00Z" or null, "accounting": the same}
    GET  /admin/account  plan and limits
    PUT  /admin/account  {"plan", "dailyLimit", "minuteLimit", "extraLimit", "used", "tokens",
                         "withdrawn"}
    GET  /admin/outage   scripted faults
    PUT  /admin/outage   {"status", "endpoint", "symbol", "count", "body", "content_type",
                         "latency_s"}, a list of these, or {} for none
    GET  /admin/log      the last requests, ?since=N those after number N
    POST /admin/reset    everything as at the start

A data clock that is set stands still; an accounting clock that is set runs on from there. Listens
on one address only, writes no access log (addresses carry the token), makes no outbound connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from screener_local.simulator import faults, plans
from screener_local.simulator.accounting import BadAccount
from screener_local.simulator.answers import Answer, Query, answer
from screener_local.simulator.clocks import BadClock, Clocks, parse_moment, show
from screener_local.simulator.faults import BadOutage, Outage
from screener_local.simulator.vendor import Account, Request, Vendor
from screener_local.simulator.world import World

_SECRET_PARAMETER: Final = "api_token"


@dataclass(frozen=True)
class Config:
    """`tokens` are the account's; `tickers` is a folder of code lists or None; `companies` a file
    of real bars or None.

    `port` 0 takes a free one. `daily_limit` None is the plan's.
    """

    tokens: frozenset[str]
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    plan: str = "all"
    daily_limit: int | None = None
    minute_limit: int = 1000
    tickers: Path | None = None
    companies: Path | None = None


@dataclass
class Running:
    """A server that answers. `url` ends in `/api`."""

    host: str
    port: int
    vendor: Vendor
    _runner: web.AppRunner
    _thread: ThreadPoolExecutor

    @property
    def root(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/api"

    async def stop(self) -> None:
        await self._runner.cleanup()
        self._thread.shutdown(wait=False, cancel_futures=True)


async def start(config: Config) -> Running:
    """Listens and returns. Raises OSError where the address is taken."""
    world = World(config.seed, config.tickers, config.companies)
    # One thread for the data: its caches need no locks, and the loop stays free to answer.
    thread = ThreadPoolExecutor(1, thread_name_prefix="vendor-data")

    async def compute(
        endpoint: str, subject: str, query: Query, now: datetime, free: bool
    ) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            thread, lambda: answer(world, endpoint, subject, query, now, free=free)
        )

    daily = config.daily_limit
    if daily is None:
        daily = plans.DAILY_LIMITS.get(config.plan, plans.DAILY_LIMIT)
    account = Account(config.plan, daily, config.minute_limit, config.tokens)
    vendor = Vendor(account, Clocks(lambda: datetime.now(UTC)), compute)
    runner = web.AppRunner(_application(vendor), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, config.host, config.port, backlog=512)
    await site.start()
    port = int(runner.addresses[0][1])
    return Running(config.host, port, vendor, runner, thread)


# -- the vendor's routes --------------------------------------------------------------------------


def _application(vendor: Vendor) -> web.Application:
    app = web.Application()
    app.router.add_get("/api/{tail:.*}", _vendor_handler(vendor))
    admin = _Admin(vendor)
    app.add_routes(
        [
            web.get("/admin/usage", admin.guarded(admin.usage)),
            web.get("/admin/refused", admin.guarded(admin.refused)),
            web.get("/admin/clock", admin.guarded(admin.clock)),
            web.put("/admin/clock", admin.guarded(admin.set_clock)),
            web.get("/admin/account", admin.guarded(admin.account)),
            web.put("/admin/account", admin.guarded(admin.set_account)),
            web.get("/admin/outage", admin.guarded(admin.outage)),
            web.put("/admin/outage", admin.guarded(admin.set_outage)),
            web.get("/admin/log", admin.guarded(admin.log)),
            web.post("/admin/reset", admin.guarded(admin.reset)),
        ]
    )
    return app


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _read(request: web.Request) -> Request:
    endpoint, _, subject = request.match_info["tail"].rstrip("/").partition("/")
    query = dict(request.query)
    token = query.pop(_SECRET_PARAMETER, "")
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if not token and scheme.lower() == "bearer":
        token = value.strip()
    path = request.match_info["tail"] + (f"?{urlencode(query)}" if query else "")
    return Request(endpoint, subject, query, token, path)


def _vendor_handler(vendor: Vendor) -> Handler:
    async def handle(http: web.Request) -> web.StreamResponse:
        request = _read(http)
        outage = faults.take(vendor.outages, request.endpoint, request.subject)
        if outage is not None and outage.uncounted:
            return await _failed(http, vendor, request, outage)
        found = await vendor.handle(request)
        if outage is not None:
            if outage.latency_s:
                await asyncio.sleep(outage.latency_s)
            if outage.status == faults.CUT:
                _cut(http)
            found = _replaced(found, outage)
        return _respond(vendor, found)

    return handle


async def _failed(
    http: web.Request, vendor: Vendor, request: Request, outage: Outage
) -> web.StreamResponse:
    if outage.latency_s:
        await asyncio.sleep(outage.latency_s)
    if isinstance(outage.status, int):
        vendor.fail(request, outage.status)
        body = faults.SERVER_ERROR if outage.body is None else outage.body
        return _respond(vendor, Answer(outage.status, body.encode(), outage.content_type))
    vendor.fail(request, 0)
    _cut(http)
    return _respond(vendor, Answer(502, b"", "text/plain"))  # nobody is left to read it


def _cut(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()


def _replaced(found: Answer, outage: Outage) -> Answer:
    status = outage.status if isinstance(outage.status, int) else found.status
    if outage.body is None:
        body = found.body if status == found.status else HTTPStatus(status).phrase.encode()
        kind = found.content_type if status == found.status else "text/plain"
        return Answer(status, body, kind)
    return Answer(status, outage.body.encode(), outage.content_type)


def _respond(vendor: Vendor, found: Answer) -> web.Response:
    limit, left = vendor.limits()
    return web.Response(
        status=found.status,
        body=found.body,
        headers={
            "Content-Type": f"{found.content_type}; charset=utf-8",
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(left),
            "Date": format_datetime(vendor.clocks.accounting(), usegmt=True),
            "Server": "simulator",
        },
    )


# -- the admin routes -----------------------------------------------------------------------------


class _Admin:
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def guarded(self, handler: Callable[[web.Request], Awaitable[Any]]) -> Handler:
        """Answers with the handler's value as JSON; a bad request says what is wrong with it and
        changes nothing.
        """

        async def handle(http: web.Request) -> web.StreamResponse:
            try:
                return web.json_response(await handler(http))
            except (BadClock, BadAccount, BadOutage, _BadBody) as error:
                return web.json_response({"error": str(error)}, status=400)

        return handle

    async def usage(self, http: web.Request) -> Any:
        return self._vendor.ledger.usage()

    async def refused(self, http: web.Request) -> Any:
        return self._vendor.ledger.refusals()

    async def clock(self, http: web.Request) -> Any:
        clocks = self._vendor.clocks
        return {
            "data": show(clocks.data()),
            "accounting": show(clocks.accounting()),
            "dataSet": clocks.data_set is not None,
            "accountingSet": clocks.accounting_is_set,
        }

    async def set_clock(self, http: web.Request) -> Any:
        body = await _object(http)
        unknown = sorted(set(body) - {"data", "accounting"})
        if unknown:
            raise BadClock(f"{unknown[0]}: no clock; there are data and accounting")
        moments = {
            name: None if value is None else parse_moment(name, value)
            for name, value in body.items()
        }
        clocks = self._vendor.clocks
        if "data" in moments:
            clocks.set_data(moments["data"])
        if "accounting" in moments:
            clocks.set_accounting(moments["accounting"])
        return await self.clock(http)

    async def account(self, http: web.Request) -> Any:
        vendor = self._vendor
        today = vendor.clocks.accounting().date()
        return vendor.account.as_json() | {
            "used": vendor.ledger.used(today),
            "extraLimit": vendor.ledger.extra_limit,
        }

    async def set_account(self, http: web.Request) -> Any:
        self._vendor.set_account(await _object(http))
        return await self.account(http)

    async def outage(self, http: web.Request) -> Any:
        return [vars(outage) for outage in self._vendor.outages]

    async def set_outage(self, http: web.Request) -> Any:
        self._vendor.outages = faults.parse(await _json(http))
        return await self.outage(http)

    async def log(self, http: web.Request) -> Any:
        since = http.query.get("since", "0")
        if not since.isdigit():
            raise _BadBody("since: a whole number from 0 on")
        return [entry for entry in self._vendor.log if entry["n"] > int(since)]

    async def reset(self, http: web.Request) -> Any:
        self._vendor.reset()
        return {}


class _BadBody(ValueError):
    """A request of the admin that is no JSON of the right kind."""


async def _json(http: web.Request) -> Any:
    try:
        return await http.json()
    except ValueError as error:
        raise _BadBody("the body is no JSON") from error


async def _object(http: web.Request) -> dict[str, Any]:
    body = await _json(http)
    if not isinstance(body, dict):
        raise _BadBody("the body is no JSON object")
    return body
