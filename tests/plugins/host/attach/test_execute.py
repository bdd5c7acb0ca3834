"""A client on a command that runs beside a job."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.plugins.host.attach.test_attach import rest
from tests.plugins.host.rig import Rig, Socket, alive

MIB = 1024 * 1024


@pytest.fixture
async def rig(rig: Rig) -> Rig:
    """With the job worker-1 running."""
    await begin(rig)
    return rig


@pytest.fixture
async def any_rig(any_rig: Rig) -> Rig:
    await begin(any_rig)
    return any_rig


async def begin(rig: Rig) -> None:
    await rig.assign(rig.job("worker-1", "echo $$ >pid; echo ready; exec sleep 60", env={"COLOR": "red"}))
    await rig.until_printed("worker-1", "ready")


@asynccontextmanager
async def executed(rig: Rig, command: str, id: str = "worker-1") -> AsyncIterator[Socket]:
    async with rig.node.http.ws_connect(f"{rig.node.url}/v1/hosts/host-a/jobs/{id}/exec", max_msg_size=0) as socket:
        await socket.send_json({"exec": command})
        yield socket


async def test_it_is_where_the_job_is(any_rig: Rig) -> None:
    async with executed(
        any_rig, 'echo "$COLOR $(ls)"; kill -0 "$(cat pid)" && echo sees; echo bad >&2; exit 3'
    ) as socket:
        out, err, end = await rest(socket)
    assert (out, err) == (b"red pid\nserver.py\nsees\n", b"bad\n")
    assert end == {"exit_code": 3, "reason": "exited with code 3"}
    assert await any_rig.printed("worker-1") == ["ready"]


async def test_it_has_nothing_open_but_its_streams(any_rig: Rig) -> None:
    """And the directory that it lists."""
    async with executed(any_rig, "exec ls /proc/self/fd") as socket:
        out, _, _ = await rest(socket)
    assert out.split() == [b"0", b"1", b"2", b"3"]


async def test_input_comes_whole_and_back(any_rig: Rig) -> None:
    data = os.urandom(3 * MIB)
    async with executed(any_rig, "cat") as socket:

        async def send() -> None:
            for at in range(0, len(data), 64 * 1024):
                await socket.send_bytes(data[at : at + 64 * 1024])
            await socket.send_json({"eof": True})

        sending = asyncio.create_task(send())
        out, _, end = await rest(socket)
        await sending
    assert (end["exit_code"], end["reason"], len(out)) == (0, "exited with code 0", len(data))
    assert out == data
    assert end["exit_code"] == 0


async def test_a_signal_is_heard_behind_input_that_nobody_reads(any_rig: Rig) -> None:
    command = 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.02; done'
    async with executed(any_rig, command) as socket:
        assert await socket.receive_bytes(timeout=10) == b"\1ready\n"
        for _ in range(4):
            await socket.send_bytes(bytes(MIB // 2))
        await socket.send_json({"signal": 2})
        out, _, end = await rest(socket)
    assert (out, end["exit_code"]) == (b"caught\n", 9)


async def test_a_signal(any_rig: Rig) -> None:
    async with executed(any_rig, 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.02; done') as socket:
        assert await socket.receive_bytes(timeout=10) == b"\1ready\n"
        await socket.send_json({"signal": 2})
        out, _, end = await rest(socket)
    assert (out, end["exit_code"]) == (b"caught\n", 9)


async def test_the_client_is_told_what_was_taken(rig: Rig) -> None:
    async with executed(rig, "cat >/dev/null") as socket:
        await socket.send_bytes(bytes(MIB // 2))
        assert await socket.receive_json(timeout=10) == {"taken": MIB // 2}
        await socket.send_json({"eof": True})
        assert (await rest(socket))[2]["exit_code"] == 0


async def test_a_client_that_goes_ends_the_command_alone(rig: Rig) -> None:
    async with executed(rig, "echo $$; cat pid; exec sleep 60") as socket:
        async with asyncio.timeout(10):
            said = b""
            while said.count(b"\n") < 2:
                said += (await socket.receive_bytes())[1:]
    async with executed(rig, f"while kill -0 {said.split()[0].decode()}; do sleep 0.02; done 2>/dev/null") as socket:
        await rest(socket)
    assert (await rig.state("worker-1", "up")).restarts == 0


async def test_what_is_left_behind_ends_with_the_command(rig: Rig) -> None:
    async with executed(rig, "sleep 60 & echo $!") as socket:
        out, _, end = await rest(socket)
    assert end["exit_code"] == 0
    async with executed(rig, f"while kill -0 {out.decode().strip()}; do sleep 0.02; done 2>/dev/null") as socket:
        await rest(socket)


async def test_it_ends_with_its_job(rig: Rig) -> None:
    up = await rig.state("worker-1", "up")
    async with executed(rig, "echo ready; exec sleep 60") as socket:
        assert await socket.receive_bytes(timeout=10) == b"\1ready\n"
        await rig.assign(rig.job("worker-1", "true"), stop=True)
        # It is asked to end as the job is, and killed once that has ended, which may come first.
        assert (await rest(socket))[2]["exit_code"] in (143, 137)
    await rig.state("worker-1", "down")
    assert not alive(up.pid)


async def test_what_cannot_be_executed(rig: Rig) -> None:
    await rig.assign(rig.job("run-1", "true", queue="ephemeral", attached=True))
    await rig.state("run-1", lambda state: state.reason == "waits to be attached")
    async with executed(rig, "true", id="run-1") as socket:
        end = (await rest(socket))[2]
    assert end["exit_code"] is None
    assert "waits to be attached" in end["reason"]
    async with rig.node.http.get(f"{rig.node.url}/v1/hosts/host-a/jobs/nothing/exec") as response:
        assert response.status == 404
    async with executed(rig, "true") as first, rig.node.http.ws_connect(first._response.url) as socket:
        await socket.send_json({"eof": True})
        assert (await socket.receive(timeout=10)).data in (1000, 1006)


@pytest.mark.parametrize(("command", "why"), [("echo \0", "null byte"), ("x" * 200_000, "Argument list too long")])
async def test_what_cannot_be_a_command_says_so(rig: Rig, command: str, why: str) -> None:
    async with executed(rig, command) as socket:
        _, _, end = await rest(socket)
    assert end["exit_code"] is None
    assert why in end["reason"]
