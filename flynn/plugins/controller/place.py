"""Places for queued jobs: the host with the fewest of their kind that has room, or the reason why none has. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller import place_volumes, wishes


@dataclass
class Ground:
    """What is taken on each host, counted on while places are given within one pass."""

    reserved: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str, int, str]] = field(default_factory=Counter)
    builds: Counter[str] = field(default_factory=Counter)
    writers: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, host: str, job: model.Job) -> None:
        self.reserved[host] += job.memory
        self.kinds[host, job.app, job.release, job.type] += 1
        self.builds[host] += job.queue == "builders"
        self.writers |= {(job.app, mount.volume): job.id for mount in job.mounts if mount.one_writer}

    @staticmethod
    def of(facts: Facts) -> "Ground":
        ground = Ground()
        for key, assignment in facts.jobs.items():
            state = facts.states.get(key)
            if state is None or state.state != "down":
                ground.take(assignment.host, assignment.job)
        return ground


def place_queued(facts: Facts, now: float) -> list[Change]:
    """For each queued job, oldest first: its move to a host, or a new reason why it waits."""
    ground = Ground.of(facts)
    changes = []
    for queued in sorted(facts.queues.values(), key=lambda q: (q.job.created, q.job.id)):
        if queued.job.app not in facts.apps:
            continue
        host, reason = choose(facts, ground, queued.job)
        if host:
            ground.take(host, queued.job)
            changes.append(_assign(facts, queued.job, host, now))
        elif reason != queued.reason:
            key = keys.queued(queued.job.queue, queued.job.id)
            changes.append(Change(puts={key: replace(queued, reason=reason)}, why=f"{queued.job.id} waits: {reason}"))
    return changes


def choose(facts: Facts, ground: Ground, job: model.Job) -> tuple[str, str]:
    """The name of the host for a job, and why there is none ("" where there is one)."""
    if not facts.hosts:
        return "", "no host is up"
    bound, why = place_volumes.bound(facts, job, ground.writers)
    if why:
        return "", why
    if bound and (refused := _refusal(facts, facts.hosts[bound], ground, job)):
        return "", f"its volume {place_volumes.named(facts, job, bound)} is on {bound}, which {refused}"
    if bound:
        return bound, ""
    refusals = {name: _refusal(facts, host, ground, job) for name, host in facts.hosts.items()}
    fit = [name for name, refusal in refusals.items() if not refusal]
    if not fit:
        said = "; ".join(f"{name} {refusal}" for name, refusal in sorted(refusals.items()))
        short = any(refusal.startswith("has ") for refusal in refusals.values())
        return "", f"no host has room for {job.memory} MiB: {said}" if short else said
    kind = (job.app, job.release, job.type)
    return min(fit, key=lambda name: (ground.kinds[name, *kind], ground.reserved[name], name)), ""


def _refusal(facts: Facts, host: model.Host, ground: Ground, job: model.Job) -> str:
    if full := wishes.full(facts, host):
        return refuses_all(full)
    if job.image and not host.images:
        return "runs no images, for want of a Docker Engine"
    if refused := place_volumes.refusal(host, job):
        return refused
    free = host.memory - ground.reserved[host.name]
    if job.memory > free:
        return f"has {max(free, 0)} MiB of {host.memory} free"
    most = max(host.cpus // 2, 1)
    if job.queue == "builders" and ground.builds[host.name] >= most:
        return f"runs {most} build{'s' if most > 1 else ''} already, as many as it may at once"
    return ""


def refuses_all(full: str) -> str:
    return f"takes no new job: {full}"


def _assign(facts: Facts, job: model.Job, host: str, now: float) -> Change:
    assignment = model.Assignment(job=job, host=host, assigned=now)
    return Change(
        puts={keys.job(host, job.id): assignment, **place_volumes.binding(facts, job, host)},
        deletes=(keys.queued(job.queue, job.id),),
        seen=(keys.host(host), keys.wish(host), *place_volumes.keys_of(job)),
        why=f"start {job.id} on {host}",
    )
