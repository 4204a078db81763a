"""Core: what a reconcile wants done. Values only; `reconciler` carries them out, each so that
doing it twice does it once.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from screener_operator.outcome import Outcome


@dataclass(frozen=True, slots=True)
class OpenExecution:
    """Insert the run's row of process_executions, its budget and its first slice, where they are
    missing.
    """


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create the Job of a slice, unless this run owns it already."""

    kind: str
    group: str


@dataclass(frozen=True, slots=True)
class MarkStarted:
    """Record that the Job of a slice was made, so that it is not made again if it vanishes."""

    kind: str
    group: str


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Store the run's plan, unless it is stored."""


@dataclass(frozen=True, slots=True)
class FailOpenItems:
    """Fail what is still open, now that nobody works on it. `messages`: slice name to the reason,
    as a sentence.
    """

    messages: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CloseExecution:
    """Close the run's row with its outcome and its counts, unless it is closed."""

    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class CreateIndicatorRun:
    """Create the IndicatorRun that follows, unless this run owns it already."""


Action = (
    OpenExecution
    | CreateJob
    | MarkStarted
    | MakePlan
    | FailOpenItems
    | CloseExecution
    | CreateIndicatorRun
)


@dataclass(frozen=True, slots=True)
class Decision:
    """One step: do the actions in their order, then have this status; `again`: look again at once,
    for there is more to do.

    `status` None: leave it as it is. `watch`: something that sends no events is under way, so look
    again soon.
    """

    actions: tuple[Action, ...] = ()
    status: dict[str, Any] | None = field(default=None)
    again: bool = False
    watch: bool = False

    @property
    def ends_work(self) -> bool:
        """Whether nothing that a worker stores afterwards would count."""
        return any(isinstance(action, FailOpenItems | CloseExecution) for action in self.actions)

    def put_off(self) -> "Decision":
        """The same, but nothing is done of it yet."""
        return replace(self, actions=(), again=False, watch=True)
