"""What a symbol list changes: which asset a listing is, and what is written of it."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from screener_collector.parse import Listing, SymbolChange
from screener_collector.universe import (
    Changes,
    Comparison,
    Known,
    Proofs,
    compare,
    same_series,
    settle,
)

STOCK, DAY = "Common Stock", date(2024, 1, 10)


def row(code: str, isin: str | None = None, name: str | None = None, **more: Any) -> Listing:
    return Listing(
        **{
            "code": code,
            "name": name or f"{code} Inc",
            "type": STOCK,
            "currency": "USD",
            "country": "USA",
            "isin": isin,
        }
        | more
    )


def known(number: int, listing: Listing, *, listed: bool = True) -> Known:
    return Known(
        number,
        listing.code,
        listing.name,
        listing.type,
        listing.currency,
        listing.country,
        listing.isin,
        listed,
    )


A, B, C = row("A", "US1"), row("B", "US2"), row("C", "US3")


def settled(
    assets: list[Known], rows: list[Listing], proofs: Proofs | None = None, *symbols: str
) -> tuple[Comparison, Changes]:
    found = compare(assets, rows, {STOCK}, symbols)
    return found, settle(found, proofs or Proofs())


def events(changes: Changes) -> list[tuple[str, str]]:
    return sorted((event.code, event.event) for event in changes.events)


def renames(changes: Changes) -> dict[int, str]:
    return {rename.asset.id: rename.code for rename in changes.renamed}


def test_a_list_that_says_the_same_changes_nothing() -> None:
    _, changes = settled([known(1, A), known(2, B)], [A, B])
    assert changes == Changes((), (), (), (), (), (), ())


@pytest.mark.parametrize(
    ("before", "now", "what"),
    [
        pytest.param([], [A], [("A", "new")], id="new"),
        pytest.param([known(1, A)], [B], [("A", "delisted"), ("B", "new")], id="gone and come"),
        pytest.param([known(1, A, listed=False)], [A], [("A", "relisted")], id="back again"),
        pytest.param(
            [known(1, A)], [replace(A, type="ETF")], [("A", "type_changed")], id="another type"
        ),
        pytest.param(
            [known(1, A)], [replace(A, currency="GBX")], [("A", "currency_changed")], id="currency"
        ),
        pytest.param([known(1, A)], [replace(A, name="Other")], [], id="a name alone is no event"),
        pytest.param(
            [known(1, A)], [replace(A, isin="US9")], [("A", "isin_changed")], id="a new ISIN"
        ),
        pytest.param(
            [known(1, replace(A, currency=None))], [A], [], id="a first value is no change"
        ),
        pytest.param(
            [known(1, A)], [replace(A, currency=None, isin=None)], [], id="silence is no change"
        ),
        pytest.param([], [replace(A, type="ETF")], [], id="a type that is not asked for"),
        pytest.param([known(1, A, listed=False)], [], [], id="delisted once is enough"),
        pytest.param([Known(1, "X")], [], [], id="what no list ever had is not delisted"),
    ],
)
def test_each_change_is_an_event(
    before: list[Known], now: list[Listing], what: list[tuple[str, str]]
) -> None:
    _, changes = settled(before, now)
    assert events(changes) == what


def test_a_named_symbol_is_wanted_whatever_its_type() -> None:
    _, changes = settled([], [replace(A, type="ETF"), replace(B, type="ETF")], None, "A")
    assert [listing.code for listing in changes.added] == ["A"]


def test_another_currency_or_isin_makes_the_history_be_fetched_again() -> None:
    assets = [known(1, A), known(2, B), known(3, C)]
    rows = [replace(A, currency="GBX"), replace(B, isin="US9"), replace(C, type="ETF")]
    _, changes = settled(assets, rows)
    assert changes.refetch == (1, 2)


# Renames


def record(*pairs: tuple[str, str]) -> Proofs:
    days = [DAY + timedelta(days=n) for n in range(len(pairs))]
    return Proofs(
        changes=[SymbolChange(old, new, day) for (old, new), day in zip(pairs, days, strict=True)]
    )


NEW_A = replace(A, code="AA", isin=None)


def test_a_rename_on_record_keeps_the_asset() -> None:
    found, changes = settled([known(1, A)], [NEW_A], record(("A", "AA")))
    assert found.wants_changes
    assert renames(changes) == {1: "AA"}
    assert events(changes) == [("AA", "renamed")]
    assert changes.refetch == (1,), "sessions since the last list were asked for by the old code"
    assert changes.retry == (1,)
    assert not changes.added and not changes.delisted
    (event,) = changes.events
    assert event.old is not None and event.new is not None
    assert (event.old["code"], event.new["code"]) == ("A", "AA")


@pytest.mark.parametrize(
    ("assets", "rows", "proofs", "expected"),
    [
        pytest.param([known(1, A)], [NEW_A], Proofs(), {}, id="without proof: two companies"),
        pytest.param(
            [known(1, A)], [replace(A, code="AA")], Proofs(), {}, id="an equal ISIN is no proof"
        ),
        pytest.param(
            [known(1, A)],
            [replace(A, code="AA")],
            Proofs(same_bars={1: "AA"}),
            {1: "AA"},
            id="an equal ISIN with the same bars is",
        ),
        pytest.param(
            [known(1, A)],
            [replace(A, code="AB")],
            record(("A", "AA"), ("AA", "AB")),
            {1: "AB"},
            id="twice renamed",
        ),
        pytest.param(
            [known(1, A)], [A, NEW_A], record(("A", "AA")), {}, id="its code is still its own"
        ),
        pytest.param(
            [known(1, A), known(2, B)], [B], record(("A", "B")), {}, id="onto one that stays"
        ),
        pytest.param([known(1, A)], [A], record(("A", "AA"), ("AA", "A")), {}, id="there and back"),
        pytest.param(
            [known(1, A), known(2, B)],
            [NEW_A],
            record(("A", "AA"), ("B", "AA")),
            {},
            id="two onto one code",
        ),
        pytest.param(
            [known(1, A), known(2, B)],
            [replace(A, code="B"), replace(B, code="A")],
            Proofs(changes=[SymbolChange("A", "B", DAY), SymbolChange("B", "A", DAY)]),
            {1: "B", 2: "A"},
            id="two exchange their codes",
        ),
        pytest.param(
            [known(1, A), known(2, B)],
            [replace(A, code="B"), replace(B, code="C")],
            record(("B", "C"), ("A", "B")),
            {1: "B", 2: "C"},
            id="each onto the code before it",
        ),
        pytest.param(
            [known(1, A, listed=False)], [NEW_A], record(("A", "AA")), {}, id="long delisted"
        ),
    ],
)
def test_an_asset_leaves_its_code_only_by_proof(
    assets: list[Known], rows: list[Listing], proofs: Proofs, expected: dict[int, str]
) -> None:
    _, changes = settled(assets, rows, proofs)
    assert renames(changes) == expected
    # Whatever happened, every row is one asset's and every asset has one row or none.
    after = {asset.code for asset in assets if asset.id not in expected} | set(expected.values())
    assert {listing.code for listing in changes.added} == {each.code for each in rows} - after


def test_an_isin_that_left_or_came_twice_proves_nothing() -> None:
    twins = [known(1, A), known(2, replace(A, code="A2"))]
    found, _ = settled(twins, [replace(A, code="AA")])
    assert found.candidates == ()
    found, _ = settled([known(1, A)], [replace(A, code="AA"), replace(A, code="AB")])
    assert found.candidates == ()


def test_a_code_that_is_given_away_and_its_holder_renamed_at_once() -> None:
    other = replace(A, isin="US7", name="An ETF", type="ETF")
    _, changes = settled([known(1, A)], [other, NEW_A], record(("A", "AA")))
    assert renames(changes) == {1: "AA"}
    assert not changes.added  # an ETF is not asked for
    _, changes = settled([known(1, A)], [replace(other, type=STOCK), NEW_A], record(("A", "AA")))
    assert [listing.code for listing in changes.added] == ["A"]
    assert events(changes) == [("A", "new"), ("AA", "renamed")]


# A code used again


GIVEN = row("A", "US7", "Another Corp")


@pytest.mark.parametrize("shown", ["list", "delisted"])
def test_a_company_whose_code_was_given_away_keeps_its_bars_as_old(shown: str) -> None:
    old = replace(A, code="A_old")
    rows = [GIVEN, old] if shown == "list" else [GIVEN]
    proofs = Proofs() if shown == "list" else Proofs(delisted=[old])
    found, changes = settled([known(1, A)], rows, proofs)
    assert found.wants_delisted
    assert renames(changes) == {1: "A_old"}
    assert [listing.code for listing in changes.added] == ["A"]
    assert [(each.asset.id, each.is_vendors) for each in changes.reused] == [(1, True)]
    assert events(changes) == [
        ("A", "new"),
        *([("A_old", "delisted")] if shown == "delisted" else []),
        ("A_old", "renamed"),
    ]


def test_without_isins_the_names_tell_who_is_who() -> None:
    asset = known(1, row("A", None, "Old Company, Inc."))
    old = row("A_old1", None, "OLD COMPANY INC")
    _, changes = settled([asset], [row("A", None, "New Company"), old])
    assert renames(changes) == {1: "A_old1"}
    _, changes = settled([asset], [row("A", None, "Old Company Inc"), old])
    assert renames(changes) == {}
    assert [listing.code for listing in changes.added] == ["A_old1"]


def test_a_new_isin_alone_may_be_the_same_company() -> None:
    _, changes = settled([known(1, A)], [GIVEN])
    assert renames(changes) == {}
    assert events(changes) == [("A", "isin_changed")]


def test_a_new_isin_with_other_bars_is_another_company() -> None:
    found, changes = settled([known(1, A)], [GIVEN], Proofs(other_bars={1}))
    assert found.unproved(Proofs()) == [known(1, A)]
    assert renames(changes) == {1: "A_old"}
    assert [(each.asset.id, each.is_vendors) for each in changes.reused] == [(1, False)]
    assert events(changes) == [("A", "new"), ("A_old", "delisted"), ("A_old", "renamed")]


def test_what_is_proved_otherwise_is_not_asked_for_bars() -> None:
    old = Proofs(delisted=[replace(A, code="A_old")])
    found, _ = settled([known(1, A)], [GIVEN])
    assert found.unproved(old) == []
    found, _ = settled([known(1, A)], [GIVEN, replace(A, code="AA")])
    assert found.unproved(Proofs()) == [], "its ISIN came under another code"


@pytest.mark.parametrize("comer", [GIVEN, replace(GIVEN, isin=None)], ids=["by ISIN", "by name"])
def test_the_code_of_a_company_long_gone_makes_room_for_the_new_one(comer: Listing) -> None:
    _, changes = settled([known(1, A, listed=False)], [comer])
    assert renames(changes) == {1: "A_old"}
    assert events(changes) == [("A", "new"), ("A_old", "renamed")]


def test_a_rename_onto_the_code_of_a_company_long_gone() -> None:
    assets = [known(1, A), known(2, row("AA", "US8"), listed=False), known(3, row("AA_old", "US6"))]
    rows = [replace(A, code="AA"), row("AA_old", "US6")]
    _, changes = settled(assets, rows, record(("A", "AA")))
    assert renames(changes) == {1: "AA", 2: "AA_old1"}
    assert events(changes) == [("AA", "renamed"), ("AA_old1", "renamed")]


def test_a_company_that_takes_the_code_of_one_that_leaves() -> None:
    rows = [replace(A, code="B")]
    _, changes = settled([known(1, A), known(2, B)], rows, record(("A", "B")))
    assert renames(changes) == {1: "B", 2: "B_old"}
    # Nobody has the code A now, and the vendor knows of no B_old.
    assert [(each.asset.id, each.is_vendors) for each in changes.reused] == [(2, False)]
    assert events(changes) == [("B", "renamed"), ("B_old", "delisted"), ("B_old", "renamed")]


def test_an_asset_whose_isin_came_under_another_code_is_not_lost() -> None:
    assets = [known(n, row(f"A{n}", f"US{n}")) for n in range(30)]
    rows = [row(f"B{n}", f"US{n}") for n in range(29)]
    found, _ = settled(assets, rows)
    assert (found.listed, found.lost) == (30, 1)


DAYS = [DAY + timedelta(days=n) for n in range(40)]
CLOSES = {day: 10 + n / 7 for n, day in enumerate(DAYS)}


@pytest.mark.parametrize(
    ("fetched", "same"),
    [
        pytest.param(CLOSES, True, id="the same"),
        pytest.param(dict(list(CLOSES.items())[-5:]), True, id="five days in common"),
        pytest.param(dict(list(CLOSES.items())[-4:]), False, id="too few in common"),
        pytest.param({d: round(c, 4) for d, c in CLOSES.items()}, True, id="rounded"),
        pytest.param(CLOSES | {DAYS[3]: 11.0}, True, id="one restated"),
        pytest.param(CLOSES | dict.fromkeys(DAYS[:9], 11.0), False, id="many differ"),
        pytest.param({d: c * 1.003 for d, c in CLOSES.items()}, False, id="another currency"),
        pytest.param({d: c * 100 for d, c in CLOSES.items()}, False, id="another unit"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_bars_are_of_one_series(fetched: dict[date, float], same: bool) -> None:
    assert same_series(CLOSES, fetched) is same


def test_an_isin_that_only_fundamentals_gave_says_nothing_of_whose_the_code_is() -> None:
    asset = replace(known(1, row("A", name="Long Gone Inc")), unproved_isin="US9")
    found, changes = settled([asset], [row("A", "US9", "Another Inc")])
    assert found.doubtful == (asset,)
    assert found.unproved(Proofs()) == [asset]
    _, changes = settled([asset], [row("A", "US9", "Another Inc")], Proofs(other_bars={1}))
    assert renames(changes) == {1: "A_old"}
    assert [listing.isin for listing in changes.added] == ["US9"]


def test_an_isin_that_only_fundamentals_gave_is_kept_and_may_lead_to_a_rename() -> None:
    asset = replace(known(1, row("A")), unproved_isin="US9")
    _, changes = settled([asset], [row("A", name="A Incorporated")], Proofs())
    assert [listing.isin for _, listing in changes.updated] == ["US9"]
    found, changes = settled([asset], [row("B", "US9")], Proofs(same_bars={1: "B"}))
    assert [pair.row.code for pair in found.candidates] == ["B"]
    assert renames(changes) == {1: "B"}
