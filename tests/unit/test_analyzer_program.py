"""The program around the core: settings, how an item ends, log lines, last words."""

import datetime as dt

import pytest

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
