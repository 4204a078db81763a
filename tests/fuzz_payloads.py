"""What the vendor might answer: good payloads of every endpoint, spoilt, as they come by wire.

SECRET stands in many of them: no message may
repeat it, as the vendor quotes requests, and with them the token, in its errors.
"""

import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st
from hypothesis_profile import TIMES

SECRET = "6123abc456def789.12345678"
FIRST, LAST, TODAY = date(2024, 1, 1), date(2024, 1, 31), date(2024, 2, 2)
SESSION = date(2024, 1, 10)


def fuzzed(count: int, body: Callable[["Spoiler"], bytes]) -> Callable[[Any], Any]:
    """Runs a test with so many bodies. One that fails is shown, with its seed."""
    configured = settings(max_examples=count * TIMES)

    def decorate(test: Callable[[bytes], None]) -> Callable[[], None]:
        @given(st.integers(0, 2**63 - 1))
        @configured
        def check(seed: int) -> None:
            made = body(Spoiler(seed))
            note(f"seed {seed}, body {made[:2000]!r}")
            test(made)

        def run() -> None:
            check()

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


ODD_TEXTS = (
    "", " ", "NA", "N/A", "None", "null", "NaN", "nan", "inf", "-inf", "Infinity", "1e999", "-1",
    "0", "0.0", "-0.0", "1_000", "1,000", "12.5%", "0x10", "1e3", "1e-400", "1e-20000", "+5", "5.",
    ".5", "\uff11\uff12", "\u0661\u0662", "\u2003" "7", "7\u00a0", "\u066b5", "½", "²", "1e5000",
    "9" * 400,
    "0000-00-00", "2024-01-10", "2024-01-32", "2024-02-30", "20240110", "2024-W02-3", "2024-1-10",
    "2024-01-10T00:00:00Z", "10000-01-01", "-001-01-01", "2024-01-1\u0660", "+024-01-10",
    "4/1", "4:1", "4.000000/1.000000", "0/1", "1/0", "-1/2", "1/1/1", "/", "1e308/1e-308", "∞/1",
    "'; DROP TABLE assets; --", "%s %(x)s", "\\x00", "\\u0000", "\t\n\r", "\\N", "\\.", "{}", "{a}",
    "a" * 5000, "💥", "\u200b", "\ufeff", "\u202e", "é", "e\u0301", "\uff21", SECRET, f"x{SECRET}x",
)  # fmt: skip

NUMBERS = (
    0, 1, -5, 7, 100, 300, 0.0, -0.0, 0.1, 1e-9, 1e-308, 5e-324, 1e16, 1.7e308, math.inf, -math.inf,
    math.nan, 2**31, -(2**31) - 1, 2**63 - 1, 2**63, -(2**63), 10**30, 10**308, 10**400, 10**5000,
)  # fmt: skip


class Spoiler:
    """Makes payloads from one number, the same ones always."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def scalar(self) -> Any:
        """Something that JSON, or what a vendor takes for it, may hold."""
        dice = self._dice
        match dice.randrange(8):
            case 0:
                return dice.choice((None, None, True, False))
            case 1:
                return dice.choice(NUMBERS)
            case 2:
                return dice.uniform(-20.0, 20.0)
            case 3:
                return dice.randint(-5, 300)
            case 4:
                return "".join(chr(dice.choice(LETTERS)) for _ in range(dice.randint(0, 6)))
            case _:
                return dice.choice(ODD_TEXTS)

    def value(self) -> Any:
        """What may stand in the place of any value."""
        match self._dice.randrange(12):
            case 0:
                return [self.scalar() for _ in range(self._dice.randrange(3))]
            case 1:
                return {name: self.scalar() for name in self._dice.sample(NAMES, 2)}
            case 2:
                return [{"x": [self.scalar()]}]
            case _:
                return self.scalar()

    def object(self, good: Mapping[str, Any]) -> Any:
        """A good object with up to four of its fields changed or missing; or something else."""
        dice = self._dice
        if dice.random() < 0.05:
            return self.value()
        row = dict(good)
        names = [*good, "extra"]
        for _ in range(dice.choice((0, 0, 1, 1, 1, 2, 3, 4))):
            name = dice.choice(names)
            if dice.random() < 0.85:
                row[name] = self.value()
            else:
                row.pop(name, None)
        return row

    def sections(self, good: Mapping[str, Any]) -> Any:
        """A spoilt object of objects: whole sections, and fields in them."""
        payload = dict(good) if self._dice.random() < 0.8 else self.object(good)
        if isinstance(payload, dict):
            for _ in range(self._dice.randrange(5)):
                name = self._dice.choice([*good])
                section = payload.get(name)
                if isinstance(section, dict) and section:
                    payload[name] = self.object(section)
        return payload

    def rows(self, *kinds: Mapping[str, Any], most: int = 6) -> Any:
        """A list of spoilt rows, some repeated; or an object keyed by number; or nonsense."""
        dice = self._dice
        if dice.random() < 0.04:
            return self.value()
        make = self.sections if "General" in kinds[0] else self.object
        rows = [make(dice.choice(kinds)) for _ in range(dice.randint(0, most))]
        if rows and dice.random() < 0.2:
            rows.insert(dice.randrange(len(rows)), dice.choice(rows))
        if dice.random() < 0.1:
            return {str(number): row for number, row in enumerate(rows)}
        return rows

    def body(self, payload: Any) -> bytes:
        """The payload over the wire: mostly whole, else cut, doubled, nested, or no text."""
        dice, body = self._dice, encode(payload)
        match dice.randrange(24):
            case 0:
                return body[: dice.randint(0, len(body))]
            case 1:
                return body + body
            case 2:
                at = dice.randint(0, len(body))
                return body[:at] + dice.randbytes(dice.randint(1, 4)) + body[at:]
            case 3:
                deep = dice.choice((3, 200, 900, 960, 990, 2000, 100_000))
                return b"[" * deep + body + b"]" * deep
            case 4:
                deep = dice.choice((3, 200, 900, 940, 960, 980))
                return body.replace(b"10.5", b"[" * deep + b"1" + b"]" * deep, 1)
            case 5:
                return body.replace(b'"date"', b'"code"')
            case 6:
                return body.replace(b'"close"', b'"open"', 1)
            case 7:
                return body.replace(b"2024", dice.choice(HALVES), 1)
            case _:
                return body


LETTERS = (*range(32, 127), 9, 10, 0xA0, 0xE9, 0x661, 0x2028, 0xFEFF, 0xFF11, 0x1F4A5)
NAMES = ("date", "code", "Code", "General", "0", "1", "x", "")
HALVES = (
    rb"\u0000", rb"\ud800", rb"\udfff", rb"\ud83d\ude00", rb"\u202e", b"\x00", b"\xff", b"NaN",
    b"\xed\xa0\x80", b"\\x00", rb"\\u0000",
)  # fmt: skip


def encode(value: Any) -> bytes:
    """JSON as a careless vendor writes it: NaN and Infinity included."""
    with _any_digits():
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@contextmanager
def _any_digits() -> Iterator[None]:
    """10**5000 has more digits than Python writes by itself."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(before)


def is_storable(value: Any) -> bool:
    """Whether Postgres takes it as jsonb, as far as can be told without it."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        # Two backslashes are a backslash, whatever follows.
        return "\\u0000" not in text.replace("\\\\", "") and bool(text.encode())
    except (ValueError, UnicodeEncodeError):
        return False


BAR = {
    "date": "2024-01-10",
    "open": 10,
    "high": 12.5,
    "low": 9.25,
    "close": 11,
    "adjusted_close": 10.5,
    "volume": 1200,
}
OTHER_BAR = BAR | {"date": "2024-01-11", "close": 11.5, "volume": "900"}
BULK_BAR = {"code": "AAA", "exchange_short_name": "MC", **BAR}
OTHER_BULK_BAR = BULK_BAR | {"code": "BBB", "close": "11.25"}
SPLIT = {"date": "2024-01-10", "split": "4.000000/1.000000"}
BULK_SPLIT = {"code": "AAA", "exchange": "MC", **SPLIT}
DIVIDEND = {
    "date": "2024-01-10",
    "declarationDate": "2023-12-01",
    "recordDate": "0000-00-00",
    "paymentDate": "2024-02-01",
    "period": "Quarterly",
    "value": 0.24,
    "unadjustedValue": 0.24,
    "currency": "EUR",
}
BULK_DIVIDEND = {"code": "BBB", "exchange": "MC", "dividend": "0.24", **DIVIDEND}
USER = {
    "name": "Somebody",
    "email": "someone@example.com",
    "apiRequests": 17,
    "apiRequestsDate": "2024-01-10",
    "dailyRateLimit": 100_000,
    "extraLimit": 500,
}
EXCHANGE = {
    "Name": "Madrid Exchange",
    "Code": "MC",
    "OperatingMIC": "BMEX, XMAD",
    "Country": "Spain",
    "Currency": "EUR",
    "CountryISO2": "ES",
    "CountryISO3": "ESP",
}
SYMBOL_CHANGE = {
    "exchange": "US",
    "old_symbol": "OLD",
    "new_symbol": "NEW",
    "company_name": "Somebody SA",
    "effective": "2024-01-10",
}
LISTING = {
    "Code": "AAA",
    "Name": "Somebody SA",
    "Country": "Spain",
    "Exchange": "MC",
    "Currency": "EUR",
    "Type": "Common Stock",
    "Isin": "ES0000000001",
}


def _statement(currency: str) -> dict[str, Any]:
    period = {"date": "2023-12-31", "currency_symbol": currency, "netIncome": "1234567.00"}
    return {
        "currency_symbol": currency,
        "quarterly": {"2023-12-31": period},
        "yearly": {"2023-12-31": period},
    }


FUNDAMENTALS: dict[str, Any] = {
    "General": {
        "Code": "AAA",
        "Type": "Common Stock",
        "Name": "Somebody SA",
        "Exchange": "MC",
        "CurrencyCode": "EUR",
        "CountryName": "Spain",
        "ISIN": "ES0000000001",
        "IPODate": "1999-01-04",
        "IsDelisted": False,
        "FullTimeEmployees": 1200,
        "UpdatedAt": "2024-01-09",
        "Description": "Makes things.",
    },
    "Highlights": {
        "MarketCapitalization": 123456789,
        "EBITDA": None,
        "PERatio": 12.5,
        "MostRecentQuarter": "2023-12-31",
        "RevenueTTM": "99887766",
    },
    "Valuation": {"TrailingPE": 12.5, "EnterpriseValue": 123},
    "SharesStats": {"SharesOutstanding": 1000000, "PercentInsiders": "1.5"},
    "Technicals": {"Beta": 1.1, "52WeekHigh": 14},
    "SplitsDividends": {"DividendDate": "0000-00-00", "LastSplitFactor": "4:1"},
    "AnalystRatings": {"Rating": 4.1, "Buy": 3},
    "Holders": {"Institutions": {"0": {"name": "Fund", "totalShares": 1.5}}},
    "InsiderTransactions": [],
    "ESGScores": {},
    "outstandingShares": {"annual": {"0": {"date": "2023", "shares": 1000000}}},
    "Earnings": {"History": {"2023-12-31": {"reportDate": "2024-02-01", "epsActual": 1.1}}},
    "Financials": {
        name: _statement("EUR") for name in ("Balance_Sheet", "Cash_Flow", "Income_Statement")
    },
}
SHORT_FUNDAMENTALS: dict[str, Any] = {
    "General": FUNDAMENTALS["General"],
    "Highlights": FUNDAMENTALS["Highlights"],
    "Valuation": FUNDAMENTALS["Valuation"],
    "Technicals": FUNDAMENTALS["Technicals"],
    "SplitsDividends": FUNDAMENTALS["SplitsDividends"],
    "Earnings": {"Last_0": {"date": "2023-12-31", "epsActual": 1.1}},
    "Financials": {
        "Balance_Sheet": {
            "currency_symbol": "EUR",
            "quarterly_last_0": {"date": "2023-12-31", "totalAssets": "12"},
            "yearly_last_0": {"date": "2023-12-31", "totalAssets": "12"},
        }
    },
}
SHORT_FUNDAMENTALS_B = SHORT_FUNDAMENTALS | {"General": FUNDAMENTALS["General"] | {"Code": "BBB"}}
DETAILS: dict[str, Any] = {
    "Name": "Madrid Exchange",
    "Code": "MC",
    "OperatingMIC": "BMEX",
    "Country": "Spain",
    "Currency": "EUR",
    "Timezone": "Europe/Madrid",
    "ExchangeHolidays": {
        "0": {"Holiday": "New Year", "Date": "2024-01-01", "Type": "official"},
        "1": {"Holiday": "Good Friday", "Date": "2024-03-29", "Type": "official"},
    },
    "ExchangeEarlyCloseDays": [],
    "isOpen": False,
    "TradingHours": {"Open": "09:00:00", "Close": "17:30:00", "WorkingDays": "Mon,Tue,Wed,Thu,Fri"},
    "ActiveTickers": 239,
    "UpdatedTickers": 239,
}
