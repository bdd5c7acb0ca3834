"""A volume has one writer: how many processes a type may have, and who makes way for whom in a deploy. Pure."""

from collections.abc import Mapping

from flynn.core import model
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import jobs_of, wanted_counts


def writes(mounts: tuple[model.Mount, ...]) -> set[str]:
    """The volumes that nobody else may write to meanwhile."""
    return {mount.volume for mount in mounts if mount.one_writer}


def check(app: str, processes: Mapping[str, model.ProcessType], counts: Mapping[str, int]) -> None:
    """Invalid: so many processes would have more than one write to a volume that has one writer."""
    writers: dict[str, dict[str, int]] = {}
    for type, process in processes.items():
        for volume in writes(process.mounts) if counts.get(type) else ():
            writers.setdefault(volume, {})[type] = counts[type]
    for volume, types in writers.items():
        if sum(types.values()) > 1:
            asked = " and ".join(f"{type}={count}" for type, count in types.items())
            raise Invalid(
                f"{asked} of {app} cannot be: the volume {volume} has one writer at a time; mount it read-only where "
                f"it is only read ({volume}:/PATH:ro), or use a volume made with --shared"
            )


def check_app(facts: Facts, app: str, counts: Mapping[str, int]) -> None:
    """The same for what serves, and for what is on its way."""
    deploy = facts.deploys.get(app)
    versions = {facts.apps[app].release, deploy.new if deploy and deploy.state == "running" else 0}
    for version in sorted(versions):
        if release := facts.releases.get(f"{app}/{version}"):
            check(app, release.processes, counts)


def making_way(facts: Facts, old: model.Release, new: model.Release) -> list[str]:
    """The types of the release that serves whose processes must end before those of the next can write where they do.

    Not before all others of the next release are up, as what fails without them shall stop nobody; and for good once
    they were told to.
    """
    counts = wanted_counts(facts, new)
    needed = {type: writes(new.processes[type].mounts) for type, count in counts.items() if count}
    wanted = set().union(*needed.values())
    ways = [type for type, process in old.processes.items() if writes(process.mounts) & wanted]
    held = set().union(*(writes(old.processes[type].mounts) for type in ways))
    jobs = list(jobs_of(facts, new.app, ("services",)))
    holds = any(j.job.release == old.version and j.job.type in ways and j.host and not j.stop for j in jobs)
    up = [j.job.type for j in jobs if j.up and j.job.release == new.version]
    others = {type: count for type, count in counts.items() if not needed.get(type, set()) & held}
    return ways if not holds or all(up.count(type) >= count for type, count in others.items()) else []


def writer_of(facts: Facts, app: str, volume: str) -> str:
    """The job that has a volume for writing now; empty: none does."""
    jobs = (job for job in jobs_of(facts, app) if job.host and not job.ended)
    return next((job.job.id for job in jobs if volume in writes(job.job.mounts)), "")
