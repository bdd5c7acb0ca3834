"""A client on a command that has a terminal: a one-off job, or beside a job."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from tests.plugins.host.attach.test_attach import attached, rest
from tests.plugins.host.rig import Rig, Socket


async def until(socket: Socket, *texts: bytes) -> bytes:
    """What the terminal shows until one of these is in it."""
    shown = b""
    async with asyncio.timeout(20):
        while not any(text in shown for text in texts):
            shown += (await socket.receive_bytes())[1:]
    return shown


@asynccontextmanager
async def beside(rig: Rig, command: str) -> AsyncIterator[Socket]:
    await rig.assign(rig.job("worker-1", "echo ready; exec sleep 60"))
    await rig.until_printed("worker-1", "ready")
    url = f"{rig.node.url}/v1/hosts/host-a/jobs/worker-1/exec"
    async with rig.node.http.ws_connect(url, max_msg_size=0) as socket:
        await socket.send_json({"exec": command, "terminal": [30, 90]})
        yield socket


PROMPTS = b"$ ", b"# "
RESIZED = (
    'while [ "$(stty size)" != "30 90" ]; do sleep 0.02; done; trap "stty size; exit 3" WINCH; '
    "stty size; test -t 0 && test -t 1 && test -t 2 && while :; do sleep 0.02; done"
)
"""Docker before 23 tells a terminal its size only once the command has begun."""


async def test_a_job_on_a_terminal(any_rig: Rig) -> None:
    async with attached(any_rig, f"test -e server.py && {RESIZED}", terminal=(30, 90)) as socket:
        assert await until(socket, b"\n") == b"30 90\r\n"
        await socket.send_json({"size": [40, 100]})
        out, err, end = await rest(socket)
    assert (out, err, end) == (b"40 100\r\n", b"", {"exit_code": 3, "reason": "exited with code 3"})
    assert (await any_rig.state("run-1", "down")).exit_code == 3
    assert await any_rig.printed("run-1") == ["30 90", "40 100"]


async def test_what_it_shows_is_in_the_log_line_by_line(rig: Rig) -> None:
    async with attached(rig, "printf '$ '; sleep 1; echo ls; printf '\\033[1m$ '", terminal=(24, 80)) as socket:
        out = (await rest(socket))[0]
    assert out == b"$ ls\r\n\x1b[1m$ "
    await rig.state("run-1", "down")
    assert await rig.printed("run-1") == ["$ ls", "\x1b[1m$ "]


async def test_a_command_on_a_terminal_beside_a_job(any_rig: Rig) -> None:
    async with beside(any_rig, RESIZED) as socket:
        await until(socket, b"30 90\r\n")
        await socket.send_json({"size": [40, 100]})
        out, _, end = await rest(socket)
    assert (out, end["exit_code"]) == (b"40 100\r\n", 3)


async def test_the_size_is_there_at_once(rig: Rig) -> None:
    async with beside(rig, "stty size") as socket:
        assert (await rest(socket))[0] == b"30 90\r\n"


async def test_ctrl_c_and_the_end_of_input(rig: Rig) -> None:
    async with attached(rig, "sh", terminal=(24, 80)) as socket:
        await until(socket, *PROMPTS)
        # In one process: a shell between two commands is in the foreground itself, and takes Ctrl-C as its own.
        await socket.send_bytes(b"sh -c 'echo a; exec sleep 60'\r")
        await until(socket, b"\na\r\n")
        await socket.send_bytes(b"\3")
        await until(socket, *PROMPTS)
        await socket.send_bytes(b"echo $?\r")
        await until(socket, b"\n130\r\n")
        await socket.send_bytes(b"\4")
        assert (await rest(socket))[2]["exit_code"] == 0


async def test_jobs_of_a_shell_end_with_its_client(rig: Rig) -> None:
    one, other = f"61.{os.getpid()}", f"62.{os.getpid()}"
    async with attached(rig, "exec bash --norc --noprofile", terminal=(24, 80)) as socket:
        await until(socket, *PROMPTS)
        await socket.send_bytes(f"sleep {one} & echo $((40 + 2)); sleep {other}\r".encode())
        await until(socket, b"42\r\n")
    assert (await rig.state("run-1", "down")).reason == "its client went away"
    async with asyncio.timeout(10):
        while any(words[1:] in ([one], [other]) for words in seen()):
            await asyncio.sleep(0.05)


def seen() -> list[list[str]]:
    """The command lines of all processes."""
    return [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]


async def test_much_output_comes_whole(rig: Rig) -> None:
    async with attached(rig, "head -c 3000000 /dev/zero | tr '\\0' x", terminal=(24, 80)) as socket:
        out, _, end = await rest(socket)
    assert (len(out), end["exit_code"]) == (3_000_000, 0)


async def test_a_job_that_is_stopped(rig: Rig) -> None:
    async with attached(rig, "echo ready; exec sleep 60", terminal=(24, 80)) as socket:
        await until(socket, b"ready\r\n")
        await rig.assign(rig.job("run-1", "x", queue="ephemeral", attached=True, terminal=(24, 80)), stop=True)
        end = (await rest(socket))[2]
    assert end["reason"] == "stopped"
