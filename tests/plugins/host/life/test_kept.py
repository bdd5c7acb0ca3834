"""The record of a job on disk: the last whole one counts, whatever killed the daemon that wrote it."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from flynn.core.model import Job, JobState
from flynn.plugins.host.life.kept import LONGEST, Kept, add, load, read, save

JOB = Job(id="job-1", app="hello", type="web", queue="services", command="true", created=1.0)
STATE = JobState(
    id="job-1", app="hello", type="web", queue="services", release=1, host="a", state="starting", since=1.0, created=1.0
)
KEPT = Kept(job=JOB, state=STATE)


def test_the_last_record_counts(tmp_path: Path) -> None:
    save(tmp_path, KEPT)
    for number in range(3):
        add(tmp_path, replace(KEPT, oom_kills=number))
        assert read(tmp_path).oom_kills == number
    save(tmp_path, KEPT)
    assert read(tmp_path) == KEPT
    assert (tmp_path / "job.json").read_bytes() == msgspec.json.encode(KEPT)


def test_one_that_was_broken_off_does_not_count_and_spoils_no_other(tmp_path: Path) -> None:
    path, whole = tmp_path / "job.json", msgspec.json.encode(replace(KEPT, oom_kills=7))
    save(tmp_path, KEPT)
    before = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(before + (b"\n" + whole)[: length + 1])
        assert read(tmp_path) == (replace(KEPT, oom_kills=7) if length == len(whole) else KEPT)
        add(tmp_path, replace(KEPT, oom_kills=8))
        assert read(tmp_path).oom_kills == 8


def test_the_file_begins_anew_when_it_is_long(tmp_path: Path) -> None:
    long = replace(KEPT, job=replace(JOB, command="x" * (LONGEST // 3)))
    add(tmp_path, long)
    for number in range(8):
        add(tmp_path, replace(long, oom_kills=number))
        assert (tmp_path / "job.json").stat().st_size <= LONGEST
    assert read(tmp_path).oom_kills == 7


@pytest.mark.parametrize("found", [b"", b"\n", b'{"job": {"id"', b"\xff\n{}"])
def test_a_file_without_any_is_removed_with_its_directory(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "job-1").mkdir()
    (tmp_path / "job-1" / "job.json").write_bytes(found)
    assert load(tmp_path) == []
    assert not (tmp_path / "job-1").exists()


def test_what_stood_around_a_job_that_is_down_is_cleared_away(tmp_path: Path) -> None:
    """A daemon that was killed between the two may have left it."""
    dir, group = tmp_path / "jobs" / "job-1", tmp_path / "groups" / "job-1"
    for folder in (dir / "upper", group):
        folder.mkdir(parents=True)
    (dir / "cgroup").write_bytes(msgspec.json.encode({"version": 2, "dirs": {"": str(group)}}))
    down = replace(KEPT, state=replace(STATE, state="down"))
    save(dir, down)
    assert load(tmp_path / "jobs") == [down]
    assert [path.name for path in dir.iterdir()] == ["job.json"]
    assert not group.exists()
