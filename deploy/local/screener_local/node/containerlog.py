"""Adapter: containers' logs in files, a time before each line; pure parts choose which lines a
reader wants.

A line on disk is `2026-11-24T10:00:00.123456Z F text` (P instead of F if the text goes on in the
next line).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LONGEST_LINE_BYTES = 16_384
LARGEST_FILE_BYTES = 16_000_000
FOLLOW_PAUSE_S = 0.1


class LogWriter(asyncio.Protocol):
    """Takes what a container writes and stores it line by line. A file that grew too large is set
    aside once."""

    def __init__(self, path: Path) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        written = []
        for line in lines:
            while len(line) > LONGEST_LINE_BYTES:
                written.append(stamp + b" P " + line[:LONGEST_LINE_BYTES])
                line = line[LONGEST_LINE_BYTES:]
            written.append(stamp + b" F " + line)
        while len(self._rest) > LONGEST_LINE_BYTES:
            written.append(stamp + b" P " + self._rest[:LONGEST_LINE_BYTES])
            self._rest = self._rest[LONGEST_LINE_BYTES:]
        if written:
            self._file.write(b"\n".join(written) + b"\n")
            if self._file.tell() > LARGEST_FILE_BYTES:
                self._file.close()
                self._path.replace(older(self._path))
                self._file = self._path.open("ab", buffering=0)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self.data_received(b"\n")
        self._file.close()
        if not self.closed.done():
            self.closed.set_result(None)


def older(path: Path) -> Path:
    return path.with_suffix(".log.1")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader of a log wants."""

    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None

    @classmethod
    def from_query(cls, query: dict[str, str], now: datetime) -> "Wanted":
        """From the query of a kubelet's containerLogs. Raises ValueError."""
        since = None
        if "sinceSeconds" in query:
            since = now - timedelta(seconds=int(query["sinceSeconds"]))
        elif "sinceTime" in query:
            since = datetime.fromisoformat(query["sinceTime"])
        return cls(
            timestamps=query.get("timestamps") == "true",
            tail_lines=int(query["tailLines"]) if "tailLines" in query else None,
            since=since,
            limit_bytes=int(query["limitBytes"]) if "limitBytes" in query else None,
        )


def render(line: bytes, wanted: Wanted) -> bytes:
    """A stored line as the reader sees it; empty if it is too old."""
    stamp, kind, text = line.split(b" ", 2)
    if wanted.since is not None and datetime.fromisoformat(stamp.decode()) < wanted.since:
        return b""
    end = b"\n" if kind == b"F" else b""
    return (stamp + b" " if wanted.timestamps else b"") + text + end


def stored_lines(path: Path) -> Iterator[bytes]:
    for file in (older(path), path):
        if file.exists():
            yield from file.read_bytes().splitlines()


def plain_tail(path: Path, *, lines: int, limit_bytes: int) -> str:
    """The end of a log without its times."""
    text = b"".join(render(line, Wanted()) for line in list(stored_lines(path))[-lines:])
    return text[-limit_bytes:].decode(errors="replace")


async def read(
    path: Path, wanted: Wanted, *, follow: bool, ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The log's content, and with `follow` what is added until `ended()`."""
    left = wanted.limit_bytes
    position = path.stat().st_size if path.exists() else 0
    lines = list(stored_lines(path))
    if wanted.tail_lines is not None:
        lines = lines[len(lines) - min(wanted.tail_lines, len(lines)) :]
    chunk = b"".join(render(line, wanted) for line in lines)
    rest = b""
    while True:
        if left is not None:
            chunk = chunk[:left]
            left -= len(chunk)
        if chunk:
            yield chunk
        if not follow or left == 0:
            return
        over = ended()
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < position:  # set aside meanwhile
                    position = 0
                file.seek(position)
                added = file.read()
        except FileNotFoundError:
            added = b""
        position += len(added)
        *complete, rest = (rest + added).split(b"\n")
        chunk = b"".join(render(line, wanted) for line in complete)
        if not added:
            if over:
                return
            await asyncio.sleep(FOLLOW_PAUSE_S)
