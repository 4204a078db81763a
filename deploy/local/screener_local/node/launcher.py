"""Becomes a container's process: mounts its volumes in a namespace of its own, then executes its
command.

Run by the process node as `python -I -S launcher.py SPEC_FD REPORT_FD`, alone, without the package
around it. SPEC_FD gives a JSON document:

* argv, cwd: the command, and the folder it starts in.
* names: those of the container's environment; Python itself may have added others.
* mounts: [{source, target, read_only}], folders and files; targets that do not exist are made
  inside the namespace only.
* keep: folders that must stay visible even where a mount covers them.
* scratch: an empty folder for a new root, if one is needed.
* parent: the process id of the node; without it the process does not live.

`launcher.py --check FOLDER` tries the mounts and says what forbids them.

The environment is the container's. REPORT_FD gets a sentence if the command could not be started,
and nothing if it could. Root is not needed: without it the namespace is made together with a user
namespace, in which the user stays who they are.
"""

import ctypes
import errno
import json
import os
import signal
import stat
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


class CannotStart(Exception):
    pass


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    def text(value: str | None) -> bytes | None:
        return None if value is None else os.fsencode(value)

    check(
        libc.mount(text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data)),
        f"mount {target}",
    )


def enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNS) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
            raise CannotStart(
                "unshare is forbidden on this machine: "
                + os.strerror(ctypes.get_errno())
                + " (mount and user namespaces)"
            )
        try:
            for name, line in (
                ("setgroups", "deny"),
                ("uid_map", f"{uid} {uid} 1"),
                ("gid_map", f"{gid} {gid} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(line)
        except OSError as error:
            raise CannotStart(f"user namespaces are forbidden on this machine: {error}") from error
    try:
        mount("none", "/", None, MS_REC | MS_PRIVATE)
    except OSError as error:
        # Some systems let a user make the namespace, and then refuse every mount in it.
        raise CannotStart(f"mounts are forbidden in namespaces on this machine: {error}") from error


class Tree:
    """The file tree of the namespace. `root` is "" or the folder that will become the root."""

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self.root = ""
        self.ours: set[str] = set()  # folders made here, in which others can be made freely

    def real(self, path: str) -> str:
        """The path without symbolic links, as the container will see it."""
        if not self.root:
            return os.path.realpath(path)
        # Links inside the new root are absolute in its terms.
        done = "/"
        parts = [part for part in path.split("/") if part]
        for _ in range(100):
            if not parts:
                return done
            step = os.path.join(done, parts.pop(0))
            if os.path.islink(self.root + step):
                link = os.readlink(self.root + step)
                rest = [part for part in link.split("/") if part]
                parts = rest + parts
                done = "/" if link.startswith("/") else done
            else:
                done = os.path.normpath(step)
        raise CannotStart(f"{path}: too many symbolic links")

    def bind(self, source: str, target: str, read_only: bool, within: str | None = None) -> None:
        """Shows `source` at `target`; mount points below `within` may be made where they are."""
        folder = stat.S_ISDIR(os.stat(source).st_mode)
        target = self.real(target)
        self.make(target, folder, within)
        place = self.root + target
        mount(source, place, None, MS_BIND | MS_REC)
        if read_only:
            flags = os.statvfs(place).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
            mount("none", place, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)

    def make(self, target: str, folder: bool, within: str | None) -> None:
        """Makes a mount point, without touching the machine's own files."""
        if os.path.lexists(self.root + target):
            return
        parent = os.path.dirname(target)
        while not os.path.isdir(self.root + parent):
            parent = os.path.dirname(parent)
        if parent not in self.ours and not (within and inside(parent, within)):
            self.shadow(parent)
        for name in os.path.relpath(target, parent).split("/"):
            parent = os.path.join(parent, name)
            if parent != target or folder:
                os.mkdir(self.root + parent)
                self.ours.add(parent)
            else:
                os.close(os.open(self.root + parent, os.O_CREAT | os.O_WRONLY, 0o644))

    def shadow(self, parent: str) -> None:
        """Covers a folder by one of ours that shows everything the folder holds."""
        if parent == "/":
            place = self.scratch
            self.root = self.scratch
        else:
            place = self.root + parent
        mode = stat.S_IMODE(os.stat(place if parent != "/" else "/").st_mode)
        under = os.open("/" if parent == "/" else place, os.O_PATH | os.O_DIRECTORY)
        mount("tmpfs", place, "tmpfs", MS_NOSUID, f"mode={mode:o}")
        with os.scandir(f"/proc/self/fd/{under}") as entries:
            for entry in list(entries):
                new = os.path.join(place, entry.name)
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), new)
                    continue
                if entry.is_dir():
                    os.mkdir(new)
                else:
                    os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o644))
                try:
                    mount(entry.path, new, None, MS_BIND | MS_REC)
                except OSError as error:
                    if error.errno not in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.EINVAL):
                        raise
                    # What this user may not even look at stays an empty place.
        os.close(under)
        self.ours.add(parent)


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def arrange(spec: dict) -> None:  # type: ignore[type-arg]
    """Enters a namespace and mounts what the specification wants."""
    enter_namespace()
    tree = Tree(spec["scratch"])
    # A new root comes first, while nothing can cover the scratch folder.
    if not all(os.path.lexists("/" + m["target"].split("/")[1]) for m in spec["mounts"]):
        tree.shadow("/")
    # Sources are held open first: a mount may cover the way to a later one's source.
    opened = [
        (os.open(m["source"], os.O_PATH), m["target"], m["read_only"])
        for m in sorted(spec["mounts"], key=lambda m: m["target"].count("/"))
    ]
    kept = [(os.open(path, os.O_PATH), path) for path in spec["keep"] if os.path.isdir(path)]
    for source, target, read_only in opened:
        tree.bind(f"/proc/self/fd/{source}", target, read_only)
        covered = tree.real(target)
        for keep, path in kept:
            if inside(path, covered) and path != covered:
                # Inside a volume of the container: the mount point is left there.
                tree.bind(f"/proc/self/fd/{keep}", path, False, within=covered)
    for descriptor in [source for source, _, _ in opened] + [keep for keep, _ in kept]:
        os.close(descriptor)
    if tree.root:
        os.chroot(tree.root)
        os.chdir("/")


def execute(spec: dict) -> None:  # type: ignore[type-arg]
    try:
        os.chdir(spec["cwd"])
    except OSError as error:
        raise CannotStart(f"workingDir {spec['cwd']}: {error.strerror}") from error
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != spec["parent"]:
        raise CannotStart("the node has gone")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    command = spec["argv"]
    try:
        environment = {name: os.environ[name] for name in spec["names"]}
        os.execvpe(command[0], command, environment)
    except FileNotFoundError as error:
        raise CannotStart(f'exec: "{command[0]}": executable file not found in $PATH') from error
    except OSError as error:
        raise CannotStart(f'exec: "{command[0]}": {error.strerror}') from error


def check_only(folder: str) -> int:
    """Whether this user can do here what a container needs."""
    mounts = [
        {"source": folder, "target": "/run/financial-screener-check/volume", "read_only": True}
    ]
    try:
        arrange({"scratch": folder, "keep": [], "mounts": mounts})
    except (CannotStart, OSError) as error:
        print(error)
        return 1
    return 0


def main() -> int:
    if sys.argv[1] == "--check":
        return check_only(sys.argv[2])
    specification, report = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(report, False)
    with os.fdopen(specification, "rb") as file:
        spec = json.load(file)
    try:
        arrange(spec)
        execute(spec)
    except (CannotStart, OSError) as error:
        os.write(report, str(error).encode())
    return 128


if __name__ == "__main__":
    sys.exit(main())
