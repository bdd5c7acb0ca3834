"""The log of an app on disk: each line once, wherever the daemon is killed; bounded, packed, and kept in order."""

import contextlib
import os
import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from flynn.core.logframe import Block, Lost
from flynn.core.logquery import Wanted
from flynn.core.model import Job
from flynn.plugins.host.logs.applog import AppLog
from flynn.plugins.host.logs.intake import PARTIAL, TURN, Intake
from flynn.plugins.host.logs.logtidy import CATCHING_UP, DAY, Age, Bounds, File, first_age, surplus
from flynn.plugins.host.logs.past import Past, first, tail
from flynn.plugins.host.logs.raw import FREED
from flynn.plugins.host.logs.relief import relieve_all
from flynn.plugins.host.logs.segment import Segment, pack, segments
from flynn.plugins.host.logs.sparse import free_start, waiting
from tests.small import fill, mounted_disk

MIB = 1 << 20
WRITTEN = 1_000_000


def job(id: str = "hello-web-1") -> Job:
    return Job(id=id, app="hello", type="web", queue="services", command="", created=1.0, release=3)


class Bench:
    """A log and the directories of its jobs below `top`; `fresh`: after a daemon was killed."""

    def __init__(self, top: Path, limit: int = MIB) -> None:
        self.top, self.limit = top, limit
        self.fresh()

    def fresh(self) -> None:
        self.log = AppLog(self.top / "log", "hello", self.limit)
        self.intakes: dict[str, Intake] = {}

    def intake(self, id: str = "hello-web-1") -> Intake:
        (self.top / id).mkdir(exist_ok=True)
        if id not in self.intakes:
            self.intakes[id] = Intake(self.top / id, job(id), self.log)
        return self.intakes[id]

    def write(self, data: bytes, stream: str = "stdout", id: str = "hello-web-1") -> Intake:
        found = self.intake(id)
        with (self.top / id / stream).open("ab") as file:
            file.write(data)
        return found

    def read(self, count: int | None = None, **wanted: object) -> list[str]:
        return lines(self.blocks(count, **wanted))

    def blocks(self, count: int | None = None, **wanted: object) -> list[Block]:
        told, end = Wanted(**wanted), self.log.last + 1  # type: ignore[arg-type]
        begin = first(self.log.dir, told, end) if count is None else tail(self.log.dir, told, count, end)[0]
        past = Past(self.log.dir, told, begin)
        found = []
        while past.number < end:
            before = past.number
            found += [frame for frame in past.read(10_000, end) if isinstance(frame, Block)]
            assert past.number > before
        past.close()
        return found


def lines(blocks: list[Block]) -> list[str]:
    return [line for block in blocks for line in block.data.decode().split("\n")[:-1]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_log_goes_on_where_it_was_left(bench: Bench) -> None:
    intake = bench.write(b"one\ntwo\nhalf")
    bench.write(b"bad\n", "stderr")
    assert [(b.head.stream, b.data, b.head.time) for b in intake.take(5.0)] == [
        ("stdout", b"one\ntwo\n", 5.0),
        ("stderr", b"bad\n", 5.0),
    ]
    assert not intake.grown()
    bench.write(b" and half\n")
    bench.fresh()
    assert bench.intake().grown()
    assert lines(bench.intake().take(6.0)) == ["half and half"]
    assert [block.head.number for block in bench.intake().say(7.0, "stopped\nnow")] == [5]
    assert bench.read(3) == ["bad", "half and half", "stopped now"]
    assert bench.read() == bench.read(99) == ["one", "two", "bad", "half and half", "stopped now"]
    assert bench.read(0) == []


def test_a_line_without_an_end_is_one_after_a_moment(bench: Bench) -> None:
    intake = bench.write(b"Password: \xe2\x82")
    assert intake.take(1.0) == []
    assert intake.due == 1.0 + PARTIAL
    assert intake.take(1.0 + PARTIAL / 2) == []
    assert lines(intake.take(1.0 + PARTIAL)) == ["Password: "]
    bench.write(b"\xac?")
    assert intake.take(2.0) == []
    bench.write(b" yes\n")
    assert lines(intake.take(2.0 + PARTIAL)) == ["€? yes"]
    assert intake.due == 0.0


@pytest.mark.parametrize("torn", range(1, 130, 11))
def test_what_was_written_by_half_is_written_again(bench: Bench, torn: int) -> None:
    bench.write(b"one\n").take(5.0)
    bench.write(b"two\n").take(5.0)
    [segment] = segments(bench.log.dir)
    with segment.path.open("r+b") as file:
        file.truncate(segment.size() - torn)
    bench.fresh()
    bench.intake().take(5.0)
    assert bench.read() == ["one", "two"]


def test_what_a_lost_power_left_is_no_line(bench: Bench) -> None:
    bench.write(b"one\n").take(5.0)
    [segment] = segments(bench.log.dir)
    size = segment.size()
    bench.write(b"two\n").take(5.0)
    with segment.path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"\0\0")
    bench.fresh()
    assert segment.size() == size
    bench.intake().take(5.0)
    assert bench.read() == ["one", "two"]
    segment.path.write_bytes(b"\0" * 100)
    bench.fresh()
    assert bench.read() == []


def test_each_line_once_wherever_it_is_killed(tmp_path: Path) -> None:
    """Two jobs print in turns; now and then the daemon is killed in the middle of a write, or files are packed."""
    chance = random.Random(7)
    bench = Bench(tmp_path, 8 * MIB)
    wanted: dict[str, list[str]] = {"hello-web-1": [], "hello-web-2": []}
    for turn in range(120):
        id = chance.choice(list(wanted))
        new = [f"{id} {turn} {n} " + "x" * chance.randrange(60) for n in range(chance.randrange(80))]
        wanted[id] += new
        intake = bench.write("".join(f"{line}\n" for line in new).encode(), chance.choice(["stdout", "stderr"]), id)
        if chance.random() < 0.7:
            intake.take(float(turn))
        there = segments(bench.log.dir)
        if chance.random() < 0.3 and there and not there[-1].packed:
            size = there[-1].size()
            with there[-1].path.open("r+b") as file:
                file.truncate(max(size - chance.randrange(3000), 0) if chance.random() < 0.7 else size)
            bench.fresh()
        if chance.random() < 0.2:
            bench.log.rotate(float(turn))
            for segment in segments(bench.log.dir)[:-1]:
                if not segment.packed:
                    pack(segment)
    for id in wanted:
        while bench.intake(id).take(999.0):
            pass
    for id, all in wanted.items():
        assert sorted(bench.read(job=id)) == sorted(all)
        assert len(bench.read(job=id)) == len(all)


def test_a_log_is_bounded_and_frees_what_it_took(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for n in range(40):
        bench.write(b"".join(b"%d-%d\n" % (n, i) for i in range(10_000)))
        intake = bench.write(b"\n" * 1000, "stderr")
        while intake.take(1.0):
            pass
        if n % 7 == 0:
            bench.fresh()
    assert sum(segment.size() for segment in segments(bench.log.dir)) <= MIB
    found = bench.read(20_000, streams=("stdout",))
    assert found == [f"{n}-{i}" for n in (38, 39) for i in range(10_000)]
    probe = tmp_path / "probe"
    probe.write_bytes(b"x" * FREED)
    if not free_start(probe, FREED):
        pytest.skip("this file system cannot free the start of a file")
    raw = (tmp_path / "hello-web-1" / "stdout").stat()
    assert raw.st_size > 2 * MIB
    assert raw.st_blocks * 512 <= 3 * FREED


def test_one_turn_takes_only_so_much(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 32 * MIB)
    intake = bench.write(b"y\n" * TURN)
    taken = sum(block.head.size for block in intake.take(1.0))
    assert TURN <= taken < TURN + 40_000
    assert intake.grown()
    while intake.take(1.0):
        pass
    assert not intake.grown()
    assert bench.log.last == TURN


def test_what_cannot_be_kept_is_dropped_and_told(bench: Bench) -> None:
    """Of more than a log holds the end is kept, from a whole line on; also by a daemon that begins in between."""
    intake = bench.write(b"".join(b"%08d\n" % n for n in range(200_000)))
    found = intake.take(1.0)
    while more := intake.take(1.0):
        found += more
    assert found[0].head.stream == "flynn"
    dropped = int(found[0].data.partition(b" ")[0])
    assert dropped % 9 == 0
    assert MIB // 2 - 100 <= 1_800_000 - dropped <= MIB // 2
    assert lines(found[1:]) == [f"{n:08d}" for n in range(dropped // 9, 200_000)]
    assert [b.head.number for b in found[1:]] == [b.next for b in found[:-1]]


def test_a_file_that_the_job_emptied_is_read_from_its_start(bench: Bench) -> None:
    intake = bench.write(b"one\ntwo\n")
    intake.take(1.0)
    (bench.top / "hello-web-1" / "stdout").write_bytes(b"new\n")
    assert intake.grown()
    assert lines(intake.take(1.0)) == ["new"]


def test_a_log_that_was_removed_begins_anew(bench: Bench) -> None:
    bench.write(b"x" * 99 + b"\n").take(1.0)
    intake = bench.write(b"y" * 5000 + b"\n" + b"z\n" * FREED)
    while intake.take(1.0):
        pass
    for segment in segments(bench.log.dir):
        segment.path.unlink()
    bench.write(b"last\n")
    while intake.take(2.0):
        pass
    assert bench.read()[-1] == "last"
    for segment in segments(bench.log.dir):
        segment.path.unlink()
    bench.fresh()
    while bench.intake().take(3.0):
        pass
    assert not any("\0" in line for line in bench.read())


def test_a_full_disk_loses_nothing(bench: Bench) -> None:
    intake = bench.write(b"one\n")
    (bench.top / "log").write_text("no directory")
    with pytest.raises(OSError, match="exists"):
        intake.take(1.0)
    (bench.top / "log").unlink()
    assert intake.grown()
    assert lines(intake.take(2.0)) == ["one"]


def test_lines_are_found_by_what_they_are(tmp_path: Path) -> None:
    """Over several files, some of them packed: by job, stream, text, time, and how many."""
    bench = Bench(tmp_path)
    for n in range(50):
        bench.write(b"out %d\nsecond %d\n" % (n, n), id=f"hello-web-{n % 2}").take(100.0 + n)
        bench.write(b"err %d\n" % n, "stderr", "hello-web-0").take(100.0 + n)
        if n % 10 == 9:
            bench.log.rotate(100.0 + n)
    for segment in segments(bench.log.dir)[:3]:
        pack(segment)
    assert len(segments(bench.log.dir)) == 6
    assert len(bench.read()) == 150
    assert bench.read(2) == ["second 49", "err 49"]
    assert bench.read(3, job="hello-web-0", streams=("stdout",)) == ["second 46", "out 48", "second 48"]
    assert bench.read(2, text="second") == ["second 48", "second 49"]
    assert bench.read(text="t 7") == ["out 7"]
    assert bench.read(text="nothing") == bench.read(5, release=4) == bench.read(type="worker") == []
    assert bench.read(since=148.5) == ["out 49", "second 49", "err 49"]
    assert bench.read(1, since=148.5, streams=("stderr",)) == ["err 49"]
    assert bench.read(10_000, since=105.0)[0] == "out 5"
    [block] = bench.blocks(text="second 7")
    assert (block.head.number, block.head.lines) == (23, 1)


def test_a_reader_is_told_how_many_lines_are_gone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for n in range(10):
        bench.write(b"%d\n" % n).take(1.0)
        bench.log.rotate(1.0)
    reader = Past(bench.log.dir, Wanted(), 1)
    assert len(reader.read(1, 11)) == 1
    for segment in segments(bench.log.dir)[:6]:
        segment.path.unlink()
    found = reader.read(10_000, 11)
    assert found[0] == Lost(5)
    assert lines(found[1:]) == ["6", "7", "8", "9"]  # type: ignore[arg-type]
    reader.close()


def test_which_files_go() -> None:
    def file(app: str, first: int, at: float, size: int = 10, newest: bool = False) -> File:
        return File(app, Segment(first, Path(f"/{app}/{first}")), size, at, newest)

    a1, a2, b1 = file("a", 1, 10.0), file("a", 2, 30.0, newest=True), file("b", 1, 20.0)
    files = [a1, a2, b1]
    assert surplus(files, Bounds(30, 100.0), 50.0) == []
    assert surplus(files, Bounds(29, 100.0), 50.0) == [a1]
    assert surplus(files, Bounds(5, 100.0), 50.0) == [a1, b1]
    assert surplus(files, Bounds(99, 25.0), 50.0) == [a1, b1]
    assert surplus(files, Bounds(99, 5.0), 50.0) == [a1, b1, a2]


def test_a_clock_that_is_set_ahead_makes_no_line_old_at_once() -> None:
    file = File("a", Segment(1, Path("/logs/a/1.log")), 10, 100 * DAY, newest=True)
    age = first_age([file], 100 * DAY + 5, steady=0.0).after(100 * DAY + 60, 60)
    assert age.time == 100 * DAY + 60
    ahead = age.after(400 * DAY, 120)
    assert ahead.time == age.time + CATCHING_UP * 60
    assert ahead.after(100 * DAY + 180, 180).time == 100 * DAY + 180
    later = ahead.after(400 * DAY, 120 + 13 * DAY)
    assert later.time == 400 * DAY
    assert first_age([file], 400 * DAY, 0.0) == Age(100 * DAY, 0.0)
    assert first_age([], 400 * DAY, 0.0).time == 400 * DAY


def test_what_is_freed_while_it_waits_is_dropped_and_told(bench: Bench) -> None:
    """Also by others, as by a daemon that begins: from a whole line on, and never as zeros."""
    bench.write(b"first\n").take(1.0)
    intake = bench.write(b"".join(b"%08d\n" % n for n in range(40_000)))
    assert free_start(bench.top / "hello-web-1" / "stdout", 200_000)
    found = intake.take(1.0)
    dropped = int(found[0].data.partition(b" ")[0])
    assert lines(found)[0] == f"{dropped} bytes of stdout were dropped: the job prints faster than can be kept"
    assert 190_000 < dropped < 200_010
    assert lines(found[1:]) == [f"{n:08d}" for n in range(dropped // 9, 40_000)]


def test_what_waits_beyond_a_log_is_freed_at_once(bench: Bench) -> None:
    intake = bench.write(b"".join(b"%08d\n" % n for n in range(100_000)))
    raw = bench.top / "hello-web-1" / "stdout"
    intake.relieve()
    assert raw.stat().st_blocks * 512 >= 900_000
    bench.write(b"".join(b"%08d\n" % n for n in range(100_000, 200_000)))
    intake.relieve()
    assert raw.stat().st_blocks * 512 <= MIB // 2 + FREED
    found = [block for _ in range(3) for block in intake.take(1.0)]
    assert lines(found)[-1] == "00199999"
    relieve_all(bench.top, MIB)
    bench.write(b"x" * 99 + b"\n" * 2 * MIB)
    relieve_all(bench.top, MIB)
    assert raw.stat().st_blocks * 512 <= MIB // 2 + FREED


def test_what_a_client_has_not_read_yet_stays(tmp_path: Path) -> None:
    bench, given = Bench(tmp_path, 16 * MIB), {"stdout": 0}
    (tmp_path / "run-1").mkdir()
    attached = replace(job("run-1"), attached=True, queue="ephemeral")
    intake = bench.intakes["run-1"] = Intake(tmp_path / "run-1", attached, bench.log, given)
    bench.write(b"1234567\n" * 125_000, id="run-1")
    while intake.grown():
        intake.take(1.0)
    raw = tmp_path / "run-1" / "stdout"
    assert (waiting(raw), intake.needed("stdout")) == ((WRITTEN, WRITTEN), WRITTEN)
    given["stdout"] = 3 * FREED
    bench.write(b"1234567\n", id="run-1").take(2.0)
    assert waiting(raw)[1] == WRITTEN + 8 - 3 * FREED
    given.clear()
    bench.write(b"1234567\n" * 400_000, id="run-1")
    while intake.grown():
        intake.take(3.0)
    assert sum(each.head.size for each in bench.blocks() if each.head.stream == "stdout") == 2 * MIB
    assert intake.needed("stdout") > 10 * MIB
    assert bench.read()[-1] == f"only the first {2 * MIB} bytes of stdout are kept here, as it has a client"


@pytest.mark.parametrize("torn", [b"\xc3\xa4", b"\xe2\x82\xac", b"\xff\xff", b"\xf0\x9f\x92\xa9", b"\r\n"])
def test_what_is_kept_for_a_client_ends_within_a_character_too(tmp_path: Path, torn: bytes) -> None:
    """Else the log would wait for the rest, and nothing of a long dump be freed."""
    bench = Bench(tmp_path, 16 * MIB)
    (tmp_path / "run-1").mkdir()
    attached = replace(job("run-1"), attached=True, queue="ephemeral")
    intake = bench.intakes["run-1"] = Intake(tmp_path / "run-1", attached, bench.log, {})
    bench.write(b"1234567\n" * (2 * MIB // 8 - 1) + b"1234567" + torn + b"more\n" * 1000, id="run-1")
    for now in range(10):
        intake.take(float(now))
    assert intake.taken["stdout"] == 2 * MIB
    assert intake.needed("stdout") > 10 * MIB
    assert not intake.grown()
    assert intake.due == 0


@pytest.mark.parametrize("freed", [MIB, 2 * MIB, 3 * MIB])
def test_a_log_that_knows_nothing_of_a_dump_goes_on_with_its_part(tmp_path: Path, freed: int) -> None:
    """A daemon of before gave back what its client had read; the log has forgotten how far it had come."""
    with mounted_disk(tmp_path / "disk", 32) as disk:  # Room that is held is no data there.
        bench = Bench(disk, 16 * MIB)
        (disk / "run-1").mkdir()
        attached = replace(job("run-1"), attached=True, queue="ephemeral")
        (disk / "run-1" / "stdout").write_bytes(b"1234567\n" * (4 * MIB // 8))
        free_start(disk / "run-1" / "stdout", freed)
        intake = bench.intakes["run-1"] = Intake(disk / "run-1", attached, bench.log, {})
        bench.write(b"more\n", id="run-1")
        while intake.grown():
            intake.take(1.0)
        intake.take(2.0, ended=True)
        assert intake.needed("stdout") > 10 * MIB
        said = [each.head.size for each in bench.blocks() if each.head.stream == "stdout"]
        assert sum(said) == max(2 * MIB - freed, 0)


def test_a_stream_makes_room_for_itself_on_a_full_disk(tmp_path: Path) -> None:
    """What is printed then is dropped, and told; the agent's own word waits; and a log that is left lacks no more."""
    with mounted_disk(tmp_path / "disk", 8) as disk:
        bench = Bench(disk)
        intake = bench.write(b"one\n")
        intake.take(1.0)
        ballast = fill(disk)
        raw, line = disk / "hello-web-1" / "stdout", b"x" * 99 + b"\n"
        for _ in range(400):
            with raw.open("ab", buffering=0) as file:
                assert file.write(line * 40) == 4000
            with contextlib.suppress(OSError):
                intake.take(2.0)
        with contextlib.suppress(OSError):
            intake.say(3.0, "a word")
        ballast.unlink()
        while intake.grown():
            intake.take(4.0)
        said = [line for line in bench.read(10_000, streams=("flynn",)) if line != "a word"]
        assert said[0].endswith("bytes of stdout were dropped: the disk of its host was full")
        kept = bench.read(10_000, streams=("stdout",))
        assert sum(int(line.partition(" ")[0]) for line in said) + 100 * len(kept[1:]) == 1_600_000
        assert set(kept[1:]) == {"x" * 99}
        assert "a word" in bench.read(10_000, streams=("flynn",))
