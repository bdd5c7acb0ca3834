"""A client on the standard streams of a job, over a WebSocket (docs/api.md, "Attach")."""

import asyncio
import contextlib
import os
from pathlib import Path

from aiohttp import WSCloseCode, web

from flynn.core.errors import Conflict, Invalid
from flynn.plugins.host.attach.attend import attend
from flynn.plugins.host.attach.backlog import hold_back
from flynn.plugins.host.attach.inbox import Inbox
from flynn.plugins.host.attach.orders import listen
from flynn.plugins.host.life.kept import sweep
from flynn.plugins.host.life.life import Life
from flynn.plugins.host.logs.sparse import free_start
from flynn.plugins.host.race import race

POLL = 0.01
"""Seconds between two looks for new output."""

CHUNK = 64 * 1024
FREED = 1024 * 1024
"""Bytes delivered before their space on disk is given back."""

NEVER_BEGAN = 125
"""The exit code told for a process that never ran."""


async def attach(request: web.Request, life: Life, stopping: asyncio.Event) -> web.WebSocketResponse:
    """Be the job's client until it ends, or the client goes (then the job is ended), or the daemon stops."""
    socket = web.WebSocketResponse(max_msg_size=1024 * 1024)
    _claim(life, bool(socket.can_prepare(request)))
    try:
        return await (attend(request, life, stopping) if life.job.terminal else _serve(request, socket, life, stopping))
    finally:
        life.read = False
        life.given.clear()
        if life.down.is_set():
            await asyncio.to_thread(sweep, life.dir)


async def _serve(
    request: web.Request, socket: web.WebSocketResponse, life: Life, stopping: asyncio.Event
) -> web.WebSocketResponse:
    try:
        await socket.prepare(request)
        why = await _converse(socket, life, stopping)
    except ConnectionError:
        why = "gone"
    except BaseException:
        if not stopping.is_set():
            life.hang_up()
        raise
    if why == "gone":
        life.hang_up()
    elif why == "stopping":
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the daemon stops")
    else:
        code = life.state.exit_code
        told = {"exit_code": NEVER_BEGAN if code is None else code, "reason": life.state.reason}
        with contextlib.suppress(ConnectionError):
            await socket.send_json(told)
            await socket.close()
    return socket


async def _converse(socket: web.WebSocketResponse, life: Life, stopping: asyncio.Event) -> str:
    """Why it is over: `ended`, `gone` or `stopping`."""
    inbox = _inbox(socket, life)
    return await race(
        _deliver(socket, life),
        _listen(socket, life, inbox),
        _pour(life, inbox),
        hold_back(life, life.given),
        _wait(stopping),
    )


def _claim(life: Life, is_socket: bool) -> None:
    if not life.job.attached:
        raise Invalid(f"{life.job.id} is not a job to attach to; read its log instead")
    if life.down.is_set():
        raise Conflict(f"{life.job.id} has ended: {life.state.reason}")
    if life.attached.is_set():
        raise Conflict(f"{life.job.id} has a client already; run another one")
    if not is_socket:
        raise Invalid(f"{life.job.id} is attached to by a WebSocket; this is no request for one")
    life.read = True
    if not life.job.terminal:
        life.given.update(stdout=0, stderr=0)
    life.attached.set()


async def _wait(stopping: asyncio.Event) -> str:
    await stopping.wait()
    return "stopping"


async def _deliver(socket: web.WebSocketResponse, life: Life) -> str:
    """All output, byte by byte, until the job is down."""
    given = life.given
    while True:
        ended = life.down.is_set()
        moved = 0
        for prefix, stream in ((b"\1", "stdout"), (b"\2", "stderr")):
            given[stream], data = _read(life.dir / stream, given[stream])
            if data:
                await socket.send_bytes(prefix + data)
                _free(life, stream, given[stream], given[stream] + len(data))
                given[stream] += len(data)
                moved += len(data)
        if ended and not moved:
            return "ended"
        if not moved:
            await asyncio.sleep(POLL)


def _read(path: Path, at: int) -> tuple[int, bytes]:
    """What follows `at`, or the beginning, if the process has emptied the file; and where that was."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return at, b""
    try:
        at = at if at <= os.fstat(file).st_size else 0
        return at, os.pread(file, CHUNK, at)
    finally:
        os.close(file)


def _free(life: Life, stream: str, before: int, after: int) -> None:
    """What the log still needs stays; that is its part of a job with a client at most."""
    if before // FREED != after // FREED:
        free_start(life.dir / stream, min(after, life.ground.logs.needed(life.job.id, stream)))


def _inbox(socket: web.WebSocketResponse, life: Life) -> Inbox:
    async def taken(count: int) -> None:
        await socket.send_json({"taken": count})

    return Inbox(lambda: life.stdin, life.close_stdin, taken)


async def _listen(socket: web.WebSocketResponse, life: Life, inbox: Inbox) -> str:
    """Hand on what the client sends, until it goes."""
    await life.begun.wait()

    async def send(number: int) -> None:
        if life.running:
            await life.running.signal(number)

    await listen(socket, inbox, send)
    return "gone"


async def _pour(life: Life, inbox: Inbox) -> str:
    await life.begun.wait()
    await inbox.pour()
    return ""
