"""The program around the core: settings, how an item ends, log lines, last words."""

import datetime as dt
import json
import logging
from pathlib import Path

import pytest

from screener_analyzer.__main__ import leave_last_words
from screener_analyzer.logs import JsonFormatter
from screener_analyzer.run import compute_item
from screener_analyzer.series import Bar
from screener_analyzer.settings import Settings, from_environment
from screener_analyzer.store import Work
from screener_sql.errors import BadSetting

DAY = dt.date(2024, 1, 2)
NOON = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
COMPLETE = {
    "DATABASE_URL": "postgresql://analyzer:hunter2@db/screener",
    "EXECUTION_ID": "0b5c",
    "POD_NAME": "run-indicators-1-x7k2p",
    "LOG_FORMAT": "text",
}


def bar(day: int) -> Bar:
    return Bar(DAY + dt.timedelta(day), 9.0, 11.0, 8.0, 10.0, 10.0, 100)


def work(*bars: Bar, awaits_refetch: bool = False, until: dt.date | None = None) -> Work:
    return Work(7, 3, "SAN.MC", until, awaits_refetch, NOON, bars)


def test_settings_come_from_the_environment() -> None:
    assert from_environment(COMPLETE) == Settings(
        "postgresql://analyzer:hunter2@db/screener", "0b5c", "run-indicators-1-x7k2p", "text"
    )


def test_what_may_be_left_out_has_a_default() -> None:
    settings = from_environment({name: COMPLETE[name] for name in ("DATABASE_URL", "EXECUTION_ID")})
    assert settings.log_format == "json"
    assert settings.pod


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"EXECUTION_ID": "  "}, "EXECUTION_ID is not set"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be one of json, text"),
    ],
    ids=["no database", "a blank run", "an unknown log format"],
)
def test_a_bad_setting_is_named_and_no_value_is_shown(change: dict[str, str], said: str) -> None:
    with pytest.raises(BadSetting, match=said) as caught:
        from_environment(COMPLETE | change)
    assert "hunter2" not in str(caught.value)


def test_settings_show_no_password() -> None:
    assert "hunter2" not in repr(from_environment(COMPLETE))


def test_an_item_with_bars_succeeds_with_the_row_of_its_last_bar() -> None:
    result = compute_item(work(bar(0), bar(1)))
    assert result.state == "succeeded"
    assert result.row is not None
    assert (result.row.calculation_date, result.row.bars_used) == (bar(1).date, 2)
    assert result.row.values["current_price"] == 10.0


@pytest.mark.parametrize(
    ("item", "ending"),
    [
        (work(), ("failed", "no_bars", "no bar is stored")),
        (work(until=DAY), ("failed", "no_bars", "no bar is stored up to 2024-01-02")),
        (
            work(bar(0), awaits_refetch=True),
            ("skipped", "awaiting_refetch", "its history must be fetched again first"),
        ),
        (
            work(bar(1), bar(0)),
            ("failed", "compute_error", "computing its indicators failed: ValueError"),
        ),
    ],
    ids=["no bars", "no bars up to a day", "a history to be fetched again", "bars out of order"],
)
def test_an_item_that_does_not_succeed_says_why(
    item: Work, ending: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    result = compute_item(item)
    assert (result.state, result.error_code, result.message) == ending
    assert result.row is None
    logged = [record for record in caplog.records if record.exc_info]
    assert len(logged) == (ending[1] == "compute_error"), "a fault leaves its traceback in the log"


def test_a_log_line_is_one_json_object_with_the_fields_given() -> None:
    record = logging.makeLogRecord(
        {"msg": "chunk %s", "args": ("stored",), "levelname": "INFO", "created": 0.0, "items": 3}
        | {"name": "screener_analyzer.run"}
    )
    assert json.loads(JsonFormatter().format(record)) == {
        "time": "1970-01-01T00:00:00+00:00",
        "level": "info",
        "message": "chunk stored",
        "logger": "screener_analyzer.run",
        "items": 3,
    }


def test_last_words_go_into_the_kubelets_file(tmp_path: Path) -> None:
    file = tmp_path / "termination-log"
    file.write_text("something longer that was there before")
    leave_last_words("the database is away", str(file))
    assert file.read_text() == "the database is away\n"


def test_last_words_make_no_file(tmp_path: Path) -> None:
    leave_last_words("the database is away", str(tmp_path / "termination-log"))
    assert list(tmp_path.iterdir()) == []
