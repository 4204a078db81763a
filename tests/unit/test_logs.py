"""How every program speaks: one line a record, no secrets, and last words for the kubelet."""

import json
import logging
from pathlib import Path

import pytest

from screener_sql.logs import LAST_WORDS_CHARS, Formatter, leave_last_words


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("a.b", logging.WARNING, "f", 1, message, (), None)
    vars(made).update(extra, created=0.0)
    return made


def test_a_json_line_has_the_fields_given() -> None:
    assert json.loads(Formatter(as_json=True).format(record("it went", ticker="A.US"))) == {
        "time": "1970-01-01T00:00:00.000Z",
        "level": "warning",
        "logger": "a.b",
        "message": "it went",
        "ticker": "A.US",
    }


def test_a_traceback_stays_on_the_records_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        failed = record("run failed", exc_info=(ValueError, error, error.__traceback__))
    line = Formatter(as_json=True).format(failed)
    assert "\n" not in line
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_in_a_line_is_blotted_out(as_json: bool) -> None:
    formatter = Formatter(as_json=as_json, secrets=("s3cr3t",))
    assert "s3cr3t" not in formatter.format(record("GET /eod?api_token=s3cr3t", url="s3cr3t"))


def test_last_words_go_into_the_kubelets_file(tmp_path: Path) -> None:
    file = tmp_path / "termination-log"
    file.write_text("something longer that was there before")
    leave_last_words("the database is away", file)
    assert file.read_text() == "the database is away\n"


def test_last_words_are_short(tmp_path: Path) -> None:
    file = tmp_path / "termination-log"
    file.touch()
    leave_last_words("x" * 5000, file)
    assert len(file.read_text()) == LAST_WORDS_CHARS + 1


def test_last_words_make_no_file(tmp_path: Path) -> None:
    leave_last_words("the database is away", tmp_path / "termination-log")
    assert list(tmp_path.iterdir()) == []
