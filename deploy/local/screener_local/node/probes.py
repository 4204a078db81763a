"""Adapter: a container's probes: HTTP, TCP and command, with the API's counters and times."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from screener_local.node.environment import Unsupported
from screener_local.node.types import JSON

Exec = Callable[[list[str], float], Awaitable[tuple[bool, str]]]
"""Runs a command in the container's surroundings within seconds; whether it ended with 0, and what
it wrote."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds and counts of a probe, with the API's defaults."""

    initial_delay_s: float
    period_s: float
    timeout_s: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: JSON) -> "Timing":
        return cls(
            initial_delay_s=float(probe.get("initialDelaySeconds", 0)),
            period_s=float(probe.get("periodSeconds", 10)),
            timeout_s=float(probe.get("timeoutSeconds", 1)),
            success_threshold=int(probe.get("successThreshold", 1)),
            failure_threshold=int(probe.get("failureThreshold", 3)),
        )


def port_number(container: JSON, port: int | str) -> int:
    """A probe's port, which may be the name of one of the container's. Raises Unsupported if there
    is none."""
    if isinstance(port, int):
        return port
    for candidate in container.get("ports") or []:
        if candidate.get("name") == port:
            return int(candidate["containerPort"])
    raise Unsupported(f"probe: the container has no port named {port}")


async def check(probe: JSON, container: JSON, run: Exec) -> tuple[bool, str]:
    """Probes once. Whether it went well, and otherwise why not."""
    timeout_s = Timing.of(probe).timeout_s
    if "exec" in probe:
        return await run(probe["exec"]["command"], timeout_s)
    if "httpGet" in probe:
        return await _http(probe["httpGet"], container, timeout_s)
    if "tcpSocket" in probe:
        where = probe["tcpSocket"]
        port = port_number(container, where["port"])
        try:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(where.get("host") or "127.0.0.1", port)
        except (OSError, TimeoutError) as error:
            return False, f"dial tcp 127.0.0.1:{port}: {_why(error)}"
        writer.close()
        return True, ""
    raise Unsupported(f"a probe with {', '.join(probe)}")


async def _http(get: JSON, container: JSON, timeout_s: float) -> tuple[bool, str]:
    scheme = get.get("scheme", "HTTP").lower()
    host = get.get("host") or "127.0.0.1"
    path = get.get("path") or "/"
    url = f"{scheme}://{host}:{port_number(container, get['port'])}/{path.removeprefix('/')}"
    headers = {h["name"]: h["value"] for h in get.get("httpHeaders") or []}
    # As the kubelet: a probe asks whether something answers, not who.
    verify = scheme != "https"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
            session.get(url, headers=headers, ssl=verify, allow_redirects=False) as answer,
        ):
            text = (await answer.content.read(200)).decode(errors="replace").strip()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return False, f'Get "{url}": {_why(error)}'
    if 200 <= answer.status < 400:
        return True, ""
    return False, f"HTTP probe failed with statuscode: {answer.status} {text}".rstrip()


def _why(error: Exception) -> str:
    """The system's words for it, without the library's."""
    number = getattr(getattr(error, "os_error", error), "errno", None)
    return os.strerror(number) if number else type(error).__name__


async def watch(
    probe: JSON,
    container: JSON,
    run: Exec,
    *,
    on_success: Callable[[], None],
    on_failure: Callable[[str], None],
    on_miss: Callable[[str], None],
) -> None:
    """Probes for ever. `on_success` and `on_failure` are called at each probe once their threshold
    is reached, `on_miss` at each probe that fails."""
    timing = Timing.of(probe)
    good = bad = 0
    await asyncio.sleep(timing.initial_delay_s)
    while True:
        passed, why = await check(probe, container, run)
        good, bad = (good + 1, 0) if passed else (0, bad + 1)
        if passed and good >= timing.success_threshold:
            on_success()
        if not passed:
            on_miss(why)
            if bad >= timing.failure_threshold:
                on_failure(why)
        await asyncio.sleep(timing.period_s)
