"""What a host tells Prometheus: its jobs, and itself. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from flynn.core.exposition import Kind, Sample, family, labels
from flynn.core.model import Job
from flynn.core.usage import HostUsage, JobUsage


class OfJob(NamedTuple):
    """A family with a line for each job of which the number is known."""

    name: str
    kind: Kind
    help: str
    value: Callable[[JobUsage], float | None]


JOB = (
    OfJob("cpu_seconds_total", "counter", "Seconds of CPU of a job's processes.", lambda job: job.cpu),
    OfJob("memory_bytes", "gauge", "Memory of a job, without files that were read.", lambda job: job.memory),
    OfJob("memory_limit_bytes", "gauge", "What a job may take of memory.", lambda job: job.limit or None),
    OfJob("read_bytes_total", "counter", "Bytes read from disks.", lambda job: job.read),
    OfJob("written_bytes_total", "counter", "Bytes written to disks.", lambda job: job.written),
    OfJob("open_files", "gauge", "Open files of a job's processes.", lambda job: job.files),
    OfJob("processes", "gauge", "Processes of a job.", lambda job: job.processes),
    OfJob("oom_kills_total", "counter", "Processes killed for want of memory.", lambda job: job.killed),
)


def of_jobs(usage: Mapping[str, JobUsage], jobs: Mapping[str, Job]) -> Iterator[str]:
    """The families of jobs, one after the other. `jobs`: all that are in `usage`."""
    named = [(labels(app=jobs[id].app, type=jobs[id].type, job=id), used) for id, used in usage.items()]
    for one in JOB:
        known = ((name, one.value(used)) for name, used in named)
        rows = (Sample(name, value) for name, value in known if value is not None)
        yield family(f"flynn_job_{one.name}", one.kind, one.help, rows)


def of_host(host: HostUsage, jobs: Mapping[str, int]) -> str:
    """The families of the machine. `jobs`: how many there are by state."""
    load = [Sample(labels(minutes=name), value) for name, value in zip(("1", "5", "15"), host.load, strict=True)]
    return "".join(
        [
            _one("cpus", "gauge", "Cores of the machine.", host.cpus),
            _one("cpu_seconds_total", "counter", "Seconds that the cores were busy.", host.cpu),
            family("flynn_host_load", "gauge", "Load of the last minutes.", load),
            _one("memory_bytes", "gauge", "Memory of the machine.", host.memory),
            _one("memory_free_bytes", "gauge", "Memory that jobs could have.", host.memory_free),
            _one("disk_bytes", "gauge", "The disk of the agent's data.", host.disk),
            _one("disk_free_bytes", "gauge", "What is free of it.", host.disk_free),
            family(
                "flynn_host_pressure_seconds_total", "counter", "Seconds for which work waited (PSI).",
                _waited(host),
            ),
            family(
                "flynn_host_jobs", "gauge", "Jobs of this host.",
                (Sample(labels(state=name), jobs.get(name, 0)) for name in ("starting", "up", "stopping")),
            ),
        ]
    )  # fmt: skip


def _one(name: str, kind: Kind, help: str, value: float) -> str:
    return family(f"flynn_host_{name}", kind, help, [Sample("", value)])


def _waited(host: HostUsage) -> Iterable[Sample]:
    for resource, told in (host.pressure or {}).items():
        yield Sample(labels(resource=resource, kind="some"), told.some_total)
        yield Sample(labels(resource=resource, kind="full"), told.full_total)
