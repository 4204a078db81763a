"""Core: what changed in an exchange's symbol list, and which asset a listing is. No I/O, no clock.

A code is no identity: it may be renamed, and given to another company once it is free. So an asset
leaves its code only by proof (the vendor's record of symbol changes, one ISIN that left and came
with the same bars, the vendor's `XYZ_old` for a company whose code was given away, or, where that
is not to be had, another ISIN or name with other bars); everything else is a delisting and a
listing.

First `compare` says what is to be proved, then `settle` what is to be written.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from screener_collector.parse import Listing, SymbolChange
from screener_collector.rules.model import Parameters

_OLD = re.compile(r"(.+)_old\d*")
_WORDLESS = re.compile(r"[\W_]+")

_LIST_PARTIAL = "list_partial"


def is_believable(of: int, missing: int, parameters: Parameters) -> bool:
    """Whether a list may lack `missing` of what it had `of` before, by the rule `list_partial`.

    A truncated answer looks like mass delisting.
    """
    return (
        missing <= parameters.value(_LIST_PARTIAL, "lacking")
        or missing <= parameters.value(_LIST_PARTIAL, "share") * of
    )


@dataclass(frozen=True, slots=True)
class Known:
    """An asset of the exchange as it is stored; `listed`: whether the list before had it."""

    id: int
    code: str
    name: str | None = None
    type: str | None = None
    currency: str | None = None
    country: str | None = None
    isin: str | None = None
    listed: bool = True
    unproved_isin: str | None = None
    """Where `isin` is not known: what fundamentals have said since a list last showed the code as
    the asset's. It may be of another company that has the code by now, so it proves nothing."""


@dataclass(frozen=True, slots=True)
class SameIsin:
    """An asset whose code is gone, and a new code with its ISIN: perhaps a rename."""

    asset: Known
    row: Listing


@dataclass(frozen=True, slots=True)
class Comparison:
    """A list beside the assets that are known of its exchange."""

    rows: Mapping[str, Listing]
    """By code, of all types."""
    known: Mapping[str, Known]
    """By code."""
    left: tuple[Known, ...]
    """Assets whose code the list has no more."""
    entered: tuple[Listing, ...]
    """Wanted listings of a code that no asset has."""
    displaced: tuple[Known, ...]
    """Assets whose code the list gives another ISIN: a new one, or another company's."""
    doubtful: tuple[Known, ...]
    """Assets whose code the list gives another name, while an ISIN is not known."""
    candidates: tuple[SameIsin, ...]
    listed: int
    """How many assets the list before had."""
    types: Collection[str]
    symbols: Collection[str]

    @property
    def lost(self) -> int:
        """How many assets left without a trace: not even their ISIN came under another code."""
        traced = {pair.asset.id for pair in self.candidates}
        return sum(asset.id not in traced for asset in self.left)

    def wants(self, row: Listing) -> bool:
        """Whether a listing is to be an asset."""
        return row.type in self.types or row.code in self.symbols

    @property
    def wants_changes(self) -> bool:
        """Whether codes both left and entered, so that some may have been renamed."""
        return bool((self.left or self.displaced) and self.entered)

    def unproved(self, proofs: "Proofs") -> list[Known]:
        """Listed assets of which only bars can tell whether the code is another company's now."""
        moved = {rename.asset.id for rename in _renames(self, proofs)}
        pairs = {pair.asset.id for pair in self.candidates}
        return [
            asset
            for asset in (*self.displaced, *self.doubtful)
            if asset.listed and asset.id not in moved | pairs
        ]

    def tells_apart(self, asset: Known) -> bool:
        """Whether the list gives the asset's code both another ISIN and another name: one company
        may change either, and two witnesses count where bars are too few to be a third.
        """
        row = self.rows[asset.code]
        return bool(
            asset in self.displaced
            and asset.name
            and row.name
            and not _same_name(asset.name, row.name)
        )

    @property
    def wants_delisted(self) -> bool:
        """Whether a code may have been given to another company."""
        return bool(self.displaced or self.doubtful)


def compare(
    known: Iterable[Known],
    rows: Iterable[Listing],
    types: Collection[str],
    symbols: Collection[str] = (),
) -> Comparison:
    """Lays a list beside what is known; wanted is what is of `types` or named by `symbols`."""
    by_code = {asset.code: asset for asset in known}
    listings = {row.code: row for row in rows}
    wanted = frozenset(symbols)
    left, displaced, doubtful = [], [], []
    for code, asset in by_code.items():
        row = listings.get(code)
        if row is None:
            if _was_listed(asset):
                left.append(asset)
        elif asset.isin and row.isin:
            if asset.isin != row.isin:
                displaced.append(asset)
        elif asset.name and row.name and not _same_name(asset.name, row.name):
            doubtful.append(asset)
    entered = tuple(
        row
        for code, row in listings.items()
        if code not in by_code and (row.type in types or code in wanted)
    )
    return Comparison(
        rows=listings,
        known=by_code,
        left=tuple(left),
        entered=entered,
        displaced=tuple(displaced),
        doubtful=tuple(doubtful),
        candidates=tuple(_same_isin([*left, *displaced], entered)),
        listed=sum(_was_listed(asset) for asset in by_code.values()),
        types=types,
        symbols=wanted,
    )


def _was_listed(asset: Known) -> bool:
    """Whether a list ever had it: a symbol that only a run names has neither name nor type."""
    return asset.listed and not (asset.name is None and asset.type is None)


def _same_isin(gone: Sequence[Known], entered: Sequence[Listing]) -> Iterator[SameIsin]:
    """Pairs of one ISIN that left once and came once."""
    leaving = Counter(_said_isin(asset) for asset in gone if asset.listed)
    coming = Counter(row.isin for row in entered)
    by_isin = {row.isin: row for row in entered}
    for asset in gone:
        isin = _said_isin(asset)
        if asset.listed and isin and leaving[isin] == coming[isin] == 1:
            yield SameIsin(asset, by_isin[isin])


def _said_isin(asset: Known) -> str | None:
    return asset.isin or asset.unproved_isin


def _same_name(one: str, other: str) -> bool:
    return one == other or _WORDLESS.sub("", one).casefold() == _WORDLESS.sub("", other).casefold()


# What is proved


BARS_NEEDED, CLOSE_TOLERANCE, RESTATED_SHARE = 5, 1e-4, 0.05


def same_series(stored: Mapping[date, float], fetched: Mapping[date, float]) -> bool:
    """Whether closes by day are of one series: at least 5 days in common, nearly all the same.

    A listing of the same company in another currency, or elsewhere, has other closes.
    """
    common = stored.keys() & fetched.keys()
    differ = sum(abs(stored[day] - fetched[day]) > CLOSE_TOLERANCE * stored[day] for day in common)
    return len(common) >= BARS_NEEDED and differ <= RESTATED_SHARE * len(common)


@dataclass(frozen=True, slots=True)
class Proofs:
    """What was found out of a comparison's doubts."""

    changes: Sequence[SymbolChange] = ()
    """The vendor's record of symbol changes."""
    delisted: Sequence[Listing] = ()
    """The vendor's list of what is delisted of the exchange."""
    same_bars: Mapping[int, str] = field(default_factory=dict)
    """By asset id the code whose bars are the same."""
    other_bars: Collection[int] = ()
    """Ids of assets whose code has other bars than theirs now, or, where theirs are too few to
    tell, both another ISIN and another name."""


# What is written


@dataclass(frozen=True, slots=True)
class Rename:
    """An asset that keeps its id, bars and state under another code."""

    asset: Known
    code: str
    because: str
    is_vendors: bool = True
    """Whether the vendor has it by that code; else the code is ours, so that it has one."""


@dataclass(frozen=True, slots=True)
class Event:
    """A row of `asset_events` about an asset."""

    asset_id: int | None
    code: str
    event: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written of a list: renames first, as they make codes free."""

    renamed: tuple[Rename, ...]
    added: tuple[Listing, ...]
    updated: tuple[tuple[int, Listing], ...]
    """Assets that are listed, and now say something else, or were not listed before."""
    delisted: tuple[int, ...]
    refetch: tuple[int, ...]
    """Assets whose stored history may not be theirs any more, or lacks what could not be had by the
    code that they had until now."""
    retry: tuple[int, ...]
    """Assets that could not be had while their code was another or none: failures are forgotten."""
    events: tuple[Event, ...]
    """An event of an added listing has no asset id yet."""
    reused: tuple[Rename, ...] = ()
    """The renames whose old code the list gives to another company."""


def settle(found: Comparison, proofs: Proofs) -> Changes:
    """What a comparison and its proofs come to."""
    renames = _renames(found, proofs)
    moved = {rename.asset.id: rename for rename in renames}
    # Whose code is whose now: an asset that is not renamed keeps its own.
    holders = {asset.code: asset for asset in found.known.values() if asset.id not in moved}
    holders |= {rename.code: rename.asset for rename in renames}

    updated: list[tuple[int, Listing]] = []
    delisted: list[int] = []
    refetch: list[int] = []
    events: list[Event] = []
    for rename in renames:
        old = {"code": rename.asset.code, "name": rename.asset.name, "isin": rename.asset.isin}
        row = found.rows.get(rename.code)
        new = {
            "code": rename.code,
            "name": row.name if row else rename.asset.name,
            "isin": row.isin if row else rename.asset.isin,
            "because": rename.because,
        }
        events.append(Event(rename.asset.id, rename.code, "renamed", old, new))
    for code, asset in holders.items():
        row = found.rows.get(code)
        if row is None:
            if _was_listed(asset):
                delisted.append(asset.id)
                events.append(Event(asset.id, code, "delisted", _said(asset), None))
            continue
        now = _merged(asset, row)
        happened = list(_differences(asset, now, renamed=asset.id in moved))
        events.extend(Event(asset.id, code, *each) for each in happened)
        unlike = {"currency_changed", "isin_changed"} & {event for event, _, _ in happened}
        if unlike or asset.id in moved:
            refetch.append(asset.id)
        if _said(asset) != _said(now) or asset.country != now.country or not asset.listed:
            updated.append((asset.id, now))
    freed = {rename.asset.code for rename in renames} - holders.keys()
    added = [row for row in found.entered if row.code not in holders]
    added += [
        found.rows[code]
        for code in sorted(freed & found.rows.keys())
        if found.wants(found.rows[code])
    ]
    events.extend(Event(None, row.code, "new", None, _said(row)) for row in added)
    return Changes(
        renamed=tuple(renames),
        added=tuple(added),
        updated=tuple(updated),
        delisted=tuple(delisted),
        refetch=tuple(refetch),
        retry=tuple(
            event.asset_id
            for event in events
            if event.event in ("renamed", "relisted") and event.asset_id is not None
        ),
        events=tuple(events),
        reused=tuple(rename for rename in renames if rename.asset.code in found.rows),
    )


def _said(row: Known | Listing) -> dict[str, str | None]:
    return {"name": row.name, "type": row.type, "currency": row.currency, "isin": row.isin}


def _merged(asset: Known, row: Listing) -> Listing:
    """The row, and what is known where it says nothing."""
    return Listing(
        code=row.code,
        name=row.name or asset.name,
        type=row.type or asset.type,
        currency=row.currency or asset.currency,
        country=row.country or asset.country,
        isin=row.isin or _said_isin(asset),
    )


def _differences(
    asset: Known, now: Listing, *, renamed: bool
) -> Iterator[tuple[str, dict[str, Any] | None, dict[str, Any]]]:
    if not asset.listed:
        yield "relisted", None, _said(now)
    for event, get in _WATCHED.items():
        before, after = get(asset), get(now)
        # A first value is no change; and of a renamed asset the rename tells of its ISIN.
        if before and before != after and not (renamed and event == "isin_changed"):
            name = event.removesuffix("_changed")
            yield event, {name: before}, {name: after}


_WATCHED: Mapping[str, Callable[[Known | Listing], str | None]] = {
    "type_changed": lambda row: row.type,
    "currency_changed": lambda row: row.currency,
    "isin_changed": lambda row: row.isin,
}


# Renames


def _renames(found: Comparison, proofs: Proofs) -> list[Rename]:
    """Renames that are proved and whose code is free, or becomes free by another of them."""
    proposed: dict[int, Rename] = {}
    for asset in (*found.left, *found.displaced):
        code = _follow(asset.code, proofs.changes)
        if asset.listed and code != asset.code and code in found.rows:
            proposed[asset.id] = Rename(asset, code, "symbol-change-history")
    for pair in found.candidates:
        if proofs.same_bars.get(pair.asset.id) == pair.row.code:
            proposed.setdefault(pair.asset.id, Rename(pair.asset, pair.row.code, "same ISIN, bars"))
    for asset, code in _given_away(found, proofs.delisted):
        proposed.setdefault(asset.id, Rename(asset, code, "the code was given to another"))
    targets = Counter(rename.code for rename in proposed.values())
    kept = {key: rename for key, rename in proposed.items() if targets[rename.code] == 1}
    taken = found.known.keys() | found.rows.keys() | targets.keys()
    # Codes of assets that left for good are made free; those of assets that stay are not.
    while True:
        holders = {asset.code: asset for asset in found.known.values() if asset.id not in kept}
        blocked = [
            key
            for key, rename in kept.items()
            if (holder := holders.get(rename.code)) is not None
            and not _gives_way(holder, rename.asset, found)
        ]
        if not blocked:
            break
        for key in blocked:
            del kept[key]
    aside = {holders[rename.code] for rename in kept.values() if rename.code in holders}
    aside |= {
        asset
        for asset in (*found.displaced, *found.doubtful)
        if (not asset.listed or asset.id in proofs.other_bars) and asset.id not in kept
    }
    for asset in sorted(aside, key=lambda each: each.id):
        code = _old_code(asset.code, taken)
        taken = taken | {code}
        kept[asset.id] = Rename(asset, code, "the code was given to another", is_vendors=False)
    return [kept[key] for key in sorted(kept)]


def _gives_way(holder: Known, comer: Known, found: Comparison) -> bool:
    """Whether the holder of a code has left it: unlisted, or the list shows the comer's ISIN."""
    if not holder.listed:
        return True
    row = found.rows.get(holder.code)
    return bool(holder in found.displaced and row and row.isin == comer.isin)


def _follow(code: str, changes: Sequence[SymbolChange]) -> str:
    """The newest code that the record leads to. Changes of one day do not lead to each other."""
    since = date.min
    for change in sorted(changes, key=lambda each: each.effective):
        if change.old == code and change.effective > since:
            code, since = change.new, change.effective
    return code


def _given_away(found: Comparison, delisted: Sequence[Listing]) -> Iterator[tuple[Known, str]]:
    """Assets whose company the vendor now has as `XYZ_old`, and that code."""
    retired: dict[str, list[Listing]] = {}
    for row in {row.code: row for row in (*delisted, *found.rows.values())}.values():
        if "_old" not in row.code or row.code in found.known:
            continue
        if match := _OLD.fullmatch(row.code):
            retired.setdefault(match[1], []).append(row)
    for asset in (*found.displaced, *found.doubtful):
        same = [row for row in retired.get(asset.code, ()) if _is(asset, row)]
        if len(same) == 1:
            yield asset, same[0].code


def _is(asset: Known, row: Listing) -> bool:
    if asset.isin and row.isin:
        return asset.isin == row.isin
    return bool(asset.name and row.name and _same_name(asset.name, row.name))


def _old_code(code: str, taken: Collection[str]) -> str:
    """As the vendor names a company whose code was given away: `XYZ_old`, `XYZ_old1`, …"""
    number = 0
    while (name := f"{code}_old{number or ''}") in taken:
        number += 1
    return name
