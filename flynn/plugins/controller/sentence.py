"""What the grid does now and what waits, in one sentence, from counts that are kept, not taken anew each time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flynn.core import model
from flynn.core.facts import Changes, Facts, changed
from flynn.plugins.controller.jobs import hosts_of

Age = tuple[float, str]
"""To tell which job is the oldest: when it was made, its name."""

LOOP = 5
"""Restarts in a row from which on a host pauses before each."""


@dataclass
class Counts:
    """Of one photo; `follow` brings them to a later one at the cost of what changed."""

    up: set[str] = field(default_factory=set)
    looping: set[str] = field(default_factory=set)
    deploying: dict[str, int] = field(default_factory=dict)
    waiting: dict[Age, str] = field(default_factory=dict)
    oldest: Age | None = None

    @staticmethod
    def of(facts: Facts) -> "Counts":
        counts = Counts()
        counts.follow(Facts(), facts)
        return counts

    def follow(self, before: Facts, after: Facts) -> None:
        self.see(after, changed(before, after))

    def see(self, after: Facts, changes: Changes) -> None:
        """The same, from what is known to have changed."""
        for key in {key for table in ("jobs", "states") for key, _, _ in changes.get(table, ())}:
            self._count(key, after)
        for app, _, deploy in changes.get("deploys", ()):
            self._deploy(app, deploy)
        for _, was, queued in changes.get("queues", ()):
            self._wait(was, queued)

    def sentence(self, facts: Facts, held: Mapping[str, str]) -> str:
        """`held`: what is held back, by app."""
        apps, up = len(facts.apps), len(self.up)
        parts = [f"runs {up} {_jobs(up)} of {apps} {'app' if apps == 1 else 'apps'} on {hosts_of(facts)}"]
        if self.deploying:
            parts.append("deploys " + ", ".join(f"{app} v{new}" for app, new in sorted(self.deploying.items())))
        if self.waiting:
            count = len(self.waiting)
            parts.append(f"{count} {'waits' if count == 1 else 'wait'}: {self.waiting[self._oldest()]}")
        if held:
            parts.append(held[min(held)])
        if self.looping:
            parts.append(self._looping(facts))
        parts += [_drained(facts, host) for host, wish in sorted(facts.wishes.items()) if wish.drained]
        return "; ".join(parts)

    def _count(self, key: str, facts: Facts) -> None:
        state = facts.states.get(key)
        if state and state.state == "up" and key in facts.jobs:
            self.up.add(key)
        else:
            self.up.discard(key)
        if state and state.state == "starting" and state.restarts > LOOP and key in facts.jobs:
            self.looping.add(key)
        else:
            self.looping.discard(key)

    def _looping(self, facts: Facts) -> str:
        """How many jobs crash again and again, and how one of them does."""
        count, state = len(self.looping), facts.states[min(self.looping)]
        each = "crashes" if count == 1 else "crash"
        return f"{count} {_jobs(count)} {each} again and again: {state.id} ({state.reason})"

    def _deploy(self, app: str, deploy: model.Deploy | None) -> None:
        if deploy and deploy.state == "running":
            self.deploying[app] = deploy.new
        else:
            self.deploying.pop(app, None)

    def _wait(self, was: model.Queued | None, queued: model.Queued | None) -> None:
        if was and was.reason:
            self.waiting.pop(age := _age(was), None)
            self.oldest = None if age == self.oldest else self.oldest
        if queued and queued.reason:
            self.waiting[age := _age(queued)] = queued.reason
            self.oldest = min(age, self.oldest) if self.oldest else None

    def _oldest(self) -> Age:
        self.oldest = self.oldest or min(self.waiting)
        return self.oldest


def _drained(facts: Facts, host: str) -> str:
    left = len(facts.jobs_by_host.get(host, ()))
    return f"{host} is drained" + (f" of {left} {_jobs(left)} yet" if left else "")


def _age(queued: model.Queued) -> Age:
    return queued.job.created, queued.job.id


def _jobs(count: int) -> str:
    return "job" if count == 1 else "jobs"
