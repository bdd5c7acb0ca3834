"""Logs: cut into lines, bounded on disk, read again and followed over HTTP."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.host.backend import Backend
from flynn.plugins.host.joblog import CHUNK, TURN_LINES, JobLog
from flynn.plugins.host.lines import LIMIT, cut
from flynn.plugins.host.logs import tail
from flynn.plugins.host.sparse import free_start
from tests.plugins.host.rig import Rig, open_rig


def test_lines() -> None:
    assert list(cut(b"a\n\nb\r\nc", ended=False)) == [("a", 2), ("", 3), ("b", 6)]
    assert list(cut(b"a\nb", ended=True)) == [("a", 2), ("b", 3)]
    assert list(cut(b"\xff\n", ended=False)) == [("\ufffd", 2)]
    exact, over = b"x" * LIMIT, b"x" * (LIMIT + 1)
    assert list(cut(exact, ended=False)) == []
    assert list(cut(exact + b"\n", ended=False)) == [("x" * LIMIT, LIMIT + 1)]
    assert list(cut(over + b"\n", ended=False)) == [("x" * LIMIT, LIMIT), ("x", LIMIT + 2)]
    torn = b"x" * (LIMIT - 1) + "é".encode() + b"\n"
    assert [line for line, _ in cut(torn, ended=False)] == ["x" * (LIMIT - 1), "é"]


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"b", b"\n")), max_size=20), st.integers(1, 50))
def test_lines_are_the_same_however_the_bytes_come(parts: list[bytes], step: int) -> None:
    data = b"".join(parts)
    whole = [line for line, _ in cut(data, ended=True)]
    found, at = [], 0
    for end in range(step, len(data) + step, step):
        lines = list(cut(data[at:end], ended=end >= len(data)))
        found += [line for line, _ in lines]
        at += lines[-1][1] if lines else 0
    assert found == whole


def write(dir: Path, data: bytes, stream: str = "stdout") -> None:
    with (dir / stream).open("ab") as file:
        file.write(data)


def test_a_log_goes_on_where_it_was_left(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1 << 20)
    write(tmp_path, b"one\ntwo\nhalf")
    write(tmp_path, b"bad\n", "stderr")
    assert [(line.stream, line.line) for line in log.take_in(5.0)] == [
        ("stdout", "one"),
        ("stdout", "two"),
        ("stderr", "bad"),
    ]
    assert not log.grown()
    write(tmp_path, b" and half\n")
    again = JobLog(tmp_path, 1 << 20)
    assert again.grown()
    assert [line.line for line in again.take_in(6.0)] == ["half and half"]
    assert [line.number for line in again.say(7.0, "stopped")] == [5]
    assert [line.line for line in tail(tmp_path, 3)] == ["bad", "half and half", "stopped"]
    assert [line.line for line in tail(tmp_path, 99)] == ["one", "two", "bad", "half and half", "stopped"]
    assert tail(tmp_path, 0) == []


@pytest.mark.parametrize("torn", range(1, 60, 7))
def test_a_record_that_was_written_by_half_is_written_again(tmp_path: Path, torn: int) -> None:
    write(tmp_path, b"one\ntwo\n")
    JobLog(tmp_path, 1 << 20).take_in(5.0)
    with (tmp_path / "log").open("r+b") as file:
        file.truncate(os.path.getsize(tmp_path / "log") - torn)
    JobLog(tmp_path, 1 << 20).take_in(5.0)
    assert [line.line for line in tail(tmp_path, 99)] == ["one", "two"]


def test_a_log_is_bounded_and_frees_what_it_took(tmp_path: Path) -> None:
    limit = 1 << 20
    log = JobLog(tmp_path, limit)
    for n in range(40):
        write(tmp_path, b"".join(b"%d-%d\n" % (n, i) for i in range(10_000)))
        write(tmp_path, b"\n" * 1000, "stderr")
        while log.take_in(1.0):
            pass
        log = JobLog(tmp_path, limit) if n % 7 == 0 else log
    kept = sum((tmp_path / name).stat().st_size for name in ("log", "log.1"))
    assert kept <= limit
    lines = [line.line for line in tail(tmp_path, 2000) if line.stream == "stdout"]
    assert lines == [f"39-{i}" for i in range(10_000 - len(lines), 10_000)]
    probe = tmp_path / "probe"
    probe.write_bytes(b"x" * CHUNK)
    if not free_start(probe, CHUNK):
        pytest.skip("this file system cannot free the start of a file")
    raw = (tmp_path / "stdout").stat()
    assert raw.st_size > 2 * CHUNK
    assert raw.st_blocks * 512 <= 2 * CHUNK


def test_one_turn_takes_only_so_much(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 10 << 20)
    write(tmp_path, b"y\n" * (TURN_LINES + 1))
    assert len(log.take_in(1.0)) == TURN_LINES
    assert log.grown()
    assert len(log.take_in(1.0)) == 1
    log.take_in(1.0)
    assert not log.grown()


def test_what_cannot_be_kept_is_dropped_and_told(tmp_path: Path) -> None:
    """Of more than a log holds the end is kept, from a whole line on; also by a daemon that begins in between."""
    limit = 1 << 20
    write(tmp_path, b"".join(b"%08d\n" % n for n in range(200_000)))
    found = JobLog(tmp_path, limit).take_in(1.0)
    assert found[0].stream == "flynn"
    dropped = int(found[0].line.partition(" ")[0])
    assert dropped % 9 == 0
    # A record is some ten times as long as such a line: what is kept is about as much as the log holds of them.
    assert limit // 8 <= (1_800_000 - dropped) * 10 <= limit * 2
    log = JobLog(tmp_path, limit)
    while lines := log.take_in(1.0):
        found += lines
    assert [line.line for line in found[1:]] == [f"{n:08d}" for n in range(dropped // 9, 200_000)]
    assert [line.number for line in found] == list(range(1, len(found) + 1))


def test_a_file_that_the_job_emptied_is_read_from_its_start(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1 << 20)
    write(tmp_path, b"one\ntwo\n")
    log.take_in(1.0)
    (tmp_path / "stdout").write_bytes(b"new\n")
    assert log.grown()
    assert [line.line for line in log.take_in(1.0)] == ["new"]


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1 << 20)
    write(tmp_path, b"one\n")
    (tmp_path / "log").mkdir()
    with pytest.raises(OSError, match="directory"):
        log.take_in(1.0)
    (tmp_path / "log").rmdir()
    assert log.grown()
    assert [line.line for line in log.take_in(2.0)] == ["one"]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        yield rig


async def test_a_whole_log_can_be_read_once_a_job_is_down(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        command = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; printf end; echo oops >&2"
        await rig.assign(rig.job("run-1", command, queue="ephemeral"))
        await rig.state("run-1", "down")
        assert await rig.printed("run-1") == [*map(str, range(3000)), "end"]
        assert await rig.printed("run-1", "stderr") == ["oops"]
        *last, ended = [line["line"] for line in await rig.log(n="3")]
        # Between the two streams there is no order.
        assert (sorted(last), ended) == (["end", "oops"], "exited with code 0")


async def test_one_who_prints_without_end_holds_up_nobody(rig: Rig) -> None:
    await rig.assign(rig.job("loud-1", "exec yes"))
    await rig.state("loud-1", "up")
    async with asyncio.timeout(20):
        while not any("were dropped" in line["line"] for line in await rig.log(job="loud-1", n="10000")):
            await asyncio.sleep(0.2)
        await rig.assign(rig.job("run-1", "echo here", queue="ephemeral"))
        await rig.state("run-1", "down")
    assert await rig.printed("run-1") == ["here"]


async def test_logs_of_several_jobs_are_merged_and_filtered(rig: Rig) -> None:
    await rig.assign(
        rig.job("a-1", "echo a", queue="ephemeral", type="run"),
        rig.job("b-1", "echo b", queue="ephemeral", app="other"),
    )
    for id in ("a-1", "b-1"):
        await rig.state(id, "down")
    lines = await rig.log()
    assert {line["job"] for line in lines} == {"a-1", "b-1"}
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert {line["job"] for line in await rig.log(app="other")} == {"b-1"}
    assert {line["job"] for line in await rig.log(type="run")} == {"a-1"}
    assert await rig.log(job="nothing") == []
    first = next(line for line in lines if line["line"] == "a")
    assert set(first) == {"kind", "time", "job", "type", "stream", "line"}
    assert (first["kind"], first["type"], first["stream"]) == ("log", "run", "stdout")


async def test_a_log_is_followed(rig: Rig) -> None:
    """Past and future come once each, also those of a job that begins later."""
    command = "i=0; while :; do echo $FLYNN_JOB_ID-$i; i=$((i+1)); sleep 0.01; done"
    await rig.assign(rig.job("a-1", command))
    await rig.state("a-1", "up")
    url = f"{rig.node.url}/v1/hosts/host-a/log"
    async with rig.node.http.get(url, params={"follow": "true", "n": "10000", "app": "hello"}) as response:
        found: dict[str, list[str]] = {"a-1": [], "b-1": []}
        async with asyncio.timeout(20):
            while len(found["b-1"]) < 20 or len(found["a-1"]) < 100:
                line = json.loads(await response.content.readline())
                if line["stream"] == "stdout":
                    found[line["job"]].append(line["line"])
                if len(found["a-1"]) == 50:
                    await rig.assign(rig.job("b-1", command))
    for id, lines in found.items():
        assert lines == [f"{id}-{n}" for n in range(len(lines))]


async def test_a_bad_number_is_refused(rig: Rig) -> None:
    async with rig.node.http.get(f"{rig.node.url}/v1/hosts/host-a/log", params={"n": "-1"}) as response:
        assert response.status == 422


async def test_writing_to_dev_stdout_works(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        await rig.assign(rig.job("run-1", "echo out >/dev/stdout; echo err >/dev/stderr", queue="ephemeral"))
        assert (await rig.state("run-1", "down")).exit_code == 0
        assert await rig.printed("run-1") == ["out"]
        assert await rig.printed("run-1", "stderr") == ["err"]
