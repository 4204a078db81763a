"""What the API server itself does with the kinds: refuses, defaults, explains, prints."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from screener_local.paths import CRDS
from screener_local.runs import API_VERSION
from screener_local.system import LocalSystem

pytestmark = pytest.mark.e2e

Spec = dict[str, Any]


def dry_run(
    system: LocalSystem, spec: Spec | None, kind: str = "CollectionRun"
) -> tuple[bool, str]:
    """Whether the API server takes it, and what it says; nothing is stored."""
    manifest: dict[str, Any] = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "t"}}
    if spec is not None:
        manifest["spec"] = spec
    answer = system.kubectl.run(
        "create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(manifest)
    )
    return answer.returncode == 0, answer.stdout if answer.returncode == 0 else answer.stderr


def group(**fields: object) -> Spec:
    return {"groups": [{"name": "g", "exchanges": ["US"]} | fields]}


REFUSED = [
    pytest.param(None, ["spec: Required value"], id="spec is required"),
    pytest.param({"groups": []}, ["spec.groups", "at least 1 items"], id="no groups"),
    pytest.param(
        {"groups": [{"name": f"g{n}", "exchanges": [f"X{n}"]} for n in range(33)]},
        ["spec.groups", "must have at most 32 items"],
        id="33 groups",
    ),
    pytest.param(
        {"groups": [{"name": "a", "exchanges": ["US"]}, {"name": "a", "exchanges": ["MC"]}]},
        ["spec.groups[1]", "Duplicate value"],
        id="two groups of one name",
    ),
    pytest.param(
        {"groups": [{"name": "a", "exchanges": ["US"]}, {"name": "b", "exchanges": ["MC", "US"]}]},
        ["spec.groups: each exchange may be named in one group only"],
        id="one exchange in two groups",
    ),
    pytest.param({"groups": [{"name": "a"}]}, ["spec.groups[0].exchanges"], id="no exchanges"),
    pytest.param(
        {"groups": [{"exchanges": ["US"]}]}, ["spec.groups[0].name"], id="a group without a name"
    ),
    pytest.param(group(name="Us"), ["spec.groups[].name: must be a DNS label"], id="upper case"),
    pytest.param(group(name="-us"), ["spec.groups[].name: must be a DNS label"], id="hyphen first"),
    pytest.param(group(name="x" * 25), ["spec.groups[0].name", "24"], id="25 characters"),
    pytest.param(group(exchanges=[]), ["spec.groups[0].exchanges", "at least 1"], id="empty list"),
    pytest.param(
        group(exchanges=["US", "US"]),
        ["spec.groups[0].exchanges[1]", "Duplicate value"],
        id="an exchange named twice",
    ),
    pytest.param(
        group(exchanges=["us"]),
        ["spec.groups[0].exchanges[0]", "^[A-Z0-9]{1,12}$"],
        id="an exchange in lower case",
    ),
    pytest.param(
        group(exchanges=["A" * 13]), ["spec.groups[0].exchanges[0]", "12"], id="a long exchange"
    ),
    pytest.param(
        group(exchanges=["US", "MC"], symbols=["AAPL"]),
        ["spec.groups[].symbols: allowed only in a group with exactly one exchange"],
        id="symbols with two exchanges",
    ),
    pytest.param(
        group(symbols=["BRK.B"]),
        ["spec.groups[0].symbols[0]", "^[A-Za-z0-9&^_-]{1,20}$"],
        id="a symbol with a dot",
    ),
    pytest.param(
        group(symbols=["A", "A"]), ["spec.groups[0].symbols[1]", "Duplicate"], id="symbol twice"
    ),
    pytest.param(group(symbols=[]), ["spec.groups[0].symbols", "at least 1"], id="no symbols"),
    pytest.param(
        group(symbols=[f"S{n}" for n in range(2001)]),
        ["spec.groups[0].symbols", "2000"],
        id="2,001 symbols",
    ),
    pytest.param({"operations": []}, ["spec.operations", "at least 1"], id="no operations"),
    pytest.param(
        {"operations": ["news"]},
        ["spec.operations[0]", '"prices", "fundamentals"'],
        id="an unknown operation",
    ),
    pytest.param(
        {"operations": ["prices", "prices"]}, ["spec.operations[1]", "Duplicate"], id="op twice"
    ),
    pytest.param({"assetTypes": []}, ["spec.assetTypes", "at least 1"], id="no asset types"),
    pytest.param(
        {"assetTypes": ["ETF", "ETF"]}, ["spec.assetTypes[1]", "Duplicate"], id="type twice"
    ),
    pytest.param({"parallelism": 0}, ["spec.parallelism", "equal to 1"], id="parallelism 0"),
    pytest.param({"parallelism": 33}, ["spec.parallelism", "equal to 32"], id="parallelism 33"),
    pytest.param({"quota": {"maxCalls": 0}}, ["spec.quota.maxCalls", "equal to 1"], id="max 0"),
    pytest.param(
        {"quota": {"keepCalls": -1}}, ["spec.quota.keepCalls", "equal to 0"], id="keep -1"
    ),
    pytest.param(
        {"history": {}}, ["spec.history: give exactly one of years and from"], id="no history"
    ),
    pytest.param(
        {"history": {"years": 1, "from": "2020-01-01"}},
        ["spec.history: give exactly one of years and from"],
        id="history twice",
    ),
    pytest.param({"history": {"years": 0}}, ["spec.history.years", "equal to 1"], id="0 years"),
    pytest.param({"history": {"years": 101}}, ["spec.history.years", "100"], id="101 years"),
    pytest.param(
        {"history": {"from": "yesterday"}}, ["spec.history.from", "type date"], id="from no date"
    ),
    pytest.param({"asOf": "2026-13-01"}, ["spec.asOf", "type date"], id="asOf no date"),
    *[
        pytest.param(spec, [f"{field}: must be 1900-01-01 or later"], id=f"{field} in {day}")
        for day in ("0000-01-01", "1899-12-31")
        for field, spec in (
            ("spec.asOf", {"asOf": day}),
            ("spec.history.from", {"history": {"from": day}}),
        )
    ],
    pytest.param({"dryRun": "yes"}, ["spec.dryRun", "boolean"], id="dryRun no boolean"),
    pytest.param({"indicators": 1}, ["spec.indicators", "boolean"], id="indicators no boolean"),
    pytest.param({"dryrun": True}, ['unknown field "spec.dryrun"'], id="a misspelt field"),
]


@pytest.mark.parametrize(("spec", "said"), REFUSED)
def test_a_collection_run_that_no_run_could_do_is_refused(
    local_system: LocalSystem, spec: Spec | None, said: list[str]
) -> None:
    taken, message = dry_run(local_system, spec)
    assert not taken
    assert [part for part in said if part not in message] == [], message


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(None, ["spec: Required value"], id="spec is required"),
        pytest.param(
            {"symbols": ["AAPL"]},
            ["spec.symbols: allowed only together with exactly one of spec.exchanges"],
            id="symbols without an exchange",
        ),
        pytest.param(
            {"symbols": ["AAPL"], "exchanges": ["US", "F"]},
            ["spec.symbols: allowed only together with exactly one of spec.exchanges"],
            id="symbols with two exchanges",
        ),
        pytest.param({"mode": "some"}, ["spec.mode", '"changed", "all"'], id="an unknown mode"),
        pytest.param({"exchanges": ["x"]}, ["spec.exchanges[0]"], id="an exchange in lower case"),
        pytest.param({"asOf": "soon"}, ["spec.asOf", "type date"], id="asOf no date"),
        pytest.param(
            {"asOf": "0000-01-01"},
            ["spec.asOf: must be 1900-01-01 or later"],
            id="asOf in the year 0",
        ),
        pytest.param({"collectionRun": ""}, ["spec.collectionRun"], id="an empty name"),
        pytest.param(
            {"history": {}}, ["spec.history.from: Required"], id="a history without a day"
        ),
        pytest.param(
            {"history": {"from": "2024-01-02"}, "asOf": "2024-01-01"},
            ["spec.history.from: must be spec.asOf or earlier"],
            id="a history that begins after asOf",
        ),
        pytest.param(
            {"history": {"from": "2024-01-02", "columns": ["sma_50", "sma_51"]}},
            [
                'spec.history.columns[1]: Unsupported value: "sma_51"',
                '"sma_50"',
                '"unchanged_bars"',
            ],
            id="a column that there is not",
        ),
        pytest.param(
            {"history": {"from": "2024-01-02", "columns": ["sma_50", "sma_50"]}},
            ["spec.history.columns[1]: Duplicate value"],
            id="a column twice",
        ),
        pytest.param(
            {"history": {"from": "2024-01-02", "columns": []}},
            ["spec.history.columns", "at least 1"],
            id="no column",
        ),
        pytest.param(
            {"adjusted": "some"}, ["spec.adjusted", '"all", "splits", "none"'], id="adjusted"
        ),
        pytest.param({"verify": {"sample": 0}}, ["spec.verify.sample", "1"], id="no sample"),
        pytest.param({"workers": 65}, ["spec.workers", "64"], id="65 workers"),
        pytest.param({"extra": []}, ["spec.extra", "at least 1"], id="nothing of ta"),
        pytest.param(
            {"extra": [{"as": "x"}]}, ["spec.extra[0].name: Required"], id="a class without a name"
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator"}, {"name": "KAMA"}]},
            ['spec.extra[1].name: Unsupported value: "KAMA"', '"KAMAIndicator"', '"WMAIndicator"'],
            id="a class that ta does not have",
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator", "parameters": {"pow1": 2}}]},
            ["spec.extra[0].parameters.pow1", "a parameter of KAMAIndicator alone"],
            id="a parameter of another class",
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator", "parameters": {"fillna": True}}]},
            ['unknown field "spec.extra[0].parameters.fillna"'],
            id="a parameter that nobody may give",
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator", "parameters": {"window": "14"}}]},
            ["spec.extra[0].parameters.window", "must be of type integer"],
            id="a window that is a text",
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator", "parameters": {"window": 0}}]},
            ["spec.extra[0].parameters.window", "greater than or equal to 1"],
            id="a window of no bars",
        ),
        pytest.param(
            {"extra": [{"name": "SMAIndicator"}]},
            ["spec.extra[].parameters.window: SMAIndicator needs it"],
            id="a class without the parameter that it needs",
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator", "as": "RSI"}]},
            ["spec.extra[0].as", "^[a-z][a-z0-9_]{0,62}$"],
            id="a key in upper case",
        ),
        pytest.param(
            {"extra": [{"name": name, "as": "x"} for name in ("RSIIndicator", "ROCIndicator")]},
            ["spec.extra[].as: each may be given once only"],
            id="a key given twice",
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator"}, {"name": "RSIIndicator"}]},
            ["spec.extra: each may be named once only"],
            id="a class named twice",
        ),
        pytest.param(
            {"extra": [{"name": "RSIIndicator", "as": f"rsi_{n}"} for n in range(33)]},
            ["spec.extra", "must have at most 32 items"],
            id="33 classes",
        ),
    ],
)
def test_an_indicator_run_that_no_run_could_do_is_refused(
    local_system: LocalSystem, spec: Spec | None, said: list[str]
) -> None:
    taken, message = dry_run(local_system, spec, "IndicatorRun")
    assert not taken
    assert [part for part in said if part not in message] == [], message


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(
            group(symbols=["BRK-B", "GRF-P", "A&B", "^X", "XYZ_old", "0HS2", "NA"]), id="codes"
        ),
        pytest.param(
            {
                "groups": [
                    {"name": f"g{n}", "exchanges": [f"E{n}X{m}" for m in range(32)]}
                    for n in range(32)
                ]
            },
            id="32 groups of 32 exchanges",
        ),
        pytest.param(group(symbols=[f"S{n}" for n in range(2000)]), id="2,000 symbols"),
        pytest.param({"history": {"from": "1990-01-01"}, "asOf": "2020-01-01"}, id="dates"),
        pytest.param({"history": {"from": "1900-01-01"}, "asOf": "9999-12-31"}, id="far dates"),
        pytest.param({"quota": {"maxCalls": 100_000, "keepCalls": 5}}, id="quota"),
    ],
)
def test_what_the_rules_allow_is_taken(local_system: LocalSystem, spec: Spec) -> None:
    taken, message = dry_run(local_system, spec)
    assert taken, message


def test_every_class_of_ta_is_taken_with_each_of_its_parameters(local_system: LocalSystem) -> None:
    extra = [
        {"name": "KAMAIndicator", "parameters": {"window": 10, "pow1": 2, "pow2": 30}, "as": "k_1"},
        {"name": "KAMAIndicator"},
        {"name": "SMAIndicator", "parameters": {"window": 200}},
        {"name": "BollingerBands", "parameters": {"window": 20, "window_dev": 2.5}},
        {"name": "BollingerBands", "parameters": {"window_dev": 3}},
        {"name": "IchimokuIndicator", "parameters": {"visual": True}},
        {"name": "DonchianChannel", "parameters": {"offset": 0}},
    ]
    taken, answer = dry_run(
        local_system, {"extra": extra, "history": {"from": "2024-01-02"}}, "IndicatorRun"
    )
    assert taken, answer
    assert json.loads(answer)["spec"]["extra"] == extra


def test_an_empty_spec_is_a_complete_daily_run(local_system: LocalSystem) -> None:
    taken, answer = dry_run(local_system, {})
    assert taken
    assert json.loads(answer)["spec"] == {
        "groups": [
            {"name": "us", "exchanges": ["US"]},
            {"name": "lse", "exchanges": ["LSE"]},
            {"name": "german", "exchanges": ["F", "XETRA"]},
            {"name": "european", "exchanges": ["PA", "AS", "BR", "LS", "MC", "SW"]},
        ],
        "operations": ["prices", "fundamentals"],
        "assetTypes": ["Common Stock"],
        "parallelism": 4,
        "quota": {"keepCalls": 0, "useExtra": False},
        "history": {"years": 2},
        "dryRun": False,
        "indicators": True,
    }


def test_a_given_start_of_history_does_not_get_the_default_years(local_system: LocalSystem) -> None:
    _, answer = dry_run(local_system, {"history": {"from": "2020-01-01"}})
    assert json.loads(answer)["spec"]["history"] == {"from": "2020-01-01"}


def properties(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from properties(field, f"{path}.{name}")
        yield from properties(field.get("items", {}), f"{path}.{name}")


KINDS = {
    document["spec"]["names"]["plural"]: document
    for document in (yaml.safe_load(file.read_text()) for file in sorted(CRDS.glob("*.yaml")))
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_sentence(kind: str) -> None:
    schema = KINDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = [
        (path, field) for path, field in properties(schema, kind) if path != f"{kind}.metadata"
    ]
    assert len(fields) > 40
    assert [path for path, field in fields if len(field.get("description", "").split()) < 2] == [
        f"{kind}.apiVersion",
        f"{kind}.kind",
    ]


def test_kubectl_explains_a_field(local_system: LocalSystem) -> None:
    said = local_system.kubectl.ask("t", "explain", "colrun.spec.quota.keepCalls")
    assert "What this run must leave of the day." in said


@pytest.mark.parametrize("kind", KINDS)
def test_kubectl_get_prints_what_matters_within_80_columns(
    local_system: LocalSystem, kind: str
) -> None:
    kubectl = local_system.kubectl
    name = "columns-of-a-run-name"
    singular = KINDS[kind]["spec"]["names"]["kind"]
    manifest = {
        "apiVersion": API_VERSION,
        "kind": singular,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {},
    }
    # Another namespace than the operator's, so that nobody works on it.
    kubectl.ask("t", "create", "--filename=-", stdin=json.dumps(manifest))
    try:
        status = {
            "phase": "Succeeded",
            "progress": "43634/43634",
            "counts": {"failed": 21817},
            "calls": {"used": 100000},
            "groupsSummary": "4/4 done",
            "duration": "3h12m",
            "message": "All is well.",
        }
        kubectl.ask(
            "t", "patch", kind, name, "--namespace=default", "--subresource=status",
            "--type=merge", f"--patch={json.dumps({'status': status})}",
        )  # fmt: skip
        header, row = kubectl.ask("t", "get", kind, name, "--namespace=default").splitlines()
        assert header.split() == ["NAME", "PHASE", "PROGRESS", "FAILED", "CALLS", "AGE"]
        assert max(len(header), len(row)) <= 80
        wide = kubectl.ask("t", "get", kind, name, "--namespace=default", "--output=wide")
        assert wide.splitlines()[0].split()[-3:] == ["GROUPS", "DURATION", "MESSAGE"]
    finally:
        kubectl.ask("t", "delete", kind, name, "--namespace=default")


def test_a_started_runs_spec_is_fixed_and_status_is_not(local_system: LocalSystem) -> None:
    kubectl = local_system.kubectl
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "CollectionRun",
        "metadata": {"name": "fixed", "namespace": "default"},
        "spec": {},
    }
    kubectl.ask("t", "create", "--filename=-", stdin=json.dumps(manifest))
    try:
        change = ("patch", "colrun", "fixed", "--namespace=default", "--type=merge")
        kubectl.ask("t", *change, '--patch={"spec":{"parallelism":3}}')
        started = '--patch={"status":{"startTime":"2026-11-24T10:00:00Z"}}'
        kubectl.ask("t", *change, "--subresource=status", started)
        answer = kubectl.run(*change, '--patch={"spec":{"parallelism":2}}')
        assert answer.returncode != 0
        assert "spec: Forbidden: the run has started and its spec is fixed" in answer.stderr
        phase = '--patch={"status":{"phase":"Running"}}'
        kubectl.ask("t", *change, "--subresource=status", phase)
    finally:
        kubectl.ask("t", "delete", "colrun", "fixed", "--namespace=default")


def test_the_status_of_a_started_run_that_names_classes_of_ta_can_be_written(
    local_system: LocalSystem,
) -> None:
    kubectl = local_system.kubectl
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "IndicatorRun",
        "metadata": {"name": "named", "namespace": "default"},
        "spec": {
            "extra": [
                {"name": "KAMAIndicator", "parameters": {"window": 20}, "as": "kama_20"},
                {"name": "BollingerBands", "parameters": {"window_dev": 2.5}},
                {"name": "MACD"},
            ]
        },
    }
    kubectl.ask("t", "create", "--filename=-", stdin=json.dumps(manifest))
    try:
        change = ("patch", "indrun", "named", "--namespace=default", "--type=merge")
        for status in ({"startTime": "2026-11-24T10:00:00Z"}, {"phase": "Running"}):
            patch = f"--patch={json.dumps({'status': status})}"
            kubectl.ask("t", *change, "--subresource=status", patch)
        answer = kubectl.run(*change, '--patch={"spec":{"extra":[{"name":"MACD"}]}}')
        assert answer.returncode != 0
        assert "spec: Forbidden: the run has started and its spec is fixed" in answer.stderr
    finally:
        kubectl.ask("t", "delete", "indrun", "named", "--namespace=default")


def test_both_kinds_are_listed_by_their_category_and_short_names(local_system: LocalSystem) -> None:
    for name in ("screener", "colrun", "indrun"):
        assert local_system.kubectl.run("get", name, "--namespace=default").returncode == 0
