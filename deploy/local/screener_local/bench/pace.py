"""How near a first load comes to the vendor's limit of requests a minute.

A group's worker as its Job runs it, against the simulator, whose answers take 0.3 s in the median
and 3 s one in a hundred times. Counted are the answers of full minutes by the simulator's clock,
whatever it refused not among them. The plain way is a request after another.
"""

import json
import statistics
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import psycopg

from screener_local.background import bare_environment
from screener_local.bench.figures import Figure
from screener_local.bench.systems import database, say, simulator
from screener_local.errors import PartFailed
from screener_local.paths import PROGRAMS
from screener_local.simulator_process import SimulatorProcess

NAMES = ("first_load_rate_share", "first_load_refused_share")
MINUTES = 3
MEDIAN_S, P99_S = 0.3, 3.0
ASSETS = 6000
EXCHANGE = "F"
PLAIN_S = 20.0
RUN, GROUP = "bench", "g"
TIMEOUT_S = 60 * (MINUTES + 3)


def admin(vendor: SimulatorProcess, path: str, body: object = None) -> Any:
    """An answer of `/admin`; PUT where there is a body."""
    request = urllib.request.Request(
        f"{vendor.root}/admin/{path}",
        data=None if body is None else json.dumps(body).encode(),
        method="GET" if body is None else "PUT",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def codes(vendor: SimulatorProcess) -> list[str]:
    """Common stocks of the exchange."""
    address = f"{vendor.base_url}/exchange-symbol-list/{EXCHANGE}?fmt=json&type=common_stock"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {vendor.token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [row["Code"] for row in json.loads(answer.read())][:ASSETS]


def plan(owner: psycopg.Connection[Any], listed: list[str]) -> None:
    """An execution whose group has the first history of each code to fetch."""
    owner.execute("SET search_path TO financial_screener")
    today = datetime.now(UTC).date()
    wanted = {
        "run": RUN,
        "group": GROUP,
        "codes": listed,
        "exchange": EXCHANGE,
        "first": today - timedelta(days=730),
        "last": today - timedelta(days=1),
    }
    for statement in (
        "INSERT INTO process_executions (process_name, execution_id, parameters)"
        " VALUES ('data_collection_equities', %(run)s, '{}')",
        "INSERT INTO execution_budgets (execution_id) VALUES (%(run)s)",
        "INSERT INTO slices (execution_id, kind, name) VALUES (%(run)s, 'group', %(group)s)",
        "INSERT INTO assets (code, exchange_id, ticker, type)"
        " SELECT listed.code, exchanges.id, listed.code || '.' || exchanges.code, 'Common Stock'"
        " FROM unnest(%(codes)s::text[]) AS listed (code), exchanges"
        " WHERE exchanges.code = %(exchange)s",
        "INSERT INTO asset_processing_state (asset_id, ticker) SELECT id, ticker FROM assets",
        "INSERT INTO plan_fetches (execution_id, group_name, ordinal, kind, exchange_id, asset_id,"
        " date_from, date_to, calls)"
        " SELECT %(run)s, %(group)s, id, 'prices', exchange_id, id, %(first)s, %(last)s, 1"
        " FROM assets",
        "INSERT INTO plan_items (execution_id, group_name, asset_id, exchange_id, operation, way,"
        " fetch_id, expected_to, planned_calls)"
        " SELECT execution_id, group_name, asset_id, exchange_id, 'prices_bulk', 'asset', id,"
        " date_to, 1 FROM plan_fetches",
    ):
        owner.execute(statement, wanted)


def arrivals(vendor: SimulatorProcess, status: Any) -> Counter[str]:
    """Arrivals of histories by minute, of those whose status `status` takes."""
    return Counter(
        entry["at"][:16]
        for entry in admin(vendor, "log?limit=1000000")
        if entry["path"].startswith("eod/") and status(entry["status"])
    )


def plain_per_minute(vendor: SimulatorProcess, listed: list[str]) -> float:
    """Requests a minute of one after another, for a while."""
    began, done = monotonic(), 0
    for code in listed:
        address = f"{vendor.base_url}/eod/{code}.{EXCHANGE}?fmt=json"
        headers = {"Authorization": f"Bearer {vendor.token}"}
        with urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=120
        ) as answer:
            answer.read()
        done += 1
        if monotonic() - began > PLAIN_S:
            break
    return 60 * done / (monotonic() - began)


def measure() -> Iterator[Figure]:
    with database() as postgres, simulator() as vendor:
        listed = codes(vendor)
        limit: int = admin(vendor, "account")["minuteLimit"]
        with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
            plan(owner, listed)
        admin(vendor, "faults", [{"latency_s": {"median_s": MEDIAN_S, "p99_s": P99_S}}])
        plain = plain_per_minute(vendor, listed)
        worker = subprocess.Popen(
            [PROGRAMS / "screener-collect", "group"],
            env=bare_environment()
            | {
                "DATABASE_URL": postgres.program_urls()["collector"],
                "EODHD_API_TOKEN": vendor.token,
                "EODHD_BASE_URL": vendor.base_url,
                "EXECUTION_ID": RUN,
                "SLICE": GROUP,
            },
            stderr=subprocess.DEVNULL,
        )
        began = monotonic()
        plain_minutes = set(arrivals(vendor, lambda _: True))
        try:
            while True:
                # The first and the last minute are not full, nor is one that the plain way shared.
                sleep(5)
                minutes = sorted(set(arrivals(vendor, lambda _: True)) - plain_minutes)
                if len(minutes) >= MINUTES + 2:
                    break
                if worker.poll() is not None or monotonic() - began > TIMEOUT_S:
                    raise PartFailed("collector", "it ended before the minutes were over")
        finally:
            worker.terminate()
            worker.wait(30)
        good = arrivals(vendor, lambda status: status == 200)
        refused = arrivals(vendor, lambda status: status == 429)
        full = minutes[1:-1]
    say(f"requests of full minutes: {', '.join(str(good[minute]) for minute in full)}")
    share = statistics.median(good[minute] for minute in full) / limit
    yield Figure("first_load_rate_share", share, "of", plain / limit, more_is_better=True)
    asked = sum(good[minute] + refused[minute] for minute in full)
    yield Figure("first_load_refused_share", sum(refused[m] for m in full) / asked, "of")
