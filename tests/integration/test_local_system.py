"""The local system's pure parts: vendor, exports, manifests, versions, processes' identities."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from screener_local.background import BackgroundProcess, ProcessIdentity, User, bare_environment
from screener_local.errors import PartFailed
from screener_local.manifests import for_local_system, secret
from screener_local.ports import FIRST, LAST, Ports
from screener_local.postgres import parse_version, reachable
from screener_local.tools import go_version, minor, pinned_version
from screener_local.vendor import (
    Vendor,
    half_named_vendor,
    outside_vendor,
    parse_exports,
    render_exports,
)

URL, TOKEN = "EODHD_BASE_URL", "EODHD_API_TOKEN"
OURS = {URL: "http://127.0.0.1:1/api", TOKEN: "ours"}
THEIRS = {URL: "https://vendor.example/api", TOKEN: "theirs"}
VENDOR = Vendor(THEIRS[URL], THEIRS[TOKEN])


@pytest.mark.parametrize(
    ("environment", "own", "own_simulator", "expected"),
    [
        pytest.param({}, {}, True, None, id="nothing named: the simulator"),
        pytest.param(THEIRS, {}, True, VENDOR, id="a vendor named"),
        pytest.param(OURS, OURS, True, None, id="our own exports do not count"),
        pytest.param(THEIRS, OURS, True, VENDOR, id="a vendor named over our exports"),
        pytest.param(OURS | {TOKEN: "x"}, OURS, True, Vendor(OURS[URL], "x"), id="another token"),
        pytest.param(THEIRS, THEIRS, False, VENDOR, id="a vendor stays through its exports"),
        pytest.param({URL: "x"}, {}, True, None, id="an address alone is no vendor"),
        pytest.param({URL: "x", TOKEN: ""}, {}, True, None, id="nor with an empty token"),
    ],
)
def test_which_vendor_is_asked(
    environment: dict[str, str], own: dict[str, str], own_simulator: bool, expected: Vendor | None
) -> None:
    assert outside_vendor(environment, own, own_simulator) == expected


def test_half_a_vendor_is_noticed() -> None:
    assert half_named_vendor({URL: "x"}) == TOKEN
    assert half_named_vendor({TOKEN: "x"}) == URL
    assert half_named_vendor(THEIRS) is None
    assert half_named_vendor({}) is None


def test_a_vendors_token_is_in_no_readable_form() -> None:
    assert "theirs" not in f"{VENDOR} {VENDOR!r}"


def test_a_shell_reads_the_exports_as_they_are(tmp_path: Path) -> None:
    values = {"A": "plain", "B": "a 'quoted' $HOME `x`", "C": ""}
    file = tmp_path / "env"
    file.write_text(render_exports(values, ["/first place", "/second"]))
    answer = subprocess.run(
        ["sh", "-c", '. "$0"; printf "%s|%s|%s|%s" "$A" "$B" "$C" "$PATH"', str(file)],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    assert answer.stdout == "plain|a 'quoted' $HOME `x`||/first place:/second:/usr/bin:/bin"
    assert parse_exports(file.read_text()) == values


def test_the_operator_is_fitted_and_nothing_else() -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    container: dict[str, Any] = {
        "env": [{"name": "HEALTH_PORT", "value": "8080"}, {"name": "KEPT", "value": "1"}],
        "ports": [{"name": "health", "containerPort": 8080}],
        "livenessProbe": probe,
        "readinessProbe": probe,
    }
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "screener-operator"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    other = {"kind": "CronJob", "metadata": {"name": "screener-operator"}}
    fitted, same = for_local_system(
        [deployment, other], environment={URL: "here"}, health_port=9, code="abc"
    )
    template = fitted["spec"]["template"]
    assert template["metadata"]["annotations"] == {"financial-screener.io/code": "abc"}
    assert template["spec"]["containers"] == [
        {
            "env": [
                {"name": "KEPT", "value": "1"},
                {"name": URL, "value": "here"},
                {"name": "HEALTH_PORT", "value": "9"},
            ],
            "ports": [{"name": "health", "containerPort": 9}],
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 9}},
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 9}},
        }
    ]
    assert same == other
    assert container["env"][0]["value"] == "8080"  # what was given is not changed


def test_a_secret_holds_its_values() -> None:
    assert secret("s", "n", {"k": "v"})["data"] == {"k": "dg=="}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18"),
        ("postgres (PostgreSQL) 18.6", "18.6"),
        ("postgres (PostgreSQL) 17beta1", "17"),
        ("something else", None),
    ],
)
def test_the_version_of_postgres(text: str, expected: str | None) -> None:
    assert parse_version(text) == expected


def test_versions_of_go_and_kubernetes() -> None:
    assert go_version("go version go1.26.8 linux/amd64") == (1, 26)
    assert go_version("nothing") == (0, 0)
    assert pinned_version("require (\n\tk8s.io/kubernetes v1.34.4\n)") == "v1.34.4"
    assert minor("v1.34.4") == "v1.34"


@pytest.mark.parametrize(("mode", "expected"), [(0o700, False), (0o711, True), (0o755, True)])
def test_who_can_reach_a_folder(tmp_path: Path, mode: int, expected: bool) -> None:
    folder = tmp_path / "a"
    (folder / "b").mkdir(parents=True)
    stranger = User("stranger", 4_000_000, 4_000_000)
    closed = [p for p in (tmp_path, *tmp_path.parents) if not p.stat().st_mode & 0o001]
    for path in closed:
        path.chmod(path.stat().st_mode | 0o001)
    folder.chmod(mode)
    try:
        assert reachable(folder / "b", stranger) is expected
    finally:
        folder.chmod(0o700)
        for path in closed:
            path.chmod(path.stat().st_mode & ~0o001)


def test_ports_are_chosen_once_for_all_that_share_a_folder(tmp_path: Path) -> None:
    first, second = Ports(tmp_path), Ports(tmp_path)
    chosen = {part: first.get(part) for part in "abc"}
    assert {part: second.get(part) for part in "cba"} == chosen
    assert len(set(chosen.values())) == 3
    assert all(FIRST <= port < LAST for port in chosen.values())


def test_a_port_that_somebody_else_took_is_given_up(tmp_path: Path) -> None:
    ports = Ports(tmp_path)
    port = ports.get("a")
    assert ports.for_start("a") == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert ports.for_start("a") != port


def test_a_process_is_known_by_more_than_its_number() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None and me.alive()
    assert not ProcessIdentity(me.pid, "another boot/1").alive()
    assert not ProcessIdentity(me.pid, "another boot/1").signal(9)


def test_a_background_process_is_found_again_and_stopped(tmp_path: Path) -> None:
    first = BackgroundProcess("part", tmp_path)
    first.start(["sh", "-c", "echo hello; exec sleep 60"], bare_environment())
    identity = first.identity()
    assert identity is not None
    first.wait_ready(lambda: "hello" in first.log.read_text(), 10)
    second = BackgroundProcess("part", tmp_path)
    assert second.running()
    first.stop()
    assert not second.running() and not identity.alive()
    second.stop()  # what does not run is no error


def test_a_part_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    part = BackgroundProcess("part", tmp_path)
    part.start(["sh", "-c", "sleep 0.2; echo out of luck; exit 1"], bare_environment())
    with pytest.raises(PartFailed) as failure:
        part.wait_ready(lambda: False, 10, hint="try again")
    report = failure.value.report()
    assert "part failed: it ended while starting" in report
    assert "out of luck" in report and "what to try: try again" in report


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PartFailed, match="cannot start /no/such: No such file"):
        BackgroundProcess("part", tmp_path).start(["/no/such"], {})
