"""What is told of readings: how much of a core is used, what is worth a write, and the text for Prometheus."""

import pytest

from flynn.core.model import Job, Load
from flynn.core.usage import HostUsage, JobUsage, Pressure
from flynn.plugins.host.usage.families import JOB, of_host, of_jobs
from flynn.plugins.host.usage.noticeable import noticeable
from flynn.plugins.host.usage.pace import LONG, Pace
from tests.core.test_metrics import samples


def test_a_pace_needs_two_moments() -> None:
    first = Pace(10.0, 5.0)
    assert first.percent is None
    assert first.after(12.0, 6.0) == Pace(12.0, 6.0, 50.0)
    assert first.after(11.0, 8.0) == Pace(11.0, 8.0, 300.0)


def test_moments_too_close_are_not_compared() -> None:
    pace = Pace(10.0, 5.0).after(12.0, 6.0)
    assert pace.after(12.1, 6.1) is pace
    assert pace.after(12.2, 6.2).after(12.4, 6.4).percent == pytest.approx(100.0)


def test_a_pace_of_long_ago_says_nothing_of_now() -> None:
    assert Pace(10.0, 5.0, 50.0).after(10.0 + LONG + 1, 9.0).percent is None


def test_what_counts_less_than_before_stands_still() -> None:
    assert Pace(10.0, 5.0).after(11.0, 4.0) == Pace(11.0, 4.0, 0.0)


TOLD = Load(load=1.0, memory_free=4000, disk_free=40_000, disk=100_000)


@pytest.mark.parametrize(
    ("now", "worth"),
    [
        (Load(load=1.0, memory_free=4000, disk_free=40_000, disk=100_000), False),
        (Load(load=1.9, memory_free=4000, disk_free=40_000, disk=100_000), False),
        (Load(load=2.0, memory_free=4000, disk_free=40_000, disk=100_000), True),
        (Load(load=1.0, memory_free=3700, disk_free=40_000, disk=100_000), False),
        (Load(load=1.0, memory_free=3500, disk_free=40_000, disk=100_000), True),
        (Load(load=1.0, memory_free=4500, disk_free=40_000, disk=100_000), True),
        (Load(load=1.0, memory_free=4000, disk_free=36_000, disk=100_000), False),
        (Load(load=1.0, memory_free=4000, disk_free=34_000, disk=100_000), True),
        (Load(load=1.0, memory_free=4000, disk_free=40_000, disk=200_000), True),
    ],
)
def test_what_is_worth_a_write(now: Load, worth: bool) -> None:
    assert noticeable(TOLD, now, cpus=4, memory=8192) is worth


def test_little_is_told_more_exactly_than_much() -> None:
    little = Load(load=0.0, memory_free=100, disk_free=500, disk=100_000)
    assert noticeable(little, Load(load=0.0, memory_free=70, disk_free=500, disk=100_000), 4, 8192)
    assert noticeable(little, Load(load=0.0, memory_free=100, disk_free=390, disk=100_000), 4, 8192)
    none = Load(load=0.0, memory_free=0, disk_free=0, disk=100_000)
    assert noticeable(none, Load(load=0.0, memory_free=0, disk_free=1, disk=100_000), 4, 8192)
    assert not noticeable(none, none, 4, 8192)


def job(id: str) -> Job:
    return Job(id=id, app="shop", type="web", queue="services", command="", created=1.0)


def test_jobs_for_prometheus() -> None:
    used = {
        "shop-web-1": JobUsage(cpu=1.5, percent=3.0, memory=10, limit=20, read=1, written=2, files=3, processes=4),
        "shop-web-2": JobUsage(killed=2),
    }
    found = samples("".join(of_jobs(used, {id: job(id) for id in used})))
    labels = " app=shop job=shop-web-1 type=web"
    names = (
        "cpu_seconds_total", "memory_bytes", "memory_limit_bytes", "read_bytes_total", "written_bytes_total",
        "open_files", "processes", "oom_kills_total",
    )  # fmt: skip
    assert len(names) == len(JOB)
    assert [found[f"flynn_job_{name}{labels}"] for name in names] == [1.5, 10, 20, 1, 2, 3, 4, 0]
    assert {name for name in found if "shop-web-2" in name} == {
        "flynn_job_oom_kills_total app=shop job=shop-web-2 type=web"
    }
    assert "".join(of_jobs({}, {})) == ""


def test_a_host_for_prometheus() -> None:
    waits = {"io": Pressure(some=1.0, some_total=2.5, full_total=0.5)}
    host = HostUsage(
        cpus=4, load=(1, 2, 3), memory=5, memory_free=6, disk=7, disk_free=8, cpu=9.5, percent=10, pressure=waits
    )
    found = samples(of_host(host, {"up": 3}))
    names = ("cpus", "cpu_seconds_total", "memory_bytes", "memory_free_bytes", "disk_bytes", "disk_free_bytes")
    assert [found[f"flynn_host_{name}"] for name in names] == [4, 9.5, 5, 6, 7, 8]
    assert [found[f"flynn_host_load minutes={minutes}"] for minutes in (1, 5, 15)] == [1, 2, 3]
    waited = "flynn_host_pressure_seconds_total kind={} resource=io"
    assert [found[waited.format(kind)] for kind in ("some", "full")] == [2.5, 0.5]
    states = [found[f"flynn_host_jobs state={state}"] for state in ("starting", "up", "stopping")]
    assert states == [0, 3, 0]
    silent = samples(of_host(HostUsage(cpus=4, load=(1, 2, 3), memory=5, memory_free=6, disk=7, disk_free=8), {}))
    assert not [name for name in silent if "pressure" in name]
