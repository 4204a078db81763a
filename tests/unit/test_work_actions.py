"""Whether a series shows its splits and dividends: real ones and made ones."""

import csv
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from screener_collector.actions import Dividend, Price, Shown, Split, judge

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data"


def rounded(before: float, after: float, *, k: float = 1.0, after_k: float = 1.0) -> list[Price]:
    """Two bars as the vendor serves them: closes of two decimals, adjusted ones of four."""
    return [
        Price(before, round(before * k * after_k, 4)),
        Price(after, round(after * after_k, 4)),
    ]


SHOWN = [
    pytest.param(rounded(400.0, 100.5, k=0.25), [Split(4, 1)], id="a split"),
    pytest.param(rounded(1.05, 20.9, k=20.0), [Split(1, 20)], id="a reverse split"),
    pytest.param(rounded(200.0, 199.0, k=1 - 0.77 / 200), [Dividend(0.77)], id="a dividend"),
    pytest.param(
        rounded(200.0, 199.0, k=1 - 0.77 / 200, after_k=0.3117),
        [Dividend(0.77)],
        id="a dividend before many others",
    ),
    pytest.param(
        rounded(400.0, 99.0, k=0.25 * (1 - 4 / 400)),
        [Split(4, 1), Dividend(4.0)],
        id="both on a day, the dividend of an old share",
    ),
    pytest.param(
        rounded(400.0, 99.0, k=0.25 * (1 - 1 / 100)),
        [Dividend(1.0), Split(4, 1)],
        id="both on a day, the dividend of a new share",
    ),
    pytest.param(
        rounded(50.0, 49.0, k=(1 - 0.5 / 50) * (1 - 0.25 / 50)),
        [Dividend(0.5), Dividend(0.25)],
        id="two dividends between two trades",
    ),
    pytest.param(
        rounded(50.0, 49.0, k=1 - 0.51 / 50),
        [Dividend(0.5, converted=True)],
        id="at another exchange rate",
    ),
    pytest.param(
        rounded(50.0, 49.0, k=0.99), [Dividend(0.5, sure=False)], id="of no currency, in the unit"
    ),
    pytest.param(
        [Price(0.029, 0.0290), Price(0.029, 0.0290)],
        [Dividend(0.00001)],
        id="too small to be seen at four decimals",
    ),
]
NOT_SHOWN = [
    pytest.param(rounded(400.0, 100.5), [Split(4, 1)], id="a split not applied"),
    pytest.param(rounded(400.0, 100.5, k=0.5), [Split(4, 1)], id="another split"),
    pytest.param(rounded(400.0, 100.5, k=4.0), [Split(4, 1)], id="a split upside down"),
    pytest.param(rounded(200.0, 199.0), [Dividend(0.77)], id="a dividend not applied"),
    pytest.param(
        rounded(200.0, 199.0, k=(1 - 0.77 / 200) ** 2), [Dividend(0.77)], id="a dividend twice"
    ),
    pytest.param(
        rounded(200.0, 199.0, k=1 - 0.0077 / 200), [Dividend(0.77)], id="pence taken for pounds"
    ),
    pytest.param(rounded(200.0, 199.0, k=0.5), [Dividend(230.0)], id="more than the price"),
    pytest.param(
        rounded(400.0, 99.0, k=0.25), [Split(4, 1), Dividend(8.0)], id="of two the split alone"
    ),
    pytest.param(
        rounded(50.0, 49.0, k=1 - 0.6 / 50),
        [Dividend(0.5, converted=True)],
        id="no exchange rate is so far off",
    ),
]
UNKNOWN = [
    pytest.param(rounded(50.0, 49.0, k=0.99), [Dividend(None)], id="no exchange rate"),
    pytest.param(
        rounded(50.0, 49.0, k=0.25), [Split(4, 1), Dividend(None)], id="beside a split too"
    ),
    pytest.param(
        rounded(5000.0, 4900.0, k=0.99), [Dividend(0.5, sure=False)], id="in pounds, not said so"
    ),
]


@pytest.mark.parametrize(
    ("bars", "happened", "shown"),
    [
        pytest.param(*each.values, shown, id=str(each.id))
        for shown, cases in ((Shown.YES, SHOWN), (Shown.NO, NOT_SHOWN), (Shown.UNKNOWN, UNKNOWN))
        for each in cases
    ],
)
def test_a_series_shows_what_happened(
    bars: list[Price], happened: list[Split | Dividend], shown: Shown
) -> None:
    verdict = judge(bars[0], bars[1], happened)
    assert verdict.shown is shown, verdict


def real(name: str) -> list[dict[str, str]]:
    file = SAMPLES / "eodhd" / name
    if not file.exists():
        pytest.skip("no shared data")
    lines = [line for line in file.read_text().splitlines() if "," in line]
    return list(csv.DictReader(lines))


def test_the_dividends_of_a_real_series_are_shown_where_they_are_and_nowhere_else() -> None:
    bars = real("eod/AAPL.US_from_2018-01-01_to_2019-10-02.csv")
    paid = {row["Date"]: float(row["Dividends"]) for row in real("div/AAPL.US_from_2000-01-01.csv")}
    seen = 0
    for row, following in pairwise(bars):
        before, after = (
            Price(float(each["Close"]), float(each["Adjusted_close"])) for each in (row, following)
        )
        amount = paid.get(following["Date"])
        seen += amount is not None
        assert judge(before, after, [Dividend(amount)] if amount else []).shown is Shown.YES
        if amount:
            assert judge(before, after, []).shown is Shown.NO
        else:
            assert judge(before, after, [Dividend(0.2)]).shown is Shown.NO
    assert seen == 7


@pytest.mark.parametrize("name", ["CALM-1d-no-bad-divs.csv", "EWG-1d-no-bad-divs.csv"])
def test_clean_real_series_show_all_their_dividends(name: str) -> None:
    file = SAMPLES / "faults" / name
    if not file.exists():
        pytest.skip("no shared data")
    rows = [row for row in csv.DictReader(file.read_text().splitlines()) if row["Close"]]
    rows.sort(key=lambda row: date.fromisoformat(row["Datetime"][:10]))
    split = 1.0
    raw = []
    for row in reversed(rows):
        raw.append(
            (
                Price(float(row["Close"]) * split, float(row["Adj Close"])),
                float(row["Dividends"]) * split,
                float(row["Stock Splits"]),
            )
        )
        split *= float(row["Stock Splits"]) or 1.0
    raw.reverse()
    paid = 0
    for (before, _, _), (after, amount, ratio) in pairwise(raw):
        if amount and not ratio:
            paid += 1
            assert judge(before, after, [Dividend(amount)]).shown is Shown.YES
    assert paid > 2
