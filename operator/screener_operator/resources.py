"""Core: CollectionRun and IndicatorRun as the API server hands them out, validated and defaulted
by it.

Never validates again what the schema has validated; `problem` is for what only the clock can tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Protocol

from screener_operator.plan import GroupSpec, PlanRequest

GROUP = "financial-screener.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
COLLECTION_RUN = "CollectionRun"
INDICATOR_RUN = "IndicatorRun"
FIRST_DAY = date(1900, 1, 1)
"""The earliest that a date of a spec may be."""
PLURALS = {COLLECTION_RUN: "collectionruns", INDICATOR_RUN: "indicatorruns"}


def parse_time(text: str | None) -> datetime | None:
    """An aware time of RFC 3339 text, as the API server writes it."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as conditions want it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Meta:
    """What both kinds have: identity, age and the status last written."""

    kind: str
    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    created_at: datetime
    deleting: bool
    status: Mapping[str, Any]

    @classmethod
    def from_body(cls, kind: str, body: Mapping[str, Any]) -> "Meta":
        metadata = body["metadata"]
        created_at = parse_time(metadata["creationTimestamp"])
        assert created_at is not None  # the API server sets it on every object
        return cls(
            kind=kind,
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            resource_version=metadata["resourceVersion"],
            created_at=created_at,
            deleting="deletionTimestamp" in metadata,
            status=body.get("status") or {},
        )

    @property
    def start_time(self) -> datetime | None:
        """Set before anything else happens: from then on the API server keeps the spec as it is."""
        return parse_time(self.status.get("startTime"))

    @property
    def started(self) -> bool:
        return self.status.get("startTime") is not None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do. completionTime is the last thing that is written of a
        run.
        """
        return self.status.get("completionTime") is not None


class Run(Protocol):
    """What both kinds have in common for waiting on each other."""

    @property
    def meta(self) -> Meta: ...

    def exchanges(self) -> frozenset[str] | None:
        """The exchanges that it works on; None for all."""


@dataclass(frozen=True, slots=True)
class OtherRun:
    """As much of a run of either kind as others wait for. Whatever else its spec holds is its own
    affair and stops nobody else.
    """

    meta: Meta
    exchange_codes: frozenset[str] | None

    @classmethod
    def from_body(cls, kind: str, body: Mapping[str, Any]) -> "OtherRun":
        spec = body.get("spec") or {}
        codes: frozenset[str] | None
        if kind == COLLECTION_RUN:
            codes = frozenset(
                code for group in spec.get("groups", ()) for code in group.get("exchanges", ())
            )
        else:
            codes = frozenset(spec["exchanges"]) if "exchanges" in spec else None
        return cls(Meta.from_body(kind, body), codes)

    def exchanges(self) -> frozenset[str] | None:
        return self.exchange_codes


@dataclass(frozen=True, slots=True)
class CollectionRun:
    """A CollectionRun with every default applied. Dates are exchange dates."""

    meta: Meta
    spec: Mapping[str, Any]
    groups: tuple[GroupSpec, ...]
    operations: tuple[str, ...]
    asset_types: tuple[str, ...]
    parallelism: int
    max_calls: int | None
    keep_calls: int
    use_extra: bool
    history_years: int | None
    history_from: date | None
    as_of: date | None
    dry_run: bool
    indicators: bool

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "CollectionRun":
        spec = body["spec"]
        history = spec["history"]
        quota = spec.get("quota") or {}
        return cls(
            meta=Meta.from_body(COLLECTION_RUN, body),
            spec=spec,
            groups=tuple(
                GroupSpec(
                    name=group["name"],
                    exchanges=tuple(group["exchanges"]),
                    symbols=tuple(group["symbols"]) if "symbols" in group else None,
                )
                for group in spec["groups"]
            ),
            operations=tuple(spec["operations"]),
            asset_types=tuple(spec["assetTypes"]),
            parallelism=spec["parallelism"],
            max_calls=quota.get("maxCalls"),
            keep_calls=quota.get("keepCalls", 0),
            use_extra=quota.get("useExtra", False),
            history_years=history.get("years"),
            history_from=_date(history.get("from")),
            as_of=_date(spec.get("asOf")),
            dry_run=spec["dryRun"],
            indicators=spec["indicators"],
        )

    def exchanges(self) -> frozenset[str] | None:
        return frozenset(exchange for group in self.groups for exchange in group.exchanges)

    def history_start(self, today: date) -> date:
        """The first day of the wanted history; years count back from asOf, else from `today`."""
        if self.history_from is not None:
            return self.history_from
        return _years_before(self.as_of or today, self.history_years or 0)

    def problem(self, now: datetime) -> str | None:
        """What is wrong with the spec by the operator's clock, as a sentence that names field and
        value.
        """
        problem = _unlikely("spec.asOf", self.as_of, now) or _unlikely(
            "spec.history.from", self.history_from, now
        )
        if problem or self.as_of is None or self.history_from is None:
            return problem
        if self.history_from <= self.as_of:
            return None
        return (
            f"spec.history.from: {self.history_from} is later than spec.asOf, {self.as_of};"
            " the history must begin on that day or before"
        )

    def plan_request(self, today: date) -> PlanRequest:
        return PlanRequest(
            execution_id=self.meta.uid,
            groups=self.groups,
            operations=self.operations,
            asset_types=self.asset_types,
            history_from=self.history_start(today),
            as_of=self.as_of,
            max_calls=self.max_calls,
            keep_calls=self.keep_calls,
            dry_run=self.dry_run,
        )


@dataclass(frozen=True, slots=True)
class IndicatorRun:
    """An IndicatorRun with every default applied. None for exchanges or symbols: all of them."""

    meta: Meta
    spec: Mapping[str, Any]
    exchange_codes: tuple[str, ...] | None
    symbols: tuple[str, ...] | None
    mode: str
    as_of: date | None
    history_from: date | None
    workers: int
    collection_run: str | None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "IndicatorRun":
        spec = body["spec"]
        return cls(
            meta=Meta.from_body(INDICATOR_RUN, body),
            spec=spec,
            exchange_codes=tuple(spec["exchanges"]) if "exchanges" in spec else None,
            symbols=tuple(spec["symbols"]) if "symbols" in spec else None,
            mode=spec["mode"],
            as_of=_date(spec.get("asOf")),
            history_from=_date((spec.get("history") or {}).get("from")),
            workers=spec["workers"],
            collection_run=spec.get("collectionRun"),
        )

    def exchanges(self) -> frozenset[str] | None:
        return None if self.exchange_codes is None else frozenset(self.exchange_codes)

    def problem(self, now: datetime) -> str | None:
        """As CollectionRun.problem."""
        return _unlikely("spec.asOf", self.as_of, now) or _unlikely(
            "spec.history.from", self.history_from, now
        )


def blocking_run(run: Run, others: Sequence[Run]) -> tuple[str, str] | None:
    """The run that must end before `run` may start and an exchange that both work on; None if it
    may start.

    First come those that have started, then the older, then by name. A run that waits blocks those
    behind it, so that none is overtaken for ever.
    """

    def order(each: Run) -> tuple[bool, datetime, str]:
        return (not each.meta.started, each.meta.created_at, each.meta.name)

    ahead = [
        (each, shared)
        for each in sorted(others, key=order)
        if each.meta.uid != run.meta.uid
        and not each.meta.finished
        and order(each) < order(run)
        and (shared := _shared(run.exchanges(), each.exchanges()))
    ]
    return (ahead[0][0].meta.name, ahead[0][1]) if ahead else None


def _shared(one: frozenset[str] | None, other: frozenset[str] | None) -> str | None:
    if one is None and other is None:
        return "every exchange"
    if one is None or other is None:
        return min(one or other or ())
    return min(one & other, default=None)


def _date(text: str | None) -> date | None:
    """A day that the API server takes for one; the year 0, which Python has not, is its first."""
    if text is None:
        return None
    return date.min if text.startswith("0000-") else date.fromisoformat(text)


def _unlikely(field: str, day: date | None, now: datetime) -> str | None:
    today = now.astimezone(UTC).date()
    if day is None or FIRST_DAY <= day <= today:
        return None
    if day < FIRST_DAY:
        return f"{field}: {day} is too early; it must be {FIRST_DAY} or later"
    return f"{field}: {day} is in the future; it must be {today} or earlier"


def _years_before(day: date, years: int) -> date:
    """The same day of an earlier year; 28 February for a 29th that does not exist."""
    year = max(1, day.year - years)
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)
