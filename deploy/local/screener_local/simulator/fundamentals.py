"""Made-up fundamentals in the full shape of the vendor's payload, agreeing with the symbol list.
Pure.

Statement values are strings, ratios numbers, lists are objects keyed "0", "1", …, and what is
missing is null, `[]`, "NA" or "0000-00-00", as in the vendor's. About one in seven listings has a
nearly empty payload.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

from screener_local.simulator.exchanges import Exchange
from screener_local.simulator.noise import key_of
from screener_local.simulator.render import keyed
from screener_local.simulator.universe import STEADY, Listing

SECTIONS: Final = (
    "General",
    "Highlights",
    "Valuation",
    "SharesStats",
    "Technicals",
    "SplitsDividends",
    "AnalystRatings",
    "Holders",
    "InsiderTransactions",
    "ESGScores",
    "outstandingShares",
    "Earnings",
    "Financials",
)

_SECTORS: Final = (
    (
        "Technology",
        "Semiconductors",
        "Information Technology",
        "Semiconductors & Semiconductor Equipment",
    ),
    ("Healthcare", "Biotechnology", "Health Care", "Biotechnology"),
    ("Financial Services", "Banks - Regional", "Financials", "Banks"),
    ("Industrials", "Specialty Industrial Machinery", "Industrials", "Machinery"),
    ("Consumer Cyclical", "Auto Parts", "Consumer Discretionary", "Automobile Components"),
    ("Energy", "Oil & Gas E&P", "Energy", "Oil, Gas & Consumable Fuels"),
    ("Basic Materials", "Specialty Chemicals", "Materials", "Chemicals"),
    ("Real Estate", "REIT - Office", "Real Estate", "Office REITs"),
    ("Utilities", "Utilities - Renewable", "Utilities", "Independent Power Producers"),
    (
        "Communication Services",
        "Telecom Services",
        "Communication Services",
        "Diversified Telecommunication Services",
    ),
)
_CURRENCIES: Final = {
    "USD": ("US Dollar", "$"),
    "EUR": ("Euro", "€"),
    "GBP": ("Pound Sterling", "£"),
    "GBX": ("Pence sterling", "p"),
    "CHF": ("Swiss Franc", "CHF"),
    "SEK": ("Swedish Krona", "kr"),
}
_BALANCE: Final = (
    "totalAssets",
    "intangibleAssets",
    "earningAssets",
    "otherCurrentAssets",
    "totalLiab",
    "totalStockholderEquity",
    "deferredLongTermLiab",
    "otherCurrentLiab",
    "commonStock",
    "capitalStock",
    "retainedEarnings",
    "otherLiab",
    "goodWill",
    "otherAssets",
    "cash",
    "cashAndEquivalents",
    "totalCurrentLiabilities",
    "currentDeferredRevenue",
    "netDebt",
    "shortTermDebt",
    "shortLongTermDebt",
    "shortLongTermDebtTotal",
    "otherStockholderEquity",
    "propertyPlantEquipment",
    "totalCurrentAssets",
    "longTermInvestments",
    "netTangibleAssets",
    "shortTermInvestments",
    "netReceivables",
    "longTermDebt",
    "inventory",
    "accountsPayable",
    "totalPermanentEquity",
    "noncontrollingInterestInConsolidatedEntity",
    "temporaryEquityRedeemableNoncontrollingInterests",
    "accumulatedOtherComprehensiveIncome",
    "additionalPaidInCapital",
    "commonStockTotalEquity",
    "preferredStockTotalEquity",
    "retainedEarningsTotalEquity",
    "treasuryStock",
    "accumulatedAmortization",
    "nonCurrrentAssetsOther",
    "deferredLongTermAssetCharges",
    "nonCurrentAssetsTotal",
    "capitalLeaseObligations",
    "longTermDebtTotal",
    "nonCurrentLiabilitiesOther",
    "nonCurrentLiabilitiesTotal",
    "negativeGoodwill",
    "warrants",
    "preferredStockRedeemable",
    "capitalSurpluse",
    "liabilitiesAndStockholdersEquity",
    "cashAndShortTermInvestments",
    "propertyPlantAndEquipmentGross",
    "propertyPlantAndEquipmentNet",
    "accumulatedDepreciation",
    "netWorkingCapital",
    "netInvestedCapital",
    "commonStockSharesOutstanding",
)
_CASH_FLOW: Final = (
    "investments",
    "changeToLiabilities",
    "totalCashflowsFromInvestingActivities",
    "netBorrowings",
    "totalCashFromFinancingActivities",
    "changeToOperatingActivities",
    "netIncome",
    "changeInCash",
    "beginPeriodCashFlow",
    "endPeriodCashFlow",
    "totalCashFromOperatingActivities",
    "issuanceOfCapitalStock",
    "depreciation",
    "otherCashflowsFromInvestingActivities",
    "dividendsPaid",
    "changeToInventory",
    "changeToAccountReceivables",
    "salePurchaseOfStock",
    "otherCashflowsFromFinancingActivities",
    "changeToNetincome",
    "capitalExpenditures",
    "changeReceivables",
    "cashFlowsOtherOperating",
    "exchangeRateChanges",
    "cashAndCashEquivalentsChanges",
    "changeInWorkingCapital",
    "stockBasedCompensation",
    "otherNonCashItems",
    "freeCashFlow",
)
_INCOME: Final = (
    "researchDevelopment",
    "effectOfAccountingCharges",
    "incomeBeforeTax",
    "minorityInterest",
    "netIncome",
    "sellingGeneralAdministrative",
    "sellingAndMarketingExpenses",
    "grossProfit",
    "reconciledDepreciation",
    "ebit",
    "ebitda",
    "depreciationAndAmortization",
    "nonOperatingIncomeNetOther",
    "operatingIncome",
    "otherOperatingExpenses",
    "interestExpense",
    "taxProvision",
    "interestIncome",
    "netInterestIncome",
    "extraordinaryItems",
    "nonRecurring",
    "otherItems",
    "incomeTaxExpense",
    "totalRevenue",
    "totalOperatingExpenses",
    "costOfRevenue",
    "totalOtherIncomeExpenseNet",
    "discontinuedOperations",
    "netIncomeFromContinuingOps",
    "netIncomeApplicableToCommonShares",
    "preferredStockAndOtherAdjustments",
)
_OFTEN_NULL: Final = frozenset(
    {
        "earningAssets",
        "deferredLongTermLiab",
        "negativeGoodwill",
        "warrants",
        "preferredStockRedeemable",
        "totalPermanentEquity",
        "temporaryEquityRedeemableNoncontrollingInterests",
        "effectOfAccountingCharges",
        "extraordinaryItems",
        "otherItems",
        "discontinuedOperations",
        "preferredStockAndOtherAdjustments",
        "capitalSurpluse",
        "deferredLongTermAssetCharges",
    }
)


class _Draw:
    """Numbers by name for one listing: the same name gives the same number."""

    def __init__(self, seed: int, ticker: str) -> None:
        self._seed = key_of(seed, "fundamentals", ticker)

    def unit(self, name: str) -> float:
        return (key_of(self._seed, name) >> 11) * 2.0**-53

    def between(self, name: str, low: float, high: float, digits: int = 4) -> float:
        return round(low + (high - low) * self.unit(name), digits)

    def whole(self, name: str, low: int, high: int) -> int:
        return low + int((high - low + 1) * self.unit(name))


def quarter_ends(today: date, count: int) -> list[date]:
    """The last quarter ends that a company has reported on (45 days later), newest first."""
    reported = today - timedelta(days=45)
    year, month = reported.year, (reported.month - 1) // 3 * 3 + 1
    ends = []
    for _ in range(count):
        ends.append(date(year, month, 1) - timedelta(days=1))
        year, month = (year, month - 3) if month > 3 else (year - 1, 10)
    return ends


def payload(
    listing: Listing, exchange: Exchange, seed: int, today: date, close: float | None
) -> dict[str, Any]:
    """The whole answer as of `today`;

    `close` is the last price in the listing's unit, if it has one.
    """
    draw = _Draw(seed, f"{listing.born}.{listing.exchange}")
    steady = listing.exchange == "US" and listing.code in STEADY
    thin = listing.delisted or (draw.unit("thin") < 0.14 and not steady)
    if listing.type != "Common Stock":
        return _fund(listing, exchange, draw, today)
    out: dict[str, Any] = {"General": _general(listing, exchange, draw, today, thin=thin)}
    shares = float(draw.whole("shares", 2_000_000, 900_000_000))
    money = (close or draw.between("price", 2, 90)) / (100 if listing.currency == "GBX" else 1)
    revenue = shares * money * draw.between("sales", 0.2, 1.6)
    quarters = quarter_ends(today, 8)
    out["Highlights"] = _highlights(draw, shares, money, revenue, quarters[0], thin=thin)
    out["Valuation"] = _valuation(draw, shares * money, revenue, thin=thin)
    out["SharesStats"] = _share_stats(draw, shares, thin=thin)
    out["Technicals"] = _technicals(draw, close, thin=thin)
    out["SplitsDividends"] = _splits_dividends(draw, today, thin=thin)
    out["AnalystRatings"] = [] if thin else _ratings(draw, money)
    out["Holders"] = (
        []
        if thin
        else {
            "Institutions": keyed(
                _holder(draw, "institution", at, shares, quarters[0]) for at in range(10)
            ),
            "Funds": keyed(_holder(draw, "fund", at, shares, quarters[0]) for at in range(10)),
        }
    )
    out["InsiderTransactions"] = (
        [] if thin or exchange.code != "US" else keyed(_insider(draw, at, today) for at in range(6))
    )
    out["ESGScores"] = [] if thin or draw.unit("esg") < 0.5 else _esg(draw, quarters[0])
    out["outstandingShares"] = {
        "annual": []
        if thin
        else keyed(_outstanding(end, shares, yearly=True) for end in quarters[::4]),
        "quarterly": []
        if thin
        else keyed(_outstanding(end, shares, yearly=False) for end in quarters),
    }
    out["Earnings"] = _earnings(draw, quarters, today, money, thin=thin)
    out["Financials"] = _financials(draw, listing, quarters, revenue, shares, thin=thin)
    return out


def bulk_row(full: dict[str, Any]) -> dict[str, Any]:
    """The shorter row of bulk-fundamentals: the last four statements under keys of their own."""
    row: dict[str, Any] = {name: full[name] for name in SECTIONS[:6] if name in full}
    earnings = full.get("Earnings") or {}
    history = list((earnings.get("History") or {}).values()) if isinstance(earnings, dict) else []
    row["Earnings"] = {f"Last_{at}": entry for at, entry in enumerate(history[:4])}
    row["Financials"] = {}
    for name, statement in (full.get("Financials") or {}).items():
        short: dict[str, Any] = {"currency_symbol": statement.get("currency_symbol")}
        for period, prefix in (("quarterly", "quarterly_last"), ("yearly", "yearly_last")):
            values = statement.get(period) or {}
            for at, entry in enumerate(list(values.values())[:4]):
                short[f"{prefix}_{at}"] = entry
        row["Financials"][name] = short
    return row


def filtered(full: dict[str, Any], wanted: str) -> Any:
    """What `filter=` leaves: one path (`General::Code`) loses its wrapper, several
    (`General,Highlights`) keep it.

    An unknown path gives "NA", as the vendor does.
    """
    if "," in wanted:
        return {path: _follow(full, path) for path in wanted.split(",")}
    return _follow(full, wanted)


def _follow(value: Any, path: str) -> Any:
    for step in path.split("::"):
        if not isinstance(value, dict) or step not in value:
            return "NA"
        value = value[step]
    return value


# -- sections -------------------------------------------------------------------------------------


def _general(
    listing: Listing, exchange: Exchange, draw: _Draw, today: date, *, thin: bool
) -> dict[str, Any]:
    street = f"{draw.whole('street', 1, 400)} Main Street"
    sector = _SECTORS[draw.whole("sector", 0, len(_SECTORS) - 1)]
    currency, symbol = _CURRENCIES.get(listing.currency, (listing.currency, listing.currency))
    general: dict[str, Any] = {
        "Code": listing.code,
        "Type": listing.type,
        "Name": listing.name,
        "Exchange": listing.venue,
        "CurrencyCode": listing.currency,
        "CurrencyName": currency,
        "CurrencySymbol": symbol,
        "CountryName": exchange.country,
        "CountryISO": exchange.iso2,
        "OpenFigi": None if thin else f"BBG{draw.whole('figi', 10**8, 10**9 - 1):09d}",
        "ISIN": listing.isin,
        "LEI": None,
        "PrimaryTicker": None if draw.unit("primary") < 0.31 else listing.ticker,
        "CUSIP": None,
        "CIK": f"{draw.whole('cik', 1000, 1_999_999):010d}" if exchange.code == "US" else None,
        "EmployerIdNumber": None,
        "FiscalYearEnd": "December",
        "IPODate": "0000-00-00" if thin else f"{draw.whole('ipo', 1985, 2018)}-06-15",
        "InternationalDomestic": None if thin else "International/Domestic",
        "Sector": "" if thin else sector[0],
        "Industry": "" if thin else sector[1],
        "GicSector": None if thin else sector[2],
        "GicGroup": None if thin else sector[3],
        "GicIndustry": None if thin else sector[3],
        "GicSubIndustry": None if thin else sector[3],
        "HomeCategory": "NA" if thin else "Domestic",
        "IsDelisted": listing.delisted,
        "Description": "NA" if thin else _description(listing, sector[1]),
        "Address": "NA" if thin else f"{street}, {exchange.country}",
        "AddressData": []
        if thin
        else {
            "Street": street,
            "City": "",
            "State": "",
            "Country": exchange.country,
            "ZIP": str(draw.whole("zip", 1000, 99999)),
        },
        "Listings": [],
        "Officers": []
        if thin
        else keyed(
            {
                "Name": f"{title} {at}",
                "Title": title,
                "YearBorn": "NA" if at % 2 else str(1955 + at),
            }
            for at, title in enumerate(("CEO", "CFO", "COO", "General Counsel"))
        ),
        "Phone": None if thin else f"+1 555 {draw.whole('phone', 100, 999)} 0100",
        "WebURL": None if thin else "https://www.example.com",
        "LogoURL": "" if thin else f"/img/logos/{exchange.code}/{listing.code}.png",
        "FullTimeEmployees": None if thin else draw.whole("employees", 12, 90_000),
        "UpdatedAt": (today - timedelta(days=draw.whole("updated", 0, 6))).isoformat(),
    }
    return general


def _description(listing: Listing, industry: str) -> str:
    return (
        f"{listing.name}, together with its subsidiaries, is active in {industry.lower()}. "
        "It develops, makes and sells products and services for business and private customers. "
        "It was founded by engineers and is listed since many years."
    )


def _highlights(
    draw: _Draw, shares: float, money: float, revenue: float, quarter: date, *, thin: bool
) -> dict[str, Any]:
    cap = 0 if thin else round(shares * money)
    earned = draw.between("margin", -0.1, 0.25)
    number: dict[str, Any] = {
        "MarketCapitalization": cap,
        "MarketCapitalizationMln": round(cap / 1e6, 4),
        "EBITDA": round(revenue * 0.2),
        "PERatio": draw.between("pe", 4, 60),
        "PEGRatio": draw.between("peg", 0, 4),
        "WallStreetTargetPrice": round(money * draw.between("target", 0.8, 1.5), 4),
        "BookValue": round(money * draw.between("book", 0.2, 1.1), 3),
        "DividendShare": draw.between("dps", 0, 3, 2),
        "DividendYield": draw.between("dy", 0, 0.05),
        "EarningsShare": round(revenue * earned / shares, 2),
        "EPSEstimateCurrentYear": draw.between("eps0", -1, 8, 2),
        "EPSEstimateNextYear": draw.between("eps1", -1, 9, 2),
        "EPSEstimateNextQuarter": draw.between("eps2", -1, 3, 2),
        "EPSEstimateCurrentQuarter": draw.between("eps3", -1, 3, 2),
        "MostRecentQuarter": quarter.isoformat(),
        "ProfitMargin": earned,
        "OperatingMarginTTM": draw.between("om", -0.1, 0.3),
        "ReturnOnAssetsTTM": draw.between("roa", -0.1, 0.15),
        "ReturnOnEquityTTM": draw.between("roe", -0.2, 0.4),
        "RevenueTTM": round(revenue),
        "RevenuePerShareTTM": round(revenue / shares, 3),
        "QuarterlyRevenueGrowthYOY": draw.between("rg", -0.3, 0.4, 3),
        "GrossProfitTTM": round(revenue * 0.4),
        "DilutedEpsTTM": round(revenue * earned / shares, 2),
        "QuarterlyEarningsGrowthYOY": draw.between("eg", -0.5, 0.8, 3),
    }
    if not thin:
        return number
    missing = dict.fromkeys(number)
    return missing | {"MarketCapitalization": 0, "MostRecentQuarter": "0000-00-00", "EBITDA": "NA"}


def _valuation(draw: _Draw, cap: float, revenue: float, *, thin: bool) -> dict[str, Any]:
    value = {
        "TrailingPE": draw.between("pe", 4, 60),
        "ForwardPE": draw.between("fpe", 4, 50),
        "PriceSalesTTM": round(cap / revenue, 4),
        "PriceBookMRQ": draw.between("pb", 0.4, 9),
        "EnterpriseValue": round(cap * 1.1),
        "EnterpriseValueRevenue": round(cap * 1.1 / revenue, 4),
        "EnterpriseValueEbitda": round(cap * 5.5 / revenue, 4),
    }
    return dict.fromkeys(value, 0) if thin else value


def _share_stats(draw: _Draw, shares: float, *, thin: bool) -> dict[str, Any]:
    value: dict[str, Any] = {
        "SharesOutstanding": round(shares),
        "SharesFloat": round(shares * draw.between("float", 0.3, 0.99)),
        "PercentInsiders": draw.between("insiders", 0, 30, 3),
        "PercentInstitutions": draw.between("institutions", 5, 90, 3),
        "SharesShort": None,
        "SharesShortPriorMonth": None,
        "ShortRatio": None,
        "ShortPercentOutstanding": None,
        "ShortPercentFloat": draw.between("short", 0, 0.1),
    }
    return dict.fromkeys(value, 0) if thin else value


def _technicals(draw: _Draw, close: float | None, *, thin: bool) -> dict[str, Any]:
    price = close or 0.0
    return {
        "Beta": None if thin else draw.between("beta", 0.2, 2.1),
        "52WeekHigh": round(price * 1.3, 4),
        "52WeekLow": round(price * 0.7, 4),
        "50DayMA": round(price * 0.98, 4),
        "200DayMA": round(price * 0.95, 4),
        "SharesShort": 0,
        "SharesShortPriorMonth": 0,
        "ShortRatio": 0,
        "ShortPercent": 0,
    }


def _splits_dividends(draw: _Draw, today: date, *, thin: bool) -> dict[str, Any]:
    return {
        "ForwardAnnualDividendRate": None if thin else draw.between("dps", 0, 3, 2),
        "ForwardAnnualDividendYield": None if thin else draw.between("dy", 0, 0.05),
        "PayoutRatio": None if thin else draw.between("payout", 0, 0.9),
        "DividendDate": "0000-00-00" if thin else (today - timedelta(days=40)).isoformat(),
        "ExDividendDate": "0000-00-00" if thin else (today - timedelta(days=60)).isoformat(),
        "LastSplitFactor": "" if thin else "2:1",
        "LastSplitDate": "0000-00-00" if thin else "2007-06-11",
        "NumberDividendsByYear": []
        if thin
        else keyed({"Year": today.year - at, "Count": 1 + at % 2} for at in range(4)),
    }


def _ratings(draw: _Draw, money: float) -> dict[str, Any]:
    return {
        "Rating": draw.between("rating", 1, 5),
        "TargetPrice": round(money * 1.1, 2),
        "StrongBuy": draw.whole("sb", 0, 20),
        "Buy": draw.whole("b", 0, 15),
        "Hold": draw.whole("h", 0, 15),
        "Sell": draw.whole("s", 0, 4),
        "StrongSell": draw.whole("ss", 0, 2),
    }


def _holder(draw: _Draw, kind: str, at: int, shares: float, quarter: date) -> dict[str, Any]:
    held = draw.between(f"{kind} {at}", 0.1, 7)
    current = round(shares * held / 100)
    return {
        "name": f"Example {kind} {at + 1}",
        "date": quarter.isoformat(),
        "totalShares": held,
        "totalAssets": draw.between(f"{kind} assets {at}", 0, 4),
        "currentShares": current,
        "change": round(current * 0.01),
        "change_p": 1,
    }


def _insider(draw: _Draw, at: int, today: date) -> dict[str, Any]:
    day = (today - timedelta(days=9 * at + 3)).isoformat()
    return {
        "date": day,
        "ownerCik": None,
        "ownerName": f"Owner {at + 1}",
        "transactionDate": day,
        "transactionCode": "S" if at % 2 else "P",
        "transactionAmount": draw.whole(f"insider {at}", 100, 90_000),
        "transactionPrice": draw.between(f"insider price {at}", 1, 90),
        "transactionAcquiredDisposed": "D" if at % 2 else "A",
        "postTransactionAmount": None,
        "secLink": None,
    }


def _esg(draw: _Draw, quarter: date) -> dict[str, Any]:
    return {
        "Disclaimer": "ESG data is delayed and not updated.",
        "RatingDate": quarter.isoformat(),
        "TotalEsg": draw.between("esg total", 5, 40, 2),
        "EnvironmentScore": draw.between("esg e", 0, 15, 2),
        "SocialScore": draw.between("esg s", 0, 15, 2),
        "GovernanceScore": draw.between("esg g", 0, 15, 2),
        "ControversyLevel": draw.whole("esg c", 0, 4),
        "ActivitiesInvolvement": keyed(
            {"Activity": name, "Involvement": "No"} for name in ("tobacco", "coal")
        ),
    }


def _outstanding(end: date, shares: float, *, yearly: bool) -> dict[str, Any]:
    return {
        "date": str(end.year) if yearly else f"{end.year}-Q{(end.month - 1) // 3 + 1}",
        "dateFormatted": end.isoformat(),
        "sharesMln": f"{shares / 1e6:.4f}",
        "shares": round(shares),
    }


def _earnings(
    draw: _Draw, quarters: list[date], today: date, money: float, *, thin: bool
) -> dict[str, Any]:
    if thin:
        return {"History": [], "Trend": [], "Annual": []}
    history = {}
    for end in quarters:
        actual = round(money * draw.between(f"eps {end}", -0.01, 0.04), 2)
        expected = round(actual * 0.95, 2)
        surprise = None if not expected else round((actual - expected) / abs(expected) * 100, 4)
        history[end.isoformat()] = {
            "reportDate": (end + timedelta(days=38)).isoformat(),
            "date": end.isoformat(),
            "beforeAfterMarket": None,
            "currency": None,
            "epsActual": actual,
            "epsEstimate": expected,
            "epsDifference": round(actual - expected, 4),
            "surprisePercent": surprise,
        }
    trend = {
        (today + timedelta(days=80 * (at + 1))).isoformat(): _trend(draw, today, money, at, period)
        for at, period in enumerate(("0q", "+1q", "0y", "+1y"))
    }
    annual = {
        end.isoformat(): {"date": end.isoformat(), "epsActual": round(money * 0.05, 2)}
        for end in quarters[::4]
    }
    return {"History": history, "Trend": trend, "Annual": annual}


def _trend(draw: _Draw, today: date, money: float, at: int, period: str) -> dict[str, Any]:
    """One period's estimates: texts, or null."""
    earned = money * 0.02 * (at + 1)
    row: dict[str, Any] = {
        "date": (today + timedelta(days=80 * (at + 1))).isoformat(),
        "period": period,
        "growth": f"{draw.between(f'growth {at}', -0.2, 0.4):.4f}",
        "earningsEstimateAvg": f"{earned:.4f}",
        "earningsEstimateLow": f"{earned * 0.8:.4f}",
        "earningsEstimateHigh": f"{earned * 1.3:.4f}",
        "earningsEstimateYearAgoEps": None,
        "earningsEstimateNumberOfAnalysts": f"{draw.whole(f'analysts {at}', 0, 30):.4f}",
        "earningsEstimateGrowth": None,
        "revenueEstimateAvg": f"{earned * 1e8:.2f}",
        "revenueEstimateLow": f"{earned * 9e7:.2f}",
        "revenueEstimateHigh": f"{earned * 1.1e8:.2f}",
        "revenueEstimateYearAgoEps": None,
        "revenueEstimateNumberOfAnalysts": f"{draw.whole(f'analysts {at}', 0, 30):.2f}",
        "revenueEstimateGrowth": None,
    }
    row |= {
        f"epsTrend{when}": f"{earned:.4f}"
        for when in ("Current", "7daysAgo", "30daysAgo", "60daysAgo", "90daysAgo")
    }
    return row | {
        "epsRevisionsUpLast7days": "0.0000",
        "epsRevisionsUpLast30days": f"{draw.whole(f'up {at}', 0, 9):.4f}",
        "epsRevisionsDownLast30days": f"{draw.whole(f'down {at}', 0, 9):.4f}",
        "epsRevisionsDownLast90days": None,
    }


def _financials(
    draw: _Draw,
    listing: Listing,
    quarters: list[date],
    revenue: float,
    shares: float,
    *,
    thin: bool,
) -> dict[str, Any]:
    currency = "GBP" if listing.currency == "GBX" else listing.currency
    if thin:
        empty = {"currency_symbol": currency, "quarterly": [], "yearly": []}
        return dict.fromkeys(("Balance_Sheet", "Cash_Flow", "Income_Statement"), empty)
    years = [date(quarters[0].year - 1 - at, 12, 31) for at in range(3)]
    out: dict[str, Any] = {}
    for name, keys in (
        ("Balance_Sheet", _BALANCE),
        ("Cash_Flow", _CASH_FLOW),
        ("Income_Statement", _INCOME),
    ):
        weights = {
            key: draw.between(f"{name} {key}", 0.01, 0.6) for key in keys if key not in _OFTEN_NULL
        }
        out[name] = {
            "currency_symbol": currency,
            "quarterly": dict(
                _statement(listing, name, end, keys, weights, revenue / 4, shares)
                for end in quarters[:5]
            ),
            "yearly": dict(
                _statement(listing, name, end, keys, weights, revenue, shares) for end in years
            ),
        }
    return out


def _statement(
    listing: Listing,
    name: str,
    end: date,
    keys: Iterable[str],
    weights: dict[str, float],
    revenue: float,
    shares: float,
) -> tuple[str, dict[str, Any]]:
    """One period's statement, its values as strings; a balance sheet balances."""
    row: dict[str, Any] = {
        "date": end.isoformat(),
        "filing_date": (end + timedelta(days=36)).isoformat() if listing.exchange == "US" else None,
        "currency_symbol": "GBP" if listing.currency == "GBX" else listing.currency,
    }
    values = {key: round(revenue * weight) for key, weight in weights.items()}
    if name == "Balance_Sheet":
        values["totalAssets"] = values["totalLiab"] + values["totalStockholderEquity"]
        values["liabilitiesAndStockholdersEquity"] = values["totalAssets"]
        values["commonStockSharesOutstanding"] = round(shares)
    if name == "Income_Statement":
        values["totalRevenue"] = round(revenue)
        values["costOfRevenue"] = round(revenue) - values["grossProfit"]
    for key in keys:
        row[key] = f"{values[key]}.00" if key in values else None
    return end.isoformat(), row


def _fund(listing: Listing, exchange: Exchange, draw: _Draw, today: date) -> dict[str, Any]:
    """Other types have another shape: no statements, a section of their own."""
    general = _general(listing, exchange, draw, today, thin=True)
    out: dict[str, Any] = {
        "General": {name: general[name] for name in list(general)[:9]}
        | {"ISIN": listing.isin, "UpdatedAt": general["UpdatedAt"]},
        "Technicals": {
            "Beta": str(draw.between("beta", 0.2, 1.6)),
            "52WeekHigh": "0",
            "52WeekLow": "0",
        },
    }
    if listing.type == "ETF":
        out["ETF_Data"] = {
            "ISIN": listing.isin,
            "Company_Name": listing.name,
            "Date_Ongoing_Charge": "0000-00-00",
            "Ongoing_Charge": "0.0700",
            "NetExpenseRatio": "0.00070",
            "TotalAssets": f"{draw.whole('assets', 10**6, 10**10)}.00",
        }
    elif listing.type == "FUND":
        out["MutualFund_Data"] = {
            "Fund_Category": "NA",
            "Nav": None,
            "Inception_Date": "0000-00-00",
        }
    return out
