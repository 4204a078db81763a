"""What the project promises of itself: its layout, its docs, its kinds and its deployment agree."""

import operator
import os
import re
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from screener_collector.exchange_details import Flag
from screener_local.paths import PROJECT
from screener_operator.reasons import Reason
from screener_sql import query
from screener_sql.migrate import known_migrations
from screener_sql.model import ErrorCode, ExitCode

README = (PROJECT / "README.md").read_text()
REFERENCE = (PROJECT / "docs/reference.md").read_text()
ARCHITECTURE = (PROJECT / "docs/architecture.md").read_text()
MAKEFILE = (PROJECT / "Makefile").read_text()
PROGRAM_FOLDERS = ("operator", "collector", "analyzer", "sql")


def test_operator_folder_does_not_shadow_the_standard_library() -> None:
    assert not (PROJECT / "operator" / "__init__.py").exists()
    assert Path(operator.__file__).parent == Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("folder", PROGRAM_FOLDERS)
def test_a_folder_with_python_holds_exactly_one_package(folder: str) -> None:
    packages = [path.parent.name for path in (PROJECT / folder).glob("*/__init__.py")]
    assert packages == [f"screener_{folder}"]


def test_every_exit_code_is_documented_with_its_name() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| `(\w+)` \|", REFERENCE, flags=re.MULTILINE))
    assert rows == {str(code.value): code.name for code in ExitCode}


def test_every_error_code_is_documented() -> None:
    section = REFERENCE.split("## Why an item did not succeed")[1]
    documented = {
        code
        for row in re.findall(
            r"^\| (`.*?) \| (?:failed|deferred|skipped) \|", section, re.MULTILINE
        )
        for code in re.findall(r"`(\w+)`", row)
    }
    assert documented == {str(code) for code in ErrorCode}


def test_every_reason_is_documented_with_its_sentence() -> None:
    source = (PROJECT / "operator/screener_operator/reasons.py").read_text()
    sentences = {
        reason: " ".join(sentence.split())
        for reason, sentence in re.findall(r'    \w+ = "(\w+)"\n    """(.*?)"""', source, re.DOTALL)
    }
    section = REFERENCE.split("## Conditions and reasons")[1].split("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)) == sentences
    assert sentences.keys() == {str(reason) for reason in Reason}


def test_every_flag_of_an_exchange_is_documented_with_its_sentence() -> None:
    source = (PROJECT / "collector/screener_collector/exchange_details.py").read_text()
    sentences = {
        flag: re.split(r"[.;] *", " ".join(sentence.split()))[0]
        for flag, sentence in re.findall(
            r'    [A-Z_]+ = "(\w+)"\n    """(.*?)"""', source, re.DOTALL
        )
    }
    section = REFERENCE.split("## What is doubtful about an exchange")[1].split("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (.*?)[.;]", section, re.MULTILINE))
    assert documented == sentences
    assert sentences.keys() == {str(flag) for flag in Flag}


def programs_environment() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(screener-\w+)` \| [^|]* \| ([^|]*) \|", REFERENCE, re.MULTILINE)
    return {program: set(re.findall(r"`(\w+)`", variables)) for program, variables in rows}


READS = re.compile(r'(?:environ\w*(?:\.get\(|\[|, )|wanted\(|needed\()"([A-Z_]+)"')
"""Every way in which the programs read a variable."""


@pytest.mark.parametrize(
    ("program", "files"),
    [
        ("screener-operator", "operator/screener_operator/[!s]*.py"),
        ("screener-operator", "operator/screener_operator/settings.py"),
        ("screener-schedule", "operator/screener_operator/schedule.py"),
        ("screener-collect", "collector/screener_collector/*.py"),
        ("screener-analyze", "analyzer/screener_analyzer/*.py"),
        ("screener-migrate", "sql/screener_sql/*.py"),
    ],
)
def test_the_environment_that_a_program_reads_is_documented(program: str, files: str) -> None:
    read = {name for file in PROJECT.glob(files) for name in READS.findall(file.read_text())}
    assert read
    assert read <= programs_environment()[program]


def test_no_documented_variable_goes_unread() -> None:
    sources = "".join(
        file.read_text() for folder in PROGRAM_FOLDERS for file in (PROJECT / folder).rglob("*.py")
    )
    documented = set().union(*programs_environment().values())
    assert documented == {name for name in documented if f'"{name}"' in sources}


def test_every_variable_is_explained() -> None:
    table = REFERENCE.split("| variable |")[1].split("\n\n")[0]
    explained = set(re.findall(r"`([A-Z_]+)`", table))
    assert set().union(*programs_environment().values()) <= explained


def test_every_program_is_installed_and_documented() -> None:
    scripts = re.findall(
        r"^(screener-\w+) = ", (PROJECT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert set(scripts) == programs_environment().keys()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_documented_make_targets_exist(document: str) -> None:
    text = (PROJECT / document).read_text()
    named = set(re.findall(r"(?:`|^|API_TOKEN=demo )make ([a-z]+)\b", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    assert named
    assert named <= targets


def test_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    helped = set(re.findall(r'@echo "make (\w+)', MAKEFILE))
    assert helped == targets


@pytest.mark.parametrize(
    "document", ["README.md", "docs/architecture.md", "docs/reference.md", "CONTRIBUTING.md"]
)
def test_files_that_documents_name_exist(document: str) -> None:
    text = (PROJECT / document).read_text()
    named = re.findall(
        r"`((?:operator|collector|analyzer|sql|deploy|crds|docs|tests)/[\w./*-]*)`", text
    )
    missing = [name for name in named if not list(PROJECT.glob(name.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("folder", PROGRAM_FOLDERS[:3])
def test_every_module_that_the_architecture_names_exists(folder: str) -> None:
    named = re.findall(rf"`?screener_{folder}/(\w+\.py)`", ARCHITECTURE)
    assert named
    assert [
        name for name in named if not (PROJECT / folder / f"screener_{folder}" / name).exists()
    ] == []


QUERIES = sorted(
    str(path.relative_to(PROJECT / "sql/screener_sql/queries")).removesuffix(".sql")
    for path in (PROJECT / "sql/screener_sql/queries").rglob("*.sql")
)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_opens_with_a_sentence_and_is_used(name: str) -> None:
    first = query(name).decode().splitlines()[0]
    assert first.startswith("-- ") and len(first.split()) >= 3
    program, _, statement = name.partition("/")
    folder = {"planning": "operator", "migrate": "sql"}.get(program, program)
    assert any(
        f'"{statement}"' in file.read_text() or f'"{name}"' in file.read_text()
        for file in (PROJECT / folder).rglob("*.py")
    ), "nobody runs it"


def test_migrations_are_numbered_without_a_hole() -> None:
    assert [each.version for each in known_migrations()] == list(range(len(known_migrations())))


def documents(folder: str) -> list[dict[str, Any]]:
    return [
        document
        for file in sorted((PROJECT / folder).glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
        if document and "kind" in document
    ]


def pod_specs() -> list[tuple[str, dict[str, Any]]]:
    specs = []
    for document in documents("deploy"):
        name = document.get("metadata", {}).get("name", "")
        if document["kind"] == "Deployment":
            specs.append((name, document["spec"]["template"]["spec"]))
        if document["kind"] == "CronJob":
            specs.append((name, document["spec"]["jobTemplate"]["spec"]["template"]["spec"]))
    return specs


@pytest.mark.parametrize(("name", "spec"), pod_specs(), ids=[name for name, _ in pod_specs()])
def test_deployed_pods_are_restricted(name: str, spec: dict[str, Any]) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]


def test_the_operator_is_never_given_the_vendors_token() -> None:
    text = (PROJECT / "deploy/operator.yaml").read_text()
    assert "EODHD_API_TOKEN" not in text and "data-api-secrets" not in text


def test_nothing_in_the_cluster_may_read_secrets_or_reach_beyond_its_namespace() -> None:
    kinds = {document["kind"] for document in documents("deploy")}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
    for role in (document for document in documents("deploy") if document["kind"] == "Role"):
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"]
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]


def test_samples_name_kinds_that_there_are() -> None:
    kinds = {document["spec"]["names"]["kind"] for document in documents("crds")}
    samples = documents("deploy/samples")
    assert len(samples) >= 4
    assert {sample["kind"] for sample in samples} <= kinds


def test_what_hypothesis_makes_up_is_the_same_in_every_run() -> None:
    """Else a run would fail by chance; `make fuzz` is there to search."""
    profile = settings.get_profile("tests")
    assert settings.default is profile and (profile.derandomize or os.environ.get("FUZZ"))
    assert (profile.database, profile.deadline) == (None, None)
    own = r"derandomize|database=|deadline=|@seed\("
    files = {
        path.name
        for path in (PROJECT / "tests").rglob("*.py")
        if "hypothesis" in (text := path.read_text()) and re.search(own, text)
    }
    assert files <= {"hypothesis_profile.py", "test_project.py"}


@pytest.mark.parametrize(
    "lock", ["dev", "operator", "collector", "analyzer", "postgres", "go", "companies"]
)
def test_locks_have_hashes_and_name_no_host(lock: str) -> None:
    text = (PROJECT / f"requirements/{lock}.txt").read_text()
    requirements = re.findall(r"^[a-zA-Z0-9][\w.\[\]-]*==", text, re.MULTILINE)
    assert requirements
    assert text.count("--hash=sha256:") >= len(requirements)
    assert "://" not in text and "--index-url" not in text
