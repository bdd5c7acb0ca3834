"""Who may start now: so many jobs of a host at a time. The others wait, and no app waits for all of another's jobs."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

HELD = 10.0
"""Seconds after which a start that is still under way does not count any more: it waits for something itself."""


def next_one(waiting: Sequence[str], starting: Mapping[str, int]) -> int:
    """Which of those that wait (their apps, the longest wait first) is next: of the app with the fewest that start."""
    return min(range(len(waiting)), key=lambda at: (starting.get(waiting[at], 0), at))


class Turn:
    """The right to start, until it is ended; that may be said more than once."""

    def __init__(self, app: str, turns: "Turns") -> None:
        self.app, self._turns = app, turns
        self._timer = asyncio.get_running_loop().call_later(turns.held, turns.late, self)

    def end(self) -> None:
        self._timer.cancel()
        self._turns.over(self)


class Turns:
    """`limit`: how many may start at a time; `held`: for how long one counts as starting, in seconds."""

    def __init__(self, limit: int, held: float = HELD) -> None:
        self.limit, self.held = max(limit, 1), held
        self._starting: set[Turn] = set()
        self._late: set[Turn] = set()
        """Those that count no more but for their app, which comes after others."""
        self._waiting: list[tuple[str, asyncio.Future[Turn]]] = []

    @property
    def free(self) -> bool:
        """Whether one who asks now need not wait."""
        return not self._waiting and len(self._starting) < self.limit

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

    def late(self, turn: Turn) -> None:
        """It has had its time."""
        self._late.add(turn)
        self._starting.discard(turn)
        self._next()

    def over(self, turn: Turn) -> None:
        """It needs it no more."""
        self._late.discard(turn)
        self._starting.discard(turn)
        self._next()

    def _give(self, app: str) -> Turn:
        turn = Turn(app, self)
        self._starting.add(turn)
        return turn

    def _next(self) -> None:
        while self._waiting and len(self._starting) < self.limit:
            counts = Counter(turn.app for turn in self._starting | self._late)
            app, waits = self._waiting.pop(next_one([app for app, _ in self._waiting], counts))
            if not waits.done():
                waits.set_result(self._give(app))
