"""Where the data of a job lets it run: on the host that has its volumes, once nobody else writes to them. Pure."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.plugins.controller.mounts import permits

Writer = Callable[[str, str], str]
"""The job that writes to a volume (app, name) which has one writer; empty: none does."""


def bound(facts: Facts, job: model.Job, writer_of: Writer) -> tuple[str, str]:
    """The host that a job is bound to ("": any), and why it cannot run now ("": nothing of its data prevents it)."""
    host, first = "", ""
    for mount in job.mounts:
        if not mount.volume:
            continue
        volume = facts.volumes.get(f"{job.app}/{mount.volume}")
        if volume is None or volume.id != mount.id or volume.deleting:
            return "", f"its volume {mount.volume} was deleted; unmount it, or make and mount another"
        if volume.host and host and volume.host != host:
            return "", f"its volumes {first} on {host} and {volume.name} on {volume.host} are on different hosts"
        if volume.host:
            host, first = volume.host, volume.name
    if host and host not in facts.hosts:
        return host, f"its volume {first} is on {host}, which is away"
    for mount in job.mounts:
        if mount.one_writer and (writer := writer_of(job.app, mount.volume)):
            return host, f"its volume {mount.volume} has one writer, which is {writer} until that has ended"
    return host, ""


def named(facts: Facts, job: model.Job, host: str) -> str:
    """The volume that binds a job to a host."""
    found = (facts.volumes[f"{job.app}/{mount.volume}"] for mount in job.mounts if mount.volume)
    return next(volume.name for volume in found if volume.host == host)


def refusal(permitted: Iterable[str], mounts: Iterable[model.Mount]) -> str:
    """Which directory of a host that permits these cannot be mounted; empty: all can."""
    for mount in mounts:
        if not permits(permitted, mount):
            to = " to write to" if not mount.read_only else ""
            return f"lets no job have {mount.source}{to} (host.mounts in its flynn.toml)"
    return ""


def binding(facts: Facts, job: model.Job, host: str) -> dict[str, model.Record]:
    """The volumes that have no host yet, with this one: from now on their data is there."""
    found = {keys.volume(job.app, m.volume): facts.volumes[f"{job.app}/{m.volume}"] for m in job.mounts if m.volume}
    return {key: replace(v, host=host) for key, v in found.items() if not v.host and not v.scratch}


def keys_of(job: model.Job) -> tuple[str, ...]:
    """What must not have changed when a job is placed."""
    return tuple(keys.volume(job.app, mount.volume) for mount in job.mounts if mount.volume)
