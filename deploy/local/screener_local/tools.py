"""Adapter: finds the programs of Kubernetes, or builds them from the pinned modules of
`deploy/local/kubernetes`.

Looked for in `$KUBEBUILDER_ASSETS` (if all five are there in the right version), then in the
project's cache folder. A build goes to a folder beside it and takes its name when it is whole,
under a lock, so that two checkouts build once.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from screener_local.background import printed_version
from screener_local.errors import PartFailed
from screener_local.paths import KUBERNETES_MODULE, REQUIREMENTS

PROGRAM_NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
)
PART = "Kubernetes programs"
PROGRESS_EVERY_S = 15

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class KubernetesTools:
    """A folder with the five programs."""

    folder: Path
    version: str

    def program(self, name: str) -> str:
        return str(self.folder / name)


def pinned_version(go_mod: str) -> str:
    """The Kubernetes version that a go.mod requires, like `v1.34.4`."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ValueError("go.mod does not require k8s.io/kubernetes")
    return found[1]


def go_version(text: str) -> tuple[int, int]:
    """Of what `go version` prints: `go version go1.26.8 linux/amd64` gives (1, 26)."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def minor(version: str) -> str:
    """`v1.34.4` gives `v1.34`."""
    return ".".join(version.split(".")[:2])


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "financial-screener"


def find_or_build(say: Say) -> KubernetesTools:
    """The five programs. Raises PartFailed if they are nowhere and cannot be built."""
    version = pinned_version((KUBERNETES_MODULE / "go.mod").read_text())
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        folder = Path(assets)
        if found := _version_in(folder):
            if minor(found) == minor(version):
                return KubernetesTools(folder, found)
            say(f"Kubernetes: KUBEBUILDER_ASSETS holds {found}, not {minor(version)}; left alone")
    folder = cache_folder() / f"kubernetes-{version}"
    if not _whole(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_suffix(".lock"), say):
            if not _whole(folder):
                _build(folder, version, say)
    return KubernetesTools(folder, version)


def _whole(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in PROGRAM_NAMES)


def _version_in(folder: Path) -> str | None:
    if not _whole(folder):
        return None
    found = re.search(r"v\d+\.\d+\.\d+\S*", printed_version(folder / "kube-apiserver"))
    return found[0] if found else None


@contextmanager
def _lock(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Kubernetes: another checkout is building it; waiting for that")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path, version: str, say: Say) -> None:
    say(
        f"Kubernetes {version}: not on this machine, so it is built from source, once;"
        " that takes about six minutes on two cores"
    )
    go = _find_go(say)
    build = Path(tempfile.mkdtemp(prefix=f"{folder.name}-building-", dir=folder.parent))
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOBIN": str(build),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
    }
    major, minor_number = version.removeprefix("v").split(".")[:2]
    package = "k8s.io/component-base/version"
    flags = (
        f"-s -w -X {package}.gitVersion={version}"
        f" -X {package}.gitMajor={major} -X {package}.gitMinor={minor_number}"
    )
    try:
        needed = _run(
            [go, "list", "-deps", "-f", "{{.ImportPath}}", "tool"],
            environment,
            say,
            lambda seen: f"downloading its modules ({seen} so far)",
        )
        total = len(needed.split())
        _run(
            [go, "install", "-v", "-trimpath", "-ldflags", flags, "tool"],
            environment,
            say,
            lambda seen: f"compiled {seen} of at most {total} packages",
        )
        (build / "server").rename(build / "etcd")  # etcd's module calls its program `server`
        if not _whole(build):
            raise PartFailed(PART, "the build ended without all five programs")
        build.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        build.rename(folder)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    say(f"Kubernetes {version}: built, kept in {folder}")


def _run(
    command: list[str], environment: dict[str, str], say: Say, how_far: Callable[[int], str]
) -> str:
    """Runs a go command, tells how far it is, and returns what it printed."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(
            command,
            cwd=KUBERNETES_MODULE,
            env=environment,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            messages: list[str] = []

            def read() -> None:
                assert process.stderr is not None
                messages.extend(line.rstrip() for line in process.stderr)

            reader = threading.Thread(target=read, daemon=True)
            reader.start()
            try:
                while True:
                    try:
                        code = process.wait(timeout=PROGRESS_EVERY_S)
                        break
                    except subprocess.TimeoutExpired:
                        elapsed = int(time.monotonic() - started)
                        say(
                            f"Kubernetes: {how_far(len(messages))},"
                            f" {elapsed // 60}:{elapsed % 60:02d} elapsed"
                        )
            except BaseException:
                process.terminate()
                raise
            reader.join()
        if code != 0:
            raise PartFailed(
                PART,
                f"`{' '.join(command[:2])}` ended with code {code}",
                log_tail="\n".join(messages[-20:]),
                hint="check that the Go module proxy can be reached and that 4 GB of disk are free,"
                " or set KUBEBUILDER_ASSETS to a folder with " + ", ".join(PROGRAM_NAMES),
            )
        output.seek(0)
        return output.read()


def _find_go(say: Say) -> str:
    wanted = go_version("go" + _go_line((KUBERNETES_MODULE / "go.mod").read_text()))
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", _installed_go()):
        if candidate and os.access(candidate, os.X_OK) and _go_of(candidate) >= wanted:
            return candidate
    say("Kubernetes: there is no Go here either, so its tools are installed into .venv first")
    install_requirements("go.txt", PART)
    found = _installed_go()
    if found is None or _go_of(found) < wanted:
        raise PartFailed(
            PART, "the Go tools do not run on this machine", hint="install Go 1.24 or newer"
        )
    return found


def _go_line(go_mod: str) -> str:
    found = re.search(r"^go (\S+)", go_mod, re.MULTILINE)
    return found[1] if found else "0.0"


def _go_of(program: str) -> tuple[int, int]:
    try:
        answer = subprocess.run(
            [program, "version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    return go_version(answer.stdout)


def _installed_go() -> str | None:
    program = Path(sysconfig.get_path("purelib")) / "go/bin/go"
    return str(program) if os.access(program, os.X_OK) else None


def install_requirements(name: str, part: str) -> None:
    """Installs a file of `requirements/` into the virtual environment, without dependencies."""
    answer = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--require-hashes", "-r", str(REQUIREMENTS / name),
        ],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        raise PartFailed(
            part,
            f"requirements/{name} cannot be installed",
            log_tail="\n".join((answer.stdout + answer.stderr).splitlines()[-10:]),
            hint="check that pip reaches its package index",
        )
