"""Entry point `screener-analyze`: computes the indicators of one IndicatorRun.

No arguments; settings from the environment (`settings.py`); the exit code says how it ended.
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from screener_analyzer import settings
from screener_analyzer.judge_process import JudgeLost, JudgeProcess
from screener_analyzer.run import Terminated, run
from screener_analyzer.store import Store
from screener_analyzer.worker import registered
from screener_sql.errors import BadSetting, DatabaseUnreachable, InvalidSpec
from screener_sql.logs import leave_last_words, start_logging
from screener_sql.model import ExitCode

logger = logging.getLogger("screener_analyzer")

TURN_S = 0.0005
"""So long a thread goes on while another waits for its turn. Those that read and store have a
little to do after each answer of the database, and must not wait long for the one that computes."""


def main(arguments: Sequence[str] | None = None) -> int:
    start_logging(os.environ.get("LOG_FORMAT", "").strip() or "json")
    stop = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    code, message = _run(sys.argv[1:] if arguments is None else arguments, stop)
    if message:
        logger.error(message, extra={"exit_code": int(code)})
        leave_last_words(message)
    return code


def _run(arguments: Sequence[str], stop: threading.Event) -> tuple[ExitCode, str | None]:
    def pause(seconds: float) -> None:
        if stop.wait(seconds) if seconds else stop.is_set():
            raise Terminated

    sys.setswitchinterval(TURN_S)
    try:
        if arguments:
            raise BadSetting("screener-analyze takes no arguments")
        chosen = settings.from_environment(os.environ)
        with (
            JudgeProcess.started() as judge,
            registered(
                chosen.database_url, execution_id=chosen.execution_id, pod=chosen.pod
            ) as worker,
            Store.open(chosen.database_url, chosen.execution_id) as store,
        ):
            gc.freeze()  # what is loaded stays
            code = run(
                store,
                worker,
                pause,
                chunk=chosen.chunk,
                another=lambda: Store.open(chosen.database_url, chosen.execution_id),
                verify=judge.verified,
            )
    except BadSetting as error:
        return ExitCode.BAD_SETTING, str(error)
    except InvalidSpec as error:
        return ExitCode.INVALID_SPEC, str(error)
    except DatabaseUnreachable as error:
        return ExitCode.DATABASE_UNREACHABLE, str(error)
    except JudgeLost as error:
        return ExitCode.UNEXPECTED, str(error)
    except Terminated:
        return ExitCode.TERMINATED, "asked to end; what was claimed is given back"
    except Exception as error:
        logger.exception("unexpected error")
        return ExitCode.UNEXPECTED, f"unexpected error: {type(error).__name__}"
    if code is ExitCode.NOT_VERIFIED:
        return code, "indicators differ from those that ta gives"
    return code, None


if __name__ == "__main__":
    sys.exit(main())
