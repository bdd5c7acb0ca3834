"""Who may start now: so many jobs of a host at a time. The others wait, and no app waits for all of another's jobs."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

HELD = 10.0
"""Seconds after which a start that is still under way does not count any more: it waits for something itself."""


def next_one(waiting: Sequence[str], starting: Mapping[str, int]) -> int:
    """Which of those that wait (their apps, the longest wait first) is next: of the app with the fewest that start."""
    return min(range(len(waiting)), key=lambda at: (starting.get(waiting[at], 0), at))


class Turn:
    """The right to start, until it is ended; that may be said more than once."""

    def __init__(self, app: str, over: Callable[["Turn"], None]) -> None:
        self.app, self._over = app, over
        self._timer = asyncio.get_running_loop().call_later(HELD, self.end)

    def end(self) -> None:
        self._timer.cancel()
        self._over(self)


class Turns:
    """`limit`: how many may start at a time."""

    def __init__(self, limit: int) -> None:
        self.limit = max(limit, 1)
        self._held: set[Turn] = set()
        self._waiting: list[tuple[str, asyncio.Future[Turn]]] = []

    @property
    def free(self) -> bool:
        """Whether one who asks now need not wait."""
        return not self._waiting and len(self._held) < self.limit

    async def take(self, app: str) -> Turn:
        """A turn for a job of this app, as soon as there is one."""
        if self.free:
            return self._give(app)
        waits: tuple[str, asyncio.Future[Turn]] = (app, asyncio.get_running_loop().create_future())
        self._waiting.append(waits)
        try:
            return await waits[1]
        except asyncio.CancelledError:
            if waits in self._waiting:
                self._waiting.remove(waits)
            elif not waits[1].cancelled():  # It was given in the same moment.
                waits[1].result().end()
            raise

    def _give(self, app: str) -> Turn:
        turn = Turn(app, self._ended)
        self._held.add(turn)
        return turn

    def _ended(self, turn: Turn) -> None:
        self._held.discard(turn)
        while self._waiting and len(self._held) < self.limit:
            at = next_one([app for app, _ in self._waiting], Counter(turn.app for turn in self._held))
            app, waits = self._waiting.pop(at)
            if not waits.done():
                waits.set_result(self._give(app))
