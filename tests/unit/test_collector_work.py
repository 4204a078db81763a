"""How items end, settings, spec, arguments."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from screener_collector import work
from screener_collector.answers import Judged, Symptom
from screener_collector.bars import BadBar, Bars, Sorted
from screener_collector.fundamentals import Fundamentals
from screener_collector.rules.model import DEFAULTS, RULES, Parameters
from screener_collector.settings import read_settings
from screener_collector.spec import covers, read_spec, years_before
from screener_collector.universe import is_believable
from screener_collector.work import Actions, BulkBars, Came, End, Failure, Fetch, Served
from screener_sql.errors import BadSetting
from screener_sql.model import ErrorCode

DAY, BEFORE, TODAY = date(2024, 1, 10), date(2024, 1, 9), date(2024, 1, 11)


def served(
    operation: str = "prices_incremental", last: date | None = BEFORE, reprocess: bool = False
) -> Served:
    return Served(1, 2, "A.US", operation, DAY, last, reprocess)


def history(*days: date, bad: int = 0) -> Sorted:
    prices = [np.ones(len(days)) for _ in range(5)]
    bars = Bars(np.array(days, "datetime64[D]"), *prices, np.ones(len(days), np.int64))
    return Sorted(bars, (BadBar(DAY, "rule", {}),) * bad)


ENDS: list[Any] = [
    pytest.param(served(), history(BEFORE, DAY), 1, 0, ("succeeded", None), id="a newer bar"),
    pytest.param(served(), history(BEFORE), 0, 0, ("skipped", "no_trade"), id="no newer bar"),
    pytest.param(served(), history(BEFORE), 0, 3, ("skipped", "no_trade"), id="only restated bars"),
    pytest.param(served(), history(BEFORE), 9, 0, ("succeeded", None), id="an older part of it"),
    pytest.param(
        served(reprocess=True),
        history(BEFORE),
        0,
        5,
        ("succeeded", None),
        id="fetched again after an action",
    ),
    pytest.param(
        served("prices_bulk", None), history(DAY), 1, 0, ("succeeded", None), id="a first history"
    ),
    pytest.param(
        served(last=None), history(BEFORE), 0, 0, ("succeeded", None), id="nothing known before"
    ),
    pytest.param(served(), history(DAY, bad=2), 1, 0, ("succeeded", None), id="some bad bars"),
    pytest.param(served(), history(bad=2), 0, 0, ("failed", "bad_data"), id="only bad bars"),
    pytest.param(
        served(), Failure(ErrorCode.NOT_FOUND, "x"), 0, 0, ("failed", "not_found"), id="a failure"
    ),
    pytest.param(
        served(),
        Failure(ErrorCode.DAILY_LIMIT, "x", "deferred"),
        0,
        0,
        ("deferred", "daily_limit"),
        id="no calls",
    ),
    pytest.param(
        served("fundamentals_bulk"),
        Fundamentals({}, ()),
        0,
        0,
        ("succeeded", None),
        id="fundamentals",
    ),
]


@pytest.mark.parametrize(("item", "came", "inserted", "updated", "expected"), ENDS)
def test_an_item_ends(
    item: Served, came: Came, inserted: int, updated: int, expected: tuple[str, str | None]
) -> None:
    ended = work.end(item, came, inserted, updated)
    assert (ended.state, ended.error_code) == expected


@pytest.mark.parametrize(
    ("code", "counted"),
    [
        (ErrorCode.NOT_FOUND, True),
        (ErrorCode.BAD_PAYLOAD, True),
        (ErrorCode.EMPTY_HISTORY, True),
        (ErrorCode.SERVER_ERROR, False),
        (ErrorCode.NETWORK_ERROR, False),
    ],
)
def test_a_failure_counts_against_the_asset_when_it_is_the_assets(
    code: ErrorCode, counted: bool
) -> None:
    assert End("failed", code).counted is counted


def fetch(kind: str) -> Fetch:
    bulk = kind.startswith("bulk")
    return Fetch(
        7,
        1,
        kind,
        1,
        "US",
        None if bulk else 2,
        None if bulk else "A",
        DAY if bulk else None,
        BEFORE,
        DAY,
        1,
    )


GOOD_BAR = {
    "date": "2024-01-10",
    "open": 1,
    "high": 1,
    "low": 1,
    "close": 1,
    "adjusted_close": 1,
    "volume": 1,
    "code": "A",
}
READ: list[Any] = [
    pytest.param("prices", [GOOD_BAR], Sorted, id="a history"),
    pytest.param("prices", None, ErrorCode.EMPTY_HISTORY, id="an empty history"),
    pytest.param("bulk_prices", [GOOD_BAR], BulkBars, id="bulk bars"),
    pytest.param("bulk_prices", None, ErrorCode.NOT_PUBLISHED, id="no bulk bars"),
    pytest.param(
        "bulk_prices", [GOOD_BAR | {"date": "2024-01-09"}], ErrorCode.NOT_PUBLISHED, id="an echo"
    ),
    pytest.param("bulk_splits", None, Actions, id="no splits"),
    pytest.param("bulk_dividends", [GOOD_BAR | {"dividend": 1}], Actions, id="dividends"),
    pytest.param("bulk_dividends", [GOOD_BAR], ErrorCode.BAD_PAYLOAD, id="unreadable dividends"),
    pytest.param("fundamentals", {"General": {"Code": "A"}}, Fundamentals, id="fundamentals"),
    pytest.param("fundamentals", {"x": 1}, ErrorCode.BAD_PAYLOAD, id="no fundamentals"),
]


@pytest.mark.parametrize(("kind", "data", "expected"), READ)
def test_an_answer_is_read(kind: str, data: Any, expected: Any) -> None:
    judged = Judged(Symptom.NO_ROWS if data is None else Symptom.DATA, "x", data)
    came = work.read(fetch(kind), judged, TODAY)
    if isinstance(expected, ErrorCode):
        assert isinstance(came, Failure) and came.error_code is expected
    else:
        assert isinstance(came, expected)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("prices", "/eod/A.US"),
        ("fundamentals", "/fundamentals/A.US"),
        ("bulk_prices", "/eod-bulk-last-day/US"),
        ("bulk_splits", "/eod-bulk-last-day/US"),
    ],
)
def test_a_fetch_knows_its_request(kind: str, path: str) -> None:
    assert fetch(kind).endpoint.path == path


# -- settings -------------------------------------------------------------------

ENVIRONMENT = {
    "DATABASE_URL": "postgresql://collector:s3cr3t@db/screener",
    "EODHD_API_TOKEN": "6123abc456def789.12345678",
    "EODHD_BASE_URL": "https://eodhd.com/api/",
    "EXECUTION_ID": "run-1",
    "SLICE": "us",
}


def test_settings_have_defaults_and_show_no_secret() -> None:
    settings = read_settings(ENVIRONMENT, "group", "host-1")
    assert settings.base_url == "https://eodhd.com/api"
    assert (settings.daily_limit, settings.slice, settings.pod) == (100_000, "us", "host-1")
    assert settings.log_format == "json"
    assert "s3cr3t" not in repr(settings) and "6123abc" not in repr(settings)
    assert "s3cr3t" in settings.secrets


@pytest.mark.parametrize("password", ["s3cr3t", "'s3cr3t'"])
def test_the_password_of_a_keyword_string_is_a_secret_too(password: str) -> None:
    environment = ENVIRONMENT | {"DATABASE_URL": f"host=db password={password} user=collector"}
    assert "s3cr3t" in read_settings(environment, "group", "h").secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("EODHD_API_TOKEN", ""),
        ("EODHD_API_TOKEN", "two words"),
        ("EODHD_API_TOKEN", "line\nbreak"),
        ("EODHD_BASE_URL", ""),
        ("EODHD_BASE_URL", "eodhd.com/api"),
        ("EODHD_BASE_URL", "ftp://eodhd.com/api"),
        ("EODHD_BASE_URL", "https://"),
        ("EODHD_BASE_URL", "https://eodhd.com:x/api"),
        ("EODHD_BASE_URL", "https://eodhd.com/api?api_token=s3cr3t"),
        ("EODHD_BASE_URL", "https://me:s3cr3t@eodhd.com/api"),
        ("EODHD_DAILY_LIMIT", "many"),
        ("EODHD_DAILY_LIMIT", "-1"),
        ("EODHD_DAILY_LIMIT", "1.5"),
        ("EXECUTION_ID", " "),
        ("SLICE", ""),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_setting_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name} ") as caught:
        read_settings(ENVIRONMENT | {name: value}, "group", "h")
    assert "s3cr3t" not in str(caught.value)


def test_a_preflight_needs_no_slice() -> None:
    assert read_settings(ENVIRONMENT | {"SLICE": ""}, "preflight", "h").slice == "preflight"


# -- spec -----------------------------------------------------------------------


def test_a_spec_tells_exchanges_symbols_and_where_the_history_begins() -> None:
    spec = {
        "groups": [
            {"name": "us", "exchanges": ["US"], "symbols": ["BRK-B"]},
            {"name": "de", "exchanges": ["F", "XETRA"]},
        ],
        "history": {"years": 2},
        "asOf": "2023-09-19",
    }
    wanted = read_spec(spec, TODAY)
    assert wanted.symbols == {"US": ("BRK-B",), "F": None, "XETRA": None}
    assert wanted.history_from == date(2021, 9, 19)
    spec["history"] = {"from": "2019-01-01"}
    assert read_spec(spec, TODAY).history_from == date(2019, 1, 1)


def test_a_leap_day_has_a_year_before() -> None:
    assert years_before(date(2024, 2, 29), 1) == date(2023, 2, 28)
    assert years_before(date(2024, 2, 29), 4) == date(2020, 2, 29)


@pytest.mark.parametrize(
    ("listed", "missing", "believed"),
    [
        (0, 0, True),
        (1000, 20, True),
        (1000, 50, True),
        (1000, 51, False),
        (30, 20, True),
        (30, 21, False),
    ],
)
def test_a_list_that_lacks_many_is_not_believed(listed: int, missing: int, believed: bool) -> None:
    assert is_believable(listed, missing, DEFAULTS) is believed


def test_the_numbers_of_the_table_say_how_many_a_list_may_lack() -> None:
    numbers = {"list_partial": {"lacking": 2, "share": 0.5}}
    parameters = Parameters(
        replace(rule, parameters=numbers.get(rule.name, rule.parameters)) for rule in RULES
    )
    assert is_believable(10, 5, parameters) and is_believable(2, 2, parameters)
    assert not is_believable(10, 6, parameters)


@pytest.mark.parametrize(
    ("first", "last", "enough"),
    [
        (date(2024, 1, 2), date(2024, 6, 28), True),
        (date(2024, 1, 20), date(2024, 6, 28), False),
        (date(2024, 1, 2), date(2024, 6, 1), False),
    ],
)
def test_sessions_are_filled_again_when_they_do_not_reach(
    first: date, last: date, enough: bool
) -> None:
    assert covers(first, last, date(2024, 1, 1), date(2024, 6, 30)) is enough


# -- exit codes -------------------------------------------------------------------


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    from screener_collector.__main__ import main

    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "preflight" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["everything"], ["group", "more"]])
def test_bad_arguments_end_with_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from screener_collector.__main__ import main

    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "judged"),
    [
        pytest.param("prices", Judged(Symptom.WRONG_SHAPE), id="another shape"),
        pytest.param("prices", Judged(Symptom.SCALAR), id="a bare text"),
        pytest.param("fundamentals", Judged(Symptom.DATA, data={"x": 1}), id="no fundamentals"),
        pytest.param("dividends", Judged(Symptom.REFUSED), id="a refused request"),
    ],
)
def test_during_maintenance_a_spoilt_answer_says_nothing_of_its_asset(
    kind: str, judged: Judged
) -> None:
    for maintenance, code in ((False, ErrorCode.BAD_PAYLOAD), (True, ErrorCode.SERVER_ERROR)):
        came = work.read(fetch(kind), judged, TODAY, maintenance=maintenance)
        assert isinstance(came, Failure) and came.error_code is code
