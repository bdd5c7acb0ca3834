"""How the queues fare, for whoever asks. Pure."""

from typing import Any

import msgspec

from flynn.core import model
from flynn.core.facts import Facts
from flynn.core.queue_room import depth
from flynn.plugins.controller.backoff import pause_of
from flynn.plugins.controller.line import Room, Row, begun, like, waiting_apps
from flynn.plugins.controller.queue_limits import Queues
from flynn.plugins.controller.waiting import age

IN_LINE = "is in line"
"""What a job waits for that was not tried yet."""


class Waiting(msgspec.Struct, frozen=True):
    """A job in a queue, and why it waits."""

    id: str
    app: str
    type: str
    release: int
    created: float
    reason: str


class QueueInfo(msgspec.Struct, frozen=True):
    """A queue: how many jobs wait, since when the oldest does (0: none does), how many start and run; which job is
    next, and why it waits. `limits`: see `queue_limits.py`."""

    name: str
    depth: int
    oldest: float
    starting: int
    running: int
    head: Waiting | None
    limits: dict[str, Any]


def queue_info(facts: Facts, queue: model.Queue, queues: Queues, now: float) -> QueueInfo:
    starting, running = begun(facts, queue)
    rows = [Row.of(facts, app, queue) for app in waiting_apps(facts, queue)]
    head = Reasons(facts, queue, queues, now).waiting(min(rows, key=lambda row: row.turn).head) if rows else None
    oldest = min((row.head.job.created for row in rows), default=0.0)
    return QueueInfo(
        queue, depth(facts, queue), oldest, starting, running, head, msgspec.structs.asdict(queues.of(queue))
    )


def waiting_jobs(facts: Facts, queue: model.Queue, queues: Queues, now: float, most: int) -> list[Waiting]:
    """The jobs of a queue, those that wait longest first; `most` of them."""
    found = [q for app in waiting_apps(facts, queue) for q in facts.queued_of(app, queue).values()]
    reasons = Reasons(facts, queue, queues, now)
    return [reasons.waiting(queued) for queued in sorted(found, key=age)[:most]]


class Reasons:
    """Why the jobs of a queue wait: what was found when one was tried, or what keeps it from being tried."""

    def __init__(self, facts: Facts, queue: model.Queue, queues: Queues, now: float) -> None:
        self.facts, self.queue, self.limits, self.now = facts, queue, queues.of(queue), now
        self._room = Room.of(facts, queue, self.limits)
        self._apps: dict[str, str] = {}
        self._alike: dict[str, dict[Any, str]] = {}

    def waiting(self, queued: model.Queued) -> Waiting:
        job = queued.job
        reason = (queued.reason and self._now(queued)) or self._of_app(job.app)
        return Waiting(job.id, job.app, job.type, job.release, job.created, reason)

    def _now(self, queued: model.Queued) -> str:
        """Of a job that says why it waits: what the first one like it says, which is tried for all of them."""
        app = queued.job.app
        if app not in self._alike:
            rows = Row.of(self.facts, app, self.queue).waiting
            self._alike[app] = {like(each.job): each.reason for each in rows if each.reason}
        return self._alike[app][like(queued.job)]

    def _of_app(self, app: str) -> str:
        """Of a job of an app of which nothing is known beside that it waits."""
        if app not in self._apps:
            self._apps[app] = self._found(app)
        return self._apps[app]

    def _found(self, app: str) -> str:
        if pause := pause_of(self.facts, app, self.queue, self.limits, self.now):
            return pause.reason
        if not self._room.left:
            return self._room.reason
        head = Row.of(self.facts, app, self.queue).head
        return f"{IN_LINE} behind {head.job.id}: {head.reason}" if head.reason else IN_LINE
