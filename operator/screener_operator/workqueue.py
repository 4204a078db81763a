"""Core of the wake-ups: a queue of keys in which each waits once, and is in the works once.

As client-go's: a key that comes while it is being worked on is handed out again when that is done,
so that no change is missed and none is worked on twice at a time. Threads may share it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple


class Key(NamedTuple):
    """What to reconcile: an object of a kind, or everything (name empty)."""

    kind: str
    name: str


class WorkQueue:
    """`clock`: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Key, None] = OrderedDict()
        self._in_work: set[Key] = set()
        self._again: set[Key] = set()
        self._later: dict[Key, float] = {}
        self._stopped = False

    def add(self, key: Key) -> None:
        """Asks for `key` as soon as possible."""
        with self._changed:
            self._add(key)
            self._changed.notify()

    def add_after(self, key: Key, seconds: float) -> None:
        """Asks for `key` in a while; the earliest of several counts."""
        with self._changed:
            due = self._clock() + seconds
            self._later[key] = min(due, self._later.get(key, due))
            self._changed.notify()

    def get(self, timeout: float) -> Key | None:
        """The next key, now in the works until `done`; None after `timeout` seconds, or when
        stopped.
        """
        deadline = self._clock() + timeout
        with self._changed:
            while not self._stopped:
                now = self._clock()
                for key in [key for key, due in self._later.items() if due <= now]:
                    del self._later[key]
                    self._add(key)
                if self._waiting:
                    key, _ = self._waiting.popitem(last=False)
                    self._in_work.add(key)
                    # Whatever was to come later is served by this as well.
                    self._later.pop(key, None)
                    return key
                wake = min([deadline, *self._later.values()])
                if now >= deadline:
                    return None
                self._changed.wait(max(0.0, wake - now))
            return None

    def done(self, key: Key) -> None:
        with self._changed:
            self._in_work.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._add(key)
                self._changed.notify()

    def stop(self) -> None:
        """Makes every `get` return None, now and later."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def _add(self, key: Key) -> None:
        if key in self._in_work:
            self._again.add(key)
        else:
            self._waiting[key] = None
