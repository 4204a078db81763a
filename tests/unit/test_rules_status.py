"""The quality of a run's data in its status, as the kind has it."""

from pathlib import Path

import yaml
from operator_world import NOW, collection_run

from screener_operator.facts import Facts, Quality, RuleCount
from screener_operator.reasons import Reason
from screener_operator.status import Stage, collection_status

CRD = Path(__file__).parents[2] / "crds" / "collectionruns.yaml"
STAGE = Stage("Running", Reason.COLLECTING, "groups run")


def status_of(quality: Quality) -> dict[str, object]:
    facts = Facts(quality=quality)
    return collection_status(collection_run().meta, facts, groups=(), now=NOW, stage=STAGE)


def test_a_run_that_judged_nothing_says_nothing_of_quality() -> None:
    assert "quality" not in status_of(Quality())


def test_the_status_counts_what_was_judged_set_aside_and_flagged() -> None:
    rules = (RuleCount("unit_switch", "quarantine", 2), RuleCount("dividend_unit", "flag", 3))
    assert status_of(Quality(1200, 14, 3, rules))["quality"] == {
        "barsChecked": 1200,
        "quarantined": 14,
        "flagged": 3,
        "rules": [
            {"rule": "unit_switch", "severity": "quarantine", "count": 2},
            {"rule": "dividend_unit", "severity": "flag", "count": 3},
        ],
    }


def test_what_is_no_bar_is_told_though_none_was_checked() -> None:
    rules = (RuleCount("batch_echo", "quarantine", 1),)
    assert status_of(Quality(0, 0, 0, rules))["quality"] == {
        "barsChecked": 0,
        "quarantined": 0,
        "flagged": 0,
        "rules": [{"rule": "batch_echo", "severity": "quarantine", "count": 1}],
    }


def test_the_kind_has_the_fields_of_quality() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert set(status["quality"]["properties"]) == {
        "barsChecked",
        "quarantined",
        "flagged",
        "rules",
    }
