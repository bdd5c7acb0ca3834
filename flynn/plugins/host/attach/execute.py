"""A client on the standard streams of a command run beside a job, over a WebSocket (docs/api.md, "Attach")."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from flynn.core.errors import Invalid
from flynn.plugins.host.attach.inbox import Inbox, readable
from flynn.plugins.host.attach.orders import Order, listen, read
from flynn.plugins.host.attach.pipes import CHUNK, Pipes
from flynn.plugins.host.attach.terminal import Terminal
from flynn.plugins.host.backends.backend import NotStarted, Running, Signals
from flynn.plugins.host.life.life import Life
from flynn.plugins.host.race import race

ORDERED = 20.0
"""Seconds in which the client must have said what it wants."""

HUNG_UP = 2.0
"""Seconds that a command may take to end after its client has gone."""

BEGUN = 5.0
"""Seconds that a job may take to start when somebody wants to run something beside it."""

Seen = Callable[[bytes], None]

Told = dict[str, Any] | None
"""How the command ended, for its client; None: there is no client any more."""


async def execute(request: web.Request, life: Life, stopping: asyncio.Event) -> web.WebSocketResponse:
    """Run what the client's first frame says, until it ends; it ends when its client goes or the daemon stops."""
    socket = web.WebSocketResponse(max_msg_size=1024 * 1024)
    if not socket.can_prepare(request):
        raise Invalid(f"a command beside {life.job.id} is run by a WebSocket; this is no request for one")
    told: Told = None
    with contextlib.suppress(ConnectionError):
        await socket.prepare(request)
        told = await race(_serve(socket, life), _wait(stopping))
        if told:
            await socket.send_json(told)
            await socket.close()
    if stopping.is_set():
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the daemon stops")
    return socket


async def _wait(stopping: asyncio.Event) -> Told:
    await stopping.wait()
    return None


async def _serve(socket: web.WebSocketResponse, life: Life) -> Told:
    order = await _ordered(socket)
    with contextlib.suppress(TimeoutError):
        await _begun(life)
    if life.running is None:
        return _never(f"{life.job.id} has no process now ({life.state.reason or life.state.state}); try again")
    with Terminal(order.terminal) if order.terminal else Pipes() as pipes:
        return await converse(socket, life.running, order.exec, pipes)


async def converse(
    socket: web.WebSocketResponse, running: Running, command: str, pipes: Pipes, seen: Seen = lambda data: None
) -> Told:
    """Run a command beside a process, its streams the client's, until it ends or the client has gone. `seen` is told
    its output as well."""
    signals: Signals = asyncio.Queue()

    async def taken(count: int) -> None:
        with contextlib.suppress(ConnectionError):
            await socket.send_json({"taken": count})

    inbox = Inbox(lambda: pipes.stdin, pipes.close_stdin, taken)
    run = _run(socket, running, command, pipes, signals, seen)
    return await race(run, _until_gone(socket, inbox, signals, pipes), _pour(inbox))


async def _begun(life: Life) -> None:
    """Wait a while for a job that is about to start. TimeoutError: it has not."""
    if life.running is None and (life.attached.is_set() or not life.job.attached):
        async with asyncio.timeout(BEGUN):
            await life.begun.wait()


async def _ordered(socket: web.WebSocketResponse) -> Order:
    """ConnectionError: the client goes, or says nothing that is an order."""
    try:
        message = await socket.receive(ORDERED)
    except TimeoutError:
        raise ConnectionError("the client says nothing") from None
    if message.type is not WSMsgType.TEXT:
        raise ConnectionError("the client does not say what to run")
    return read(message.data, Order)


async def _run(
    socket: web.WebSocketResponse, running: Running, command: str, pipes: Pipes, signals: Signals, seen: Seen
) -> Told:
    async with asyncio.TaskGroup() as tasks:
        for stream, file in pipes.sources.items():
            tasks.create_task(_deliver(socket, stream, file, pipes.ended, seen), name=f"output {stream}")
        try:
            code = await running.exec(command, *pipes.given, signals)
            told = {"exit_code": code, "reason": f"exited with code {code}"}
        except NotStarted as error:
            told = _never(str(error))
        pipes.end()
    return told


def _never(reason: str) -> dict[str, Any]:
    return {"exit_code": None, "reason": reason}


async def _deliver(socket: web.WebSocketResponse, stream: int, file: int, ended: asyncio.Event, seen: Seen) -> None:
    """All of one stream, until the command has ended and nothing of it is left."""
    while True:
        over = ended.is_set()
        try:
            data = os.read(file, CHUNK)
        except BlockingIOError:
            if over:
                return
            await race(readable(file), _set(ended))
            continue
        except OSError:  # EIO: a terminal that nobody has open any more
            return
        if not data:
            return
        seen(data)
        with contextlib.suppress(ConnectionError):  # The client has gone, which ends the command, not us.
            await socket.send_bytes(bytes([stream]) + data)


async def _set(ended: asyncio.Event) -> None:
    await ended.wait()


async def _until_gone(socket: web.WebSocketResponse, inbox: Inbox, signals: Signals, pipes: Pipes) -> Told:
    """The client goes: the command may end by itself, as when a terminal is closed, before it is killed."""
    with contextlib.suppress(ConnectionError):
        await listen(socket, inbox, signals.put, pipes.resize)
    signals.put_nowait(signal.SIGHUP)
    await asyncio.sleep(HUNG_UP)
    return None


async def _pour(inbox: Inbox) -> Told:
    await inbox.pour()
    return None
