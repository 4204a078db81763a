"""Which listings an exchange has: the vendor's real codes where a folder with them is at hand, else
made-up ones of the same kinds.

Codes do not depend on the seed; names, ISINs and currencies hang on the code. Made-up codes keep
what is awkward in real ones: digits first, hyphens, words that a careless reader takes for a value
(`NA`, `TRUE`, `1E0`), one code on several exchanges.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from screener_local.simulator.exchanges import EXCHANGES, Exchange
from screener_local.simulator.noise import key_of

#: Companies with real bars, where their file is at hand; always listed.
COMPANIES: Final[dict[str, str]] = {
    "AAPL": "Apple Inc",
    "AMZN": "Amazon.com Inc",
    "GOOG": "Alphabet Inc Class C",
    "META": "Meta Platforms Inc.",
    "NFLX": "Netflix Inc",
    "NVDA": "NVIDIA Corporation",
}
_KNOWN_NAMES: Final[dict[str, str]] = {
    **COMPANIES,
    "MSFT": "Microsoft Corporation",
    "TSLA": "Tesla Inc",
    "VTI": "Vanguard Total Stock Market Index Fund ETF Shares",
    "SPY": "SPDR S&P 500 ETF Trust",
}
_KNOWN_ISINS: Final[dict[str, str]] = {
    "AAPL": "US0378331005",
    "AMZN": "US0231351067",
    "GOOG": "US02079K1079",
    "META": "US30303M1027",
    "NFLX": "US64110L1061",
    "NVDA": "US67066G1040",
    "MSFT": "US5949181045",
    "TSLA": "US88160R1014",
    "VTI": "US9229087690",
}
#: Liquid, listed since 2000, with full fundamentals: what demonstrations look at.
STEADY: Final = frozenset({*COMPANIES, "MSFT", "TSLA", "VTI", "SPY"})

_NYSE_SIZE: Final = 2339
_VALUE_LIKE: Final = ("NA", "TRUE", "NULL", "ON", "NO", "NAN", "INF")
_LETTERS: Final = string.ascii_uppercase
_ALNUM: Final = string.digits + _LETTERS

COMMON: Final = "Common Stock"


@dataclass(frozen=True)
class Listing:
    """One row of the vendor's symbol list.

    `venue` is what the row shows as `Exchange`; `isin` may be unknown. `key` is what its bars hang
    on where that is not its code: who takes over a code is another company.
    """

    code: str
    exchange: str
    venue: str
    name: str
    country: str
    currency: str
    type: str
    isin: str | None
    delisted: bool = False
    key: str = ""

    @property
    def born(self) -> str:
        """The code under which it was first listed; never changes."""
        return self.key or self.code

    @property
    def ticker(self) -> str:
        return f"{self.code}.{self.exchange}"


def listings(exchange: Exchange, tickers: Path | None, size: int | None = None) -> list[Listing]:
    """All listings of the exchange, delisted ones too, ascending by code, each code once.

    `tickers` is a folder with one text file of codes an exchange; None makes the codes up. With
    `size` so many funds and preferred stocks are listed too that there are as many in all.
    """
    common = _real_codes(exchange.code, tickers) if tickers is not None else None
    if common is None:
        common = _made_up_codes(exchange)
    rows = {code: _listing(exchange, code, venue, COMMON) for code, venue in common.items()}
    others = max(6, len(common) // 40, 0 if size is None else size - len(common))
    for code, venue, kind in _other_types(exchange, others):
        rows.setdefault(code, _listing(exchange, code, venue, kind))
    for code in _delisted_codes(exchange, list(common)):
        venue = "NASDAQ" if exchange.code == "US" else exchange.code
        rows.setdefault(code, _listing(exchange, code, venue, COMMON, delisted=True))
    return [rows[code] for code in sorted(rows)]


def _pick(key: int, choices: Iterable[tuple[str, float]]) -> str:
    """One of the choices by weight (weights sum to 1)."""
    share = (key >> 11) * 2.0**-53
    last = ""
    for name, weight in choices:
        last = name
        share -= weight
        if share < 0:
            break
    return last


# -- codes ----------------------------------------------------------------------------------------

_FILES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "US": (("nyse.txt", "NYSE"), ("nasdaq.txt", "NASDAQ")),
    "LSE": (("lse.txt", "LSE"),),
    "F": (("frankfurt.txt", "F"),),
    "XETRA": (("xetra.txt", "XETRA"),),
    "MC": (("bme.txt", "MC"),),
    "SW": (("six.txt", "SW"),),
}
_EURONEXT: Final = (("PA", 0.62), ("AS", 0.16), ("BR", 0.16), ("LS", 0.06))


def _real_codes(code: str, folder: Path) -> dict[str, str] | None:
    """Codes with their venue from the folder's files; None when it has none for this exchange.

    Euronext's file does not say which of its four markets lists a code; a fixed draw by code does.
    """
    if any(code == market for market, _ in _EURONEXT):
        path = folder / "euronext.txt"
        if not path.is_file():
            return None
        return {
            name: code
            for name in _lines(path)
            if _pick(key_of("euronext", name), _EURONEXT) == code
        }
    if code not in _FILES or not all((folder / name).is_file() for name, _ in _FILES[code]):
        return None
    return {name: venue for file, venue in _FILES[code] for name in _lines(folder / file)}


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def _word(key: int, length: int, letters: str = _LETTERS) -> str:
    out = ""
    for _ in range(length):
        key, at = divmod(key, len(letters))
        out += letters[at]
    return out


def _fill(
    into: dict[str, str], size: int, scope: str, venue: str, make: Callable[[int], str]
) -> None:
    """Adds made-up codes until there are `size` of them."""
    number = 0
    while len(into) < size:
        into.setdefault(make(key_of("code", scope, number)), venue)
        number += 1


def _shared(key: int) -> str:
    """A code of a small pool that several exchanges draw from, so that codes collide."""
    return _word(key_of("shared", key % 2500), 3)


def _us_code(key: int) -> str:
    kind, rest = key % 100, key // 100
    if kind < 15:
        return _shared(rest)
    base = _word(rest, 2 + rest % 3)
    return base + ("-UN" if kind < 17 else "-WT" if kind < 19 else "-P-A" if kind < 20 else "")


def _lse_code(key: int) -> str:
    kind, rest = key % 100, key // 100
    if kind < 53:
        return "0" + _word(rest, 3, _ALNUM)
    if kind < 65:
        return _shared(rest)
    return _word(rest, 3 + rest % 2) + ("-A" if kind == 99 else "")


def _german_code(key: int) -> str:
    kind, rest = key % 100, key // 100
    if kind < 35:
        return str(rest % 10) + _word(rest // 10, 2 + rest % 2, _ALNUM)
    if kind < 43:
        return _shared(rest)
    return _word(rest, 3 + rest % 2, _ALNUM)


def _european_code(key: int) -> str:
    kind, rest = key % 100, key // 100
    if kind < 2:
        return str(rest % 1000) + _word(rest, 1)
    if kind < 3:
        return _word(rest, 3) + "-P"
    return _shared(rest) if kind < 30 else _word(rest, 3 + rest % 3)


def _made_up_codes(exchange: Exchange) -> dict[str, str]:
    code, size = exchange.code, exchange.size
    out: dict[str, str] = {}
    if code == "US":
        _fill(out, _NYSE_SIZE, "NYSE", "NYSE", _us_code)
        for name in (*STEADY, *_VALUE_LIKE):
            out.pop(name, None)
        _fill(out, _NYSE_SIZE, "NYSE more", "NYSE", _us_code)
        out.update(dict.fromkeys((*COMPANIES, "MSFT", "TSLA", *_VALUE_LIKE), "NASDAQ"))
        out["AIR"] = "NYSE"
        _fill(out, size + 2, "NASDAQ", "NASDAQ", _us_code)
        return dict([item for item in out.items() if item[0] not in ("VTI", "SPY")][:size])
    if code == "F":
        out.update(dict.fromkeys(("1E0", "1E2", "AIR", "NAN"), code))
        _fill(out, size, code, code, _german_code)
        return out
    if code == "XETRA":  # nine in ten are in Frankfurt's list too
        german = sorted(_made_up_codes(EXCHANGES["F"]), key=lambda name: key_of("both", name))
        out.update(dict.fromkeys(["AIR", *german[: size * 9 // 10]], code))
        _fill(out, size, code, code, _german_code)
        return out
    if code == "LSE":
        out.update(dict.fromkeys(("INF", "BT-A"), code))
        _fill(out, size, code, code, _lse_code)
        return out
    out.update(dict.fromkeys({"PA": ("AIR", "INF"), "MC": ("AIR", "GRF-P")}.get(code, ()), code))
    _fill(out, size, code, code, _european_code)
    return out


def _other_types(exchange: Exchange, count: int) -> Iterator[tuple[str, str, str]]:
    """(code, venue, type) of listings that are no common stock."""
    american = exchange.code == "US"
    if american:
        yield "VTI", "NYSE ARCA", "ETF"
        yield "SPY", "NYSE ARCA", "ETF"
    for number in range(count):
        key = key_of("other type", exchange.code, number)
        kind = _pick(key, (("ETF", 0.6), ("Preferred Stock", 0.25), ("FUND", 0.15)))
        code = _word(key, 5 if count > 5000 else 4) + (
            "-PA" if kind == "Preferred Stock" else "X" if kind == "FUND" else "E"
        )
        venue = (
            {"ETF": "NYSE ARCA", "FUND": "NMFQS"}.get(kind, "NYSE") if american else exchange.code
        )
        yield code, venue, kind


def _delisted_codes(exchange: Exchange, common: list[str]) -> Iterator[str]:
    """Codes of former listings: some were given to another company since, which renames the old
    one.
    """
    for number in range(max(4, len(common) // 80)):
        key = key_of("delisted", exchange.code, number)
        yield common[key % len(common)] + "_old" if number % 2 else _word(key, 5)


# -- what hangs on a code -------------------------------------------------------------------------

_FIRST: Final = (
    "Nord",
    "Alpen",
    "Iber",
    "Atlan",
    "Sol",
    "Ver",
    "Gran",
    "Lumi",
    "Hel",
    "Cor",
    "Tri",
    "Omni",
    "Pan",
    "Eco",
    "Bel",
    "Mar",
    "Quant",
    "Ferr",
    "Val",
    "Cast",
    "Rho",
    "Sil",
    "Tec",
    "Uni",
    "Vita",
    "Aero",
    "Bio",
    "Cyber",
)
_SECOND: Final = (
    "vance",
    "tia",
    "dyne",
    "mont",
    "land",
    "tek",
    "phar",
    "gen",
    "wave",
    "stone",
    "media",
    "bank",
    "power",
    "chem",
    "star",
    "bridge",
    "works",
    "field",
    "metals",
    "motion",
    "net",
    "logic",
    "foods",
    "port",
)
_FORMS: Final[dict[str, tuple[str, ...]]] = {
    "US": ("Inc", "Corp", "Holdings Inc", "Group Inc", "Acquisition Corp"),
    "LSE": ("PLC", "Group PLC", "Holdings PLC"),
    "F": ("AG", "SE", "Inc", "Ltd"),
    "XETRA": ("AG", "SE"),
    "MC": ("S.A.", "SOCIMI S.A."),
    "SW": ("AG", "Holding AG"),
}


def company_name(code: str, exchange: str) -> str:
    """A made-up name; the German exchanges share it, for they list the same companies."""
    scope = "F" if exchange == "XETRA" else exchange
    key = key_of("name", scope, code)
    forms = _FORMS.get(scope, ("S.A.", "N.V.", "SE"))
    first, second = _FIRST[key % len(_FIRST)], _SECOND[key // 64 % len(_SECOND)]
    return f"{first}{second} {forms[key // 4096 % len(forms)]}"


def isin_of(country: str, key: int) -> str:
    """A well-formed ISIN with its check digit."""
    body = country + _word(key, 9, _ALNUM)
    digits = "".join(str(int(char, 36)) for char in body)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return body + str(-total % 10)


def _currency(exchange: Exchange, code: str) -> str:
    if exchange.code != "LSE":
        key = key_of("currency", exchange.code, code)
        minor = exchange.subunit and key % 10 < 8
        return exchange.subunit if minor else exchange.currency
    key = key_of("currency", code)
    if code[0].isdigit():
        return _pick(
            key, (("USD", 0.5), ("EUR", 0.35), ("SEK", 0.06), ("GBX", 0.089), ("Unknown", 0.001))
        )
    return _pick(key, (("GBX", 0.8), ("GBP", 0.12), ("USD", 0.05), ("EUR", 0.03)))


def _listing(
    exchange: Exchange, code: str, venue: str, kind: str, *, delisted: bool = False
) -> Listing:
    scope = "german" if exchange.code in ("F", "XETRA") else exchange.code
    key = key_of("isin", scope, code)
    known = exchange.code == "US"
    isin = isin_of(exchange.iso2, key) if key % 3 else None
    return Listing(
        code=code,
        exchange=exchange.code,
        venue=venue,
        name=(_KNOWN_NAMES.get(code) if known else None) or company_name(code, exchange.code),
        country=exchange.country,
        currency=_currency(exchange, code),
        type=kind,
        isin=(_KNOWN_ISINS.get(code) if known else None) or isin,
        delisted=delisted,
    )
