"""The output of a container that has no shell to open its raw files: taken from the engine's log, each byte once.

What was taken is told by the raw files themselves: a mark says how long a file was before a moment, and what is longer
has been taken since. So a daemon may be killed at any time, and the engine be restarted.
"""

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
from aiodocker import Docker

from flynn.core.errors import FlynnError, NotFound, Unavailable
from flynn.plugins.host.docker.engine import engine

LOG = {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "2"}}
"""What the engine holds of it. More than that, printed while no daemon is there, is lost."""

AGAIN = 1.0
"""Seconds between two tries of an engine that does not answer."""

HOLD = 3600.0
"""Seconds after which a stream is asked for anew."""

SAVED = 1.0
"""Seconds between two marks."""

NAMES = {1: "stdout", 2: "stderr"}
HEADER = struct.Struct(">BxxxL")
"""Before each piece: which stream, how many bytes (Docker Engine API, "ContainerAttach", "Stream format")."""


class Mark(msgspec.Struct):
    """All that was printed before `time` (as the engine writes it) has made the file `size` bytes long."""

    time: str = ""
    size: int = 0


class EngineLog:
    """The log of one container, taken into the raw files of the job's directory."""

    def __init__(self, dir: Path, id: str) -> None:
        self.dir, self.id = dir, id

    async def follow(self) -> None:
        """Take all of it, until the container has ended."""
        while True:
            try:
                async with engine(HOLD) as client:
                    return await self._take(client)
            except NotFound:
                return None
            except FlynnError:
                await asyncio.sleep(AGAIN)

    async def _take(self, client: Docker) -> None:
        taking = {name: Taking(self.dir, name) for name in NAMES.values()}
        since = min(one.mark.time for one in taking.values())
        await client.version()  # It then knows how to speak to the engine.
        url = f"{client.docker_host}/{client.api_version}/containers/{self.id}/logs"
        asked = {"follow": "1", "stdout": "1", "stderr": "1", "timestamps": "1", "since": seconds(since)}
        with contextlib.ExitStack() as stack:
            for one in taking.values():
                stack.callback(one.close)
            async with client.session.get(url, params=asked) as response:
                if response.status != 200:
                    raise (NotFound if response.status == 404 else Unavailable)(await response.text())
                async for number, piece in pieces(response.content):
                    if number in NAMES:
                        taking[NAMES[number]].take(piece)


class Taking:
    """One stream into its file. `skip`: bytes that are in the file and come again."""

    def __init__(self, dir: Path, name: str) -> None:
        self.path = dir / f"{name}.mark"
        self.file = os.open(dir / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.mark = Mark()
        with contextlib.suppress(OSError, msgspec.DecodeError):
            self.mark = msgspec.json.decode(self.path.read_bytes(), type=Mark)
        self.size = self.mark.size
        self.skip = os.fstat(self.file).st_size - self.size
        self._saved = time.monotonic()

    def take(self, piece: bytes) -> None:
        """A piece with its time before it. Pieces of one long line all have the time of its beginning."""
        head, _, data = piece.partition(b" ")
        when = head.decode()
        if when < self.mark.time:
            return
        if when > self.mark.time:
            self.mark = Mark(when, self.size)
        fresh = data[self.skip :]
        self.skip = max(self.skip - len(data), 0)
        while fresh:
            fresh = fresh[os.write(self.file, fresh) :]
        self.size += len(data)
        if time.monotonic() - self._saved >= SAVED:
            self._save()

    def _save(self) -> None:
        self._saved = time.monotonic()
        partial = self.path.with_suffix(".part")
        partial.write_bytes(msgspec.json.encode(self.mark))
        os.replace(partial, self.path)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._save()
        os.close(self.file)


async def pieces(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    """The number of a stream, and what was printed there. Unavailable: the engine broke off in the middle of it."""
    while True:
        try:
            number, size = HEADER.unpack(await stream.readexactly(HEADER.size))
            yield number, await stream.readexactly(size)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise Unavailable("the engine broke off") from None
            return


def seconds(moment: str) -> str:
    """`2026-11-25T07:53:22.000000123Z` as seconds since the epoch, to the nanosecond."""
    if not moment:
        return "0"
    whole, _, rest = moment.removesuffix("Z").partition(".")
    return f"{int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())}.{rest or 0}"
