"""The access log: what it takes, what it leaves out and counts, and files that are full, moved or stuck."""

import asyncio
import json
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.router.access import BUFFER, EARLY, AccessLog, open_access
from flynn.router.entry import FORMS, Entry
from flynn.router.logfile import LogFile
from tests.router.rig import until

T0 = 1795687200.0


def entry(number: int = 0, target: bytes = b"/") -> Entry:
    return Entry(time=T0, method=b"GET", target=target, host=b"app.test", id=b"%d" % number, status=200)


class Held(LogFile):
    """A file that takes no line until it is let go, as one on a disk that hangs."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.free = threading.Event()
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.free.wait(20)
        super().write(data)


@pytest.mark.parametrize(
    ("sample", "status", "code", "drawn", "wanted"),
    [
        (0.0, 200, "", 0.0, False),
        (0.0, 503, "H12", 0.0, False),
        (1.0, 200, "", 0.999, True),
        (0.1, 200, "", 0.09, True),
        (0.1, 200, "", 0.1, False),
        (0.1, 404, "no-route", 0.9, False),
        (0.1, 500, "", 0.9, True),
        (0.1, 499, "H27", 0.9, True),
    ],
)
def test_what_is_noted(sample: float, status: int, code: str, drawn: float, wanted: bool) -> None:
    access = AccessLog(LogFile("unused"), FORMS["heroku"], sample, chance=lambda: drawn)
    assert access.wants(status, code) is wanted


async def test_lines_are_in_the_file_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with open_access(str(path), "json", 1.0) as access:
        assert access is not None
        for number in range(3):
            access.note(entry(number))
        assert path.read_bytes() == b""
        access.flush()
        await until(lambda: path.read_bytes().count(b"\n") == 3)
        access.note(entry(3))
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["0", "1", "2", "3"]
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()


async def test_many_lines_do_not_wait_for_the_sweep(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with open_access(str(path), "heroku", 1.0) as access:
        assert access is not None
        while not path.stat().st_size:
            access.note(entry())
            await asyncio.sleep(0)
        assert path.stat().st_size >= EARLY
        assert access.missing() == 0


async def test_what_is_too_much_is_dropped_and_told(tmp_path: Path) -> None:
    file = Held(str(tmp_path / "access.log"))
    access = AccessLog(file, FORMS["heroku"], 1.0, clock=lambda: T0)
    access.open()
    access.note(entry(1))
    access.flush()
    await until(lambda: file.writes)
    size = len(FORMS["heroku"].line(entry(0)))
    for _ in range(fits := BUFFER // size):
        access.note(entry(0))
    assert access.missing() == 0
    for _ in range(7):
        access.note(entry(2))
    assert access.missing() == 7
    file.free.set()
    await access.close()
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert len(lines) == fits + 2
    assert lines[-1].startswith("2026-11-26T10:00:00.000000+00:00 flynn[router]: at=warning dropped=7 ")


async def test_a_gap_is_told_once(tmp_path: Path) -> None:
    file = Held(str(tmp_path / "access.log"))
    access = AccessLog(file, FORMS["json"], 1.0, clock=lambda: T0)
    access.open()
    access.dropped = 5
    file.free.set()
    for number in range(3):
        access.note(entry(number))
        await flushed(access)
    await access.close()
    told = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [line["dropped"] for line in told if "dropped" in line] == [5]


async def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    file = Held(str(tmp_path / "access.log"))
    access = AccessLog(file, FORMS["heroku"], 1.0)
    access.open()
    access.note(entry())
    access.flush()
    await until(lambda: file.writes)
    for _ in range(1000):
        access.note(entry())
        access.flush()
    assert file.writes == 1
    assert access._thread.daemon
    file.free.set()
    await access.close()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Writes past so many bytes of a file fail (EFBIG), as those on a full disk do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


async def test_a_full_disk_loses_whole_lines_and_tells_how_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "access.log"
    caplog.set_level("INFO", "flynn.router.access")
    async with open_access(str(path), "json", 1.0) as access:
        assert access is not None
        access.note(entry(1))
        await flushed(access)
        with files_limited_to(path.stat().st_size + 10):
            access.note(entry(2))
            access.note(entry(3))
            await flushed(access)
            assert access.missing() == 2
            access.note(entry(4))
            await flushed(access)
        access.note(entry(5))
        await flushed(access)
        access.note(entry(6))
        await flushed(access)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("id") or line["dropped"] for line in told] == ["1", "5", "6", 3]
    warned, well = caplog.messages
    assert warned.startswith(f"the access log loses lines: {path}: ")
    assert well == "the access log is written again"


async def flushed(access: AccessLog) -> None:
    """Once what has gathered is written, or is not."""
    access.flush()
    await until(lambda: not access.busy)


def test_two_files_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = LogFile(str(path), limit=100)
    for number in range(10):
        file.write(b"%039d\n" % number)
    file.close()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["access.log", "access.log.1"]
    assert path.read_bytes() == b"".join(b"%039d\n" % number for number in (8, 9))
    assert (tmp_path / "access.log.1").read_bytes() == b"".join(b"%039d\n" % number for number in (6, 7))


def test_a_link_stays_and_leads_to_two_files_of_bounded_size(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "access.log"
    link.symlink_to("there/log")
    file = LogFile(str(link), limit=100)
    for number in range(30):
        file.write(b"line %2d\n" % number)
    file.close()
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["access.log", "log", "log.1", "there"]
    assert link.read_bytes().endswith(b"line 29\n")


def test_what_a_device_leads_to_is_not_renamed(tmp_path: Path) -> None:
    """As `/dev/stdout` with the output in a file."""
    with (tmp_path / "out").open("wb") as out:
        file = LogFile(f"/proc/self/fd/{out.fileno()}", limit=10)
        for number in range(3):
            file.write(b"line %2d\n" % number)
        file.close()
    assert (tmp_path / "out").read_bytes() == b"line  0\nline  1\nline  2\n"


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = LogFile(str(path))
    file.write(b"1\n")
    path.rename(tmp_path / "yesterday.log")
    file.write(b"2\n")
    path.unlink()
    file.write(b"3\n")
    file.close()
    assert (tmp_path / "yesterday.log").read_bytes() == b"1\n"
    assert path.read_bytes() == b"3\n"


def test_a_pipe_that_nobody_empties_is_an_error_and_no_wait(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    file = LogFile(str(path))
    with pytest.raises(OSError, match="No such device"):
        file.write(b"nobody reads\n")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        file.write(b"a" * 2**20 + b"\n")
    assert 0 < len(os.read(reader, 2**21)) < 2**20
    file.write(b"whole again\n")
    assert os.read(reader, 100) == b"\nwhole again\n"
    os.close(reader)
    file.close()


async def test_a_pipe_that_nobody_reads_is_no_place_to_begin(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StartError, match="pipe cannot be written: nobody reads this pipe; start its reader first"):
        async with open_access(str(tmp_path / "pipe"), "json", 1.0):
            pass


async def test_off_is_no_log_and_no_file(tmp_path: Path) -> None:
    for path, sample in (("", 1.0), (str(tmp_path / "a"), 0.0)):
        async with open_access(path, "heroku", sample) as access:
            assert access is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "form", "sample", "said"),
    [
        ("/nowhere/access.log", "heroku", 1.0, r"router\.access_log: /nowhere/access.log cannot be written: No such"),
        ("a", "apache", 1.0, r"router\.access_format = 'apache' is no good; it is one of heroku, json"),
        ("a", "json", 1.5, r"router\.access_sample = 1.5 is no good; it goes from 0"),
    ],
)
async def test_settings_that_are_no_good(path: str, form: str, sample: float, said: str) -> None:
    with pytest.raises(StartError, match=said):
        async with open_access(path, form, sample):
            pass


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
