"""A client on a one-off job with a terminal, over a WebSocket (docs/api.md, "Attach").

A terminal cannot outlive the agent that holds it, and no backend starts a job on one. So the job's own process only
waits for an exit code (`WAITER`), the command runs beside it, as any command may, and tells it the code.
"""

import asyncio
import contextlib
import os
from typing import Any

from aiohttp import WSCloseCode, web

from flynn.plugins.host.attach.copy import Copy
from flynn.plugins.host.attach.execute import Told, converse
from flynn.plugins.host.attach.terminal import Terminal
from flynn.plugins.host.life.life import Life
from flynn.plugins.host.race import race

DOWN = 30.0
"""Seconds that a job may take to be down once its command has ended."""


async def attend(request: web.Request, life: Life, stopping: asyncio.Event) -> web.WebSocketResponse:
    """Run the job's command on a terminal for its client, who has claimed the job; both end with one another."""
    socket = web.WebSocketResponse(max_msg_size=1024 * 1024)
    told: Told = None
    try:
        with contextlib.suppress(ConnectionError):
            await socket.prepare(request)
            told = await race(_attend(socket, life), _wait(stopping))
    finally:
        if not told and not stopping.is_set():
            life.hang_up()
    with contextlib.suppress(ConnectionError):
        if told:
            await socket.send_json(told)
        await socket.close(code=WSCloseCode.OK if told else WSCloseCode.GOING_AWAY)
    return socket


async def _wait(stopping: asyncio.Event) -> Told:
    await stopping.wait()
    return None


async def _attend(socket: web.WebSocketResponse, life: Life) -> Told:
    """How it ended; None: the client has gone."""
    if not await race(_begun(life), _down(life)) or life.running is None:
        return _ending(life)
    copy = Copy(life.dir / "stdout", life.ground.logs.wanted(life.job.id))
    with Terminal(life.job.terminal or (24, 80)) as terminal:
        told = await race(converse(socket, life.running, life.job.command, terminal, copy.put), copy.run())
    if copy.dropped:
        await life.standing.say(f"{copy.dropped} bytes of its terminal were dropped: its host's disk did not take them")
    if not told:
        return None
    if told["exit_code"] is not None and life.stdin >= 0:
        with contextlib.suppress(OSError):
            os.write(life.stdin, b"%d\n" % told["exit_code"])
    else:
        life.stop(told["reason"])
    async with asyncio.timeout(DOWN):
        await life.down.wait()
    return _ending(life)


def _ending(life: Life) -> dict[str, Any]:
    return {"exit_code": life.state.exit_code, "reason": life.state.reason}


async def _begun(life: Life) -> bool:
    await life.begun.wait()
    return True


async def _down(life: Life) -> bool:
    await life.down.wait()
    return False
