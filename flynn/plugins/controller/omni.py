"""Types that run on every host, so many on each: which of their jobs are too many where they are. Pure."""

from collections.abc import Sequence

from flynn.core.facts import Facts
from flynn.core.matching import placement
from flynn.plugins.controller.jobs import Known
from flynn.plugins.controller.moving import Turnover, surplus, turnover


def turn(facts: Facts, app: str, type: str, have: Sequence[Known], low: int, high: int) -> Turnover:
    """As `turnover`, for any type of an app. Of one that runs on every host, a job on a host that is away counts for
    nothing (that host shall have none while it is away, and may come back), and no host keeps more than it shall have.
    """
    if not placement(facts, app, type).omni:
        return turnover(have, low, high)
    here = [job for job in have if not job.host or job.host in facts.hosts]
    over = beyond(here, facts.formations[app].counts.get(type, 0))
    rest = turnover([job for job in here if job not in over], low, high)
    return Turnover(rest.missing, [*over, *rest.stop])


def beyond(jobs: Sequence[Known], each: int) -> list[Known]:
    """The jobs that stay and are more than `each` on their host."""
    by_host: dict[str, list[Known]] = {}
    for job in jobs:
        if job.host and not job.moving:
            by_host.setdefault(job.host, []).append(job)
    return [job for here in by_host.values() for job in surplus(here, len(here) - each)]
