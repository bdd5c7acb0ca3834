"""Types that run on every host, so many on each: which of their jobs are too many where they are. Pure."""

from collections.abc import Sequence
from functools import partial

from flynn.core.facts import Facts
from flynn.core.matching import placement
from flynn.plugins.controller.jobs import Known, ready
from flynn.plugins.controller.moving import Turnover, must_leave, surplus, turnover


def turn(facts: Facts, app: str, type: str, have: Sequence[Known], low: int, high: int) -> Turnover:
    """As `turnover`, for any type of an app. Of one that runs on every host, a job on a host that is away counts for
    nothing (that host shall have none while it is away, and may come back), and no host keeps more than it shall have.
    """
    serves = partial(ready, facts)
    if not placement(facts, app, type).omni:
        return turnover(have, low, high, serves)
    here = [_leaving(facts, job) for job in have if not job.host or job.host in facts.hosts]
    over = beyond(here, facts.formations[app].counts.get(type, 0))
    rest = turnover([job for job in here if job not in over], low, high, serves)
    return Turnover(rest.missing, [*over, *rest.stop])


def _leaving(facts: Facts, job: Known) -> Known:
    """A job that must leave its host moves, also before it is marked: no other stops for it."""
    return job._replace(moving=must_leave(facts, job)) if job.host and not job.moving else job


def beyond(jobs: Sequence[Known], each: int) -> list[Known]:
    """The jobs that stay and are more than `each` on their host."""
    by_host: dict[str, list[Known]] = {}
    for job in jobs:
        if job.host and not job.moving:
            by_host.setdefault(job.host, []).append(job)
    return [job for here in by_host.values() for job in surplus(here, len(here) - each)]
