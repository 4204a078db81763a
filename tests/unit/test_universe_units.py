"""Amounts of money in another unit."""

import pytest
from money_reference import Unit, convert, unit_of

PARTS = {"GBX": Unit("GBP", 100), "ZAC": Unit("ZAR", 100), "KWF": Unit("KWD", 1000)}
RATES = {"GBP": 1.25, "EUR": 1.1, "ZAR": 0.05, "SEK": 0.0, "NOK": float("nan")}


@pytest.mark.parametrize(
    ("amount", "source", "target", "expected"),
    [
        pytest.param(0.07, "USD", "USD", 0.07, id="the same currency"),
        pytest.param(0.12, "GBP", "GBX", 12.0, id="pounds for a listing in pence"),
        pytest.param(12.0, "GBX", "GBP", 0.12, id="pence for a listing in pounds"),
        pytest.param(250.0, "KWF", "KWD", 0.25, id="a part that is a thousandth"),
        pytest.param(1.0, "GBP", "USD", 1.25, id="into USD by its rate"),
        pytest.param(1.0, "USD", "GBX", 80.0, id="dollars for a listing in pence"),
        pytest.param(50.0, "GBX", "EUR", 0.625 / 1.1, id="two currencies that are not USD"),
        pytest.param(1.0, "CHF", "CHF", 1.0, id="the same needs no rate"),
        pytest.param(1.0, "CHF", "USD", None, id="no rate"),
        pytest.param(1.0, "USD", "CHF", None, id="no rate of the target"),
        pytest.param(1.0, "SEK", "USD", None, id="a rate of zero is none"),
        pytest.param(1.0, "NOK", "USD", None, id="a rate that is no number is none"),
        pytest.param(1.0, None, "USD", None, id="a unit that nobody stated"),
        pytest.param(1.0, "Unknown", "Unknown", None, id="what is no currency equals nothing"),
        pytest.param(
            1.0, "gbx", "GBP", None, id="codes are what they are, not what they look like"
        ),
    ],
)
def test_an_amount_in_another_unit(
    amount: float, source: str | None, target: str | None, expected: float | None
) -> None:
    found = convert(amount, source, target, PARTS, RATES)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_unit_is_a_part_or_a_currency() -> None:
    assert unit_of("GBX", PARTS) == Unit("GBP", 100)
    assert unit_of("USD", PARTS) == Unit("USD", 1)
    assert unit_of("US1", PARTS) is None
