"""The line of jobs that wait for a host: which may be tried now, in which order, and why the others may not. Pure.

Services come before builds, and these before one-off jobs, so that no burst of those holds up a service. Within a
queue the app that has the fewest jobs there is next, and of one app the job that waits longest. A job like one that
has found no place is not tried, if it says why already.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.backoff import Pause, pause_of
from flynn.plugins.controller.deploy.stage import under_way
from flynn.plugins.controller.queue_limits import QueueLimits, Queues
from flynn.plugins.controller.waiting import Waiting

ORDER: tuple[model.Queue, ...] = ("services", "builders", "ephemeral")
"""Which queue goes before which."""


@dataclass
class Line:
    """The line of one photo: go through it once, and `tell` it of each job what came of it.

    Afterwards `held` has the first job of each app and queue that may not be tried now, with the reason, and `wake` is
    when one of them may (None: when something changes).
    """

    facts: Facts
    queues: Queues
    now: float
    services_only: bool = False
    waiting: Waiting = field(default_factory=Waiting)
    held: list[tuple[model.Queued, str]] = field(default_factory=list)
    wake: float | None = None
    _reason: str = ""

    def tell(self, reason: str) -> None:
        """Why the job that was handed out last has got no host; empty: it has."""
        self._reason = reason

    def holds(self) -> list[Change]:
        """The reasons of those that may not be tried now, where they are new."""
        return [
            Change(
                puts={keys.queued(queued.job.queue, queued.job.id): replace(queued, reason=reason)},
                why=f"{queued.job.id} waits: {reason}",
            )
            for queued, reason in self.held
            if queued.reason != reason
        ]

    def __iter__(self) -> Iterator[model.Queued]:
        for queue in ORDER[:1] if self.services_only else ORDER:
            yield from self._queue(queue, self.queues.of(queue))

    def _queue(self, queue: model.Queue, limits: QueueLimits) -> Iterator[model.Queued]:
        rows = self._rows(queue, limits)
        turns = [row.turn for row in rows]
        heapq.heapify(turns)
        room = Room.of(self.facts, queue, limits)
        while turns:
            if not room.left:
                self.held += [(row.head, room.reason) for *_, row in turns]
                return
            *_, row = turns[0]
            yield row.head
            if not self._reason:
                room.take()
            if row.next(self._reason):
                heapq.heapreplace(turns, row.turn)
            else:
                heapq.heappop(turns)

    def _rows(self, queue: model.Queue, limits: QueueLimits) -> "list[Row]":
        """The apps with jobs in a queue, but for those that must pause."""
        rows = []
        for app in waiting_apps(self.facts, queue):
            row = Row.of(self.facts, app, queue, self.waiting)
            if pause := pause_of(self.facts, app, queue, limits, self.now):
                self._hold(row, pause)
            else:
                rows.append(row)
        return rows

    def _hold(self, row: "Row", pause: Pause) -> None:
        self.held.append((row.head, pause.reason))
        self.wake = pause.until if self.wake is None else min(self.wake, pause.until)


@dataclass
class Row:
    """The jobs of one app that wait in one queue, the next one last; `live`: how many it has there that have a host;
    `refused`: why jobs like these find no place."""

    live: int
    waiting: list[model.Queued]
    refused: dict[Any, str] = field(default_factory=dict)

    @staticmethod
    def of(facts: Facts, app: str, queue: model.Queue, kept: Waiting | None = None) -> "Row":
        waiting = (kept or Waiting()).of(facts, app, queue)
        return Row(len(facts.jobs_of(app, queue)), waiting)

    @property
    def head(self) -> model.Queued:
        return self.waiting[-1]

    @property
    def turn(self) -> "tuple[int, float, str, Row]":
        """The fewer of it there are, the sooner it is its turn; then the longer its next job waits."""
        job = self.head.job
        return self.live, job.created, job.id, self

    def next(self, reason: str) -> bool:
        """Whether there is more of it to be tried, now that its head was, which has no place for this reason ("": it
        has)."""
        head = self.waiting.pop()
        if reason:
            self.refused[like(head.job)] = reason
        else:
            self.live += 1
        while self.waiting and self.refused and self._told():
            self.waiting.pop()
        return bool(self.waiting)

    def _told(self) -> bool:
        """Whether the head is like one that was refused, and says why it waits: those in front of it say why now."""
        return bool(self.refused.get(like(self.head.job))) and bool(self.head.reason)


@dataclass
class Room:
    """How many more jobs of a queue may begin now, and why not more than that."""

    left: float
    reason: str = ""

    @staticmethod
    def of(facts: Facts, queue: model.Queue, limits: QueueLimits) -> "Room":
        if not limits.starting and not limits.running:
            return Room(float("inf"))
        starting, running = begun(facts, queue)
        found = [Room(float("inf"))]
        if limits.starting:
            told = f"{limits.starting} of the queue {queue} are starting, as many as may at once"
            found.append(Room(max(limits.starting - starting, 0), told))
        if limits.running:
            told = f"{limits.running} of the queue {queue} are running, as many as may at once"
            most = limits.running + (replaced(facts) if queue == "services" else 0)
            found.append(Room(max(most - starting - running, 0), told))
        return min(found, key=lambda room: room.left)

    def take(self) -> None:
        self.left -= 1


def waiting_apps(facts: Facts, queue: model.Queue) -> list[str]:
    """The apps that have jobs in a queue; what is left there of deleted ones is not theirs any more."""
    ending = f"/{queue}"
    lines: Mapping[str, Any] = facts.groups.get("queues/app", {})
    return [app for line in lines if line.endswith(ending) and (app := line.removesuffix(ending)) in facts.apps]


def begun(facts: Facts, queue: model.Queue) -> tuple[int, int]:
    """How many jobs of a queue are starting, and how many have started and not ended."""
    starting = running = 0
    for line, jobs in facts.groups.get("jobs/app", {}).items():
        if line.endswith(f"/{queue}"):
            for key, a in jobs.items():
                if a.moving:  # Another is to take its place: it does not hold that up.
                    continue
                state = facts.states.get(key)
                starting += state is None or state.state == "starting"
                running += state is not None and state.state in ("up", "stopping")
    return starting, running


def replaced(facts: Facts) -> int:
    """How many services run only until others of their apps' deploys do their work: they do not hold those up."""
    going = [deploy.app for deploy in facts.deploys.values() if deploy.state == "running" and deploy.app in facts.apps]
    return sum(under.replaced for app in going if (under := under_way(facts, app)))


def like(job: model.Job) -> Any:
    """What two jobs of an app have in common of which one gets a place wherever the other does."""
    return job.release, job.type, job.memory, job.cpu_reserve, bool(job.image) or job.dockerfile, job.mounts
