"""What a host offers to jobs, and what a job asks of its host. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from flynn.core import matching, model
from flynn.core.facts import Facts
from flynn.plugins.controller import place_volumes, wishes

CORE = 1000
"""Parts of a core that can be reserved."""

ZONE = "zone"
"""The tag that says which hosts fail together."""


class Site(NamedTuple):
    """A host that is up: MiB, thousandths of a core, builds at a time. `closed` says why it takes no new job ("": it
    does)."""

    zone: str
    memory: int
    cpu: int
    builds: int
    backend: str
    images: bool
    networks: tuple[model.Network, ...]
    image_networks: tuple[model.Network, ...]
    no_own: str
    image_no_own: str
    closed: str
    tags: Mapping[str, str]
    mounts: tuple[str, ...]


class Needs(NamedTuple):
    """What a host has or has not, whatever else it runs: an engine for images, tags, directories, and
    what it can give of network, and the backend
    that is asked for ("": any)."""

    image: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    mounts: tuple[model.Mount, ...] = ()
    network: model.Network = "host"
    contained: bool = False
    """Whether it is to run in a container, so that its network is the engine's to give."""
    backend: str = ""


Kind = tuple[str, int, str]
"""What is spread: the jobs of an app, a release, a type."""


class Demand(NamedTuple):
    """What a job asks: MiB, thousandths of a core, a place among the builds of its host; and its needs. `starts`: the
    queue among whose jobs that start on its host it counts ("": services, which nothing holds there)."""

    memory: int
    cpu: int = 0
    build: bool = False
    needs: Needs = Needs()
    starts: str = ""


Alike = tuple[Demand, Kind | None, int]


class Want(NamedTuple):
    """What a job asks, what it is spread among, and how many of that a host may have (0: any number)."""

    demand: Demand
    kind: Kind
    most: int = 0

    @property
    def alike(self) -> Alike:
        """The same for all that the same hosts refuse: the kind matters only where that is limited."""
        return self.demand, self.kind if self.most else None, self.most


def site_of(facts: Facts, name: str) -> Site | None:
    """What the host of that name offers; None: it is not up."""
    host = facts.hosts.get(name)
    if host is None:
        return None
    tags, closed = matching.tags(facts, host), wishes.full(facts, host)
    builds, cpu = max(host.cpus // 2, 1), host.cpus * CORE
    networks = host.networks, host.image_networks, host.no_own, host.image_no_own
    return Site(
        tags.get(ZONE, ""), host.memory, cpu, builds, host.backend, host.images, *networks, closed, tags, host.mounts
    )


def want_of(facts: Facts, job: model.Job) -> Want:
    """What a job asks of its host. One-off jobs and builds may be anywhere."""
    where = placement_of(facts, job)
    mounts = tuple(mount for mount in job.mounts if mount.source) if job.mounts else ()
    tags = tuple(sorted(where.tags.items())) if where.tags else ()
    contained = bool(job.image) or job.backend == "docker"
    needs = Needs(bool(job.image) or job.dockerfile, tags, mounts, job.network, contained, job.backend)
    starts = "" if job.queue == "services" else job.queue
    demand = Demand(job.memory, job.cpu_reserve, job.queue == "builders", needs, starts)
    return Want(demand, kind_of(job), _most(facts, job, where))


def placement_of(facts: Facts, job: model.Job) -> model.Placement:
    """Where a job may be, as its app's formation says now of its type."""
    return matching.placement(facts, job.app, job.type) if job.queue == "services" else matching.ANYWHERE


def kind_of(job: model.Job) -> Kind:
    """What a job is spread among."""
    return job.app, job.release, job.type


def _most(facts: Facts, job: model.Job, where: model.Placement) -> int:
    if where.omni:
        return facts.formations[job.app].counts.get(job.type, 0)
    return 1 if where.one_per_host else 0


def unfit(site: Site, needs: Needs) -> str:
    """Why a host can run nothing that has such needs, in words that follow its name; empty: it can."""
    if site.closed:
        return refuses_all(site.closed)
    if needs.image and not site.images:
        return "runs no images, for want of a Docker Engine"
    if needs.backend and needs.backend not in (site.backend, "docker" if site.images else ""):
        return f"does not offer the backend {needs.backend}"
    if lacking := [f"{key}={value}" for key, value in needs.tags if site.tags.get(key) != value]:
        return f"is not tagged {' '.join(lacking)}"
    return _no_network(site, needs) or place_volumes.refusal(site.mounts, needs.mounts)


def _no_network(site: Site, needs: Needs) -> str:
    if needs.network in (site.image_networks if needs.contained else site.networks):
        return ""
    what = "cannot keep a job from the network" if needs.network == "none" else "gives no job a network of its own"
    if needs.network == "own":
        why = site.image_no_own if needs.contained else site.no_own
    else:
        why = "its jobs are plain processes"
    return f"{what}: {why}" if why else what


def refuses_all(closed: str) -> str:
    """That a host takes no new job, and why, in words that follow its name."""
    return f"takes no new job: {closed}"
