"""How many requests are under way at once: fewer when the vendor is in trouble, slowly more again.

Adaptive as TCP is: halved at a sign of trouble, one more after a streak of good answers.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

FLOOR, START, CEILING = 2, 16, 48
"""A thousand requests a minute that take half a second on average, and three seconds one in a
hundred times, need about 8 at once on average and 20 at the worst; the ceiling leaves room."""


@dataclass(slots=True)
class Pace:
    """The count allowed; pure. Times are seconds of one monotonic clock."""

    limit: int = START
    _streak: int = 0
    _halved_at: float = float("-inf")

    def good(self) -> None:
        """An answer came in order."""
        self._streak += 1
        if self._streak >= self.limit:
            self.limit = min(CEILING, self.limit + 1)
            self._streak = 0

    def bad(self, sent_at: float, now: float) -> None:
        """The vendor refused (429) or failed (5xx) what was sent at `sent_at`.

        What was under way when it was halved says nothing about the half.
        """
        self._streak = 0
        if sent_at > self._halved_at:
            self.limit = max(FLOOR, self.limit // 2)
            self._halved_at = now


@dataclass(slots=True)
class Gate:
    """Lets as many through as the pace allows, in the order in which they came."""

    pace: Pace = field(default_factory=Pace)
    _inside: int = 0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Waits for room, and keeps it."""
        if self._inside >= self.pace.limit or self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._leave()  # its turn had come
                elif turn in self._waiting:
                    self._waiting.remove(turn)
                raise
        else:
            self._inside += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        self._inside -= 1
        self.let_in()

    def let_in(self) -> None:
        """Lets in those whose turn it is; to be called when the pace has changed."""
        while self._waiting and self._inside < self.pace.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)
