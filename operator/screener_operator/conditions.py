"""Core: condition lists that follow apimachinery's SetStatusCondition. No clock: `now` is an
argument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from screener_operator.resources import format_time

MESSAGE_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Condition:
    """What shall hold now: `status` is True, False or None for Unknown."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters; cut text ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def set_condition(
    existing: Sequence[Mapping[str, Any]],
    condition: Condition,
    *,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """The list with `condition` in it. lastTransitionTime moves only when the status does; places
    are kept, a new type goes last.
    """
    wanted = {
        "type": condition.type,
        "status": {True: "True", False: "False", None: "Unknown"}[condition.status],
        "observedGeneration": generation,
        "lastTransitionTime": format_time(now),
        "reason": str(condition.reason),
        "message": shorten(condition.message, MESSAGE_LIMIT),
    }
    result = [dict(each) for each in existing]
    for place, each in enumerate(result):
        if each.get("type") == condition.type:
            if each.get("status") == wanted["status"] and each.get("lastTransitionTime"):
                wanted["lastTransitionTime"] = each["lastTransitionTime"]
            result[place] = wanted
            return result
    return [*result, wanted]


def set_conditions(
    existing: Sequence[Mapping[str, Any]],
    conditions: Sequence[Condition],
    *,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """All of `conditions`, in their order; conditions that others have added keep their place
    behind them.
    """
    result: list[dict[str, Any]] = [dict(each) for each in existing]
    for condition in conditions:
        result = set_condition(result, condition, generation=generation, now=now)
    order = {condition.type: place for place, condition in enumerate(conditions)}
    return sorted(result, key=lambda each: order.get(each.get("type", ""), len(order)))


def find_condition(existing: Sequence[Mapping[str, Any]], type_: str) -> Mapping[str, Any] | None:
    return next((each for each in existing if each.get("type") == type_), None)
