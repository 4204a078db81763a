"""Entry point `python -m screener_local up|down|tools|demo|bench`: what the Makefile calls."""

import argparse
import importlib
import os
import sys
import time

from screener_local.errors import LocalError, PartFailed
from screener_local.paths import STATE
from screener_local.system import LocalSystem, vendor_from
from screener_local.tools import find_or_build
from screener_local.vendor import half_named_vendor


def say(line: str) -> None:
    print(line, flush=True)


def user_system() -> LocalSystem:
    """The one of `make up`, with the vendor that the user's environment names."""
    if missing := half_named_vendor(os.environ):
        say(f"vendor        {missing} is not set, so the simulator stands for the vendor")
    return LocalSystem(STATE, say=say, vendor=vendor_from(os.environ, STATE))


def up() -> LocalSystem:
    """Starts the user's system, or what of it does not run, and says how to use it."""
    began = time.monotonic()
    system = user_system()
    system.start()
    say(f"Ready after {time.monotonic() - began:.0f} s. Next:  . .local/env  and then:")
    say("  kubectl apply -f deploy/samples/daily.yaml")
    say("  kubectl get collectionruns -w")
    if system.vendor is None:
        say(f"  curl {system.simulator.root}/admin/usage    what the vendor was asked for")
    say("  make down                 stops it; its logs are in .local/logs")
    return system


def down(wipe: bool) -> None:
    """Stops the user's system; with `wipe` its data goes too."""
    if not STATE.exists():
        say("Nothing is up.")
        return
    system = LocalSystem(STATE, say=say)
    system.stop()
    say("Stopped.")
    if wipe:
        system.wipe()
        say("Its data is removed.")
    else:
        say("Its data is kept in .local; `make down WIPE=1` removes it.")


def later(module: str, *arguments: str) -> int:
    """Runs the main function of a module that is only loaded when it is wanted."""
    return int(importlib.import_module(f"screener_local.{module}").main(*arguments))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="screener_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything that does not run")
    stopping = commands.add_parser("down", help="stop all that up started")
    stopping.add_argument("--wipe", action="store_true", help="remove its data too")
    commands.add_parser("tools", help="find or build Kubernetes, so that tests need not")
    commands.add_parser("demo", help="the main job, from nothing")
    measuring = commands.add_parser("bench", help="figures, on a system of its own")
    measuring.add_argument("only", nargs="?", default="", help="one topic or figure of them")
    options = parser.parse_args(arguments)
    try:
        if options.command == "up":
            up()
        elif options.command == "down":
            down(options.wipe)
        elif options.command == "tools":
            say(f"Kubernetes    from {find_or_build(say).folder}")
        elif options.command == "bench":
            return later("bench", options.only)
        else:
            return later(options.command)
    except PartFailed as failure:
        print(failure.report(), file=sys.stderr)
        return 1
    except LocalError as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; `make down` stops what was started.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
