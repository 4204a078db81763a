"""Days on which symbol lists change, or cannot be believed, survive whatever goes wrong."""

import pytest
from chaos_scenarios import SCENARIOS, assert_survives, seeds
from chaos_world import Chaos

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", seeds("lists", 16))
def test_days_of_changed_lists_end_as_if_nothing_had_gone_wrong(chaos: Chaos, seed: int) -> None:
    assert_survives(chaos, "lists", seed)


@pytest.mark.parametrize("seed", seeds("truncated", 8))
def test_a_list_that_is_not_believed_ends_as_if_nothing_else_had_gone_wrong(
    chaos: Chaos, seed: int
) -> None:
    assert_survives(chaos, "truncated", seed)


def test_these_days_have_what_they_are_for(chaos: Chaos) -> None:
    happened = {}
    for name in ("lists", "truncated"):
        chaos.simulator.reset()
        lived = chaos.undisturbed(SCENARIOS[name](chaos.simulator))
        happened[name] = {event for _, event, *_ in lived.left["events"]}
        set_aside = {rule for _, _, rule, _ in lived.left["bars in quarantine"]}
        assert ("code_reused" in set_aside) == (name == "truncated")
        tickers = {ticker for ticker, *_ in lived.left["assets"]}
        assert {"NEWCO.IR", "RENAMED.IR", "LATER.IR"} < tickers
        assert sum("_old." in ticker for ticker in tickers) == 2
        pages = [subject for subject in lived.asked if subject.startswith("bulk-fundamentals/")]
        assert len(pages) >= (2 if name == "lists" else 1)
    assert (
        happened["lists"]
        == happened["truncated"]
        == {
            "new",
            "renamed",
            "delisted",
            "isin_changed",
            "currency_changed",
        }
    )
