"""Core: the Events of a run: one a transition, found by comparing its status before and after.

An Event's name is made from what it tells, so that telling it again after a restart makes no
second one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from screener_operator.conditions import find_condition, shorten
from screener_operator.jobs import MANAGER
from screener_operator.resources import API_VERSION, GROUP, Meta

NOTE_LIMIT = 1024
_WAITING = frozenset(
    {
        "WaitingForRun",
        "WaitingForLock",
        "DatabaseUnreachable",
        "VendorUnreachable",
        "PodNotStarting",
    }
)


@dataclass(frozen=True, slots=True)
class Transition:
    """`key`: what makes it one and the same transition; `action`: what the operator did or does."""

    key: str
    reason: str
    action: str
    note: str
    warning: bool = False


def transitions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Transition]:
    """What has happened between two statuses of a run, in the order in which it happens."""
    found = []
    if "startTime" in after and "startTime" not in before:
        found.append(Transition("started", "Started", "Start", "The run has started"))
    was, is_ = _condition(before, "Reconciling"), _condition(after, "Reconciling")
    if is_.get("reason") in _WAITING and is_.get("reason") != was.get("reason"):
        key = f"waiting/{is_['reason']}/{is_['message']}"
        found.append(Transition(key, is_["reason"], "Wait", is_["message"], warning=True))
    for type_, reason, action in (
        ("Planned", "Planned", "Plan"),
        ("IndicatorsTriggered", "IndicatorRunCreated", "HandOver"),
    ):
        condition = _condition(after, type_)
        if condition.get("status") == "True" and _condition(before, type_).get("status") != "True":
            found.append(Transition(type_, reason, action, condition["message"]))
    quota = _condition(after, "QuotaAvailable")
    if quota.get("status") == "False" and _condition(before, "QuotaAvailable").get(
        "status"
    ) not in ("False",):
        found.append(Transition("quota", quota["reason"], "Defer", quota["message"], warning=True))
    found += _group_transitions(before, after)
    if "completionTime" in after and "completionTime" not in before:
        phase = after["phase"]
        found.append(
            Transition("ended", phase, "Close", after["message"], warning=phase != "Succeeded")
        )
    return found


def event(meta: Meta, transition: Transition, now: datetime, instance: str) -> dict[str, Any]:
    """The manifest. `instance`: the operator's pod."""
    digest = hashlib.sha256(f"{meta.uid}/{transition.key}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{meta.name[:230].rstrip('.-')}.{digest}",
            "namespace": meta.namespace,
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{GROUP}/{MANAGER}",
        "reportingInstance": shorten(instance, 128),
        "action": transition.action,
        "reason": transition.reason,
        "type": "Warning" if transition.warning else "Normal",
        "note": shorten(transition.note[:1].upper() + transition.note[1:], NOTE_LIMIT),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": meta.kind,
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
        },
    }


def _group_transitions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Transition]:
    states = {group["name"]: group["state"] for group in before.get("groups", ())}
    found = []
    for group in after.get("groups", ()):
        name, state = group["name"], group["state"]
        was = states.get(name, "Waiting")
        if state == was or "job" not in group:
            continue
        if was == "Waiting":
            note = f"Group {name}: Job {group['job']} was created"
            found.append(Transition(f"group/{name}/started", "GroupStarted", "CreateJob", note))
        if state in ("Succeeded", "Partial", "Failed"):
            counts = group.get("counts", {})
            succeeded, failed = counts.get("succeeded", 0), counts.get("failed", 0)
            note = f"Group {name}: {succeeded} assets succeeded, {failed} failed"
            if group.get("message"):
                note += f". {group['message']}"
            found.append(
                Transition(
                    f"group/{name}/ended",
                    f"Group{state}",
                    "CloseGroup",
                    note,
                    warning=state != "Succeeded",
                )
            )
    return found


def _condition(status: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    return find_condition(status.get("conditions") or (), type_) or {}
