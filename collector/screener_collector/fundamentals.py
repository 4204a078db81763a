"""Core: a fundamentals payload as the columns of `assets`. No I/O, no clock.

One table says which field of which section fills which column. A field that the payload lacks, or
in which the vendor means nothing, is None; one that holds something else than its column takes is
None and named. The sections are kept whole beside the columns, so that nothing is lost.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from screener_collector import parse
from screener_collector.bars import parse_count
from screener_collector.parse import BadRow, OtherSubject

Reader = Callable[[Any], Any]
_INT4 = 2**31


def _whole(value: Any) -> int | None:
    """A count that an integer column takes."""
    count = parse_count(value)
    return count if count is not None and -_INT4 <= count < _INT4 else None


_PLAIN = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,20})?")


def _amount(value: Any) -> str | None:
    """A number of any size for a numeric column, exactly as written where it is written plainly."""
    number = parse.number(value)
    if number is None:
        return None
    text = str(value).strip()
    # Some exponents are beyond even what such a column takes.
    return text if _PLAIN.fullmatch(text) else repr(number)


def _iso(value: Any) -> str | None:
    found: date | None = parse.day(value)
    return None if found is None else found.isoformat()


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"0": False, "1": True, "false": False, "true": True}.get(str(value).strip().lower())


TEXT, NUMBER, AMOUNT, WHOLE, DAY, FLAG = parse.text, parse.number, _amount, _whole, _iso, _flag

COLUMNS: dict[str, tuple[str, str, Reader]] = {
    # column: section, field, reader
    "name": ("General", "Name", TEXT),
    "type": ("General", "Type", TEXT),
    "currency": ("General", "CurrencyCode", TEXT),
    "country": ("General", "CountryName", TEXT),
    "isin": ("General", "ISIN", TEXT),
    "country_iso": ("General", "CountryISO", TEXT),
    "sector": ("General", "Sector", TEXT),
    "industry": ("General", "Industry", TEXT),
    "gic_sector": ("General", "GicSector", TEXT),
    "gic_group": ("General", "GicGroup", TEXT),
    "gic_industry": ("General", "GicIndustry", TEXT),
    "gic_sub_industry": ("General", "GicSubIndustry", TEXT),
    "home_category": ("General", "HomeCategory", TEXT),
    "primary_ticker": ("General", "PrimaryTicker", TEXT),
    "open_figi": ("General", "OpenFigi", TEXT),
    "lei": ("General", "LEI", TEXT),
    "cusip": ("General", "CUSIP", TEXT),
    "cik": ("General", "CIK", TEXT),
    "fiscal_year_end": ("General", "FiscalYearEnd", TEXT),
    "ipo_date": ("General", "IPODate", DAY),
    "is_delisted": ("General", "IsDelisted", FLAG),
    "description": ("General", "Description", TEXT),
    "web_url": ("General", "WebURL", TEXT),
    "employees": ("General", "FullTimeEmployees", WHOLE),
    "fundamentals_date": ("General", "UpdatedAt", DAY),
    "market_cap": ("Highlights", "MarketCapitalization", AMOUNT),
    "ebitda": ("Highlights", "EBITDA", AMOUNT),
    "pe_ratio": ("Highlights", "PERatio", NUMBER),
    "peg_ratio": ("Highlights", "PEGRatio", NUMBER),
    "target_price": ("Highlights", "WallStreetTargetPrice", NUMBER),
    "book_value": ("Highlights", "BookValue", NUMBER),
    "dividend_share": ("Highlights", "DividendShare", NUMBER),
    "dividend_yield": ("Highlights", "DividendYield", NUMBER),
    "earnings_share": ("Highlights", "EarningsShare", NUMBER),
    "eps_estimate_current_year": ("Highlights", "EPSEstimateCurrentYear", NUMBER),
    "eps_estimate_next_year": ("Highlights", "EPSEstimateNextYear", NUMBER),
    "eps_estimate_current_quarter": ("Highlights", "EPSEstimateCurrentQuarter", NUMBER),
    "eps_estimate_next_quarter": ("Highlights", "EPSEstimateNextQuarter", NUMBER),
    "most_recent_quarter": ("Highlights", "MostRecentQuarter", DAY),
    "profit_margin": ("Highlights", "ProfitMargin", NUMBER),
    "operating_margin_ttm": ("Highlights", "OperatingMarginTTM", NUMBER),
    "return_on_assets_ttm": ("Highlights", "ReturnOnAssetsTTM", NUMBER),
    "return_on_equity_ttm": ("Highlights", "ReturnOnEquityTTM", NUMBER),
    "revenue_ttm": ("Highlights", "RevenueTTM", AMOUNT),
    "revenue_per_share_ttm": ("Highlights", "RevenuePerShareTTM", NUMBER),
    "quarterly_revenue_growth_yoy": ("Highlights", "QuarterlyRevenueGrowthYOY", NUMBER),
    "gross_profit_ttm": ("Highlights", "GrossProfitTTM", AMOUNT),
    "diluted_eps_ttm": ("Highlights", "DilutedEpsTTM", NUMBER),
    "quarterly_earnings_growth_yoy": ("Highlights", "QuarterlyEarningsGrowthYOY", NUMBER),
    "trailing_pe": ("Valuation", "TrailingPE", NUMBER),
    "forward_pe": ("Valuation", "ForwardPE", NUMBER),
    "price_sales_ttm": ("Valuation", "PriceSalesTTM", NUMBER),
    "price_book_mrq": ("Valuation", "PriceBookMRQ", NUMBER),
    "enterprise_value": ("Valuation", "EnterpriseValue", AMOUNT),
    "enterprise_value_revenue": ("Valuation", "EnterpriseValueRevenue", NUMBER),
    "enterprise_value_ebitda": ("Valuation", "EnterpriseValueEbitda", NUMBER),
    "shares_outstanding": ("SharesStats", "SharesOutstanding", AMOUNT),
    "shares_float": ("SharesStats", "SharesFloat", AMOUNT),
    "percent_insiders": ("SharesStats", "PercentInsiders", NUMBER),
    "percent_institutions": ("SharesStats", "PercentInstitutions", NUMBER),
    "shares_short": ("SharesStats", "SharesShort", AMOUNT),
    "short_ratio": ("SharesStats", "ShortRatio", NUMBER),
    "short_percent_outstanding": ("SharesStats", "ShortPercentOutstanding", NUMBER),
    "short_percent_float": ("SharesStats", "ShortPercentFloat", NUMBER),
    "vendor_beta": ("Technicals", "Beta", NUMBER),
    "vendor_week_52_high": ("Technicals", "52WeekHigh", NUMBER),
    "vendor_week_52_low": ("Technicals", "52WeekLow", NUMBER),
    "vendor_sma_50": ("Technicals", "50DayMA", NUMBER),
    "vendor_sma_200": ("Technicals", "200DayMA", NUMBER),
    "forward_dividend_rate": ("SplitsDividends", "ForwardAnnualDividendRate", NUMBER),
    "forward_dividend_yield": ("SplitsDividends", "ForwardAnnualDividendYield", NUMBER),
    "payout_ratio": ("SplitsDividends", "PayoutRatio", NUMBER),
    "dividend_date": ("SplitsDividends", "DividendDate", DAY),
    "ex_dividend_date": ("SplitsDividends", "ExDividendDate", DAY),
    "last_split_factor": ("SplitsDividends", "LastSplitFactor", TEXT),
    "last_split_date": ("SplitsDividends", "LastSplitDate", DAY),
    "analyst_rating": ("AnalystRatings", "Rating", NUMBER),
    "analyst_target_price": ("AnalystRatings", "TargetPrice", NUMBER),
    "analyst_strong_buy": ("AnalystRatings", "StrongBuy", WHOLE),
    "analyst_buy": ("AnalystRatings", "Buy", WHOLE),
    "analyst_hold": ("AnalystRatings", "Hold", WHOLE),
    "analyst_sell": ("AnalystRatings", "Sell", WHOLE),
    "analyst_strong_sell": ("AnalystRatings", "StrongSell", WHOLE),
}

SECTIONS: dict[str, str] = {
    "eodhd_general": "General",
    "eodhd_highlights": "Highlights",
    "eodhd_valuation": "Valuation",
    "eodhd_shares_stats": "SharesStats",
    "eodhd_technicals": "Technicals",
    "eodhd_splits_dividends": "SplitsDividends",
    "eodhd_analyst_ratings": "AnalystRatings",
    "eodhd_holders": "Holders",
    "eodhd_insider_transactions": "InsiderTransactions",
    "eodhd_esg_scores": "ESGScores",
    "eodhd_outstanding_shares": "outstandingShares",
    "eodhd_earnings": "Earnings",
    "eodhd_financials": "Financials",
    "eodhd_etf_data": "ETF_Data",
}
"""Columns that keep a section of the payload whole."""

KEPT_WITHOUT_VALUE = ("name", "type", "currency", "country", "isin")
"""Columns that the symbol list fills too; a payload without them leaves them as they are."""


@dataclass(frozen=True, slots=True)
class Fundamentals:
    """The columns of `assets` that a payload fills, ready for JSON."""

    columns: Mapping[str, Any]
    unreadable: tuple[str, ...]
    """Fields that hold something else than their column takes, such as `General.IPODate`."""


SEVERAL_VENUES = frozenset({"US"})
"""Exchanges whose listings name their venue (NYSE, PINK …) where others name the exchange."""


def read(payload: Mapping[str, Any], code: str, exchange: str) -> Fundamentals:
    """The fundamentals of the asset `code` of `exchange`.

    Raises BadRow for what is no payload of this asset: no `General`, or another code or exchange in
    it, or a section that is no object.
    """
    general = _general(payload)
    if parse.code(general.get("Code")) not in (None, code):
        raise OtherSubject("General.Code: another asset's")
    _refuse_other(general, exchange)
    found, unreadable = _columns(payload)
    for column, section_name in SECTIONS.items():
        found[column] = payload.get(section_name)
    return Fundamentals(_storable(found), tuple(unreadable))


PARTIAL = "partial"
"""Key of the columns of a page: only those that it tells, and statements to be merged."""


def _refuse_other(general: Mapping[str, Any], exchange: str) -> None:
    venue = parse.text(general.get("Exchange"))
    if exchange not in SEVERAL_VENUES and venue not in (None, exchange):
        raise OtherSubject("General.Exchange: another exchange's")


def read_page(rows: Iterable[Any], exchange: str) -> tuple[dict[str, Fundamentals], int]:
    """The short fundamentals of a page of `exchange` by code, and how many entries are none.

    They hold the columns that the page says something of, and the sections that it has, statements
    in the form of the long ones: what it does not say is to be kept.
    """
    by_code: dict[str, Fundamentals] = {}
    unreadable = 0
    for payload in rows:
        try:
            if not isinstance(payload, dict):
                raise BadRow("not an object")
            general = _general(payload)
            code = parse.code(general.get("Code"))
            _refuse_other(general, exchange)
            if code is None or code in by_code:
                raise BadRow("General.Code: missing or repeated")
            columns, wrong = _columns(payload)
            found = {column: value for column, value in columns.items() if value is not None}
            for column, section_name in SECTIONS.items():
                section = payload.get(section_name)
                if not parse.is_nothing(section):
                    found[column] = _LENGTHEN.get(section_name, _as_it_is)(section)
            by_code[code] = Fundamentals(_storable(found | {PARTIAL: True}), tuple(wrong))
        except BadRow:
            unreadable += 1
    return by_code, unreadable


def _general(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    general = payload.get("General")
    if not isinstance(general, dict) or not general:
        raise BadRow("General: missing")
    return general


def _columns(payload: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    unreadable: list[str] = []
    for column, (section_name, field, reader) in COLUMNS.items():
        section = payload.get(section_name)
        if section is None or section == []:
            section = {}
        if not isinstance(section, dict):
            raise BadRow(f"{section_name}: not an object")
        raw = section.get(field)
        found[column] = None if parse.is_nothing(raw) else reader(raw)
        if found[column] is None and not parse.is_nothing(raw):
            unreadable.append(f"{section_name}.{field}")
    found["statements_currency"] = _statements_currency(payload.get("Financials"))
    return found, unreadable


def _storable(found: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(found, allow_nan=False)
    except ValueError:
        raise BadRow("a number is too large") from None
    return found


def _as_it_is(section: Any) -> Any:
    return section


_LAST = re.compile(r"(?:(quarterly|yearly)_last|Last)_[0-9]+")


def _by_date(short: Any, default: str) -> Any:
    """`quarterly_last_0` and the like, and `Last_0`, under the dates that they are of."""
    if not isinstance(short, dict):
        raise BadRow("statements: not an object")
    found: dict[str, Any] = {}
    for key, value in short.items():
        match = _LAST.fullmatch(key)
        if match is None:
            found[key] = value
            continue
        of_day = parse.day(value.get("date")) if isinstance(value, dict) else None
        if of_day is not None:
            found.setdefault(match[1] or default, {})[of_day.isoformat()] = value
    return found


def _financials(section: Any) -> Any:
    if not isinstance(section, dict):
        raise BadRow("Financials: not an object")
    return {name: _by_date(statement, "quarterly") for name, statement in section.items()}


def _earnings(section: Any) -> Any:
    return _by_date(section, "History")


_LENGTHEN: Mapping[str, Callable[[Any], Any]] = {
    "Financials": _financials,
    "Earnings": _earnings,
}
"""Sections whose statements a page keys by their place instead of their date."""


STATEMENTS = ("Income_Statement", "Balance_Sheet", "Cash_Flow")


def _statements_currency(financials: Any) -> str | None:
    """The currency that the statements as a whole are in; single periods may be mislabelled."""
    statements = financials if isinstance(financials, dict) else {}
    for name in STATEMENTS:
        statement = statements.get(name)
        if isinstance(statement, dict) and (found := parse.text(statement.get("currency_symbol"))):
            return found
    return None
