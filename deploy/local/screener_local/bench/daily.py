"""A steady day of the whole universe on the local system: how long it takes and what it costs.

The system is brought to the morning after a session: assets and sessions by a dry run's preflight,
bars of the sessions before from the simulator's own bulk days, states by SQL. Then the simulator's
clock moves to the next morning, and one CollectionRun collects what is new; US has as many rows as
the real one, and dividends are scripted so that ACTIONS assets have one or a split. Not in it:
fundamentals, the rolling refetch, indicators.

The plain way is a request an asset, one after another, each stored as it comes; SAMPLE assets are
measured and scaled to all.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from time import monotonic
from typing import Any

import httpx
import psutil
import psycopg

from screener_local.bench.figures import Figure
from screener_local.bench.systems import local_system, say
from screener_local.errors import PartFailed
from screener_local.runs import apply, ended, watch
from screener_local.system import LocalSystem

NAMES = (
    "daily_prices_s",
    "daily_price_calls",
    "daily_calls_with_actions",
    "collector_peak_mib",
)
US_ROWS = 45_000
EXCHANGES = ("US", "LSE", "F", "XETRA", "PA", "AS", "BR", "LS", "MC", "SW")
ACTIONS = 150
CANDIDATES = 10
"""Weekdays looked at for a session of every exchange with no more of its own."""
TAIL = 20
"""Sessions whose bars are there already."""
HOLIDAYS = 2
"""Weekdays among these without a session of an exchange, at most."""
SAMPLE = 100
TIMEOUT_S = 600
MIB = 1024
MORNING = time(5, 30)
"""UTC: the lists of the actions of the day before are final, and no session of today is out."""


@dataclass(frozen=True)
class Simulated:
    """The simulator, as the vendor and by its /admin."""

    system: LocalSystem
    client: httpx.Client

    def admin(self, method: str, path: str, body: object = None) -> Any:
        answer = self.client.request(
            method, f"{self.system.simulator.root}/admin/{path}", json=body
        )
        answer.raise_for_status()
        return answer.json()

    def log(self) -> list[dict[str, Any]]:
        """Every request that arrived."""
        arrivals: list[dict[str, Any]] = self.admin("GET", f"log?limit={10**7}")
        return arrivals

    def stand_at(self, moment: datetime) -> None:
        self.admin("PUT", "clock", {"data": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})

    def bulk(self, exchange: str, day: date, kind: str | None = None) -> list[dict[str, Any]]:
        """A bulk day as the vendor has it now; `kind`: splits or dividends."""
        parameters = {"api_token": self.system.simulator.token, "fmt": "json", "date": str(day)}
        answer = self.client.get(
            f"{self.system.simulator.base_url}/eod-bulk-last-day/{exchange}",
            params=parameters | ({"type": kind} if kind else {}),
        )
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()
        return rows


@dataclass(frozen=True)
class Steady:
    """A system on which every asset is current up to the session before `session`."""

    system: LocalSystem
    vendor: Simulated
    owner: psycopg.Connection[Any]
    session: date

    @cached_property
    def assets(self) -> list[str]:
        rows = self.owner.execute(
            "SELECT ticker FROM assets WHERE kind = 'listing' AND type = 'Common Stock' AND listed"
            " ORDER BY ticker"
        )
        return [row[0] for row in rows.fetchall()]


def collect(system: LocalSystem, name: str, session: date, **more: Any) -> float:
    """Seconds from the apply of a run of all exchanges until it has ended. Raises PartFailed."""
    spec = {"asOf": session.isoformat(), "operations": ["prices"], "indicators": False, **more}
    began = monotonic()
    apply(system.kubectl, "CollectionRun", name, spec)
    *_, run = watch(system.kubectl, "collectionrun", name, until=ended, timeout_s=TIMEOUT_S)
    seconds = monotonic() - began
    status = run["status"]
    say(f"{name}: {status['phase']} in {seconds:.1f} s: {status['message']}")
    if status["phase"] != "Succeeded":
        raise PartFailed(name, status["message"], hint="the pods' logs are in the bench's folder")
    return seconds


def morning_after(session: date) -> datetime:
    return datetime.combine(session + timedelta(days=1), MORNING, UTC)


def weekdays_before(day: date, count: int) -> list[date]:
    """The newest first."""
    days = (day - timedelta(days=back) for back in range(1, 2 * count + 7))
    return [each for each in days if each.weekday() < 5][:count]


@contextmanager
def steady_day() -> Iterator[Steady]:
    """A system before the new session, everything else current."""
    with (
        local_system("--us-rows", str(US_ROWS)) as system,
        httpx.Client(timeout=120) as client,
        psycopg.connect(system.postgres.owner_url, autocommit=True) as owner,
    ):
        owner.execute("SET search_path TO financial_screener")
        vendor = Simulated(system, client)
        vendor.admin("PUT", "account", {"dailyLimit": 10**9, "minuteLimit": 10**6})
        # Far enough back that every exchange has published, whatever the time of day is.
        days = weekdays_before(datetime.now(UTC).date() - timedelta(days=3), CANDIDATES)
        vendor.stand_at(morning_after(days[0]))
        # A holiday of one exchange would make the day a light one.
        sessions = [day for day in days if all(vendor.bulk(each, day) for each in EXCHANGES)]
        vendor.stand_at(morning_after(sessions[1]))
        collect(system, "bench-assets", sessions[1], dryRun=True)
        vendor.stand_at(morning_after(sessions[0]))
        session, own = next(
            (day, found)
            for day in sessions
            if len(found := with_actions(vendor, owner, day)) <= ACTIONS
        )
        [before] = weekdays_before(session, 1)
        vendor.stand_at(morning_after(before))
        say(f"the new session is {session}; bars of the {TAIL} before are put into the database")
        seed(vendor, owner, before)
        # A day that nothing was used of, under the limits of a real account.
        vendor.admin("POST", "reset")
        vendor.stand_at(morning_after(session))
        add_dividends(vendor, owner, session, own)
        # The vendor has its data at hand; the simulator makes it when it is first asked for.
        for exchange in EXCHANGES:
            vendor.bulk(exchange, session)
        yield Steady(system, vendor, owner, session)


def with_actions(vendor: Simulated, owner: psycopg.Connection[Any], day: date) -> set[str]:
    """Assets of the universe with a split or a dividend on a day."""
    assets = {
        f"{row['code']}.{exchange}"
        for exchange in EXCHANGES
        for kind in ("splits", "dividends")
        for row in vendor.bulk(exchange, day, kind)
    }
    rows = owner.execute(
        "SELECT ticker FROM assets WHERE ticker = ANY (%s) AND type = 'Common Stock'",
        [sorted(assets)],
    )
    return {row[0] for row in rows.fetchall()}


def add_dividends(
    vendor: Simulated, owner: psycopg.Connection[Any], day: date, own: set[str]
) -> None:
    """Scripts dividends so that as many assets have an action as ACTIONS says."""
    rows = owner.execute(
        "SELECT ticker FROM assets JOIN stock_prices ON asset_id = assets.id"
        " WHERE ticker LIKE '%%.US' AND ticker <> ALL (%s) GROUP BY ticker, asset_id"
        " HAVING count(*) >= %s ORDER BY asset_id LIMIT %s",
        [sorted(own), TAIL - HOLIDAYS, ACTIONS - len(own)],
    )
    dividends = [
        {"kind": "dividend", "ticker": row[0], "session": day.isoformat(), "yield": 0.01}
        for row in rows.fetchall()
    ]
    vendor.admin("PUT", "faults", {"seed": 1, "faults": dividends})


def seed(vendor: Simulated, owner: psycopg.Connection[Any], newest: date) -> None:
    """Bars and states as they are the morning after `newest`."""
    days = [newest, *weekdays_before(newest, TAIL - 1)]
    with owner.cursor() as cursor:
        cursor.execute("SELECT ensure_partitions(%s, %s)", [days[-1], newest])
        cursor.execute("SELECT ticker, id FROM assets WHERE type = 'Common Stock'")
        ids = dict(cursor.fetchall())
        with cursor.copy("COPY stock_prices FROM STDIN") as copy:
            for exchange in EXCHANGES:
                for day in days:
                    for row in vendor.bulk(exchange, day):
                        if asset_id := ids.get(f"{row['code']}.{exchange}"):
                            copy.write_row((asset_id, *(row[name] for name in COLUMNS)))
        for statement in STATES:
            cursor.execute(statement, {"newest": newest, "tail": days[-1]})


COLUMNS = ("date", "open", "high", "low", "close", "adjusted_close", "volume")
STATES = (
    # The lists of assets were read a day ago, the details of exchanges within the week.
    "UPDATE exchanges SET listed_at = listed_at - interval '25 hours'",
    "UPDATE asset_processing_state AS state"
    " SET prices_loaded = true, prices_first_date = bar.first, prices_last_date = bar.last,"
    " prices_checked_from = %(newest)s::date - 731, prices_checked_to = expected.session,"
    " prices_changed_at = now(), prices_last_updated_at = now(), prices_refreshed_at = now(),"
    " splits_checked_to = expected.session, dividends_checked_to = expected.session"
    " FROM assets AS asset, (SELECT asset_id, min(date) AS first, max(date) AS last"
    " FROM stock_prices GROUP BY asset_id) AS bar,"
    " (SELECT exchange_id, max(session) AS session FROM exchange_sessions"
    " WHERE session <= %(newest)s::date GROUP BY exchange_id) AS expected"
    " WHERE asset.id = state.asset_id AND bar.asset_id = state.asset_id"
    " AND expected.exchange_id = asset.exchange_id",
    # Listed without ever having traded: asked for in vain before, and not every day again.
    "UPDATE asset_processing_state SET prices_failures = 5,"
    " prices_next_attempt_at = now() + interval '16 days' WHERE NOT prices_loaded",
    # Asked for when it was published; all but the newest again when its volumes were final.
    "INSERT INTO bulk_days (exchange_id, session, kind, asked_at, rows, of_session, believed,"
    " execution_id)"
    " SELECT asset.exchange_id, bar.date, 'bulk_prices', session.closes_at"
    " + CASE WHEN bar.date < max(bar.date) OVER (PARTITION BY asset.exchange_id)"
    " THEN interval '24 hours' ELSE exchange.publication_delay END,"
    " count(*), count(*), true, 'seed'"
    " FROM stock_prices AS bar JOIN assets AS asset ON asset.id = bar.asset_id"
    " JOIN exchanges AS exchange ON exchange.id = asset.exchange_id"
    " JOIN exchange_sessions AS session ON session.exchange_id = asset.exchange_id"
    " AND session.session = bar.date"
    " GROUP BY asset.exchange_id, bar.date, session.closes_at, exchange.publication_delay",
    "ANALYZE",
)


@contextmanager
def peak_memory(system: LocalSystem) -> Iterator[dict[int, float]]:
    """The largest resident memory of each of this system's collector processes, in MiB."""
    peaks: dict[int, float] = {}
    done = threading.Event()
    database = f"127.0.0.1:{system.postgres.port}/"

    def look() -> None:
        known: dict[int, bool] = {}
        while not done.wait(0.1):
            for process in psutil.process_iter(["cmdline"]):
                command = process.info["cmdline"] or []
                if any(part.endswith("screener-collect") for part in command):
                    try:
                        if process.pid not in known:
                            ours = database in process.environ().get("DATABASE_URL", "")
                            known[process.pid] = ours
                        if known[process.pid]:
                            peaks[process.pid] = high_water_mib(process.pid)
                    except (psutil.Error, OSError):
                        continue  # it has ended

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def high_water_mib(pid: int) -> float:
    """The kernel's own mark of a process's peak."""
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / MIB


def by_endpoint(log: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    calls: Counter[str] = Counter()
    for arrival in log:
        calls[arrival["endpoint"]] += arrival["calls"]
    return dict(calls)


def price_calls(day: Steady, log: Sequence[Mapping[str, Any]]) -> int:
    """Calls for bars of the new session alone: without the assets that an action makes whole."""
    rows = day.owner.execute(
        "SELECT ticker FROM assets JOIN corporate_actions ON asset_id = assets.id"
    )
    with_action = {row[0] for row in rows.fetchall()}
    calls = 0
    for arrival in log:
        path, _, query = arrival["path"].partition("?")
        subject = path.rpartition("/")[2]
        if arrival["endpoint"] == "eod" and subject not in with_action:
            calls += arrival["calls"]
        elif arrival["endpoint"] == "eod-bulk-last-day" and "type=eod" in query:
            calls += arrival["calls"] if f"date={day.session}" in query else 0
    return calls


def plain_s(day: Steady) -> float:
    """Seconds for a request an asset and its bars stored one by one, scaled from a sample."""
    step = len(day.assets) // SAMPLE
    sample = day.assets[::step]
    began = monotonic()
    with psycopg.connect(day.system.postgres.program_urls()["collector"]) as connection:
        for ticker in sample:
            answer = httpx.get(
                f"{day.system.simulator.base_url}/eod/{ticker}",
                params={
                    "api_token": day.system.simulator.token,
                    "fmt": "json",
                    "from": str(day.session),
                },
            )
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO financial_screener.stock_prices SELECT id, %s, %s, %s, %s, %s, %s,"
                    " %s FROM financial_screener.assets WHERE ticker = %s"
                    " ON CONFLICT (asset_id, date) DO UPDATE SET close = excluded.close",
                    [(*(row[name] for name in COLUMNS), ticker) for row in answer.json()],
                )
            connection.commit()
    return (monotonic() - began) / len(sample) * len(day.assets)


def measure() -> Iterator[Figure]:
    with steady_day() as day:
        before = len(day.vendor.log())
        with peak_memory(day.system) as peaks:
            seconds = collect(day.system, "bench-day", day.session)
        log = day.vendor.log()[before:]
        say(f"{len(day.assets)} assets; calls by endpoint: {by_endpoint(log)}")
        calls = price_calls(day, log)
        every = sum(arrival["calls"] for arrival in log)
        plain = plain_s(day)
        say(
            f"the plain way: {SAMPLE} assets measured; the vendor's limit of 1000 requests a minute"
        )
        say(f"would make it {len(day.assets) / 1000 * 60:.0f} s at least")
    yield Figure("daily_prices_s", seconds, "s", plain)
    yield Figure("daily_price_calls", calls, "calls", len(day.assets))
    # The plain way asks each asset for its bars, its splits and its dividends.
    yield Figure("daily_calls_with_actions", every, "calls", 3 * len(day.assets))
    yield Figure("collector_peak_mib", max(peaks.values()), "MiB")
