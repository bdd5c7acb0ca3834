"""Places given to jobs in this process, by the very functions that the leader calls; nothing is committed."""

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.scheduler.grid import ZONES
from bench.scheduler.mixes import CORES, MEMORY
from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.model import App, Assignment, Host, Job, Queued
from flynn.plugins.controller.place import Ground, place_queued


class Placing:
    """`hosts` empty hosts in zones, and `jobs`, which may be placed on them."""

    def __init__(self, hosts: int, jobs: Iterable[Job]) -> None:
        machines = {keys.host(each.name): each for each in map(_host, range(hosts))}
        apps = {keys.app(name): App(name=name, created=1.0) for name in {job.app for job in jobs}}
        self.facts = Facts.of({**machines, **apps})
        self.ground = Ground.of(self.facts)
        self.zones = {host.name: host.tags["zone"] for host in self.facts.hosts.values()}

    def place(self, line: Sequence[Queued]) -> int:
        """Give places to all in this order; how many got one."""
        return sum(bool(change.deletes) for change in place_queued(self.facts, self.ground, line, 1.0))

    def placed(self, jobs: Iterable[Job]) -> list[Assignment]:
        """The same, and where they are."""
        line = [Queued(job=job) for job in jobs]
        changes = place_queued(self.facts, self.ground, line, 1.0)
        return [a for change in changes for a in change.puts.values() if isinstance(a, Assignment)]

    def could(self, job: Job, instances: Counter[str]) -> list[str]:
        """The hosts that have one of a kind already, or room for such a job."""
        columns = self.ground.columns
        return [
            name
            for name, row in columns.row.items()
            if instances[name] or (columns.memory[row] >= job.memory and columns.cpu[row] >= job.cpu_reserve)
        ]


def _host(number: int) -> Host:
    name, zone = f"host-{number:05}", f"zone-{number % ZONES}"
    return Host(
        name=name, address="127.0.0.1", url="http://127.0.0.1:1", started=1.0, memory=MEMORY, cpus=CORES,
        tags={"zone": zone},
    )  # fmt: skip
