"""Adapter: how every program speaks: log lines on standard error, and its last words.

A line is one JSON object or one line of text. Secrets are kept out where they are used; here a line
that holds one all the same is mended, whatever library wrote it.
"""

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")
"""Where a kubelet reads a container's last words; it makes the file."""
LAST_WORDS_CHARS = 500

logger = logging.getLogger(__name__)

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Formatter(logging.Formatter):
    """`as_json`: objects with time, level, logger, message and the record's extra fields."""

    def __init__(self, *, as_json: bool, secrets: Sequence[str] = ()) -> None:
        super().__init__()
        self._as_json = as_json
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        if self._as_json:
            line = json.dumps(entry, default=str, ensure_ascii=False)
        else:
            line = f"{entry['time']} {entry['level']:7} {entry['message']}"
            if record.exc_info:
                line += "\n" + entry["exception"]
        return self.without_secrets(line)

    def without_secrets(self, text: str) -> str:
        """The text with each secret in it blotted out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def start_logging(log_format: str, secrets: Sequence[str] = ()) -> Formatter:
    """Logs to standard error from now on, in the format `json` or `text`."""
    formatter = Formatter(as_json=log_format == "json", secrets=secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    return formatter


def leave_last_words(sentence: str, file: Path = TERMINATION_LOG) -> None:
    """Tells the kubelet in one sentence why the program ends; the log has it in any case."""
    try:
        if file.exists():
            file.write_text(sentence[:LAST_WORDS_CHARS] + "\n")
    except OSError as error:
        logger.warning("the termination message could not be written: %s", error.strerror)
