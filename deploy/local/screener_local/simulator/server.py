"""The simulator's HTTP: the vendor's routes under `/api`, and `/admin` at the root, without a
token, for tests and demonstrations.

    GET  /admin/usage    requests and calls by GMT day and endpoint
    GET  /admin/refused  what was refused or failed, by GMT day, endpoint and status (0: cut)
    GET  /admin/clock    both clocks
    PUT  /admin/clock    {"data": "2023-09-19T23:59:00Z" or null, "accounting": the same,
                         "data_runs": true, "step": {"exchange": "MC", "sessions": 1, "hours": 2}}
    GET  /admin/account  plan and limits
    PUT  /admin/account  {"plan", "dailyLimit", "minuteLimit", "extraLimit", "used", "tokens",
                         "withdrawn"}
    GET  /admin/faults   the script of faults, with what is left of it
    PUT  /admin/faults   {"seed": 7, "faults": [...]}, a list of faults, one, or {} for none; the
                         vocabulary is in docs/simulator.md
    GET  /admin/log      every arrival in order, refused ones too; ?since=N those after number N,
                         ?limit=M at most so many
    GET  /admin/series   which series were handed in
    PUT  /admin/series   series to serve under their codes; see series.py
    GET  /admin/published  what is published last: ?exchange=MC&from=...&to=...&codes=A,B
    POST /admin/reset    everything as at the start

A data clock that is set stands still unless it is told to run; an accounting clock that is set runs
on from there. A step moves both clocks to so many hours after the publication of the exchange's
next session, or of the one so many on. Listens on one address only, writes no access log (addresses
carry the token), makes no outbound connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from screener_local.simulator import bodies, plans, script, series
from screener_local.simulator.accounting import BadAccount
from screener_local.simulator.answers import Answer, Query, answer
from screener_local.simulator.clocks import BadClock, Clocks, parse_moment, show
from screener_local.simulator.events import Event
from screener_local.simulator.exchanges import EXCHANGES, Exchange
from screener_local.simulator.faults import BadFault, Fault
from screener_local.simulator.published import published
from screener_local.simulator.series import BadSeries
from screener_local.simulator.sessions import to_day
from screener_local.simulator.vendor import Account, Request, Vendor
from screener_local.simulator.world import World

Result = TypeVar("Result")

_SECRET_PARAMETER: Final = "api_token"

#: Arrivals that one request of the log gives at most, unless it says otherwise.
_PAGE: Final = 100_000
#: Pieces in which a slow body is sent.
_PIECES: Final = 20


@dataclass(frozen=True)
class Config:
    """`tokens` are the account's; `tickers` is a folder of code lists or None; `companies` a file
    of real bars or None.

    `port` 0 takes a free one. `daily_limit` None is the plan's. `us_rows` and `next_morning` as
    in World.
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
    us_rows: int | None = None
    next_morning: bool = True


class Data:
    """The world behind one thread: its caches need no locks, and the loop stays free to answer."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vendor-data")

    async def _do(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def answer(
        self, endpoint: str, subject: str, query: Query, now: datetime, free: bool
    ) -> Answer:
        return await self._do(lambda: answer(self._world, endpoint, subject, query, now, free=free))

    async def script(self, events: Sequence[Event], now: datetime) -> None:
        await self._do(lambda: self._world.script(events, now))

    async def give(self, given: Sequence[series.Series]) -> list[str]:
        return await self._do(lambda: self._world.give(given))

    async def published(
        self, exchange: Exchange, now: datetime, low: int, high: int, codes: frozenset[str] | None
    ) -> dict[str, Any]:
        return await self._do(lambda: published(self._world.view(exchange, now), low, high, codes))

    async def publication_of_next(self, exchange: Exchange, now: datetime, skip: int) -> datetime:
        """When the session is published that is `skip` after the last published one."""

        def find() -> datetime:
            sessions = self._world.view(exchange, now).sessions
            at = sessions.visible(now) + skip - 1
            if not 0 <= at < len(sessions.published):
                raise BadClock("step.sessions: beyond the calendar")
            return datetime.fromtimestamp(int(sessions.published[at]), UTC)

        return await self._do(find)

    async def reset(self) -> None:
        await self._do(self._world.reset)

    def stop(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


@dataclass
class Running:
    """A server that answers. `url` ends in `/api`."""

    host: str
    port: int
    vendor: Vendor
    _runner: web.AppRunner
    _data: Data

    @property
    def root(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/api"

    async def stop(self) -> None:
        await self._runner.cleanup()
        self._data.stop()


async def start(config: Config) -> Running:
    """Listens and returns. Raises OSError where the address is taken."""
    world = World(
        config.seed,
        config.tickers,
        config.companies,
        us_rows=config.us_rows,
        next_morning=config.next_morning,
    )
    data = Data(world)
    daily = config.daily_limit
    if daily is None:
        daily = plans.DAILY_LIMITS.get(config.plan, plans.DAILY_LIMIT)
    account = Account(config.plan, daily, config.minute_limit, config.tokens)
    vendor = Vendor(account, Clocks(lambda: datetime.now(UTC)), data.answer)
    runner = web.AppRunner(_application(vendor, data), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, config.host, config.port, backlog=512)
    await site.start()
    port = int(runner.addresses[0][1])
    return Running(config.host, port, vendor, runner, data)


# -- the vendor's routes --------------------------------------------------------------------------


def _application(vendor: Vendor, data: Data) -> web.Application:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_get("/api/{tail:.*}", _vendor_handler(vendor))
    admin = _Admin(vendor, data)
    app.add_routes(
        [
            web.get("/admin/usage", admin.guarded(admin.usage)),
            web.get("/admin/refused", admin.guarded(admin.refused)),
            web.get("/admin/clock", admin.guarded(admin.clock)),
            web.put("/admin/clock", admin.guarded(admin.set_clock)),
            web.get("/admin/account", admin.guarded(admin.account)),
            web.put("/admin/account", admin.guarded(admin.set_account)),
            web.get("/admin/faults", admin.guarded(admin.faults)),
            web.put("/admin/faults", admin.guarded(admin.set_faults)),
            web.get("/admin/series", admin.guarded(admin.series)),
            web.put("/admin/series", admin.guarded(admin.give_series)),
            web.get("/admin/published", admin.guarded(admin.published)),
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
        struck = vendor.strike(request)
        if struck.transit_s:
            await asyncio.sleep(struck.transit_s)
        arrival = vendor.arrive(request)
        fault = struck.fault
        if fault is not None and fault.uncounted:
            status = fault.status if isinstance(fault.status, int) else 0
            found = vendor.refuse(request, arrival, Answer(status, b""))
        elif fault is not None and fault.status == 404:
            found = vendor.unknown(request, arrival)
        else:
            found = await vendor.handle(request, arrival)
        if struck.latency_s:
            await asyncio.sleep(struck.latency_s)
        if fault is None:
            return _respond(vendor, found)
        if isinstance(fault.status, str):
            arrival.status = 0
            _cut(http)
        found = _spoilt(found, fault, struck.key)
        arrival.status = arrival.status if isinstance(fault.status, str) else found.status
        if fault.slow_s or fault.cut_after is not None:
            return await _dribble(http, vendor, found, fault)
        return _respond(vendor, found, fault.headers)

    return handle


def _cut(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()


def _spoilt(found: Answer, fault: Fault, key: int) -> Answer:
    """The answer with the fault's status and body in it. What the vendor refuses by itself, no
    fault that leaves the status alone can spoil.
    """
    if fault.status is None and found.status != 200:
        return found
    status = fault.status if isinstance(fault.status, int) else found.status
    body, kind = found.body, found.content_type
    if fault.body is not None:
        body, kind = fault.body.encode(), "text/plain"
    elif fault.wrong is not None:
        body, kind = bodies.WRONG[fault.wrong](body, key)
    elif status != found.status or not body:
        body, kind = bodies.standard(status)
    return Answer(status or 502, body, fault.content_type or kind)


async def _dribble(
    http: web.Request, vendor: Vendor, found: Answer, fault: Fault
) -> web.StreamResponse:
    """Sends the body in pieces over the fault's time, and cuts the connection after its share."""
    response = web.StreamResponse(status=found.status, headers=_headers(vendor, found))
    response.headers.update(fault.headers)
    response.content_length = len(found.body)
    await response.prepare(http)
    end = len(found.body)
    if fault.cut_after is not None:
        end = min(end - 1, int(end * fault.cut_after))
    step = max(1, -(-end // _PIECES))
    try:
        for start in range(0, end, step):
            await response.write(found.body[start : min(start + step, end)])
            if fault.slow_s:
                await asyncio.sleep(fault.slow_s * step / max(end, 1))
    except ConnectionError:
        return response  # the client left
    if fault.cut_after is not None:
        await asyncio.sleep(0.01)  # what was written is on its way before the connection ends
        _cut(http)
    return response


def _respond(
    vendor: Vendor, found: Answer, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=found.status,
        body=found.body,
        headers=_headers(vendor, found) | dict(headers or {}),
    )


def _headers(vendor: Vendor, found: Answer) -> dict[str, str]:
    limit, left = vendor.limits()
    return {
        "Content-Type": f"{found.content_type}; charset=utf-8",
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(left),
        "Date": format_datetime(vendor.clocks.accounting(), usegmt=True),
        "Server": "simulator",
    }


# -- the admin routes -----------------------------------------------------------------------------


class _Admin:
    def __init__(self, vendor: Vendor, data: Data) -> None:
        self._vendor = vendor
        self._data = data

    def guarded(self, handler: Callable[[web.Request], Awaitable[Any]]) -> Handler:
        """Answers with the handler's value as JSON; a bad request says what is wrong with it and
        changes nothing.
        """

        async def handle(http: web.Request) -> web.StreamResponse:
            try:
                return web.json_response(await handler(http))
            except (BadClock, BadAccount, BadFault, BadSeries, _BadBody) as error:
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
            "dataSet": clocks.data_is_set,
            "accountingSet": clocks.accounting_is_set,
        }

    async def set_clock(self, http: web.Request) -> Any:
        body = await _object(http)
        unknown = sorted(set(body) - {"data", "accounting", "data_runs", "step"})
        if unknown:
            raise BadClock(
                f"{unknown[0]}: no clock; there are data, accounting, data_runs and step"
            )
        moments = {
            name: None if body[name] is None else parse_moment(name, body[name])
            for name in ("data", "accounting")
            if name in body
        }
        runs = body.get("data_runs", False)
        if not isinstance(runs, bool):
            raise BadClock("data_runs: true or false")
        clocks = self._vendor.clocks
        if "step" in body:
            moments = dict.fromkeys(("data", "accounting"), await self._step(body["step"]))
        if "data" in moments:
            clocks.set_data(moments["data"], runs=runs)
        if "accounting" in moments:
            clocks.set_accounting(moments["accounting"])
        return await self.clock(http)

    async def _step(self, step: Any) -> datetime:
        if not isinstance(step, dict) or not set(step) <= {"exchange", "sessions", "hours"}:
            raise BadClock("step: an object of exchange, sessions and hours")
        exchange = EXCHANGES.get(step.get("exchange", ""))
        if exchange is None:
            raise BadClock("step.exchange: one that the vendor lists")
        sessions, hours = step.get("sessions", 1), step.get("hours", 0)
        if isinstance(sessions, bool) or not isinstance(sessions, int) or sessions < 1:
            raise BadClock("step.sessions: a whole number from 1 on")
        if isinstance(hours, bool) or not isinstance(hours, int | float):
            raise BadClock("step.hours: a number")
        now = self._vendor.clocks.data()
        found = await self._data.publication_of_next(exchange, now, sessions)
        return found + timedelta(hours=hours)

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

    async def faults(self, http: web.Request) -> Any:
        return self._vendor.script.as_json()

    async def set_faults(self, http: web.Request) -> Any:
        parsed = script.parse(await _json(http))
        await self._data.script(parsed.events, self._vendor.clocks.data())
        self._vendor.set_script(parsed)
        return await self.faults(http)

    async def log(self, http: web.Request) -> Any:
        return self._vendor.arrivals.page(_number(http, "since", 0), _number(http, "limit", _PAGE))

    async def series(self, http: web.Request) -> Any:
        return await self._data.give([])

    async def give_series(self, http: web.Request) -> Any:
        return await self._data.give(series.parse(await _json(http)))

    async def published(self, http: web.Request) -> Any:
        exchange = EXCHANGES.get(http.query.get("exchange", ""))
        if exchange is None:
            raise _BadBody("exchange: one that the vendor lists")
        low, high = _day(http, "from", "2000-01-01"), _day(http, "to", "2100-01-01")
        names = http.query.get("codes")
        codes = None if names is None else frozenset(names.split(","))
        now = self._vendor.clocks.data()
        return {"at": show(now)} | await self._data.published(exchange, now, low, high, codes)

    async def reset(self, http: web.Request) -> Any:
        self._vendor.reset()
        await self._data.reset()
        return {}


class _BadBody(ValueError):
    """A request of the admin that is no JSON of the right kind."""


def _number(http: web.Request, name: str, default: int) -> int:
    value = http.query.get(name, str(default))
    if not (value.isascii() and value.isdigit()):
        raise _BadBody(f"{name}: a whole number from 0 on")
    return int(value)


def _day(http: web.Request, name: str, default: str) -> int:
    try:
        return to_day(date.fromisoformat(http.query.get(name, default)))
    except ValueError as error:
        raise _BadBody(f"{name}: a day such as 2023-09-19") from error


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
