"""The document of `/admin/faults`: a seed, and a list of faults of answers and of events. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from screener_local.simulator import account_events, events, faults
from screener_local.simulator.account_events import AccountEvent
from screener_local.simulator.events import Event
from screener_local.simulator.faults import BadFault, Fault, Struck, Subject


@dataclass
class Script:
    """What is to go wrong. Faults are used up; events are not."""

    seed: int = 1
    faults: list[Fault] = field(default_factory=list)
    account: tuple[AccountEvent, ...] = ()
    events: tuple[Event, ...] = ()
    _document: list[dict[str, Any]] = field(default_factory=list)

    def strike(self, subject: Subject, accounting: datetime, data: datetime) -> Struck:
        """What becomes of a request."""
        if not self.faults:
            return faults.NOTHING
        return faults.strike(self.faults, self.seed, subject, accounting, data)

    def as_json(self) -> dict[str, Any]:
        """The script with what is left of its faults."""
        left = iter(self.faults)
        return {
            "seed": self.seed,
            "faults": [
                dict(part) if "kind" in part else faults.as_json(next(left))
                for part in self._document
            ],
        }


_EMPTY: Final[tuple[Any, ...]] = ({}, [])


def parse(document: Any) -> Script:
    """A script from `{"seed", "faults"}`, a list of faults or one; `{}` and `[]` are none.

    An object with a `kind` is an event, without one a fault of answers. Raises BadFault.
    """
    seed: Any = 1
    parts = document
    if isinstance(document, dict) and ("faults" in document or "seed" in document):
        unknown = sorted(set(document) - {"seed", "faults"})
        if unknown:
            raise BadFault(f"{unknown[0]}: no field of a script; there are seed and faults")
        seed, parts = document.get("seed", 1), document.get("faults", [])
    parts = parts if isinstance(parts, list) else [parts]
    parts = [part for part in parts if part not in _EMPTY]
    if not all(isinstance(part, dict) for part in parts):
        raise BadFault("a fault is an object")
    answers: list[Fault] = []
    account: list[AccountEvent] = []
    market: list[Event] = []
    for number, part in enumerate(parts):
        kind = part.get("kind")
        if "kind" not in part:
            answers.append(faults.parse(part, number))
        elif kind in account_events.KINDS:
            account.append(account_events.parse(part))
        elif kind in events.KINDS:
            market.append(events.parse(part))
        else:
            known = ", ".join((*account_events.KINDS, *events.KINDS))
            raise BadFault(f"kind: {kind!r} is no event; there are {known}")
    return Script(
        faults.whole("seed", seed, 0), answers, tuple(account), tuple(market), list(parts)
    )
