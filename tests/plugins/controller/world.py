"""A grid in a few dicts, for the planner: commits are applied at once, hosts move when told. Deterministic.

Each plan is made twice, from the photo alone and by what is kept from one photo to the next: both must be the same.
"""

from collections import Counter
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts, encode
from flynn.core.store import VALUE_LIMIT, Batch, Item, check_commit
from flynn.plugins.controller.deploy.settings import settled
from flynn.plugins.controller.jobs import jobs_of, ready
from flynn.plugins.controller.plan import Limits, Plan, plan
from flynn.plugins.controller.planner import Planner

SLUG = model.Artifact(sha256="a" * 64)


@dataclass
class World:
    """Facts, a clock, and the acts of hosts and users."""

    now: float = 1000.0
    facts: Facts = field(default_factory=Facts)
    limits: Limits = field(default_factory=lambda: Limits(settle=1.0, deploy=100.0, lost=30.0))
    planner: Planner = field(init=False)
    number: int = 0
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.planner = Planner(self.limits, self.new_id)

    def write(self, change: Change) -> None:
        """Apply a change as a store would."""
        revision = self.facts.revision + 1
        stamps = {key: self.facts.stamp(key) for key in change.puts}
        puts = [
            Item(key, encode(record), stamp.created if (stamp := stamps[key]) else revision, revision)
            for key, record in change.puts.items()
        ]
        self.facts = self.facts.after(Batch(revision, tuple(puts), change.deletes))
        if change.why:
            self.history.append(change.why)

    def put(self, key: str, record: model.Record) -> None:
        self.write(Change(puts={key: record}))

    def host(self, name: str, memory: int = 8192, cpus: int = 4) -> None:
        url = "http://127.0.0.1:1"
        record = model.Host(name=name, address="127.0.0.1", url=url, started=self.now, memory=memory, cpus=cpus)
        self.put(keys.host(name), record)

    def lose(self, name: str) -> None:
        """The daemon of a host falls silent: its lease ends."""
        self.write(Change(deletes=(keys.host(name),)))

    def release(self, app: str, *types: str) -> model.Release:
        """A release of the app, not deployed."""
        version = 1 + max((r.version for r in self.facts.releases.values() if r.app == app), default=0)
        processes = {type: model.ProcessType(command="run", serves=type == "web") for type in types}
        made = model.Release(app=app, version=version, created=self.now, artifact=SLUG, processes=processes)
        self.put(keys.release(app, version), made)
        return made

    def app(self, name: str, **counts: int) -> None:
        """An app whose first release is on its way."""
        self.put(keys.app(name), model.App(name=name, created=self.now))
        self.put(keys.formation(name), model.Formation(app=name, counts=counts))
        self.deploy(name, *counts)

    def deploy(self, app: str, *types: str, strategy: str = "all-at-once", **how: float) -> int:
        """Start the deploy of a new release with these process types."""
        made = self.release(app, *types)
        old = self.facts.apps[app].release
        going = settled(self.facts, msgspec.convert({"strategy": strategy, **how}, model.Deploying))
        deploy = model.Deploy(app=app, old=old, new=made.version, started=self.now, stepped=self.now, how=going)
        self.put(keys.deploy(app), deploy)
        return made.version

    def plan(self) -> Plan:
        first = self.number
        kept = self.planner.plan(self.facts, self.now, self.now)
        last, self.number = self.number, first
        fresh = plan(self.facts, self.planner.moment(self.now, self.now))
        assert kept == fresh
        assert last == self.number
        return fresh

    def new_id(self, app: str, type: str) -> str:
        self.number += 1
        return f"{app}-{type}-{self.number}"

    def step(self) -> int:
        """Plan once and carry it all out; how many changes there were."""
        changes = self.plan().changes
        for change in changes:
            check_commit(change.ops(), change.guards(self.facts))
            assert change.size <= VALUE_LIMIT
            self.write(change)
        return len(changes)

    def settle(self, rounds: int = 50) -> None:
        """Plan until there is nothing left to do."""
        for _ in range(rounds):
            if not self.step():
                return
        raise AssertionError(f"the plan does not settle: {self.history[-10:]}")

    def obey(self) -> None:
        """All living hosts do at once what they were told: start what is new, end what shall stop."""
        for key, a in list(self.facts.jobs.items()):
            if a.host in self.facts.hosts:
                state = self.facts.states.get(key)
                if a.stop:
                    self.tell(a, "down", reason="stopped", exit_code=0)
                elif state is None and not self.facts.hosts[a.host].full:
                    self.tell(a, "up")

    def tell(self, a: model.Assignment, state: model.State, **more: object) -> None:
        """What the host of an assignment says of its job."""
        job = a.job
        told = model.JobState(
            id=job.id, app=job.app, type=job.type, queue=job.queue, release=job.release, host=a.host, state=state,
            since=self.now, created=job.created,
        )  # fmt: skip
        self.put(keys.state(a.host, job.id), replace(told, **more))
        key = keys.instance(job.service, job.id)
        if job.service and state == "up":
            address = f"127.0.0.1:{len(self.history) % 60000 + 1}"
            instance = model.Instance(
                id=job.id, service=job.service, address=address, host=a.host, job=job.id, meta={"app": job.app}
            )
            self.put(key, instance)
        elif self.facts.get(key):
            self.write(Change(deletes=(key,)))

    def run(self, rounds: int = 30) -> None:
        """Plans and hosts in turn, with time passing, until nothing changes any more."""
        for _ in range(rounds):
            before = self.facts
            self.settle()
            self.obey()
            self.now += 2
            if self.facts is before and not self.plan().changes and not self._held():
                return
        raise AssertionError(f"the grid does not settle: {self.history[-10:]}")

    def trace(self, app: str, rounds: int = 200) -> list[str]:
        """What the jobs of an app do until nothing changes any more, as `+2 web v2` (up) and `-1 web v1` (ended), in
        the order in which it happens; what happens at once is sorted."""
        told = []
        before = self.live(app)
        for _ in range(rounds):
            facts = self.facts
            self.settle()
            self.obey()
            after = self.live(app)
            for sign, more in (("+", after - before), ("-", before - after)):
                told += [f"{sign}{count} {type} v{version}" for (version, type), count in sorted(more.items())]
            before = after
            self.now += 2
            if self.facts is facts and not self.plan().changes and not self._held():
                return told
        raise AssertionError(f"the grid does not settle: {self.history[-10:]}")

    def _held(self) -> bool:
        """Whether a deploy goes on by itself after a while."""
        return any(d.state == "running" and d.hold > 0 and not d.promoted for d in self.facts.deploys.values())

    def live(self, app: str) -> Counter[tuple[int, str]]:
        """How many jobs of the app are up, to stop or not, by release and type."""
        return Counter(
            (state.release, state.type)
            for state in self.facts.states.values()
            if (state.app, state.state) == (app, "up")
        )

    def serving(self, app: str, type: str) -> int:
        """How many jobs of a type do their work and are not to stop, of whatever release."""
        return sum(ready(self.facts, job) for job in jobs_of(self.facts, app) if job.job.type == type)

    def up(self, app: str) -> dict[tuple[int, str], int]:
        """How many jobs of the app are up and shall stay, by release and type."""
        counts: dict[tuple[int, str], int] = {}
        for key, a in self.facts.jobs.items():
            state = self.facts.states.get(key)
            if a.job.app == app and not a.stop and state and state.state == "up":
                slot = (a.job.release, a.job.type)
                counts[slot] = counts.get(slot, 0) + 1
        return counts
