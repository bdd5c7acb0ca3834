"""Jobs that another shall take the place of: marked, replaced by one that is up elsewhere, then stopped. Pure.

Whatever moves a job (its host is drained, has other tags than it needs, has too many of its kind) marks its
assignment. The formation then wants one more of its kind, and stops the marked one once that is up: so never fewer
serve than shall.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import keys, matching, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY
from flynn.plugins.controller.jobs import Known, known


@dataclass(frozen=True)
class Turnover:
    """How many jobs of a kind are to be started, and which of it to be stopped."""

    missing: int
    stop: list[Known]


def up(job: Known) -> bool:
    return job.up


def turnover(
    have: Sequence[Known], count: int, most: int | None = None, serves: Callable[[Known], bool] = up
) -> Turnover:
    """From the jobs of a kind that are there to `count` that stay (`most`: so many may); those that move stop as others
    come to serve.

    At no time fewer serve than do now, or `count`, whichever is less.
    """
    stay = [job for job in have if not job.moving]
    leave = [job for job in have if job.moving]
    needed = max(count - sum(map(serves, stay)), 0)
    return Turnover(
        missing=max(count - len(stay), 0),
        stop=[
            *surplus(stay, len(stay) - (count if most is None else most), serves),
            *surplus(leave, len(leave) - needed, serves),
        ],
    )


def surplus(jobs: Sequence[Known], count: int, serves: Callable[[Known], bool] = up) -> list[Known]:
    """Which `count` of these to stop: those without a place first, then those not up, or up but not well, then the
    newest."""
    if count <= 0:
        return []
    order = sorted(jobs, key=lambda job: (bool(job.host), job.up, serves(job), -job.job.created, job.job.id))
    return order[:count]


def mark_move(facts: Facts, job: Known, now: float) -> Change | None:
    """The mark of a job whose host it must leave, or none for one that need not any more.

    What is bound to its host by a volume stays, unless the drain is forced: then it is stopped.
    """
    if job.stop or job.ended:
        return None
    cause = must_leave(facts, job)
    if cause and (job.job.queue != "services" or bound(facts, job.job)):
        return _end_here(facts, job, now) if cause == "drain" else None
    return _mark(facts, job, cause) if cause != job.moving and job.moving != "rebalance" else None


def must_leave(facts: Facts, job: Known) -> model.Move:
    """Why a job cannot stay on its host; empty: it can."""
    if matching.draining(facts, job.host):
        return "drain"
    host = facts.hosts.get(job.host)
    if host is None or job.job.queue != "services":
        return ""
    where = matching.placement(facts, job.job.app, job.job.type)
    if matching.lacking(facts, host, where):
        return "tags"
    return "apart" if where.one_per_host and _second(facts, job) else ""


def _second(facts: Facts, job: Known) -> bool:
    """Whether an older one of its kind stays on the host of a job."""
    return any(
        a.job.id != job.job.id
        and (a.job.app, a.job.release, a.job.type) == (job.job.app, job.job.release, job.job.type)
        and (a.job.created, a.job.id) < (job.job.created, job.job.id)
        and not a.stop
        and not known(facts, key, a).ended
        for key, a in facts.jobs_by_host.get(job.host, EMPTY).items()
    )


def bound(facts: Facts, job: model.Job) -> str:
    """The volume that binds a job to the host it is on; empty: none does."""
    for mount in job.mounts:
        volume = facts.volumes.get(f"{job.app}/{mount.volume}") if mount.volume else None
        if volume and volume.host and not volume.scratch:
            return volume.name
    return ""


def why(cause: model.Move, host: str) -> str:
    """Why a job leaves `host`, in words."""
    return {
        "": f"stays on {host}",
        "drain": f"leaves {host}, which is drained",
        "tags": f"leaves {host}, which has not the tags that it needs",
        "apart": f"leaves {host}, which has another of its kind, and shall have one",
        "rebalance": f"leaves {host}, which has more of its kind than others",
    }[cause]


def ends_at(wish: model.Wish) -> float:
    """When what cannot be moved is stopped in a forced drain."""
    return wish.drained + wish.timeout


def _end_here(facts: Facts, job: Known, now: float) -> Change | None:
    """What cannot be moved, in a forced drain: services at once, what ends by itself when its time is over."""
    wish = facts.wishes[job.host]
    if not wish.force or (job.job.queue != "services" and now < ends_at(wish)):
        return None
    assignment = facts.jobs[job.key.removeprefix("jobs/")]
    told = f"stop {job.job.id}: {job.host} is drained by force"
    return Change(puts={job.key: replace(assignment, stop=True)}, seen=(keys.wish(job.host),), why=told)


def _mark(facts: Facts, job: Known, cause: model.Move) -> Change:
    assignment = facts.jobs[job.key.removeprefix("jobs/")]
    return Change(
        puts={job.key: replace(assignment, moving=cause)},
        seen=(keys.wish(job.host), keys.formation(job.job.app)),
        why=f"{job.job.id} {why(cause, job.host)}",
    )
