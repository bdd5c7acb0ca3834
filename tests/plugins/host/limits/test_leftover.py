"""Control groups that killed daemons left: removed once their data are gone, unless something runs in them."""

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flynn.plugins.host import agent
from flynn.plugins.host.backends.backend import Limits
from flynn.plugins.host.limits import leftover, limiter
from flynn.plugins.host.limits.cgroup import Group, Hierarchy, fresh, remove
from flynn.plugins.host.limits.cgroup_mounts import clear_leftovers, find
from tests.plugins.host.rig import open_rig


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other daemon on this machine, each of which looks for what is left when it begins, knows of these groups."""
    monkeypatch.setattr(leftover, "MARK", f"{leftover.MARK}.{os.getpid()}")


@pytest.fixture
def gone(tmp_path: Path) -> Iterator[Hierarchy]:
    """The groups of a daemon whose data are no more."""
    yield from _groups(tmp_path / "gone")


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Hierarchy]:
    """The groups of a daemon that may come back."""
    data = tmp_path / "away"
    data.mkdir()
    yield from _groups(data)


def _groups(data: Path) -> Iterator[Hierarchy]:
    found = find(data)
    if found is None:
        pytest.skip("this user can make no control groups here; run as root, or with Delegate=yes")
    group = fresh(found, "job-0", Limits())
    try:
        try:
            os.getxattr(group.dirs[0].parent, leftover.MARK)
        except OSError as error:
            pytest.skip(f"this kernel keeps no marks at control groups: {error.strerror}")
        yield found
    finally:
        for name in found.present():
            remove(found.at(name))


def there(hierarchy: Hierarchy) -> set[str]:
    return set(hierarchy.present())


def test_what_is_empty_goes_and_what_runs_stays(gone: Hierarchy, away: Hierarchy, tmp_path: Path) -> None:
    for number in range(1, 30):
        fresh(gone, f"job-{number}", Limits())
    used: Group = gone.at("job-7")
    with subprocess.Popen(("sleep", "60")) as process:
        for entry in used.entries:
            entry.write_text(str(process.pid))
        clear_leftovers(tmp_path / "own")
        assert there(gone) == {"job-7"}
        assert there(away) == {"job-0"}
        process.kill()
    clear_leftovers(tmp_path / "own")
    assert not any(dir.exists() or dir.parent.exists() for dir in used.dirs)
    shutil.rmtree(tmp_path / "away")
    clear_leftovers(tmp_path / "own")
    assert there(away) == set()


def test_it_takes_only_so_long_and_the_next_one_goes_on(gone: Hierarchy) -> None:
    assert leftover.clear(gone.parents, within=0) == 0
    assert there(gone) == {"job-0"}
    assert leftover.clear(gone.parents) > 0
    assert there(gone) == set()


def test_what_is_seen_from_another_root_is_left_alone(gone: Hierarchy, tmp_path: Path) -> None:
    for dir in gone.at("job-0").dirs:
        os.setxattr(dir.parent, leftover.MARK, b"0:1:" + os.fsencode(tmp_path / "gone"))
    clear_leftovers(tmp_path / "own")
    assert there(gone) == {"job-0"}
    for dir in gone.at("job-0").dirs:
        os.removexattr(dir.parent, leftover.MARK)
    clear_leftovers(tmp_path / "own")
    assert there(gone) == {"job-0"}


def test_where_nobody_can_tell_whether_data_are_there_nothing_goes(gone: Hierarchy, tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "gone")
    root = os.stat("/")
    for dir in gone.at("job-0").dirs:
        told = b"%d:%d:" % (root.st_dev, root.st_ino) + os.fsencode(tmp_path / "gone" / "data")
        os.setxattr(dir.parent, leftover.MARK, told)
    clear_leftovers(tmp_path / "own")
    assert there(gone) == {"job-0"}


async def test_an_agent_does_it_when_it_begins(gone: Hierarchy, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        await rig.assign(rig.job("run-1", "exit 0", queue="ephemeral"))
        await rig.state("run-1", "down")
        async with asyncio.timeout(20):
            while there(gone):
                await asyncio.sleep(0.02)


async def test_an_agent_that_cannot_look_for_them_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one without open files, of which it ended with all its jobs' watches."""
    looked: list[Path] = []

    def cannot(data: Path) -> int:
        looked.append(data)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(agent, "clear_leftovers", cannot)
    async with open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        await rig.assign(rig.job("run-1", "exit 0", queue="ephemeral"))
        await rig.state("run-1", "down")
        assert looked


def test_groups_that_another_daemon_removes_while_they_are_made_are_made_again(
    gone: Hierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data are made anew at the place of those that were gone, as another looks."""
    assert there(gone)
    tries = []

    def beside_another(data: Path) -> Hierarchy | None:
        tries.append(data)
        found = find(data)
        if len(tries) == 1:
            clear_leftovers(tmp_path / "other")
            raise FileNotFoundError(2, "No such file or directory", str(data))
        return found

    monkeypatch.setattr(limiter, "find", beside_another)
    found = limiter.Limiter(tmp_path)
    found.open()
    assert len(tries) == 2
    assert found.hierarchy
