"""Which bars are doubtful once a code was given away: what came since it was surely its own."""

from datetime import date

import pytest
from rules_made import liquid

from screener_collector.bars import Bars
from screener_collector.rules.codes import judge_code
from screener_collector.rules.model import DEFAULTS, Parameters, Rule

BARS: Bars = liquid(1).asset().bars
DAYS: list[date] = BARS.dates.tolist()
MANY = len(BARS) // 10
"""More than the share that makes all doubtful."""


def then(places: slice, factor: float) -> dict[date, float]:
    """Closes that were stored at some places, by a factor of what they are now."""
    return {
        day: close * factor
        for day, close in zip(DAYS[places], BARS.close[places].tolist(), strict=True)
    }


@pytest.mark.parametrize(
    ("own_to", "closes_then", "doubtful"),
    [
        pytest.param(DAYS[-1], {}, [], id="a list that knew of every bar"),
        pytest.param(date(2100, 1, 1), {}, [], id="a list long after the last bar"),
        pytest.param(DAYS[-4], {}, [-3, -2, -1], id="bars of sessions after the list"),
        pytest.param(date(1900, 1, 1), {}, list(range(-len(BARS), 0)), id="no bar is of before"),
        pytest.param(DAYS[-1], then(slice(-9, -8), 1.02), [-9], id="a bar that is another since"),
        pytest.param(DAYS[-1], then(slice(0, MANY), 1.00001), [], id="closes rounded anew"),
        pytest.param(DAYS[-1], {date(1950, 1, 2): 1.0}, [], id="one that is not there any more"),
        pytest.param(
            DAYS[-1], then(slice(0, MANY), 1.5), list(range(-len(BARS), 0)), id="another's history"
        ),
    ],
)
def test_what_came_since_the_code_was_surely_its_own_is_doubtful(
    own_to: date, closes_then: dict[date, float], doubtful: list[int]
) -> None:
    found = judge_code(BARS, own_to, closes_then, DEFAULTS)
    places = [] if found is None else found.bars.tolist()
    assert [at - len(BARS) for at in places] == doubtful
    if found is not None:
        assert (found.rule, found.severity) == ("code_reused", "quarantine")
        assert own_to < found.date_from <= found.date_to
        assert (found.measured, found.expected) == (len(doubtful), 0)


def test_no_bars_prove_nothing() -> None:
    assert judge_code(Bars.empty(), DAYS[0], {}, DEFAULTS) is None


def test_how_much_another_close_is_and_how_many_is_in_the_table_of_rules() -> None:
    rule = DEFAULTS.rules["code_reused"]
    numbers = {"tolerance": 0.1, "share": 0.9}
    parameters = Parameters([Rule(rule.name, rule.scope, "flag", rule.sentence, numbers)])
    assert judge_code(BARS, DAYS[-1], then(slice(0, MANY), 1.05), parameters) is None
    found = judge_code(BARS, DAYS[-1], then(slice(0, MANY), 1.5), parameters)
    assert found is not None
    assert (found.severity, found.bars.tolist()) == ("flag", list(range(MANY)))
