"""The vendor's details of an exchange, and what of them is believed."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from screener_collector.exchange_details import Details, Flag, judge, read, same_zone

NOW = datetime(2024, 1, 10, 12, tzinfo=UTC)
HOLIDAY = date(2024, 4, 1)
OFFICIAL = {"Holiday": "Easter Monday", "Date": "2024-04-01", "Type": "official"}
BANK = {"Holiday": "Bank Holiday", "Date": "2024-05-27", "Type": "bank"}


@pytest.mark.parametrize(
    ("holidays", "expected"),
    [
        pytest.param({"0": OFFICIAL, "1": BANK}, {HOLIDAY: "Easter Monday"}, id="an object"),
        pytest.param([BANK, OFFICIAL], {HOLIDAY: "Easter Monday"}, id="a list"),
        pytest.param(
            {"2024-04-01": {"Holiday": "Easter Monday", "Type": "Official"}},
            {HOLIDAY: "Easter Monday"},
            id="an object by day",
        ),
        pytest.param(
            {"2024-12-24": {"Holiday": "Christmas Eve", "Type": "EarlyClose"}},
            {},
            id="an early close is no closed day",
        ),
        pytest.param({}, {}, id="an empty object"),
        pytest.param([], {}, id="an empty list"),
        pytest.param(None, {}, id="nothing"),
        pytest.param(["x", {"Date": "never", "Type": "official"}], {}, id="nonsense"),
        pytest.param("closed", {}, id="a text"),
        pytest.param(7, {}, id="a number"),
        pytest.param(True, {}, id="true"),
    ],
)
def test_official_holidays_are_closed_days(holidays: Any, expected: dict[date, str]) -> None:
    assert read({"ExchangeHolidays": holidays}).holidays == expected


@pytest.mark.parametrize("wrapped", [False, True], ids=["version 1", "version 2"])
def test_hours_and_zone_are_read(wrapped: bool) -> None:
    data = {
        "Timezone": "Asia/Riyadh",
        "TradingHours": {"Close": "15:00:00", "WorkingDays": "Sun, Mon,Tue,Wed,Thu"},
    }
    found = read({"data": data, "meta": []} if wrapped else data)
    assert found == Details("Asia/Riyadh", time(15), frozenset({6, 0, 1, 2, 3}), {})


@pytest.mark.parametrize("data", [None, [], "x", {"TradingHours": [], "Timezone": ""}, {"data": 1}])
def test_what_cannot_be_read_says_nothing(data: Any) -> None:
    assert read(data) == Details()


@pytest.mark.parametrize(
    ("known", "said", "same"),
    [
        pytest.param("Europe/Berlin", "Europe/Berlin", True, id="the same"),
        pytest.param("Europe/Berlin", "Europe/Paris", True, id="the same clocks"),
        pytest.param("Europe/London", "UTC", False, id="the same in winter only"),
        pytest.param("Europe/Berlin", "America/New_York", False, id="another"),
        pytest.param("Europe/Berlin", "Middle/Earth", False, id="no zone"),
        pytest.param("Europe/Berlin", "../../etc/passwd", False, id="no name of a zone"),
        pytest.param("Europe/Berlin", None, True, id="nothing said"),
        pytest.param(None, "Asia/Riyadh", True, id="nothing known"),
        pytest.param(None, "Middle/Earth", False, id="nothing known and no zone said"),
    ],
)
def test_zones_are_compared_by_their_clocks(
    known: str | None, said: str | None, same: bool
) -> None:
    assert same_zone(known, said, NOW) is same


SESSIONS = {date(2024, 1, 1) + timedelta(days=n) for n in range(180)}


@pytest.mark.parametrize(
    ("details", "calendar", "traded", "flags", "hours", "closed"),
    [
        pytest.param(
            Details("Europe/Berlin", holidays={HOLIDAY: "x"}),
            True,
            (),
            (),
            True,
            [HOLIDAY],
            id="a closed day more",
        ),
        pytest.param(
            Details("Asia/Tokyo", holidays={HOLIDAY: "x"}),
            True,
            (),
            [Flag.ZONE_CONTRADICTS_MIC],
            False,
            None,
            id="a zone that contradicts",
        ),
        pytest.param(
            Details("Asia/Tokyo", holidays={HOLIDAY: "x"}),
            False,
            (),
            (),
            True,
            [HOLIDAY],
            id="no calendar, nothing to contradict",
        ),
        pytest.param(
            Details("Europe/Berlin"), True, (), [Flag.NO_HOLIDAYS], True, None, id="no holidays"
        ),
        pytest.param(
            Details(holidays={HOLIDAY: "x"}),
            True,
            [HOLIDAY],
            [Flag.HOLIDAYS_NOT_BELIEVED],
            True,
            None,
            id="a holiday on which it traded",
        ),
        pytest.param(
            Details(holidays=dict.fromkeys(sorted(SESSIONS)[:11])),
            True,
            (),
            [Flag.HOLIDAYS_NOT_BELIEVED],
            True,
            None,
            id="far more than the calendar knows",
        ),
        pytest.param(
            Details(holidays=dict.fromkeys(sorted(SESSIONS)[:11])),
            False,
            (),
            (),
            True,
            sorted(SESSIONS)[:11],
            id="as many as an exchange has, without a calendar",
        ),
    ],
)
def test_details_add_closed_days_or_are_flagged(
    details: Details,
    calendar: bool,
    traded: tuple[date, ...],
    flags: list[Flag],
    hours: bool,
    closed: list[date] | None,
) -> None:
    found = judge(
        details,
        time_zone="Europe/Berlin",
        has_calendar=calendar,
        sessions=SESSIONS,
        traded=traded,
        now=NOW,
    )
    assert (set(found.flags), found.hours) == (set(flags), hours)
    assert (None if found.holidays is None else sorted(found.holidays)) == closed
