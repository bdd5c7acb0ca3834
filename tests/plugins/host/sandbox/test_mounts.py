"""What of a machine's mounts a sandbox is begun without."""

import asyncio
import os
import shlex
import subprocess
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.host.mountinfo import mounted
from flynn.plugins.host.sandbox import mounts
from flynn.plugins.host.sandbox.mounts import USELESS, can_let_go, letting_go, useless

MACHINE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw shared:2 - proc proc rw
24 22 0:22 / /sys rw shared:3 - sysfs sysfs rw
25 24 0:23 / /sys/fs/cgroup rw shared:4 - tmpfs tmpfs rw
25 25 0:23 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw
26 22 0:6 / /dev rw shared:5 - devtmpfs udev rw
27 26 0:24 / /dev/pts rw shared:6 - devpts devpts rw
28 26 0:25 / /dev/mqueue rw shared:7 - mqueue mqueue rw
29 22 0:26 / /run rw shared:8 - tmpfs tmpfs rw
30 29 0:4 net:[1] /run/netns/one rw - nsfs nsfs rw
31 22 7:0 / /snap/core/1 ro shared:9 - squashfs /dev/loop0 ro
32 22 0:30 / /var/lib/docker/overlay2/1/merged rw shared:10 - overlay overlay rw
33 32 0:31 / /var/lib/docker/overlay2/1/merged/proc rw - proc proc rw
34 22 0:32 / /mnt/far rw shared:11 - nfs4 server:/ rw
35 22 0:33 / /mnt/a\\040b rw shared:12 - overlay overlay rw
36 22 0:34 / /srv/flynn/layers rw shared:13 - overlay overlay rw
37 22 0:35 / /srv rw shared:14 - overlay overlay rw
38 22 0:36 / /opt rw shared:15 - overlay overlay rw
39 38 8:2 / /opt/disk rw shared:16 - ext4 /dev/sdb1 rw
"""


def test_what_no_job_can_see_is_let_go() -> None:
    assert useless(MACHINE, [PurePath("/srv/flynn"), PurePath("/usr")]) == [
        "/sys", "/dev/mqueue", "/run/netns/one", "/snap/core/1", "/mnt/a b",
    ]  # fmt: skip


def test_a_disk_or_what_is_far_away_below_it_keeps_it() -> None:
    assert "/opt" not in useless(MACHINE, [])
    assert "/mnt/far" not in useless(MACHINE, [])
    assert "/var/lib/docker/overlay2/1/merged" not in useless(MACHINE, [])


PATHS = st.builds(lambda parts: PurePath("/", *parts), st.lists(st.sampled_from("ab"), max_size=3))


@given(st.lists(st.tuples(PATHS, st.sampled_from([*sorted(USELESS)[:3], "ext4", "nfs4"]))), st.lists(PATHS))
def test_nothing_needed_goes_and_nothing_but_the_useless(
    found: list[tuple[PurePath, str]], needed: list[PurePath]
) -> None:
    text = "".join(f"1 1 0:1 / {path} rw - {kind} none rw\n" for path, kind in found)
    gone = [PurePath(point) for point in useless(text, needed)]
    for point in gone:
        assert not [path for path in needed if path.is_relative_to(point) or point.is_relative_to(path)]
        last = {path: kind for path, kind in found if path.is_relative_to(point)}
        assert set(last.values()) <= USELESS
        assert not [other for other in gone if other != point and other.is_relative_to(point)]
    assert len(gone) == len(set(gone))


async def ran(*words: str) -> str:
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_program_begins_without_them_and_the_machine_keeps_them(tmp_path: Path) -> None:
    """Also where mounts are shared, as systemd has them."""
    if os.geteuid() or not await can_let_go():
        pytest.skip("this user may have no mounts of its own")
    words = letting_go(tmp_path)
    look = f"{shlex.join(words)} cat /proc/self/mountinfo; echo; cat /proc/self/mountinfo"
    for kind in ("shared", "private"):
        told = await ran("unshare", "--mount", "--propagation", kind, "/bin/sh", "-c", look)
        within, around = ({mount.kind for mount in mounted(part)} for part in told.split("\n\n"))
        assert (within & {"sysfs", "proc"}, around & {"sysfs", "proc"}) == ({"proc"}, {"sysfs", "proc"})


async def test_what_the_machine_mounts_or_lets_go_later_is_so_there_too(tmp_path: Path) -> None:
    """What waits there for its job does not hold what is let go."""
    if os.geteuid() or not await can_let_go():
        pytest.skip("this user may have no mounts of its own")
    before, later = tmp_path / "before", tmp_path / "later"
    for dir in (before, later):
        dir.mkdir()
    begun, go = tmp_path / "begun", tmp_path / "go"
    waits = f"{shlex.join(letting_go(tmp_path))} sh -c 'echo >{begun}; read -r go <{go}; cat /proc/self/mountinfo'"
    script = (
        f"mount -t tmpfs a {before}; mkfifo {begun} {go}; {waits} & read -r begun <{begun}; "
        f"umount {before}; mount -t tmpfs b {later}; echo >{go}; wait"
    )
    told = await ran("unshare", "--mount", "--propagation", "shared", "/bin/sh", "-c", script)
    points = {str(mount.point) for mount in mounted(told)}
    assert points & {str(before), str(later)} == {str(later)}


async def test_where_there_is_nothing_to_do_it_with_all_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "WITHOUT", ("/nowhere/unshare",))
    assert not await can_let_go()
    monkeypatch.setattr(mounts, "WITHOUT", ("/bin/false",))
    assert not await can_let_go()
