"""Control groups of both versions: what is found of them, what is written to them, and what the kernel makes of it."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from flynn.plugins.host.backends.backend import Limits, NotStarted, Spec
from flynn.plugins.host.backends.process import ProcessBackend
from flynn.plugins.host.limits import cgroup1, limiter
from flynn.plugins.host.limits.cgroup import Hierarchy, directory_of, fresh, members, remove, sweep
from flynn.plugins.host.limits.cgroup1 import Group1, Hierarchy1
from flynn.plugins.host.limits.cgroup2 import LEAF, Group2, Hierarchy2, hierarchy2, pass_on
from flynn.plugins.host.limits.cgroup_mounts import Mount, find, highest, mounts, paths
from tests.contract.backend import printed, spec
from tests.harness import ended

LIMITS = Limits(memory=64, cpus=0.5, pids=10)

ONE = """\
25 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/freezer rw,relatime shared:11 - cgroup cgroup rw,freezer
29 25 0:26 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
30 25 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
"""A hybrid machine: controllers in version 1, version 2 beside it without any."""

TWO = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
INSIDE = "40 24 0:30 /docker/abc /sys/fs/cgr\\040oup ro - cgroup2 cgroup rw\n"


def test_mounts_are_found() -> None:
    assert mounts(ONE) == [
        Mount(("cpu",), Path("/sys/fs/cgroup/cpu,cpuacct"), "/"),
        Mount(("memory",), Path("/sys/fs/cgroup/memory"), "/"),
        Mount((), Path("/sys/fs/cgroup/unified"), "/"),
    ]
    assert mounts(TWO) == [Mount((), Path("/sys/fs/cgroup"), "/")]
    assert mounts(INSIDE) == [Mount((), Path("/sys/fs/cgr oup"), "/docker/abc")]
    assert mounts("") == []


def test_ones_own_groups_are_read() -> None:
    assert paths("5:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/user.slice/x:y\n") == {
        "cpu": "/a", "cpuacct": "/a", "name=systemd": "/b", "": "/user.slice/x:y",
    }  # fmt: skip


def group_files(dir: Path, **files: str) -> Path:
    dir.mkdir(parents=True, exist_ok=True)
    for name, text in {"cgroup_procs": "", "cgroup_subtree_control": "", **files}.items():
        (dir / name.replace("_", ".", 1)).write_text(text)
    return dir


def test_groups_are_made_as_far_up_as_may_be(tmp_path: Path) -> None:
    own = group_files(tmp_path / "user" / "app" / "flynn.scope")
    group_files(tmp_path / "user" / "app")
    (tmp_path / "user").mkdir(exist_ok=True)  # No files to write to: somebody else's.
    mount = Mount((), tmp_path, "/")
    assert highest(mount, "/user/app/flynn.scope") == tmp_path / "user" / "app"
    assert highest(Mount((), tmp_path, "/user"), "/user/user/app") == tmp_path / "user" / "app"
    assert highest(Mount((), own, "/user/app/flynn.scope"), "/user/app/flynn.scope") == own
    assert highest(mount, "/elsewhere") is None


def test_the_version_that_can_do_more_is_taken(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    proc.mkdir()
    two = group_files(tmp_path / "two", cgroup_controllers="cpuset memory pids", cgroup_subtree_control="memory pids")
    one = group_files(tmp_path / "one")
    (proc / "cgroup").write_text("3:memory:/\n0::/\n")
    told = f"35 24 0:30 / {two} rw - cgroup2 cgroup2 rw\n27 25 0:24 / {one} rw - cgroup cgroup rw,memory\n"
    (proc / "mountinfo").write_text(told)
    found = find(tmp_path, proc)
    assert found == Hierarchy2(two / directory_of(tmp_path), tmp_path, ("memory", "pids"))
    assert found.lacks == ["cpu"]
    (two / "cgroup.controllers").write_text("hugetlb")
    found = find(tmp_path, proc)
    assert found == Hierarchy1({"memory": one / directory_of(tmp_path)}, tmp_path)
    assert found.lacks == ["cpu", "pids"]
    (proc / "mountinfo").write_text("")
    assert find(tmp_path, proc) is None


def test_limits_of_version_2_are_written_as_it_reads_them(tmp_path: Path) -> None:
    files = {
        "memory_max": "max",
        "memory_swap.max": "max",
        "cpu_max": "max 100000",
        "cpu_weight": "100",
        "pids_max": "max",
        "cgroup_kill": "",
    }
    group = Group2(group_files(tmp_path / "job", **files, memory_events="low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\n"))
    group.limit(LIMITS)
    assert (group.dir / "cpu.weight").read_text() == "100"
    group.limit(replace(LIMITS, yields=True))
    assert (group.dir / "cpu.weight").read_text() == "10"
    written = {
        name: (group.dir / name).read_text() for name in ("memory.max", "memory.swap.max", "cpu.max", "pids.max")
    }
    assert written == {"memory.max": "67108864", "memory.swap.max": "0", "cpu.max": "50000 100000", "pids.max": "13"}
    assert group.oom_kills() == (2, True)
    group.kill()
    assert (group.dir / "cgroup.kill").read_text() == "1"
    group.close()
    assert (group.dir / "pids.max").read_text() == "0"
    assert group.entries == (group.dir / "cgroup.procs",)


def test_what_version_2_does_not_have_is_passed_over(tmp_path: Path) -> None:
    group = Group2(group_files(tmp_path / "job", pids_max="max"))
    group.limit(LIMITS)
    group.limit(Limits())
    assert (group.dir / "pids.max").read_text() == "13"
    assert not (group.dir / "memory.max").exists()
    assert group.oom_kills() == (0, False)


def test_controllers_are_passed_on_once(tmp_path: Path) -> None:
    dir = group_files(tmp_path, cgroup_controllers="cpu memory pids", cgroup_subtree_control="cpu memory")
    pass_on(dir, "cpu")
    assert (dir / "cgroup.subtree_control").read_text() == "cpu memory"
    pass_on(dir, "pids")
    assert (dir / "cgroup.subtree_control").read_text() == "+pids"


def test_only_the_machines_first_group_keeps_its_processes(tmp_path: Path) -> None:
    """It alone has no `cgroup.type`."""
    files = {"cgroup_controllers": "pids", "cgroup_subtree_control": "pids", "cgroup_procs": "7\n"}
    first = group_files(tmp_path / "first", **files)
    hierarchy2(first, tmp_path)
    assert not (first / LEAF).exists()
    other = group_files(tmp_path / "other", cgroup_type="domain\n", **files)
    hierarchy2(other, tmp_path)
    assert (other / LEAF / "cgroup.procs").read_text() == "7"
    empty = group_files(tmp_path / "empty", **{**files, "cgroup_type": "domain\n", "cgroup_procs": ""})
    hierarchy2(empty, tmp_path)
    bare = group_files(tmp_path / "bare", **{**files, "cgroup_type": "domain\n", "cgroup_controllers": "hugetlb"})
    hierarchy2(bare, tmp_path)
    assert not (empty / LEAF).exists()
    assert not (bare / LEAF).exists()


def test_what_jobs_read_and_write_is_counted_where_it_can_be(tmp_path: Path) -> None:
    """The groups of jobs have io.stat only if each group above passes `io` on."""
    group_files(tmp_path, cgroup_controllers="cpuset io memory", cgroup_subtree_control="memory")
    found = hierarchy2(tmp_path, tmp_path / "data")
    assert (found.controllers, found.counters, found.lacks) == (("memory",), ("io",), ["cpu", "pids"])
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+io"
    group_files(found.top, cgroup_subtree_control="memory")
    found.make("job")
    assert (found.top / "cgroup.subtree_control").read_text() == "+io"
    group_files(tmp_path, cgroup_controllers="memory", cgroup_subtree_control="memory")
    assert hierarchy2(tmp_path, tmp_path / "data").counters == ()


def test_limits_of_version_1_are_written_as_it_reads_them(tmp_path: Path) -> None:
    by = {name: tmp_path / name / "job" for name in ("memory", "cpu", "pids")}
    for dir in by.values():
        dir.mkdir(parents=True)
    group = Group1(by)
    group.limit(LIMITS)
    (by["memory"] / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    (by["memory"] / "memory.max_usage_in_bytes").write_text("67108864\n")
    assert (by["memory"] / "memory.limit_in_bytes").read_text() == "67108864"
    assert (by["cpu"] / "cpu.cfs_quota_us").read_text() == "50000"
    assert (by["cpu"] / "cpu.cfs_period_us").read_text() == "100000"
    assert (by["pids"] / "pids.max").read_text() == "13"
    assert not (by["cpu"] / "cpu.shares").exists()
    group.limit(replace(LIMITS, yields=True))
    assert (by["cpu"] / "cpu.shares").read_text() == "102"
    assert group.oom_kills() == (3, True)
    (by["memory"] / "memory.max_usage_in_bytes").write_text("47108864\n")
    assert group.oom_kills() == (3, False)
    (by["memory"] / "memory.max_usage_in_bytes").unlink()
    assert group.oom_kills() == (0, False)


def test_what_is_killed_while_it_is_looked_at_is_known_by_its_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most that it had is read after the count of what was killed."""
    group_files(tmp_path, memory_limit_in_bytes="67108864", memory_max_usage_in_bytes="1000")

    def killed(path: Path, name: str) -> int:
        group_files(tmp_path, memory_max_usage_in_bytes="67108864")
        return 1

    monkeypatch.setattr(cgroup1, "counter", killed)
    assert Group1({"memory": tmp_path}).oom_kills() == (1, True)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Hierarchy]:
    """What this machine really has."""
    found = find(tmp_path)
    if found is None:
        pytest.skip("this user can make no control groups here; run as root, or with Delegate=yes")
    yield found
    sweep(found, ())
    assert found.present() == []


@contextmanager
def running(*words: str) -> Iterator[int]:
    process = subprocess.Popen(words)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def enter(group: Group1 | Group2, pid: int) -> None:
    for path in group.entries:
        path.write_text(str(pid))


def test_a_real_group_is_limited_killed_and_gone(kernel: Hierarchy) -> None:
    group = fresh(kernel, "job", LIMITS)
    assert isinstance(group, Group1 | Group2)
    with running("sleep", "60") as one, running("sleep", "60") as two:
        enter(group, one)
        enter(group, two)
        assert members(group) == {one, two}
        assert kernel.present() == ["job"]
        assert group.oom_kills() == (0, False)
        assert remove(group)
        assert os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) == -9
    assert not any(dir.exists() or dir.parent.exists() for dir in group.dirs)


def test_groups_of_jobs_that_are_no_more_are_cleared_away(kernel: Hierarchy) -> None:
    kept, lost = fresh(kernel, "kept", LIMITS), fresh(kernel, "lost", LIMITS)
    assert isinstance(kept, Group1 | Group2)
    assert isinstance(lost, Group1 | Group2)
    with running("sleep", "60") as one, running("sleep", "60") as two:
        enter(kept, one)
        enter(lost, two)
        sweep(kernel, {"kept"})
        assert kernel.present() == ["kept"]
        assert members(kept) == {one}


def unified() -> Path:
    """Where version 2 is mounted, to make groups in."""
    for mount in mounts(Path("/proc/self/mountinfo").read_text()):
        if not mount.controllers and (top := highest(mount, paths(Path("/proc/self/cgroup").read_text())[""])):
            return top
    pytest.skip("no control groups of version 2 can be made here")


def test_version_2_for_real(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()  # Else the next agent that begins on this machine takes the group for a leftover.
    hierarchy = hierarchy2(unified(), tmp_path / "two")
    group = fresh(hierarchy, "job", LIMITS)
    assert isinstance(group, Group2)
    with running("sh", "-c", "sleep 60 & sleep 60") as pid:
        enter(group, pid)
        assert pid in members(group)
        group.kill()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
        assert remove(group)
    assert not hierarchy.top.exists()


@pytest.mark.parametrize("controller", ["memory", "pids"])
def test_a_daemon_makes_room_in_the_group_that_it_sits_in(tmp_path: Path, controller: str) -> None:
    """A group with processes cannot pass controllers on to groups with processes: they move to a leaf of it."""
    top = unified()
    before = (top / "cgroup.subtree_control").read_text().split()
    there = (top / "cgroup.controllers").read_text().split()
    if controller not in there:
        pytest.skip(f"version 2 does not have the controller {controller} here")
    pass_on(top, controller)
    slice = top / f"{directory_of(tmp_path)}-room"
    slice.mkdir()
    group = slice / "service"
    try:
        pass_on(slice, controller)
        group.mkdir()
        with running("sleep", "60") as own, running("sleep", "60") as pid:
            (group / "cgroup.procs").write_text(str(own))
            hierarchy = hierarchy2(group, tmp_path)
            assert hierarchy.controllers == (controller,)
            assert (group / LEAF / "cgroup.procs").read_text().split() == [str(own)]
            assert (group / "cgroup.subtree_control").read_text().split() == [controller]
            job = fresh(hierarchy, "job", LIMITS)
            assert isinstance(job, Group2)
            enter(job, pid)
            assert members(job) == {pid}
            assert remove(job)
    finally:
        assert remove(Group2(slice))
        for name in {controller} - {*before}:
            (top / "cgroup.subtree_control").write_text(f"-{name}")


async def test_a_process_is_found_wherever_it_goes(tmp_path: Path) -> None:
    """Without walls too: the group knows what left its session and its parents."""
    backend = ProcessBackend(tmp_path / "data")
    await backend.open()
    if backend.limiter.hierarchy is None:
        pytest.skip("this user can make no control groups here")
    told = spec(tmp_path, "setsid sh -c 'echo $$ >$CACHE_DIR/pid; echo away; exec sleep 60' & sleep 0.2; exit 3")
    (tmp_path / "job").mkdir()
    one = await backend.start(told, lambda identity: None)
    async with asyncio.timeout(10):
        await printed(told, b"away")
        assert await one.wait() == 3
    pid = int((tmp_path / "cache" / "pid").read_text())
    assert Path(f"/proc/{pid}").exists()
    group = limiter.group_of(told.dir)
    assert group is not None
    assert pid in members(group)
    again = ProcessBackend(tmp_path / "data").adopt(told.dir, one.identity)
    await again.cleanup()
    assert ended(pid)
    assert limiter.group_of(told.dir) is None
    assert not any(dir.exists() for dir in group.dirs)


async def test_the_next_daemon_keeps_the_groups_of_its_jobs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    backend = ProcessBackend(data)
    await backend.open()
    if backend.limiter.hierarchy is None:
        pytest.skip("this user can make no control groups here")
    (data / "jobs" / "job-1").mkdir(parents=True)
    (tmp_path / "app").mkdir()
    told = Spec(
        "job-1", "echo here; exec sleep 60", {}, {"app": tmp_path / "app"}, data / "jobs" / "job-1", limits=LIMITS
    )
    one = await backend.start(told, lambda identity: None)
    async with asyncio.timeout(10):
        await printed(told, b"here")
        await ProcessBackend(data).open()
        assert one.alive()
        group = limiter.group_of(told.dir)
        assert group is not None
        assert all(dir.exists() for dir in group.dirs)
        found = ProcessBackend(data).adopt(told.dir, one.identity)
        await found.kill()
        assert await found.wait() == 137
        await found.cleanup()
    assert not any(dir.exists() for dir in group.dirs)


async def test_groups_have_data_from_the_beginning_on(tmp_path: Path) -> None:
    """Else the next daemon that begins on this machine would take them for those of one whose data are gone."""
    await ProcessBackend(tmp_path / "data").open()
    assert (tmp_path / "data").is_dir()


async def test_a_group_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    backend = ProcessBackend(tmp_path / "data")
    (tmp_path / "file").write_text("")
    backend.limiter.hierarchy = Hierarchy1({"memory": tmp_path / "file" / "top"}, tmp_path)
    told = spec(tmp_path, "true")
    (tmp_path / "job").mkdir()
    with pytest.raises(NotStarted, match=r"its control group could not be made: .*/file/top/job-1: Not a directory"):
        await backend.start(told, lambda identity: None)
