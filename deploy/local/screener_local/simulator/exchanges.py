"""The exchanges that the vendor lists: codes, calendars, currencies, publication delays.

Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Final


@dataclass(frozen=True)
class Exchange:
    """One exchange code of the vendor.

    `calendar` is the id in exchange_calendars; `late_close` a local close that the calendar lacks,
    from `late_close_from` on; `delay` from close to publication; `size` how many common stocks are
    listed when there is no code list on disk; `subunit` what some of its listings are quoted in.
    """

    code: str
    name: str
    operating_mic: str
    calendar: str
    country: str
    iso2: str
    iso3: str
    currency: str
    time_zone: str
    opens: time
    closes: time
    size: int
    delay: timedelta = timedelta(hours=2)
    late_close: time | None = None
    late_close_from: date = date.min
    subunit: str = ""


#: A calendar that no library knows: every weekday but a few holidays.
WEEKDAYS: Final = "weekdays"


def _euronext(
    code: str, name: str, mic: str, country: str, iso: str, zone: str, size: int
) -> Exchange:
    lisbon = code == "LS"
    return Exchange(
        code,
        name,
        mic,
        mic,
        country,
        iso[:2],
        iso[2:],
        "EUR",
        zone,
        time(8 if lisbon else 9),
        time(16 if lisbon else 17, 30),
        size,
    )


_ALL: Final = (
    Exchange(
        "US",
        "USA Stocks",
        "XNAS, XNYS, OTCM",
        "XNYS",
        "USA",
        "US",
        "USA",
        "USD",
        "America/New_York",
        time(9, 30),
        time(16),
        6425,
        timedelta(minutes=15),
    ),
    Exchange(
        "LSE",
        "London Exchange",
        "XLON",
        "XLON",
        "UK",
        "GB",
        "GBR",
        "GBP",
        "Europe/London",
        time(8),
        time(16, 30),
        3145,
    ),
    Exchange(
        "XETRA",
        "XETRA Stock Exchange",
        "XETR",
        "XETR",
        "Germany",
        "DE",
        "DEU",
        "EUR",
        "Europe/Berlin",
        time(9),
        time(17, 30),
        691,
    ),
    Exchange(
        "F",
        "Frankfurt Exchange",
        "XFRA",
        "XFRA",
        "Germany",
        "DE",
        "DEU",
        "EUR",
        "Europe/Berlin",
        time(8),
        time(22),
        10209,
        late_close=time(22),
        late_close_from=date(2021, 11, 29),
    ),
    _euronext("PA", "Euronext Paris", "XPAR", "France", "FRFRA", "Europe/Paris", 552),
    _euronext("AS", "Euronext Amsterdam", "XAMS", "Netherlands", "NLNLD", "Europe/Amsterdam", 142),
    _euronext("BR", "Euronext Brussels", "XBRU", "Belgium", "BEBEL", "Europe/Brussels", 142),
    _euronext("LS", "Euronext Lisbon", "XLIS", "Portugal", "PTPRT", "Europe/Lisbon", 54),
    Exchange(
        "MC",
        "Madrid Exchange",
        "BMEX",
        "XMAD",
        "Spain",
        "ES",
        "ESP",
        "EUR",
        "Europe/Madrid",
        time(9),
        time(17, 30),
        239,
    ),
    Exchange(
        "SW",
        "SIX Swiss Exchange",
        "XSWX",
        "XSWX",
        "Switzerland",
        "CH",
        "CHE",
        "CHF",
        "Europe/Zurich",
        time(9),
        time(17, 30),
        218,
    ),
    Exchange(
        "VI",
        "Vienna Exchange",
        "XWBO",
        "XWBO",
        "Austria",
        "AT",
        "AUT",
        "EUR",
        "Europe/Vienna",
        time(9),
        time(17, 30),
        65,
    ),
    Exchange(
        "IR",
        "Irish Exchange",
        "XDUB",
        "XDUB",
        "Ireland",
        "IE",
        "IRL",
        "EUR",
        "Europe/Dublin",
        time(8),
        time(16, 30),
        24,
    ),
    Exchange(
        "MI",
        "Borsa Italiana",
        "XMIL",
        "XMIL",
        "Italy",
        "IT",
        "ITA",
        "EUR",
        "Europe/Rome",
        time(9),
        time(17, 30),
        60,
    ),
    Exchange(
        "HK",
        "Hong Kong Exchange",
        "XHKG",
        "XHKG",
        "Hong Kong",
        "HK",
        "HKG",
        "HKD",
        "Asia/Hong_Kong",
        time(9, 30),
        time(16),
        80,
    ),
    Exchange(
        "TSE",
        "Tokyo Stock Exchange",
        "XTKS",
        "XTKS",
        "Japan",
        "JP",
        "JPN",
        "JPY",
        "Asia/Tokyo",
        time(9),
        time(15),
        80,
    ),
    Exchange(
        "JSE",
        "Johannesburg Exchange",
        "XJSE",
        "XJSE",
        "South Africa",
        "ZA",
        "ZAF",
        "ZAR",
        "Africa/Johannesburg",
        time(9),
        time(17),
        40,
        subunit="ZAC",
    ),
    Exchange(
        "XNAI",
        "Nairobi Securities Exchange",
        "XNAI",
        WEEKDAYS,
        "Kenya",
        "KE",
        "KEN",
        "KES",
        "Africa/Nairobi",
        time(9, 30),
        time(15),
        30,
    ),
)

EXCHANGES: Final[dict[str, Exchange]] = {exchange.code: exchange for exchange in _ALL}

#: Listing venues that the bulk and list routes accept as a path of their own, all part of `US`.
US_VENUES: Final = frozenset({"NYSE", "NASDAQ"})


def find(path_code: str) -> tuple[Exchange, str | None] | None:
    """The exchange of a path and, for a part of `US`, the venue to keep;

    None when the vendor has none such.
    """
    if path_code in US_VENUES:
        return EXCHANGES["US"], path_code
    exchange = EXCHANGES.get(path_code)
    return None if exchange is None else (exchange, None)
