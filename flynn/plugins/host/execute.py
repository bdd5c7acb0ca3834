"""A client on the standard streams of a command run beside a job, over a WebSocket (docs/api.md, "Attach")."""

import asyncio
import contextlib
import os
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from flynn.plugins.host.backend import NotStarted, Running
from flynn.plugins.host.inbox import Inbox, readable
from flynn.plugins.host.life import Life
from flynn.plugins.host.orders import Order, listen, read
from flynn.plugins.host.pipes import CHUNK, Pipes
from flynn.plugins.host.race import race

ORDERED = 20.0
"""Seconds in which the client must have said what it wants."""

BEGUN = 5.0
"""Seconds that a job may take to start when somebody wants to run something beside it."""

Told = dict[str, Any] | None
"""How the command ended, for its client; None: there is no client any more."""


async def execute(request: web.Request, life: Life, stopping: asyncio.Event) -> web.WebSocketResponse:
    """Run what the client's first frame says, until it ends; it is killed when its client goes or the daemon stops."""
    socket = web.WebSocketResponse(max_msg_size=1024 * 1024)
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
    signals: asyncio.Queue[int] = asyncio.Queue()
    with Pipes() as pipes:

        async def taken(count: int) -> None:
            await socket.send_json({"taken": count})

        inbox = Inbox(lambda: pipes.stdin, pipes.close_stdin, taken)
        return await race(
            _run(socket, life.running, order.exec, pipes, signals),
            _until_gone(socket, inbox, signals),
            _pour(inbox),
        )


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
    socket: web.WebSocketResponse, running: Running, command: str, pipes: Pipes, signals: asyncio.Queue[int]
) -> Told:
    async with asyncio.TaskGroup() as tasks:
        for stream, file in pipes.sources.items():
            tasks.create_task(_deliver(socket, stream, file, pipes.ended), name=f"output {stream}")
        try:
            code = await running.exec(command, *pipes.given, signals)
            told = {"exit_code": code, "reason": f"exited with code {code}"}
        except NotStarted as error:
            told = _never(str(error))
        pipes.end()
    return told


def _never(reason: str) -> dict[str, Any]:
    return {"exit_code": None, "reason": reason}


async def _deliver(socket: web.WebSocketResponse, stream: int, file: int, ended: asyncio.Event) -> None:
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
        if not data:
            return
        await socket.send_bytes(bytes([stream]) + data)


async def _set(ended: asyncio.Event) -> None:
    await ended.wait()


async def _until_gone(socket: web.WebSocketResponse, inbox: Inbox, signals: asyncio.Queue[int]) -> Told:
    await listen(socket, inbox, signals.put)
    return None


async def _pour(inbox: Inbox) -> Told:
    await inbox.pour()
    return None
