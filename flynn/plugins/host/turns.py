"""Who may start now: so many jobs of a host at a time. The others wait, and no app waits for all of another's jobs.

Services come first, and one turn is theirs alone where there is more than one, so that they wait for no burst of
one-off jobs or builds.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flynn.core.model import Queue

HELD = 10.0
"""Seconds after which a start that is still under way does not count any more: it waits for something itself."""


RANK: Mapping[Queue, int] = {"services": 0, "builders": 1, "ephemeral": 2}
"""Which queue's jobs go before which."""


@dataclass(frozen=True)
class Who:
    """Who asks for a turn: a job's app and queue."""

    app: str
    queue: Queue = "services"

    @property
    def rank(self) -> int:
        return RANK[self.queue]


def next_one(waiting: Sequence[Who], starting: Mapping[str, int]) -> int:
    """Which of those that wait (the longest first) is next: a service, then of the app with the fewest that start."""
    return min(range(len(waiting)), key=lambda at: (waiting[at].rank, starting.get(waiting[at].app, 0), at))


class Turn:
    """The right to start, until it is ended; that may be said more than once."""

    def __init__(self, who: Who, turns: "Turns") -> None:
        self.who, self._turns = who, turns
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
        self._waiting: list[tuple[Who, asyncio.Future[Turn]]] = []

    @property
    def starting(self) -> int:
        """How many start now."""
        return len(self._starting)

    def free(self, who: Who) -> bool:
        """Whether one who asks now need not wait."""
        return not any(other.rank <= who.rank for other, _ in self._waiting) and self._room(who)

    def _room(self, who: Who) -> bool:
        others = sum(turn.who.rank > 0 for turn in self._starting)
        return len(self._starting) < self.limit and (not who.rank or others < max(self.limit - 1, 1))

    async def take(self, who: Who) -> Turn:
        """A turn for a job, as soon as there is one."""
        if self.free(who):
            return self._give(who)
        waits: tuple[Who, asyncio.Future[Turn]] = (who, asyncio.get_running_loop().create_future())
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

    def _give(self, who: Who) -> Turn:
        turn = Turn(who, self)
        self._starting.add(turn)
        return turn

    def _next(self) -> None:
        while self._waiting:
            counts = Counter(turn.who.app for turn in self._starting | self._late)
            at = next_one([who for who, _ in self._waiting], counts)
            if not self._room(self._waiting[at][0]):
                return
            who, waits = self._waiting.pop(at)
            if not waits.done():
                waits.set_result(self._give(who))
