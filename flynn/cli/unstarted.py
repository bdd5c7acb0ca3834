"""Why processes are missing of which there is no job at the moment: the last could not be started. Pure."""

from collections.abc import Mapping, Sequence

from flynn.core.records import Count, JobInfo


def is_short(wanted: Mapping[str, Count], jobs: Sequence[JobInfo]) -> bool:
    """Whether a process type has fewer jobs than are wanted."""
    return any(_missing(type, count, jobs) > 0 for type, count in wanted.items())


def unstarted(wanted: Mapping[str, Count], jobs: Sequence[JobInfo]) -> dict[str, str]:
    """By process type, how many of those wanted are missing as they could not be started, and why. `jobs`: those that
    have ended, too."""
    said = {}
    for type, count in wanted.items():
        last = max(_of(type, jobs), key=lambda job: (job.created, job.id), default=None)
        missing = _missing(type, count, jobs)
        if missing > 0 and last and last.state == "down" and last.failure == "start":
            said[type] = f"{missing} of {count.wanted} could not be started, and it is tried again: {last.reason}"
    return said


def _missing(type: str, count: Count, jobs: Sequence[JobInfo]) -> int:
    return count.wanted - sum(job.state != "down" for job in _of(type, jobs))


def _of(type: str, jobs: Sequence[JobInfo]) -> list[JobInfo]:
    return [job for job in jobs if job.type == type and job.queue in ("", "services")]
