"""A volume has one writer: how many processes a type may have, and who makes way for whom in a deploy. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from flynn.core import model
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import jobs_of, slot_of


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


def least(formation: model.Formation | None) -> dict[str, int]:
    """How many processes of each type there may be at once, where a type on every host counts as more than one."""
    if formation is None:
        return {}
    omni = {type for type, where in formation.placement.items() if where.omni}
    return {type: 2 * count if type in omni else count for type, count in formation.counts.items()}


@dataclass(frozen=True)
class Ways:
    """In a deploy: the types of the old release whose processes must end before those of types `new` of the next one
    can write where they do. That is its last step, as what fails without it shall stop nobody.
    """

    old: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()

    def begun(self, deploy: model.Deploy) -> bool:
        """Whether they were told to: then it is for good."""
        return any(type in deploy.target for type in self.new)


NONE = Ways()


def ways(old: model.Release, new: model.Release, counts: Mapping[str, int]) -> Ways:
    """Who makes way for whom. `counts`: how many there shall be, by type."""
    same = {slot_of(old, type) for type in old.processes} & {slot_of(new, type) for type in new.processes}
    needed = {
        type: writes(process.mounts)
        for type, process in new.processes.items()
        if counts.get(type) and slot_of(new, type) not in same
    }
    wanted = set().union(*needed.values())
    making = {type for type, p in old.processes.items() if writes(p.mounts) & wanted and slot_of(old, type) not in same}
    held = set().union(*(writes(old.processes[type].mounts) for type in making))
    return Ways(frozenset(making), frozenset(type for type, own in needed.items() if own & held))


def writer_of(facts: Facts, app: str, volume: str) -> str:
    """The job that has a volume for writing now; empty: none does."""
    jobs = (job for job in jobs_of(facts, app) if job.host and not job.ended)
    return next((job.job.id for job in jobs if volume in writes(job.job.mounts)), "")
