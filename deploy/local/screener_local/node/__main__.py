"""Entry point `python -m screener_local.node`: one process node, until SIGTERM."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from screener_local.node.agent import Agent
from screener_local.node.api import Api
from screener_local.node.pod import Surroundings
from screener_local.node.server import LogServer
from screener_local.paths import PROGRAMS, PROJECT


def surroundings(server: str, first_backoff_s: float, longest_backoff_s: float) -> Surroundings:
    """What containers get; `server` is the API server's real address."""
    address = urlsplit(server)
    keep = {PROJECT, PROGRAMS.parent, Path(sys.base_prefix)}
    return Surroundings(
        environment={
            "PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/",
            "KUBERNETES_SERVICE_HOST": str(address.hostname),
            "KUBERNETES_SERVICE_PORT": str(address.port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(address.port),
        },
        # A folder inside another one is visible with it.
        keep=tuple(k for k in sorted(keep) if not any(o in k.parents for o in keep)),
        first_backoff_s=first_backoff_s,
        longest_backoff_s=longest_backoff_s,
    )


async def serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Api(options.kubeconfig) as api:
        agent = Agent(
            api,
            options.name,
            options.state,
            options.port,
            surroundings(api.server, options.first_backoff, options.longest_backoff),
        )
        logs = LogServer(agent)
        await logs.start(options.port, options.certificate, options.key, options.authority)
        try:
            await agent.run(stop)
        finally:
            await logs.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="screener_local.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--state", type=Path, required=True, help="the folder of its pods")
    parser.add_argument("--port", type=int, required=True, help="where logs are served")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--authority", type=Path, required=True)
    parser.add_argument("--first-backoff", type=float, default=1.0, help="seconds")
    parser.add_argument("--longest-backoff", type=float, default=60.0, help="seconds")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    asyncio.run(serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
