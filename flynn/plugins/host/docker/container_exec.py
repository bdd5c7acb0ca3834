"""A command run beside a job in its container, through the engine (Docker Engine API, "Exec")."""

import asyncio
import contextlib
import os
import secrets
import signal
import tty
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.execs import Exec
from aiodocker.stream import Message, Stream

from flynn.core.errors import FlynnError, Unavailable
from flynn.plugins.host.attach.terminal import size_of
from flynn.plugins.host.backends.backend import START, NotStarted, Signals
from flynn.plugins.host.docker.engine import engine
from flynn.plugins.host.race import race, whole

BESIDE = f'if [ "${{APP_DIR-}}" ]; then {START}; fi; exec sh -c "$1"'
"""As the job's own process began; an image that is the whole application has no APP_DIR, and a place of its own."""

MARK = "FLYNN_EXEC"
SEND = f'for p in /proc/[0-9]*; do grep -qs "{MARK}=$1" "$p/environ" && kill -"$2" "${{p#/proc/}}"; done'
"""A signal to all that carries the mark; the engine has no call that sends one to what it runs beside a container."""

LONGEST = 30 * 86400.0
"""Seconds that a command may take."""

KEYS = "ctrl-^,ctrl-_,ctrl-^,ctrl-_"
"""Keys that would part us from the command, of which nobody types the whole: the usual ones hold back Ctrl-P."""

LOOK = 0.1
"""Seconds between two looks at the size of a terminal."""

SETTLED = 5.0
"""Seconds after which a command has ended whose streams have."""

STUCK = 0.5
"""Seconds between two looks whether a command is there that does not read its input."""

PIECE = 4096
"""Bytes that a pipe takes without blocking once it is writable (pipe(7), PIPE_BUF)."""


async def run_inside(
    container: str, command: str, streams: tuple[int, int, int], signals: Signals | None = None
) -> int:
    """As `Running.exec`, in the container of this id. NotStarted: also when the engine does not answer."""
    mark = secrets.token_hex(8)
    try:
        async with engine(LONGEST) as client:
            running = _run(client, container, ["/bin/sh", "-c", BESIDE, "sh", command], mark, streams)
            return await race(running, _send_each(container, mark, signals))
    except asyncio.CancelledError:
        await whole(_send(container, mark, signal.SIGKILL))
        raise
    except FlynnError as error:
        raise NotStarted(f"nothing can be run beside it: {error}") from None


async def _run(client: Docker, container: str, argv: list[str], mark: str, streams: tuple[int, int, int]) -> int:
    stdin, stdout, stderr = streams
    terminal = stdin >= 0 and os.isatty(stdin)
    if terminal:  # The engine has one of its own in the container: this one only hands on.
        tty.setraw(stdin)
        os.set_blocking(stdin, False)
    made = await _made(client, container, argv, mark, stdin, terminal)
    async with made.start(detach=False) as stream:
        flow, resizing = Flow(), _resize(made, stdin if terminal else -1)
        try:
            taking = _take(stream, {1: stdout, 2: stderr}, flow)
            await race(taking, _give(stream, stdin, flow), _ended(made, flow), resizing)
        finally:
            if flow.stuck and (transport := _transport(stream)):
                transport.abort()  # To close it would wait until the engine has read all.
    return await _exit_code(made)


async def _exit_code(made: Exec) -> int:
    """Of what has closed its streams, or should have. Unavailable: it runs on, and nobody hears it any more."""
    async with asyncio.timeout(SETTLED) as limit:
        with contextlib.suppress(TimeoutError):
            while (found := await made.inspect())["Running"]:
                await asyncio.sleep(LOOK)
    if limit.expired():
        raise Unavailable("the Docker Engine broke off its streams")
    return int(found["ExitCode"])


@dataclass
class Flow:
    """Whether input waits for the command to read; whether output is being handed on, and how often it was."""

    stuck: bool = False
    busy: bool = False
    taken: int = 0


async def _take(stream: Stream, files: dict[int, int], flow: Flow) -> None:
    """What it prints, until its end."""
    while message := await _heard(stream):
        flow.busy, flow.taken = True, flow.taken + 1
        file, view = files[message.stream], memoryview(message.data)
        while view and file >= 0:
            await _ready(file, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)
            try:
                view = view[os.write(file, view[:PIECE]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                break
        flow.busy = False


async def _heard(stream: Stream) -> Message | None:
    """None: no more comes. An engine that closes while input is on its way to it breaks off (unix(7), ECONNRESET)."""
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        return await stream.read_out()
    return None


async def _ended(made: Exec, flow: Flow) -> None:
    """Until it has ended while input waits: the engine does not tell then, as it waits for its own writing. What it has
    printed last may still be on its way, so nothing more must have come between two looks."""
    taken = -1
    while True:
        await asyncio.sleep(STUCK)
        if not flow.stuck or flow.busy or (await made.inspect())["Running"]:
            taken = -1
        elif flow.taken == taken:
            return
        else:
            taken = flow.taken


async def _made(client: Docker, container: str, argv: list[str], mark: str, stdin: int, terminal: bool) -> Exec:
    """Not by `container.exec`, which cannot tell the size of a terminal (engines before 23 are told a moment later)."""
    wanted: dict[str, Any] = {
        "Cmd": argv, "Env": [f"{MARK}={mark}"], "Tty": terminal,
        "AttachStdin": stdin >= 0, "AttachStdout": True, "AttachStderr": True,
    }  # fmt: skip
    if terminal:
        wanted |= {"ConsoleSize": size_of(stdin), "detachKeys": KEYS}
    told = await client._query_json(f"containers/{container}/exec", method="POST", data=wanted)
    return Exec(client, told["Id"], tty=terminal)


async def _resize(made: Exec, terminal: int) -> None:
    """Keep the engine's terminal as large as ours, for ever."""
    known = (0, 0)
    while terminal >= 0:
        if (size := size_of(terminal)) != known:
            known = size
            with contextlib.suppress(DockerError):
                await made.resize(h=size[0], w=size[1])
        await asyncio.sleep(LOOK)
    await asyncio.Event().wait()


async def _give(stream: Stream, file: int, flow: Flow) -> None:
    """What it shall read, and the end of that; then nothing, for ever."""
    while file >= 0:
        await _ready(file, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)
        data = os.read(file, PIECE)
        if not data:
            break
        flow.stuck = True
        try:
            await stream.write_in(data)
        except (aiohttp.ClientError, ConnectionError):  # It has ended without having read all: its code tells.
            await asyncio.Event().wait()
        flow.stuck = False
    if (transport := _transport(stream)) and transport.can_write_eof():
        transport.write_eof()
    await asyncio.Event().wait()


def _transport(stream: Stream) -> asyncio.WriteTransport | None:
    connection = stream._resp.connection if stream._resp else None
    return cast(asyncio.WriteTransport | None, connection.transport) if connection else None


async def _ready(file: int, watch: Callable[[int, Callable[[], None]], object], unwatch: Callable[[int], bool]) -> None:
    """Until it can be read from, or written to. A file on disk always can (epoll(7) refuses it)."""
    ready = asyncio.Event()
    try:
        watch(file, ready.set)
    except PermissionError:
        return
    try:
        await ready.wait()
    finally:
        unwatch(file)


async def _send_each(container: str, mark: str, signals: Signals | None) -> int:
    """Tell of signals, for ever."""
    while signals:
        await _send(container, mark, await signals.get())
    await asyncio.Event().wait()
    return 0


async def _send(container: str, mark: str, number: int) -> None:
    try:
        async with engine() as client:
            made = await client.containers.container(container).exec(
                ["/bin/sh", "-c", SEND, "sh", mark, str(int(number))]
            )
            async with made.start(detach=False) as stream:
                await stream.read_out()
    except FlynnError:
        return  # The container has ended, and with it all that ran there.
