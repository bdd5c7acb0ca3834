"""What happens to an app, photo by photo, in the lines of `docs/api.md`, also for who reads slowly (as far as HELD)."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.core.frozen import diff
from flynn.core.mirror import Mirror

HELD = 2000
"""Lines that wait for a client at most; of one that is so far behind the oldest are dropped."""

Line = dict[str, Any]


class AppChanges:
    """`facts`: the newest photo that its lines tell of."""

    def __init__(self, app: str, before: Facts) -> None:
        self.app, self.facts = app, before
        self._waiting: deque[Line] = deque(maxlen=HELD)

    def look(self, facts: Facts) -> None:
        """The next photo. What it has in another way than the last one is said once all of before is.

        It is taken though it cannot be told: who waits for one that is newer than `facts` would never wait else.
        """
        before, self.facts = self.facts, facts
        self._waiting += (*job_lines(before, facts, self.app), *deploy_lines(before, facts, self.app))

    def take(self) -> tuple[Facts, list[Line]]:
        """The lines that wait, and the photo that they end with."""
        lines = list(self._waiting)
        self._waiting.clear()
        return self.facts, lines


@contextmanager
def app_changes(mirror: Mirror, app: str, before: Facts | None) -> Iterator[AppChanges]:
    """All that changes from the photo `before` on, for the length of a block. None: from now on, and what its deploy
    waits for now."""
    changes = AppChanges(app, before or mirror.facts.imagined({}, [keys.deploy(app)]))
    changes.look(mirror.facts)
    with mirror.listening(changes.look):
        yield changes


def job_lines(before: Facts, after: Facts, app: str) -> Iterator[Line]:
    """A line for each service job of the app that is in another state than before."""
    for _, old, queued in diff(before.queued_of(app, "services"), after.queued_of(app, "services")):
        if queued and (old is None or old.reason != queued.reason):
            yield _line(queued.job.id, queued.job.type, "queued", queued.job.release, queued.reason, queued.job.created)
    for _, was, state in diff(before.states_of(app, "services"), after.states_of(app, "services")):
        if state and _shown(was) != _shown(state):
            yield _line(state.id, state.type, state.state, state.release, state.reason, state.since)


def deploy_lines(before: Facts, after: Facts, app: str) -> Iterator[Line]:
    """A line when a deploy under way waits for something else than before."""
    old, new = before.deploys.get(app), after.deploys.get(app)
    if new and new.state == "running" and new.reason and (old is None or old.reason != new.reason):
        yield {"kind": "deploy", "version": new.new, "reason": new.reason}


def _shown(state: model.JobState | None) -> tuple[str, int] | None:
    return (state.state, state.restarts) if state else None


def _line(id: str, type: str, state: str, release: int, reason: str, time: float) -> Line:
    return {
        "kind": "job", "id": id, "type": type, "state": state, "release": release, "reason": reason, "time": time
    }  # fmt: skip
