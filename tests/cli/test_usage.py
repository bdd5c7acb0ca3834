"""ps and host with what hosts tell of their jobs and of themselves."""

import json

from flynn.cli import show
from flynn.cli.show_usage import cpu, host, memory, percent
from flynn.core.model import Load
from flynn.core.records import HostDetail, HostInfo
from flynn.core.usage import HostUsage, JobUsage, Pressure
from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

MIB = 1024 * 1024


def up(id: str, host: str, type: str = "web") -> dict[str, object]:
    return {"id": id, "type": type, "state": "up", "release": 3, "host": host, "since": T0, "created": T0}


async def test_ps_shows_cpu_and_memory_in_columns(grid: FakeGrid, flynn: Shell) -> None:
    queued = {"id": "hello-web-3", "type": "web", "state": "queued", "created": T0 + 1, "waiting": True}
    other = {**up("hello-web-2", "b"), "restarts": 2}
    grid.jobs = [up("hello-web-1", "a"), other, queued, up("hello-job-1", "a", "job")]
    grid.usage["jobs"] = {
        "hello-web-1": {"percent": 134.2, "memory": 340 * MIB, "limit": 512 * MIB},
        "hello-web-2": {"percent": 0.4, "memory": 33 * MIB + 1, "limit": 512 * MIB},
        "hello-job-1": {"percent": 0.0, "memory": 7 * MIB},
    }
    done = await flynn("ps")
    lines = done.out.splitlines()
    assert [line.split("  v3  ")[-1] for line in lines[:-1]] == [
        "=== job (1)",
        "a    0 %           7 MiB",
        "",
        "=== web (3)",
        "a  134 %  340 of 512 MiB",
        "b  0.4 %   34 of 512 MiB  restarted 2 times",
    ]
    assert lines[-1].split() == ["hello-web-3", "queued", "waits", "to", "be", "placed"]
    assert lines[-1].index("waits") == lines[-2].index("restarted")
    rows = json.loads((await flynn("ps", "--json")).out)
    assert [row["usage"] and row["usage"]["percent"] for row in rows] == [134.2, 0.4, None, 0.0]


async def test_a_host_that_does_not_answer_leaves_its_cells_empty_and_is_named(grid: FakeGrid, flynn: Shell) -> None:
    grid.jobs = [up("hello-web-1", "a"), {**up("hello-web-2", "b"), "reason": "slow"}]
    grid.usage = {
        "jobs": {"hello-web-1": {"percent": 3.0, "memory": 7 * MIB, "limit": 512 * MIB}},
        "silent": {"b": "it does not answer within 3 s"},
    }
    lines = (await flynn("ps")).out.splitlines()
    assert lines[1].endswith("  v3  a  3.0 %  7 of 512 MiB")
    assert lines[2].endswith("  v3  b                       slow")
    assert lines[3:] == ["", "no CPU and memory from b: it does not answer within 3 s"]
    told = await flynn("ps", "--json")
    assert len(json.loads(told.out)) == 2
    assert told.err == "no CPU and memory from b: it does not answer within 3 s\n"


async def test_ps_of_a_grid_that_knows_no_usage(grid: FakeGrid, flynn: Shell) -> None:
    grid.jobs = [{**up("hello-web-1", "a"), "reason": "slow"}]
    grid.usage = {}
    done = await flynn("ps")
    assert (done.code, done.out.splitlines()[1].split("  v3  ")[1]) == (0, "a  slow")


def test_words() -> None:
    assert [percent(value) for value in (0.0, 0.04, 0.05, 0.4, 9.94, 9.95, 100.0, 1600.4)] == [
        "0 %", "0 %", "0.1 %", "0.4 %", "9.9 %", "10 %", "100 %", "1600 %"
    ]  # fmt: skip
    assert (cpu(None), cpu(JobUsage()), memory(None), memory(JobUsage())) == ("", "", "", "")
    assert memory(JobUsage(memory=0, limit=64 * MIB)) == "0 of 64 MiB"


USED = HostUsage(
    cpus=2, load=(0.44, 0.4, 1.25), memory=8_200_000_000, memory_free=5_300_000_000, disk=100_000_000_000,
    disk_free=41_000_000_000, percent=34.2,
    pressure={"cpu": Pressure(some=1.23), "memory": Pressure(some=0.0), "io": Pressure(some=12.0)},
)  # fmt: skip
DETAIL = HostDetail(
    name="a", address="10.0.0.1", url="", started=0.0, version="0.1", memory=7820, cpus=2, backend="sandbox", jobs=12,
    reserved=1536, usage=USED, networks=("host", "none"), no_own="there is no pasta; install it (the package passt)",
)  # fmt: skip


def test_a_host_by_itself() -> None:
    assert host(DETAIL, 7200.0) == [
        "=== a",
        "address   10.0.0.1",
        "up        2 h, version 0.1",
        "backend   sandbox",
        "images    no: it has no Docker Engine that works with flynn",
        "networks  host, none; none of a job's own: there is no pasta; install it (the package passt)",
        "jobs      12 jobs, which reserve 1536 of 7820 MiB",
        "cpu       34 % of 2 cores",
        "load      0.4, 0.4, 1.2 (1, 5, 15 minutes)",
        "memory    5.3 GB of 8.2 GB free",
        "disk      41.0 GB of 100.0 GB free",
        "pressure  cpu 1.2 %, memory 0 %, io 12 % of the last minute",
    ]


async def test_a_host_that_tells_less(grid: FakeGrid, flynn: Shell) -> None:
    grid.host = {"name": "a", "address": "10.0.0.1", "url": "", "started": T0, "backend": "process", "silent": "no."}
    grid.host |= {"image_networks": ["host", "none"], "image_no_own": "there is no iptables; install it"}
    grid.host |= {"images": True, "tags": {"zone": "1"}, "lacks": "jobs are not shut in", "mounts": ["/srv", "/a:ro"]}
    lines = (await flynn("host", "show", "a")).out.splitlines()
    assert lines[3:] == [
        "backend        process: jobs are not shut in",
        "images         yes",
        "networks       host",
        "in containers  host, none; none of a job's own: there is no iptables; install it",
        "jobs           0 jobs, which reserve 0 of 0 MiB",
        "tags           zone=1",
        "mounts         /srv, /a:ro",
        "now            not known: no.",
    ]
    assert (await flynn("host", "show", "b")).err == " !     there is no host b now\n"
    silent = HostUsage(cpus=1, load=(0, 0, 0), memory=1, memory_free=1, disk=1, disk_free=1)
    told = host(HostDetail(name="a", address="", url="", started=0.0, usage=silent), 0.0)
    assert "cpu       not known of 1 core" in told
    assert told[-1] == "pressure  not known: the kernel of this host does not tell"


async def test_the_list_of_hosts_has_what_is_left_of_each() -> None:
    left = Load(load=0.4, memory_free=5120, disk_free=39_000, disk=95_000)
    told = {"address": "10.0.0.1", "url": "", "started": 0.0, "memory": 8192, "cpus": 2, "backend": "sandbox"}
    rows = [HostInfo(name="a", jobs=3, reserved=640, load=left, **told), HostInfo(name="b", **told)]  # type: ignore[arg-type]
    assert show.hosts(rows, 60.0) == [
        "NAME  ADDRESS   UP    JOBS  RESERVED         CPUS  LOAD  FREE      FREE DISK           BACKEND  VERSION  TAGS",
        "a     10.0.0.1  60 s  3     640 of 8192 MiB  2     0.4   5120 MiB  40.9 GB of 99.6 GB  sandbox",
        "b     10.0.0.1  60 s  0     0 of 8192 MiB    2                                         sandbox",
    ]
