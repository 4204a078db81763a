"""Sessions and closes by the calendar library: what the bars to expect follow from."""

from datetime import UTC, date, datetime, time

import pytest

from screener_collector.calendars import known_calendar, sessions

pytestmark = pytest.mark.integration

CLOSES = [
    pytest.param("XNYS", None, date(2024, 1, 10), (21, 0), id="New York in winter"),
    pytest.param("XNYS", None, date(2024, 7, 10), (20, 0), id="New York in summer"),
    pytest.param(
        "XNYS", None, date(2023, 11, 24), (18, 0), id="New York's half day after Thanksgiving"
    ),
    pytest.param("XLON", None, date(2024, 7, 10), (15, 30), id="London in summer"),
    pytest.param("XFRA", time(22), date(2024, 1, 10), (21, 0), id="Frankfurt at 22:00 in winter"),
    pytest.param("XFRA", time(22), date(2024, 7, 10), (20, 0), id="Frankfurt at 22:00 in summer"),
    pytest.param(
        "XFRA", time(22), date(2023, 12, 29), (13, 0), id="Frankfurt's half day stays half"
    ),
    pytest.param(None, None, date(2024, 7, 10), (16, 0), id="no calendar: 18:00 of a weekday"),
]


@pytest.mark.parametrize(("calendar", "override", "day", "closes"), CLOSES)
def test_a_session_closes_in_utc(
    calendar: str | None, override: time | None, day: date, closes: tuple[int, int]
) -> None:
    (session,) = sessions(calendar, "Europe/Berlin", override, day, day)
    assert session.day == day
    assert session.closes_at == datetime.combine(day, time(*closes), UTC)


@pytest.mark.parametrize("calendar", ["XSWX", None])
def test_a_weekend_has_no_session(calendar: str | None) -> None:
    assert sessions(calendar, "Europe/Zurich", None, date(2024, 1, 13), date(2024, 1, 14)) == []


def test_a_holiday_is_no_session_and_days_ascend() -> None:
    found = sessions("XNYS", None, None, date(2024, 7, 1), date(2024, 7, 8))
    assert [session.day.day for session in found] == [1, 2, 3, 5, 8]


def test_a_history_older_than_the_calendar_is_no_error() -> None:
    assert sessions("XSHG", None, None, date(1926, 1, 1), date(1926, 2, 1)) == []
    found = sessions("XSHG", None, None, date(1990, 1, 1), date(1990, 12, 31))
    assert found[0].day == date(1990, 12, 3)


def test_the_first_mic_with_a_calendar_counts() -> None:
    assert known_calendar(("OTCM", "XBUD")) == ("XBUD", "Europe/Budapest")
    assert known_calendar(("OTCM",)) is None
    assert known_calendar(()) is None


@pytest.mark.parametrize("mic", ["ASEX", "XTAE"])
def test_a_calendar_that_does_not_work_with_this_pandas_is_none_or_right(mic: str) -> None:
    found = known_calendar((mic,))
    assert found is None or found[0] == mic
