"""What is read of the files of the kernel: of control groups of both versions, processes, pressure; and of none."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core.usage import Pressure
from flynn.plugins.host.docker.container_stats import reading
from flynn.plugins.host.limits.cgroup_mounts import mounts
from flynn.plugins.host.usage.groupfiles import members, moved, read_groups
from flynn.plugins.host.usage.kernel import text, value
from flynn.plugins.host.usage.pressure import parse as parse_pressure
from flynn.plugins.host.usage.pressure import pressure
from flynn.plugins.host.usage.processes import PAGE, TICK, Process, children, parse, scan, total, tree
from flynn.plugins.host.usage.reading import Reading
from flynn.plugins.host.usage.seats import COUNTED, found
from tests.plugins.host.limits.test_cgroups import INSIDE, ONE, TWO

MIB = 1024 * 1024

STAT1 = "cache 9000\nrss 5\ninactive_file 7\ntotal_cache 8\ntotal_inactive_file 1048576\n"
STAT2 = "anon 1\nfile 2\ninactive_anon 3\ninactive_file 2097152\nactive_file 4\n"
CPU2 = "usage_usec 2500000\nuser_usec 1\nsystem_usec 2\nnr_periods 0\n"
IO2 = "8:0 rbytes=4096 wbytes=100 rios=1 wios=2 dbytes=0 dios=0\n253:0 rbytes=904 wbytes=0 rios=1\n7:1 \n"
GARBAGE = ["", "\n", "max\n", "-5\n", "nonsense", "1 2 3\n\x00", "usage_usec x\ninactive_file \n"]


def files(dir: Path, **texts: str) -> str:
    """A directory with these files, of whose names the first `_` is a dot; as a path in text."""
    dir.mkdir(parents=True, exist_ok=True)
    for name, told in texts.items():
        (dir / name.replace("_", ".", 1)).write_text(told)
    return str(dir)


def test_version_1(tmp_path: Path) -> None:
    memory = files(tmp_path / "m", memory_usage_in_bytes=f"{9 * MIB}\n", memory_stat=STAT1, cgroup_procs="7\n8\n")
    cpu = files(tmp_path / "c", cpuacct_usage="2500000000\n")
    together = read_groups({"memory": memory, "cpu": cpu, "pids": str(tmp_path / "p")})
    assert together == Reading(cpu=2.5, memory=8 * MIB, limited=True)
    apart = read_groups({"memory": memory, "cpu": str(tmp_path), "cpuacct": cpu})
    assert apart == together
    assert read_groups({"memory": memory, "cpu": str(tmp_path)}) == Reading(memory=8 * MIB, limited=True)
    assert read_groups({"cpu": cpu}) == Reading(cpu=2.5)
    assert members({"cpu": cpu, "memory": memory}) == [7, 8]


def test_version_2(tmp_path: Path) -> None:
    whole = files(
        tmp_path, memory_current=f"{9 * MIB}\n", memory_stat=STAT2, cpu_stat=CPU2, io_stat=IO2, cgroup_procs="7\n8\n"
    )
    assert read_groups({"": whole}) == Reading(2.5, 7 * MIB, True, 5000, 100)
    assert members({"": whole}) == [7, 8]
    os.unlink(tmp_path / "memory.current")
    os.unlink(tmp_path / "io.stat")
    assert read_groups({"": whole}) == Reading(2.5)


def test_a_machine_with_both(tmp_path: Path) -> None:
    memory = files(tmp_path / "m", memory_usage_in_bytes=f"{MIB}\n")
    both = {"memory": memory, "cpu": str(tmp_path), "": files(tmp_path / "u", cpu_stat=CPU2)}
    assert read_groups(both) == Reading(cpu=2.5, memory=MIB, limited=True)


def test_no_files(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "gone")
    assert read_groups({"": nowhere}) == read_groups({"memory": nowhere, "cpuacct": nowhere}) == Reading()
    assert read_groups({}) == Reading()
    assert members({"": nowhere}) == []


@pytest.mark.parametrize("told", GARBAGE)
def test_garbage_is_not_known(tmp_path: Path, told: str) -> None:
    names = ("memory_current", "memory_usage_in_bytes", "cpu_stat", "cpuacct_usage", "cgroup_procs")
    dir = files(tmp_path, memory_stat=told, **dict.fromkeys(names, told))
    assert read_groups({"": dir}) == read_groups({"memory": dir, "cpu": dir}) == Reading()
    assert members({"": dir}) in ([], [1, 2, 3])


@given(st.text())
def test_any_text_is_borne(told: str) -> None:
    assert (value(told, "usage_usec") or 0) >= 0
    assert all((count or 0) >= 0 for count in moved(told))
    assert parse(told) is None or len(told.split()) > 21
    assert parse_pressure(told) is None or "avg60=" in told
    places = found(mounts(ONE, COUNTED), {"memory": told, "": told})
    assert not any(".." in place.split("/") for place in places.values())


def test_more_is_dropped_than_there_is(tmp_path: Path) -> None:
    dir = files(tmp_path, memory_current="5\n", memory_stat="inactive_file 9\n")
    assert read_groups({"": dir}).memory == 0


def test_the_groups_of_a_process_are_found_where_they_are_mounted() -> None:
    own = {"cpu": "/docker/x", "cpuacct": "/docker/x", "memory": "/docker/x", "freezer": "/docker/x", "": "/docker/x"}
    assert found(mounts(ONE, COUNTED), own) == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct/docker/x",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/docker/x",
        "memory": "/sys/fs/cgroup/memory/docker/x",
        "": "/sys/fs/cgroup/unified/docker/x",
    }
    assert found(mounts(TWO, COUNTED), {"": "/system.slice/docker-x.scope"}) == {
        "": "/sys/fs/cgroup/system.slice/docker-x.scope"
    }
    assert found(mounts(INSIDE, COUNTED), {"": "/docker/abc/y"}) == {"": "/sys/fs/cgr oup/y"}


@pytest.mark.parametrize("place", ["/", "", "/docker/abc", "/docker/abcd", "/other", "/docker/abc/../x", "/.."])
def test_groups_that_are_not_ones_own_are_not_taken(place: str) -> None:
    assert found(mounts(INSIDE, COUNTED), {"": place}) == {}


def stat(pid: int, parent: int, session: int = 1, ticks: str = "5 6 7 8", pages: int = 100, state: str = "S") -> str:
    """As proc(5) has it, for a program with an odd name."""
    return f"{pid} (a) b) {state} {parent} {pid} {session} 0 -1 0 1 2 3 4 {ticks} 20 0 1 0 900 1000 {pages} 99 1 1\n"


def process(dir: Path, pid: int, parent: int, **told: object) -> None:
    (dir / str(pid) / "fd").mkdir(parents=True)
    (dir / str(pid) / "stat").write_text(stat(pid, parent, **told))  # type: ignore[arg-type]
    (dir / str(pid) / "io").write_text(
        "rchar: 9\nwchar: 9\nread_bytes: 10\nwrite_bytes: 20\ncancelled_write_bytes: 5\n"
    )


def test_a_process() -> None:
    assert parse(stat(12, 3, 4)) == Process(parent=3, session=4, cpu=26, memory=100)
    assert parse(stat(12, 3, 4, state="Z")) == Process(3, 4, 26, 100, dead=True)
    for told in ("", "12 (a)", "12 (a) S x y", stat(1, 2)[:30]):
        assert parse(told) is None


def test_a_tree_of_processes(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, session=10)
    process(tmp_path, 11, 10, session=10)
    process(tmp_path, 12, 11, session=12)
    process(tmp_path, 13, 1, session=10)  # It was left when its parent ended.
    process(tmp_path, 14, 13, session=14)
    process(tmp_path, 20, 1, session=20)
    (tmp_path / "self").mkdir()
    (tmp_path / "21").mkdir()
    all = scan(str(tmp_path))
    assert sorted(all) == [10, 11, 12, 13, 14, 20]
    assert tree(10, all, children(all)) == {10, 11, 12, 13, 14}
    assert tree(99, all, children(all)) == set()
    assert scan(str(tmp_path / "gone")) == {}


def test_processes_are_added_up(tmp_path: Path) -> None:
    process(tmp_path, 10, 1)
    process(tmp_path, 11, 10, ticks="100 0 0 0", state="Z")
    process(tmp_path, 12, 10, ticks="0 0 -1 0")
    all = scan(str(tmp_path))
    told = total([10, 11, 12], all, Reading(), str(tmp_path))
    assert (told.cpu, told.memory) == (125 / TICK, 300 * PAGE)
    assert (told.read, told.written, told.processes, told.limited) == (20, 40, 2, False)
    assert told.files
    known = Reading(cpu=1.0, memory=2, limited=True, read=3, written=4)
    assert total([10], all, known, str(tmp_path))[:5] == known[:5]
    assert total([], all, Reading(), str(tmp_path)) == Reading(processes=0)


def test_of_a_sum_no_part_may_be_missing(tmp_path: Path) -> None:
    process(tmp_path, 10, 1)
    process(tmp_path, 11, 10)
    os.unlink(tmp_path / "11" / "io")
    all = scan(str(tmp_path))
    assert total([10, 11], all, Reading(), str(tmp_path))[3:5] == (None, None)
    assert total([10, 99], all, Reading(), str(tmp_path))[3:5] == (10, 20)  # That one has ended.


PSI = "some avg10=0.00 avg60=1.50 avg300=0.43 total=2500000\nfull avg10=0.00 avg60=0.25 avg300=0.09 total=1000000\n"


def test_pressure(tmp_path: Path) -> None:
    assert parse_pressure(PSI) == Pressure(some=1.5, full=0.25, some_total=2.5, full_total=1.0)
    assert parse_pressure(PSI.splitlines()[0]) == Pressure(some=1.5, some_total=2.5)  # CPU, before Linux 5.13.
    for told in ("", "some avg10=0.00", "full avg60=1", "some avg60=x total=1", "\n\n"):
        assert parse_pressure(told) is None
    assert pressure(str(tmp_path)) is None
    (tmp_path / "io").write_text(PSI)
    (tmp_path / "cpu").write_text("")
    assert pressure(str(tmp_path)) == {"io": parse_pressure(PSI)}


def test_a_file_that_is_no_file(tmp_path: Path) -> None:
    assert text(str(tmp_path)) == text(str(tmp_path / "gone")) == ""
    (tmp_path / "a").write_bytes(b"\xff1\n")
    assert text(str(tmp_path / "a")) == "\ufffd1\n"


def test_what_the_engine_says() -> None:
    told = {
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}, "online_cpus": 2},
        "memory_stats": {"usage": 9 * MIB, "stats": {"inactive_file": 2 * MIB}, "limit": 1},
        "blkio_stats": {"io_service_bytes_recursive": [
            {"major": 8, "op": "read", "value": 5}, {"op": "Write", "value": 7}, {"op": "Total", "value": 12},
        ]},
    }  # fmt: skip
    assert reading(told) == Reading(2.5, 7 * MIB, True, 5, 7)
    old = {"memory_stats": {"usage": 9, "stats": {"total_inactive_file": 4, "inactive_file": 1}}}
    assert reading(old).memory == 5
    ended = {"cpu_stats": {"cpu_usage": {}}, "memory_stats": {}, "blkio_stats": {"io_service_bytes_recursive": None}}
    assert reading(ended) == reading({}) == reading([]) == reading({"memory_stats": {"usage": "much"}}) == Reading()
