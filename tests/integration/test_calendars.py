"""Sessions and closes by the calendar library: what the bars to expect follow from."""

from datetime import UTC, date, datetime, time

import pytest

from screener_collector.calendars import Correction, Hours, Schedule, known_calendar, sessions

pytestmark = pytest.mark.integration

BERLIN = "Europe/Berlin"
FRANKFURT = (
    Correction(date(2011, 6, 1), None, time(20)),
    Correction(date(2021, 11, 29), None, time(22)),
)
CLOSES = [
    pytest.param(Schedule("XNYS"), date(2024, 1, 10), (21, 0), id="New York in winter"),
    pytest.param(Schedule("XNYS"), date(2024, 7, 10), (20, 0), id="New York in summer"),
    pytest.param(
        Schedule("XNYS"),
        date(2024, 3, 11),
        (20, 0),
        id="New York in the weeks in which only it has summer time",
    ),
    pytest.param(Schedule("XLON"), date(2024, 3, 11), (16, 30), id="London in these weeks"),
    pytest.param(
        Schedule("XNYS"), date(2023, 11, 24), (18, 0), id="New York's half day after Thanksgiving"
    ),
    pytest.param(Schedule("XNYS"), date(2024, 7, 3), (17, 0), id="New York's half day in summer"),
    pytest.param(Schedule("XLON"), date(2024, 7, 10), (15, 30), id="London in summer"),
    pytest.param(Schedule("XLON"), date(2024, 12, 24), (12, 30), id="London on Christmas Eve"),
    pytest.param(
        Schedule("XLON"), date(2023, 12, 22), (12, 30), id="London's half day before a weekend"
    ),
    pytest.param(Schedule("XPAR"), date(2024, 12, 31), (13, 5), id="Paris on New Year's Eve"),
    pytest.param(Schedule("XLIS"), date(2024, 7, 10), (15, 30), id="Lisbon in summer"),
    pytest.param(Schedule("XMAD"), date(2024, 12, 24), (13, 0), id="Madrid on Christmas Eve"),
    pytest.param(Schedule("XETR"), date(2024, 12, 30), (13, 0), id="Xetra's last day of a year"),
    pytest.param(Schedule("XSWX"), date(2024, 12, 23), (16, 30), id="Zurich has no half days"),
    pytest.param(
        Schedule("XFRA", BERLIN, corrections=FRANKFURT),
        date(2024, 1, 10),
        (21, 0),
        id="Frankfurt at 22:00 in winter",
    ),
    pytest.param(
        Schedule("XFRA", BERLIN, corrections=FRANKFURT),
        date(2024, 7, 10),
        (20, 0),
        id="Frankfurt at 22:00 in summer",
    ),
    pytest.param(
        Schedule("XFRA", BERLIN, corrections=FRANKFURT),
        date(2021, 11, 26),
        (19, 0),
        id="Frankfurt at 20:00 on the last day before that",
    ),
    pytest.param(
        Schedule("XFRA", BERLIN, corrections=FRANKFURT),
        date(2021, 11, 29),
        (21, 0),
        id="Frankfurt at 22:00 on the first",
    ),
    pytest.param(
        Schedule("XFRA", BERLIN, corrections=FRANKFURT),
        date(2023, 12, 29),
        (13, 0),
        id="Frankfurt's half day stays half",
    ),
    pytest.param(
        Schedule("XETR", BERLIN, hours=Hours(date(2024, 7, 1), time(18, 30))),
        date(2024, 7, 10),
        (16, 30),
        id="the vendor's later close",
    ),
    pytest.param(
        Schedule("XETR", BERLIN, hours=Hours(date(2024, 7, 1), time(13))),
        date(2024, 7, 10),
        (15, 30),
        id="not the vendor's earlier close",
    ),
    pytest.param(
        Schedule("XETR", BERLIN, hours=Hours(date(2024, 8, 1), time(18, 30))),
        date(2024, 7, 10),
        (15, 30),
        id="the vendor's hours are of now",
    ),
    pytest.param(
        Schedule("XETR", BERLIN, time(19), hours=Hours(date(2024, 7, 1), time(20))),
        date(2024, 7, 10),
        (17, 0),
        id="a deployment's own close",
    ),
    pytest.param(
        Schedule(None, BERLIN), date(2024, 7, 10), (16, 0), id="no calendar: 18:00 of a weekday"
    ),
    pytest.param(
        Schedule(None, "Asia/Karachi", hours=Hours(date(2024, 8, 1), time(15, 30))),
        date(2024, 7, 10),
        (10, 30),
        id="no calendar: the vendor's hours",
    ),
]


@pytest.mark.parametrize(("schedule", "day", "closes"), CLOSES)
def test_a_session_closes_in_utc(schedule: Schedule, day: date, closes: tuple[int, int]) -> None:
    (session,) = sessions(schedule, day, day)
    assert session.day == day
    assert session.closes_at == datetime.combine(day, time(*closes), UTC)


CLOSED = [
    ("XNYS", date(2025, 1, 9), "New York mourned a president"),
    ("XNYS", date(2024, 6, 19), "Juneteenth"),
    ("XLON", date(2023, 5, 8), "London crowned a king"),
    ("XFRA", date(2024, 12, 24), "Frankfurt on Christmas Eve"),
    ("XETR", date(2024, 5, 1), "Labour Day"),
    ("XPAR", date(2024, 4, 1), "Easter Monday"),
    ("XSWX", date(2024, 8, 1), "the Swiss national day"),
    ("XMAD", date(2025, 12, 26), "St Stephen's Day"),
]


@pytest.mark.parametrize(("calendar", "day", "why"), CLOSED)
def test_a_holiday_is_no_session(calendar: str, day: date, why: str) -> None:
    assert sessions(Schedule(calendar), day, day) == [], why


@pytest.mark.parametrize(
    ("calendar", "day"),
    [("XFRA", date(2024, 5, 20)), ("XETR", date(2024, 10, 3)), ("XPAR", date(2023, 7, 14))],
)
def test_a_public_holiday_on_which_an_exchange_trades_is_a_session(
    calendar: str, day: date
) -> None:
    assert len(sessions(Schedule(calendar), day, day)) == 1


def test_working_days_are_the_vendors_where_no_calendar_is_known() -> None:
    hours = Hours(date(2024, 8, 1), time(15), frozenset({6, 0, 1, 2, 3}))
    schedule = Schedule(None, "Asia/Riyadh", hours=hours, closed=[date(2024, 7, 9)])
    found = sessions(schedule, date(2024, 7, 7), date(2024, 7, 13))
    assert [session.day.day for session in found] == [7, 8, 10, 11]


def test_a_closed_day_and_a_correction_take_sessions_away() -> None:
    schedule = Schedule(
        "XSWX",
        "Europe/Zurich",
        corrections=[Correction(date(2024, 7, 9), date(2024, 7, 10), None)],
        closed=[date(2024, 7, 11)],
    )
    found = sessions(schedule, date(2024, 7, 8), date(2024, 7, 12))
    assert [session.day.day for session in found] == [8, 12]


@pytest.mark.parametrize("calendar", ["XSWX", None])
def test_a_weekend_has_no_session(calendar: str | None) -> None:
    assert sessions(Schedule(calendar, "Europe/Zurich"), date(2024, 1, 13), date(2024, 1, 14)) == []


def test_days_ascend_without_the_holiday_among_them() -> None:
    found = sessions(Schedule("XNYS"), date(2024, 7, 1), date(2024, 7, 8))
    assert [session.day.day for session in found] == [1, 2, 3, 5, 8]


def test_a_history_older_than_the_calendar_is_no_error() -> None:
    assert sessions(Schedule("XSHG"), date(1926, 1, 1), date(1926, 2, 1)) == []
    found = sessions(Schedule("XSHG"), date(1990, 1, 1), date(1990, 12, 31))
    assert found[0].day == date(1990, 12, 3)


def test_the_first_mic_with_a_calendar_counts() -> None:
    assert known_calendar(("OTCM", "XBUD")) == ("XBUD", "Europe/Budapest")
    assert known_calendar(("OTCM",)) is None
    assert known_calendar(()) is None


@pytest.mark.parametrize("mic", ["ASEX", "XTAE"])
def test_a_calendar_that_does_not_work_with_this_pandas_is_none_or_right(mic: str) -> None:
    found = known_calendar((mic,))
    assert found is None or found[0] == mic
