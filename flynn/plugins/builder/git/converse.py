"""A request to git and its answer, both as they come: nothing is held back, and nothing is held in memory."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import hdrs, web

from flynn.core.child import Child
from flynn.core.errors import FlynnError, Full, Invalid
from flynn.core.room import words
from flynn.plugins.builder.git.body import SILENCE
from flynn.plugins.builder.git.program import CHUNK, last_words

LINGER = 30.0
"""Seconds for which a client is let send on what nobody reads any more, so that it comes to read its answer."""

LOOK = 32 << 20
"""Bytes that are taken until the disk is looked at again."""


async def converse(
    request: web.Request,
    process: Child,
    body: AsyncIterator[bytes],
    media: str,
    place: Path,
    reserve: int,
) -> web.StreamResponse:
    """Give the body to git and its output to the client. `reserve`: bytes of the disk of `place` that stay free.

    FlynnError: there can be no answer, and none was begun. To git itself an error of the body is told as git
    tells its own: it would not read what comes with another status.
    """
    response = web.StreamResponse(headers={"Content-Type": media, "Cache-Control": "no-cache"})
    feed = Feed(process, body, place, reserve)
    feeding = asyncio.create_task(feed.run(), name="git input")
    said = asyncio.create_task(last_words(process.stderr), name="git errors")
    try:
        while chunk := await process.stdout.read(CHUNK):
            await _send(request, response, chunk)
        code, words = await process.wait(), await said
        if feed.problem and not response.prepared and not from_git(request):
            raise feed.problem
        if feed.problem:
            await _send(request, response, fatal(str(feed.problem)))
        if code and not response.prepared:
            raise Invalid(f"git did not understand that: {words.splitlines()[-1][:200] if words else f'code {code}'}")
        if not response.prepared:
            await response.prepare(request)
        await response.write_eof()
        await _linger(request, feeding, response)
    finally:
        for task in (feeding, said):
            task.cancel()
        await asyncio.wait([feeding, said])
    return response


def from_git(request: web.Request) -> bool:
    return request.headers.get(hdrs.USER_AGENT, "").startswith("git/")


async def _linger(request: web.Request, feeding: "asyncio.Task[None]", response: web.StreamResponse) -> None:
    """Read on what comes, for a while: who still sends comes to read the answer."""
    try:
        async with asyncio.timeout(LINGER):
            await asyncio.wait([feeding])
            while await request.content.read(CHUNK):
                pass
    except TimeoutError:
        response.force_close()


class Feed:
    """The body on its way into git. `problem`: why git was ended before it had all."""

    def __init__(self, process: Child, body: AsyncIterator[bytes], place: Path, reserve: int) -> None:
        self._process, self._body, self._place, self._reserve = process, body, place, reserve
        self.problem: FlynnError | None = None

    async def run(self) -> None:
        """To the end of the body, also if git has ended before it. If the client is gone git is, too, as it has no more
        input."""
        assert self._process.stdin
        looked, taken = -LOOK, 0
        try:
            async for piece in self._body:
                if self._process.returncode is not None:
                    await asyncio.sleep(0)
                    continue
                if taken - looked >= LOOK:
                    looked = taken
                    await self._check_room()
                taken += len(piece)
                await self._give(piece)
        except FlynnError as error:
            self.problem = error
            await self._process.end()
        except ConnectionError:
            await self._process.end()
        finally:
            self._process.stdin.close()

    async def _give(self, piece: bytes) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(piece)
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError, RuntimeError):  # The last is uvloop's for a pipe that is closed.
            await self._process.wait()

    async def _check_room(self) -> None:
        free = (await asyncio.to_thread(shutil.disk_usage, self._place)).free
        if free < self._reserve:
            raise Full(f"this node's disk has {words(free)} left, too little to take a push; push again later")


async def _send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Some of the answer, which begins with it. ConnectionError: the client takes nothing."""
    try:
        async with asyncio.timeout(SILENCE):
            if not response.prepared:
                await response.prepare(request)
            await response.write(data)
    except TimeoutError:
        raise ConnectionResetError(f"the client took nothing for {SILENCE:g} s") from None


def fatal(text: str) -> bytes:
    """What git shows to the pusher before it gives up: band 3 of a side-band (gitprotocol-pack(5))."""
    data = b"\x03" + f" !     {text}\n".encode()[:900]
    return b"%04x%b" % (len(data) + 4, data)
