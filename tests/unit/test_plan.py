"""Which way to the data is the cheapest."""

import random

import pytest

from screener_operator.plan import (
    Days,
    Pages,
    afford_pages,
    choice_sentence,
    choose_days,
    choose_pages,
    probe,
    sessions_by_bulk,
)


@pytest.mark.parametrize(
    ("assets_by_gap", "sessions"),
    [
        pytest.param({}, 0, id="nothing due: nothing by bulk"),
        pytest.param({1: 101}, 1, id="101 assets lack a session: a bulk day is cheaper"),
        pytest.param({1: 100}, 0, id="100 assets cost the same: whole histories win"),
        pytest.param({1: 50}, 0, id="a small exchange goes one by one"),
        pytest.param({1: 10_000, 7: 209}, 1, id="the few with a long gap go one by one"),
        pytest.param({1: 5_000, 2: 5_000}, 2, id="both sessions by bulk for both halves"),
        pytest.param({5: 10_209}, 5, id="a week missing of a large exchange: five bulk days"),
        pytest.param({110: 10_209}, 0, id="110 sessions cost more than one request an asset"),
        pytest.param({0: 10_000, 1: 5}, 0, id="assets without a gap do not count"),
        pytest.param({None: 10_000, 1: 5}, 0, id="whole histories never come by bulk"),
    ],
)
def test_the_cheapest_way_wins(assets_by_gap: dict[int | None, int], sessions: int) -> None:
    assert sessions_by_bulk(assets_by_gap) == sessions


@pytest.mark.parametrize("seed", range(20))
def test_no_other_number_of_bulk_days_is_cheaper(seed: int) -> None:
    rng = random.Random(seed)
    gaps: dict[int | None, int] = {rng.randint(1, 30): rng.randint(1, 4000) for _ in range(6)}

    def calls(sessions: int) -> int:
        return 100 * sessions + sum(n for gap, n in gaps.items() if gap and gap > sessions)

    assert choose_days(gaps).calls == min(calls(sessions) for sessions in range(31))


def test_a_way_knows_whom_it_serves_how() -> None:
    gaps = {1: 3_000, 2: 140, 40: 5, None: 7}
    assert choose_days(gaps) == Days(sessions=2, by_bulk=3_140, alone=12)
    assert choose_days(gaps, bulk_in_plan=False) == Days(0, 0, 3_152)


@pytest.mark.parametrize(
    ("due", "listed_rows", "pages"),
    [
        pytest.param(0, 10_000, Pages(), id="nothing due"),
        pytest.param(11, 10_000, Pages(11), id="eleven cost less alone"),
        pytest.param(12, 10_000, Pages(12, named=1, on_pages=12), id="a page for twelve"),
        pytest.param(505, 40_000, Pages(505, named=1, on_pages=500), id="five do not fill a page"),
        pytest.param(
            1_458, 12_000, Pages(1_458, named=3, on_pages=1_458), id="a day of a large exchange"
        ),
        pytest.param(
            10_209, 10_400, Pages(10_209, whole=21, on_pages=10_209), id="all of it: whole pages"
        ),
        pytest.param(
            6_425, 51_100, Pages(6_425, named=13, on_pages=6_425), id="few of a list: by name"
        ),
        pytest.param(600, None, Pages(600, named=2, on_pages=600), id="its list is not known"),
    ],
)
def test_the_cheapest_way_to_fundamentals(due: int, listed_rows: int | None, pages: Pages) -> None:
    chosen = choose_pages(due, listed_rows)
    assert chosen == pages
    by_whole = 100 * -(-(listed_rows or 10**9) // 500)
    assert chosen.calls <= min(10 * due, by_whole if due else 0)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_number_of_pages_is_cheaper(seed: int) -> None:
    due = random.Random(seed).randint(1, 5_000)
    ways = [
        100 * pages + min(due, 500 * pages) + 10 * max(0, due - 500 * pages)
        for pages in range(-(-due // 500) + 1)
    ]
    assert choose_pages(due, None).calls == min(ways)


def test_one_page_is_the_probe_where_it_saves_most() -> None:
    assert probe({1: 300, 2: 4_000, 3: 5}) == {
        1: Pages(300),
        2: Pages(4_000, named=1, on_pages=500),
        3: Pages(5),
    }


@pytest.mark.parametrize("due", [{}, {1: 11}])
def test_no_probe_where_a_page_would_not_pay(due: dict[int, int]) -> None:
    assert all(not way.named for way in probe(due).values())


@pytest.mark.parametrize(
    ("calls", "afforded"),
    [
        pytest.param(10_000, {1: Pages(1_000, named=2, on_pages=1_000)}, id="all"),
        pytest.param(1_199, {1: Pages(1_000, named=1, on_pages=500)}, id="one of two pages"),
        pytest.param(599, {1: Pages(1_000)}, id="none"),
    ],
)
def test_pages_that_do_not_fit_are_single_requests(calls: int, afforded: dict[int, Pages]) -> None:
    assert afford_pages({1: Pages(1_000, named=2, on_pages=1_000)}, calls) == afforded


def test_whole_pages_that_do_not_fit_give_way_to_named_ones() -> None:
    whole = choose_pages(10_209, 10_400)
    assert whole.page_calls == 2_100
    assert afford_pages({1: whole}, 2_000) == {1: Pages(10_209, named=3, on_pages=1_500)}


@pytest.mark.parametrize(
    ("days", "pages", "sentence"),
    [
        pytest.param(
            {
                "prices": Days(2, 3_140, 5),
                "splits": Days(2, 3_140, 5),
                "dividends": Days(2, 3_140, 5),
            },
            Pages(),
            "LSE: prices by 2 bulk days for 3,140 assets (200 calls) rather than 3,140, 5 assets"
            " alone; splits and dividends by 2 bulk days for 3,140 assets (400 calls) rather than"
            " 6,280, 5 assets alone; 615 calls in all",
            id="bulk days and a few alone",
        ),
        pytest.param(
            {"prices": Days(0, 0, 1), "splits": Days(0, 0, 3), "dividends": Days()},
            Pages(20, named=1, on_pages=20),
            "LSE: prices of 1 asset alone (1 calls); splits of 3 assets alone (3 calls);"
            " fundamentals by 1 page for 20 assets (120 calls) rather than 200; 124 calls in all",
            id="alone, and a page",
        ),
        pytest.param(
            {"prices": Days(), "splits": Days(), "dividends": Days()},
            Pages(7),
            "LSE: fundamentals of 7 assets alone (70 calls); 70 calls in all",
            id="fundamentals only",
        ),
    ],
)
def test_the_choice_is_told_in_a_sentence(
    days: dict[str, Days], pages: Pages, sentence: str
) -> None:
    assert choice_sentence("LSE", days, pages) == sentence
