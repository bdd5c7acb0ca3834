"""A command run beside a job in its container, through the engine (Docker Engine API, "Exec")."""

import asyncio
import os
import secrets
import signal
from collections.abc import Callable

from aiodocker import Docker
from aiodocker.stream import Stream

from flynn.core.errors import FlynnError
from flynn.plugins.host.backend import START, NotStarted, Signals
from flynn.plugins.host.engine import engine
from flynn.plugins.host.race import race, whole

BESIDE = f'if [ "${{APP_DIR-}}" ]; then {START}; fi; exec sh -c "$1"'
"""As the job's own process began; an image that is the whole application has no APP_DIR, and a place of its own."""

MARK = "FLYNN_EXEC"
SEND = f'for p in /proc/[0-9]*; do grep -qs "{MARK}=$1" "$p/environ" && kill -"$2" "${{p#/proc/}}"; done'
"""A signal to all that carries the mark; the engine has no call that sends one to what it runs beside a container."""

LONGEST = 30 * 86400.0
"""Seconds that a command may take."""

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
    made = await client.containers.container(container).exec(argv, stdin=stdin >= 0, environment={MARK: mark})
    async with made.start(detach=False) as stream:
        await race(_take(stream, {1: stdout, 2: stderr}), _give(stream, stdin))
    return int((await made.inspect())["ExitCode"])


async def _take(stream: Stream, files: dict[int, int]) -> None:
    """What it prints, until its end."""
    while message := await stream.read_out():
        file, view = files[message.stream], memoryview(message.data)
        while view and file >= 0:
            await _ready(file, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)
            try:
                view = view[os.write(file, view[:PIECE]) :]
            except BrokenPipeError:
                break


async def _give(stream: Stream, file: int) -> None:
    """What it shall read, and the end of that; then nothing, for ever."""
    while file >= 0:
        await _ready(file, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)
        data = os.read(file, PIECE)
        if not data:
            break
        await stream.write_in(data)
    connection = stream._resp.connection if stream._resp else None
    if connection and connection.transport and connection.transport.can_write_eof():
        connection.transport.write_eof()
    await asyncio.Event().wait()


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
