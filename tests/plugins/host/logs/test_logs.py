"""Logs over HTTP: read again, filtered, merged, followed; what the jobs print is taken in while they run."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.core.model import Job
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.logs import logs
from flynn.plugins.host.logs.logs import Logs
from tests.plugins.host.rig import Rig, open_rig


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
        all = [(line["time"], line["line"]) for line in await rig.log(n="4000")]
        assert {"2999", "end", "oops"} <= {text for _, text in all}
        assert [(line["time"], line["line"]) for line in await rig.log(n="3")] == all[-3:]
        assert [line["line"] for line in await rig.log(n="1")] == ["exited with code 0"]


async def test_one_who_prints_without_end_holds_up_nobody(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="process", log_size=1) as rig, rig.running():
        await rig.assign(rig.job("loud-1", "exec yes", app="loud"))
        await rig.state("loud-1", "up")
        async with asyncio.timeout(20):
            while not any("were dropped" in line["line"] for line in await rig.log(job="loud-1", stream="flynn")):
                await asyncio.sleep(0.1)
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
    assert set(first) == {"kind", "time", "host", "app", "job", "type", "release", "stream", "at", "line"}
    told = ("log", "host-a", "run", 3, "stdout")
    assert tuple(first[name] for name in ("kind", "host", "type", "release", "stream")) == told


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


@pytest.mark.parametrize("app", ["x" * 300, "../hello", "a\0b"])
async def test_a_bad_name_is_refused(rig: Rig, app: str) -> None:
    async with rig.node.http.get(f"{rig.node.url}/v1/hosts/host-a/log", params={"app": app}) as response:
        assert response.status == 422
        assert "is no good app name" in (await response.json())["message"]


async def test_lines_taken_in_for_one_who_goes_are_told_to_all(tmp_path: Path) -> None:
    """A reader has what was printed taken in, and may break off at any moment of that."""
    job = Job(id="worker-1", app="hello", type="worker", queue="services", command="", created=1.0)
    (tmp_path / "jobs" / job.id).mkdir(parents=True)
    (tmp_path / "jobs" / job.id / "stdout").write_text("line\n")
    logs = Logs(tmp_path / "logs", tmp_path / "jobs", 1 << 20, time.time)
    await logs.open(job)
    log, busy = await logs.of("hello"), threading.Event()
    logs._writer.submit(busy.wait, 10)
    reading = asyncio.create_task(logs.take_in("hello"))
    await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.sleep(0.05)
    busy.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (log.last, log.told) == (1, 1)


async def test_a_job_whose_log_cannot_be_written_does_not_fill_the_disk(tmp_path: Path) -> None:
    """For another reason than that the disk is full, as it is broken: what no log could hold is let go meanwhile."""
    job = Job(id="worker-1", app="hello", type="worker", queue="services", command="", created=1.0)
    (tmp_path / "jobs" / job.id).mkdir(parents=True)
    raw, limit = tmp_path / "jobs" / job.id / "stdout", 1 << 20
    logs = Logs(tmp_path / "logs", tmp_path / "jobs", limit, time.time)
    await logs.open(job)
    (tmp_path / "logs").touch()  # It is to be a directory.
    with raw.open("a") as file:
        for turn in range(8):
            file.write("x" * 99 + f"\n{turn}\n" + ("y" * 99 + "\n") * 10_000)
            file.flush()
            await logs.take_in("hello")
            assert raw.stat().st_blocks * 512 < 2 * limit
    (tmp_path / "logs").unlink()
    await logs.finish(job.id)
    log = await logs.of("hello")
    assert log.told > 2000
    kept = b"".join(path.read_bytes() for path in log.dir.iterdir())
    assert b" bytes of stdout were dropped: the log could not be written" in kept
    assert b"faster than can be kept" not in kept
    logs.end()


async def test_writing_to_dev_stdout_works(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        await rig.assign(rig.job("run-1", "echo out >/dev/stdout; echo err >/dev/stderr", queue="ephemeral"))
        assert (await rig.state("run-1", "down")).exit_code == 0
        assert await rig.printed("run-1") == ["out"]
        assert await rig.printed("run-1", "stderr") == ["err"]


def log_threads() -> int:
    return sum(thread.name.startswith("log ") for thread in threading.enumerate())


async def test_an_agent_that_begins_anew_leaves_no_thread_and_no_follower_behind(tmp_path: Path) -> None:
    """One who follows is let go, as he would hear nothing any more, and asks the next agent."""
    before = log_threads()
    async with open_rig(tmp_path / "data", backend="process") as rig:
        for _ in range(3):
            async with rig.running():
                await rig.assign(rig.job("run-1", "echo here", queue="ephemeral"))
                await rig.state("run-1", "down")
                query = {"app": "hello", "follow": "true"}
                answer = await rig.node.http.get(f"{rig.node.url}/v1/hosts/host-a/log", params=query)
                assert b"here" in await answer.content.readline() + await answer.content.readline()
                assert log_threads() > before
            async with asyncio.timeout(10):
                await answer.read()
                while log_threads() > before:
                    await asyncio.sleep(0.01)


async def test_what_is_held_for_those_who_follow_is_bounded_for_all_logs_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "HELD", 4000)
    found = Logs(tmp_path / "logs", tmp_path / "jobs", 1 << 20, time.time)
    apps = [await found.of(f"app-{n}") for n in range(4)]
    try:
        for each in apps:
            each.woken.add(lambda: None)
            for _ in range(30):
                each.publish(each.note(1.0, "x" * 99))
            assert each.recent_size == 3000
        found._share()
        assert [each.recent_size for each in apps] == [1000] * 4
        for _ in range(30):
            apps[0].publish(apps[0].note(1.0, "x" * 99))
        assert apps[0].recent_size == 1000
        assert apps[0].after(apps[0].told) != []
        assert apps[0].after(1) is None, "it is on disk"
    finally:
        found.end()
