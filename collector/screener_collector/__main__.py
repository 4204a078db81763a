"""screener-collect: the program of a collector Job: `preflight`, or `group` for a group's slice.

Wires settings, worker, ledger and vendor together, and turns how it ended into an exit code, a log
line and the pod's termination message.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

from screener_collector.closing import Closer
from screener_collector.counter import Counter
from screener_collector.group import Group
from screener_collector.ledger import Ledger
from screener_collector.listing import Listing
from screener_collector.preflight import Preflight
from screener_collector.settings import Settings, read_log_format, read_settings
from screener_collector.store import Database, Store, Worker, connect_patiently
from screener_collector.vendor import Vendor
from screener_sql.errors import BadSetting, DatabaseUnreachable, ScreenerError
from screener_sql.logs import leave_last_words, start_logging
from screener_sql.model import ExitCode, SliceKind, SliceReason

logger = logging.getLogger(__name__)

EXIT_BY_REASON = {
    SliceReason.TOKEN_REFUSED: ExitCode.TOKEN_REFUSED,
    SliceReason.ENDPOINT_NOT_IN_PLAN: ExitCode.ENDPOINT_NOT_IN_PLAN,
    SliceReason.INVALID_SPEC: ExitCode.INVALID_SPEC,
    SliceReason.DAILY_LIMIT_REACHED: ExitCode.DONE,
    SliceReason.RUN_LIMIT_REACHED: ExitCode.DONE,
}
SENTENCES: dict[int, str] = {
    ExitCode.TOKEN_REFUSED: "The vendor refuses the token (401); check the Secret.",
    ExitCode.ENDPOINT_NOT_IN_PLAN: "The vendor's plan does not include the only way to the data.",
    ExitCode.INVALID_SPEC: "The run asks for what the vendor does not have.",
    128 + signal.SIGINT: "Interrupted; claims and unspent calls were given back.",
    128 + signal.SIGTERM: "Told to end; claims and unspent calls were given back.",
}


async def collect(settings: Settings, kind: SliceKind) -> int:
    """Does the slice; the exit code. Raises DatabaseUnreachable, also for a lost lock."""
    stopped = asyncio.Event()
    told_by: list[signal.Signals] = []

    def tell(number: signal.Signals) -> None:
        told_by.append(number)
        stopped.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell, number)

    worker = await Worker.register(
        settings.database_url, settings.execution_id, settings.slice, settings.pod
    )
    watch = asyncio.create_task(worker.watch())
    work = asyncio.create_task(_work(settings, kind, worker, stopped))
    try:
        await asyncio.wait({watch, work}, return_when=asyncio.FIRST_COMPLETED)
        # Without its lock others take the worker's claims: it must not go on.
        if not work.done():
            watch.result()
        code = work.result()
    except BaseException:
        await worker.abandon()
        raise
    finally:
        watch.cancel()
        work.cancel()
        await asyncio.gather(watch, work, return_exceptions=True)
    await worker.end()
    return 128 + told_by[0] if code is ExitCode.TERMINATED else code


async def _work(
    settings: Settings, kind: SliceKind, worker: Worker, stopped: asyncio.Event
) -> ExitCode:
    control = Database(await connect_patiently(settings.database_url, "screener-collect"))
    store = Store(control, worker.id, settings.execution_id, kind, settings.slice)
    try:
        ended, reason = await store.start_slice()
        if ended:
            logger.info("the slice has ended before", extra={"action": "already_ended"})
            return EXIT_BY_REASON[SliceReason(reason)] if reason else ExitCode.DONE
        ledger = Ledger(store, settings.daily_limit)
        await ledger.set_clock()

        async def on_waiting(waits: bool) -> None:
            await store.waiting(SliceReason.VENDOR_UNREACHABLE if waits else None)

        vendor = Vendor.connect(settings.base_url, settings.token, ledger, on_waiting, worker.check)
        try:
            if kind is SliceKind.PREFLIGHT:
                return await _preflight(settings, worker, control, store, ledger, vendor, stopped)
            return await _group(settings, worker, store, ledger, vendor, stopped)
        finally:
            await vendor.close()
    finally:
        await control.close()


async def _preflight(
    settings: Settings,
    worker: Worker,
    control: Database,
    store: Store,
    ledger: Ledger,
    vendor: Vendor,
    stopped: asyncio.Event,
) -> ExitCode:
    preflight = Preflight(
        store,
        Listing(control, worker.id, settings.execution_id),
        ledger,
        vendor,
        settings.daily_limit,
    )
    run = asyncio.create_task(preflight.run())
    told = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({run, told}, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            return run.result()
        return ExitCode.TERMINATED
    finally:
        told.cancel()
        run.cancel()
        await asyncio.gather(told, run, return_exceptions=True)
        await preflight.leave()
        await ledger.give_back()


async def _group(
    settings: Settings,
    worker: Worker,
    store: Store,
    ledger: Ledger,
    vendor: Vendor,
    stopped: asyncio.Event,
) -> ExitCode:
    writer = Database(await connect_patiently(settings.database_url, "screener-collect writer"))
    closer = Closer(writer, worker.id, settings.execution_id, settings.slice)
    ledger.read_counter = Counter(store, ledger, vendor, settings.daily_limit).read
    try:
        return await Group(store, closer, ledger, vendor, stopped).run()
    finally:
        await writer.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="screener-collect",
        description="Collects market data of one slice of a run; settings are in the environment.",
    )
    parser.add_argument("what", choices=("preflight", "group"), help="which kind of slice")
    what = parser.parse_args(argv).what
    try:
        start_logging(read_log_format(os.environ))
        settings = read_settings(os.environ, what, socket.gethostname())
    except BadSetting as error:
        return _end(ExitCode.BAD_SETTING, str(error))
    formatter = start_logging(settings.log_format, settings.secrets)
    kind = SliceKind.PREFLIGHT if what == "preflight" else SliceKind.GROUP
    try:
        code = asyncio.run(collect(settings, kind))
    except BadSetting as error:
        return _end(ExitCode.BAD_SETTING, str(error))
    except DatabaseUnreachable as error:
        return _end(ExitCode.DATABASE_UNREACHABLE, f"{error}; the Job starts again")
    except ScreenerError as error:
        return _end(ExitCode.UNEXPECTED, formatter.without_secrets(str(error)))
    except Exception as error:
        logger.exception("unexpected error", extra={"action": "failed"})
        return _end(ExitCode.UNEXPECTED, f"unexpected error: {type(error).__name__}; see the log")
    return code if code == ExitCode.DONE else _end(code, SENTENCES[code])


def _end(code: int, sentence: str) -> int:
    """Says in one sentence why it ended, where people look: the log and the pod's last message."""
    logger.error("%s", sentence, extra={"action": "ended", "exit_code": int(code)})
    leave_last_words(sentence)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
