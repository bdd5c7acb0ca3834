"""A client on a job's standard streams."""

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from msgspec.structs import replace

from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.logframe import Block
from flynn.core.model import Host, Job
from flynn.core.store import Put
from flynn.plugins.host.attach import backlog
from flynn.plugins.host.logs import intake
from flynn.plugins.host.logs.applog import AppLog, Piece
from tests.plugins.host.rig import Rig, Socket, alive, open_rig

MIB = 1024 * 1024


def url(rig: Rig, host: str = "host-a", id: str = "run-1") -> str:
    return f"{rig.node.url}/v1/hosts/{host}/jobs/{id}/attach"


@asynccontextmanager
async def attached(rig: Rig, command: str, **fields: Any) -> AsyncIterator[Socket]:
    await rig.assign(rig.job("run-1", command, queue="ephemeral", attached=True, **fields))
    async with rig.node.http.ws_connect(url(rig), max_msg_size=0) as socket:
        yield socket


async def rest(socket: Socket) -> tuple[bytes, bytes, dict[str, Any]]:
    """Standard output and error to their end, and how the job ended."""
    streams = {1: b"", 2: b""}
    async with asyncio.timeout(60):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                if "taken" in (told := json.loads(message.data)):
                    continue
                return streams[1], streams[2], told
            streams[message.data[0]] += message.data[1:]
    raise AssertionError(f"closed without an exit code, after {streams}")


async def test_streams_and_exit_code(any_rig: Rig) -> None:
    rig = any_rig
    async with attached(rig, "cat; echo bad >&2; exit 3") as socket:
        data = os.urandom(300_000)
        for at in range(0, len(data), 50_000):
            await socket.send_bytes(data[at : at + 50_000])
        await socket.send_json({"eof": True})
        out, err, end = await rest(socket)
    assert out == data
    assert err == b"bad\n"
    assert end == {"exit_code": 3, "reason": "exited with code 3"}
    down = await rig.state("run-1", "down")
    assert down.exit_code == 3
    assert await rig.printed("run-1", "stderr") == ["bad"]
    assert sum(map(len, await rig.printed("run-1"))) > 100_000


async def test_its_output_is_in_the_log_as_well(any_rig: Rig) -> None:
    async with attached(any_rig, "echo one; printf 'two\\033[2J'; echo bad >&2") as socket:
        out, err, _ = await rest(socket)
    assert (out, err) == (b"one\ntwo\x1b[2J", b"bad\n")
    await any_rig.state("run-1", "down")
    assert await any_rig.printed("run-1") == ["one", "two\x1b[2J"]
    assert await any_rig.printed("run-1", "stderr") == ["bad"]


@pytest.mark.parametrize("fields", [{}, {"terminal": (24, 80)}], ids=["pipes", "terminal"])
async def test_nothing_of_it_is_in_the_log_where_nothing_shall_be(rig: Rig, fields: dict[str, Any]) -> None:
    async with attached(rig, "echo secret", logged=False, **fields) as socket:
        assert (await rest(socket))[0].strip() == b"secret"
    await rig.state("run-1", "down")
    assert {line["stream"] for line in await rig.log(job="run-1")} == {"flynn"}


@pytest.mark.parametrize("fields", [{}, {"terminal": (24, 80)}], ids=["pipes", "terminal"])
async def test_a_dump_leaves_the_log_its_room(
    rig: Rig, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "ATTACHED", MIB)
    async with attached(rig, "head -c 5000000 /dev/zero | tr '\\0' x", **fields) as socket:
        out, _, end = await rest(socket)
    assert (len(out), end["exit_code"]) == (5_000_000, 0)
    await rig.state("run-1", "down")
    assert sum(map(len, await rig.printed("run-1"))) == MIB
    assert f"only the first {MIB} bytes of stdout are kept here, as it has a client" in await rig.printed(
        "run-1", "flynn"
    )


async def test_a_log_that_is_stuck_keeps_no_client_waiting(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, append = threading.Event(), AppLog.append

    def slow(log: AppLog, job: Job, now: float, pieces: list[Piece]) -> list[Block]:
        assert pieces[0].stream == "flynn" or go_on.wait(30)
        return append(log, job, now, pieces)

    monkeypatch.setattr(AppLog, "append", slow)
    async with attached(rig, "head -c 5000000 /dev/zero | tr '\\0' x; echo; read line; exit 3") as socket:
        out = b""
        async with asyncio.timeout(20):
            while len(out) < 5_000_001:
                out += (await socket.receive_bytes())[1:]
        go_on.set()
        await socket.send_bytes(b"\n")
        assert (await rest(socket))[2]["exit_code"] == 3
    await rig.state("run-1", "down")
    assert sum(map(len, await rig.printed("run-1"))) == 5_000_000


async def test_input_and_output_take_turns(any_rig: Rig) -> None:
    rig = any_rig
    async with attached(rig, 'while read line; do echo "got $line"; done') as socket:
        for word in ("a", "b", "c"):
            await socket.send_bytes(f"{word}\n".encode())
            assert await socket.receive_bytes(timeout=10) == f"\x01got {word}\n".encode()
        await socket.send_json({"eof": True})
        assert (await rest(socket))[2]["exit_code"] == 0


async def test_much_output_comes_whole(any_rig: Rig) -> None:
    rig = any_rig
    async with attached(rig, "head -c 20000000 /dev/zero | tr '\\0' x") as socket:
        out, _, end = await rest(socket)
    assert len(out) == 20_000_000
    assert end["exit_code"] == 0


async def test_a_signal(rig: Rig) -> None:
    async with attached(rig, 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.02; done') as socket:
        assert await socket.receive_bytes(timeout=10) == b"\x01ready\n"
        await socket.send_json({"signal": 2})
        out, _, end = await rest(socket)
    assert (out, end["exit_code"]) == (b"caught\n", 9)


async def test_a_client_that_goes_ends_the_job(rig: Rig) -> None:
    async with attached(rig, "echo ready; exec sleep 60") as socket:
        assert await socket.receive_bytes(timeout=10) == b"\x01ready\n"
        up = await rig.state("run-1", "up")
    down = await rig.state("run-1", "down")
    assert (down.reason, down.exit_code) == ("its client went away", 129)
    assert not alive(up.pid)


async def test_a_client_that_talks_nonsense_is_gone(rig: Rig) -> None:
    async with attached(rig, "exec sleep 60") as socket:
        await socket.send_str("nonsense")
        assert (await rig.state("run-1", "down")).reason == "its client went away"


@pytest.mark.parametrize("fields", [{}, {"terminal": (24, 80)}], ids=["pipes", "terminal"])
async def test_what_is_no_websocket_attaches_to_nothing(rig: Rig, fields: dict[str, Any]) -> None:
    await rig.assign(rig.job("run-1", "echo hello", queue="ephemeral", attached=True, **fields))
    async with rig.node.http.get(url(rig)) as response:
        assert (response.status, (await response.json())["message"]) == (
            422, "run-1 is attached to by a WebSocket; this is no request for one",
        )  # fmt: skip
    async with rig.node.http.ws_connect(url(rig)) as socket:
        out, _, end = await rest(socket)
    assert (out.strip(), end["exit_code"]) == (b"hello", 0)


async def test_output_that_nobody_took_does_not_stay(rig: Rig) -> None:
    async with attached(rig, "echo ready; head -c 3000000 /dev/zero; exec sleep 60") as socket:
        await socket.receive_bytes(timeout=10)
        await rig.state("run-1", "up")
    await rig.state("run-1", "down")
    async with asyncio.timeout(10):
        while {path.name for path in rig.dir("run-1").iterdir()} != {"job.json"}:
            await asyncio.sleep(0.02)


MUCH = "i=0; while [ $i -lt 150 ]; do head -c 100000 /dev/zero; i=$((i+1)); done; exit 4"


def stopped(pid: int) -> bool:
    """Whether it is, or its child, for which a shell may wait so that nothing else is told of it (vfork(2))."""
    found = [psutil.Process(pid)]
    with contextlib.suppress(psutil.NoSuchProcess):  # The shell's children come and go.
        found += found[0].children()
        return any(process.status() == psutil.STATUS_STOPPED for process in found)
    return False


async def test_a_client_that_reads_slowly_does_not_fill_the_disk(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "HELD", MIB)
    monkeypatch.setattr(backlog, "LOOK", 0.01)
    async with attached(rig, MUCH) as socket:
        up = await rig.state("run-1", "up")
        async with asyncio.timeout(20):
            while not stopped(up.pid):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert (rig.dir("run-1") / "stdout").stat().st_size < 15_000_000
        out, _, end = await rest(socket)
    assert (len(out), end["exit_code"]) == (15_000_000, 4)


async def test_who_cannot_attach(rig: Rig) -> None:
    await rig.assign(rig.job("worker-1", "exec sleep 60"), rig.job("run-2", "true", queue="ephemeral"))
    await rig.state("run-2", "down")
    async with attached(rig, "exec sleep 60"):
        for id, status in (("run-1", 409), ("worker-1", 422), ("run-2", 404), ("nothing", 404)):
            async with rig.node.http.get(url(rig, id=id)) as response:
                assert (response.status, (await response.json())["retry"]) == (status, status == 409), id
    async with rig.node.http.get(url(rig, host="host-z")) as response:
        assert response.status == 404


async def test_a_job_that_cannot_be_started_tells_its_client(rig: Rig) -> None:
    async with attached(rig, "true", cache="../x") as socket:
        _, _, end = await rest(socket)
    assert end["exit_code"] == 125
    assert "cache" in end["reason"]


async def test_calls_for_another_host_are_passed_on(rig: Rig, tmp_path: Path) -> None:
    """A second node, whose facts tell of the first one, answers for it."""
    async with open_rig(tmp_path / "second", backend="process") as far:
        own = Host(name="host-a", address="127.0.0.1", url=rig.node.url, started=1.0)
        far.node.node = replace(far.node.node, name="host-b")
        async with far.running():
            await far.node.store.commit([Put(keys.host("host-a"), encode(own))])
            await far.node.mirror.until(lambda f: "host-a" in f.hosts, 5)
            await rig.assign(rig.job("run-1", "cat; exit 3", queue="ephemeral", attached=True))
            async with far.node.http.ws_connect(url(far)) as socket:
                await socket.send_bytes(b"hello")
                await socket.send_json({"eof": True})
                out, _, end = await rest(socket)
            assert (out, end["exit_code"]) == (b"hello", 3)
            log = await far.log(job="run-1")
            assert log[-1]["line"] == "exited with code 3"
            async with far.node.http.get(url(far, id="nothing")) as response:
                assert response.status == 404
