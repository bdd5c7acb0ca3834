"""Dockerfiles: the engine of this host builds the source of a job, which asks for that over a UNIX socket of its own.

The job has no way to the engine but this one. It sends a line of JSON, `{"dockerfile", "size"}`, and the source as a
tar of `size` bytes; it gets lines of JSON: `{"line"}` for each that the build prints, and at last `{"image", "size"}`,
or `{"error"}`. The image then is in the job's directory, packed as `docker save` does it, for `life/output.py` to take.
What of the job goes away, or this daemon, ends the engine's build.
"""

import asyncio
import contextlib
import gzip
import logging
import os
import socket
import stat
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
from aiodocker import Docker, DockerError

from flynn.core.errors import FlynnError, Invalid
from flynn.core.model import Job
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.backends.telling import telling
from flynn.plugins.host.docker import build_limits
from flynn.plugins.host.docker.build_network import BuildNetwork
from flynn.plugins.host.docker.build_steps import Steps
from flynn.plugins.host.docker.engine import engine
from flynn.plugins.host.docker.images import Images
from flynn.plugins.host.docker.removal import remove
from flynn.plugins.host.life.spec import limits_of
from flynn.plugins.host.race import race, whole

log = logging.getLogger(__name__)

PLACE, VARIABLE = "/run/image-build", "IMAGE_BUILD"
"""Where the job finds the directory with its socket, and what tells it so."""

SOCKET = "socket"
SAVED = "image.tgz"
"""What is left in the job's directory."""

SOURCE = 2 << 30
"""Bytes of a source as a tar, at most."""

LIMIT = 3600.0
"""Seconds that the engine may take: a job has a limit of its own, mostly a shorter one."""

HEAD = 10.0
"""Seconds in which a job that has connected must say what it wants."""

CHUNK = 1 << 20


class Wanted(msgspec.Struct, frozen=True):
    """What a job asks for: the name of its Dockerfile, and how many bytes of tar follow."""

    dockerfile: str
    size: int


def tag_of(job: Job) -> str:
    """What the engine calls the image that this job builds; also what it is called where it is loaded."""
    return f"flynn-build/{job.app}:{job.id}"


class ImageBuild:
    """What one job may ask the engine for. `dir`: the job's directory; `images`: what the engine has only by us;
    `network`: what the steps are to have."""

    def __init__(self, job: Job, dir: Path, images: Images, network: BuildNetwork) -> None:
        self.job, self.dir, self.network = job, dir, network
        self.pulled, self.heads = images.pulled, images.heads
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> Bind:
        """Listen; what the job is to be given. NotStarted: there is no place for a socket."""
        place = self.dir / "engine"
        with telling(f"no socket to the engine can be made: {place}"):
            place.mkdir(mode=0o755, exist_ok=True)
            listening = _bound(place)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening)
        return Bind(place, PLACE, VARIABLE, read_only=True)

    async def close(self) -> None:
        """End the engine's build, if there is one, and take no other."""
        self.end()
        if self._task:
            await asyncio.wait([self._task])

    def end(self) -> None:
        """Begin to."""
        if self._server:
            self._server.close()
        if self._task:
            self._task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy = self._task is not None and not self._task.done()
        with contextlib.suppress(ConnectionError):
            if busy:
                await _send(writer, {"error": "one build at a time"})
            else:
                self._task = asyncio.create_task(self._answer(reader, writer), name=f"image of {self.job.id}")
                await asyncio.wait([self._task])
                if not self._task.cancelled():
                    self._task.result()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with telling(f"the image cannot be built in {self.dir}"):
                wanted = await self._receive(reader)
                await _while_there(reader, self._build(wanted, writer))
            size = (self.dir / SAVED).stat().st_size
            await _send(writer, {"image": tag_of(self.job), "size": size})
        except FlynnError as error:
            await _send(writer, {"error": str(error)})
        finally:
            self.pulled.add(tag_of(self.job))  # Also where it was broken off: the engine may have it by then.
            (self.dir / "source.tar").unlink(missing_ok=True)
            (self.dir / f"{SAVED}.part").unlink(missing_ok=True)

    async def _receive(self, reader: asyncio.StreamReader) -> Wanted:
        """The source, to `source.tar`. Invalid: it is not as it should be."""
        try:
            async with asyncio.timeout(HEAD):
                wanted = msgspec.json.decode(await reader.readline(), type=Wanted)
        except (msgspec.DecodeError, ValueError, TimeoutError) as error:
            raise Invalid(f"it was not said what is to be built: {error}") from None
        if not 0 <= wanted.size <= SOURCE:
            raise Invalid(f"the source has {wanted.size} bytes as a tar; {SOURCE >> 30} GiB at most")
        with (self.dir / "source.tar").open("wb") as file:
            left = wanted.size
            while left:
                piece = await reader.read(min(left, CHUNK))
                if not piece:
                    raise ConnectionResetError
                left -= len(piece)
                await asyncio.to_thread(file.write, piece)
        return wanted

    async def _build(self, wanted: Wanted, writer: asyncio.StreamWriter) -> None:
        """The image by its tag in the engine, and packed in the job's directory. FlynnError: why there is none."""
        async with self.network.given(self.job) as network, engine(LIMIT) as client:
            if network.warning:
                await _send(writer, {"line": f" !     {network.warning}"})
            steps = Steps(client, network.name, limits_of(self.job), self.job.disk)
            try:
                await race(self._follow(client, wanted, steps, writer), steps.watch())
            finally:
                await whole(_clear(steps.containers))
        async with engine(LIMIT) as client:
            await self._save(client)

    async def _follow(self, client: Docker, wanted: Wanted, steps: Steps, writer: asyncio.StreamWriter) -> None:
        """Pass on what the builder says, until it has ended."""
        with self.heads.building(self.job.app, lambda: not steps.is_too_much) as stages:
            async with aclosing(self._built(client, wanted, steps.network)) as items:
                async for item in items:
                    if error := item.get("error"):
                        raise NotStarted(str(error).strip())
                    said, pulls = (str(item.get(key) or "").rstrip() for key in ("stream", "status"))
                    stages.take(said)
                    stages.pull(pulls)
                    await steps.take(said)
                    if text := said or pulls:
                        await _send(writer, {"line": text})

    async def _built(self, client: Docker, wanted: Wanted, network: str) -> AsyncGenerator[dict[str, Any], None]:
        """What the engine says while it builds (Docker Engine API, "ImageBuild").

        By aiodocker's own way to ask for anything: its `images.build` knows of no limits.
        """
        params = {"t": tag_of(self.job), "dockerfile": wanted.dockerfile, "rm": "true", "forcerm": "true"}
        params |= build_limits.told(limits_of(self.job))
        params |= {"networkmode": network} if network else {}
        headers = {"Content-Type": "application/x-tar"}
        with (self.dir / "source.tar").open("rb") as file:
            asked = client._query("build", "POST", params=params, headers=headers, data=file, timeout=None)
            async with asked as response, response:
                async for line in response.content:
                    yield msgspec.json.decode(line)

    async def _save(self, client: Docker) -> None:
        partial = self.dir / f"{SAVED}.part"
        try:
            with gzip.open(partial, "wb", 1) as file:
                async with client.images.export_image(tag_of(self.job)) as content:
                    async for piece in content.iter_chunked(CHUNK):
                        await asyncio.to_thread(file.write, piece)
        except DockerError as error:
            raise NotStarted(f"the image cannot be saved: {error.message}") from None
        os.replace(partial, self.dir / SAVED)


def end_all(builds: Mapping[str, ImageBuild]) -> None:
    """The agent stops: what is under way for jobs ends, and they are told nothing more."""
    for build in builds.values():
        build.end()


async def _clear(steps: Iterable[str]) -> None:
    """Remove those that the builder has not: it tries but once, and passes over what goes wrong."""
    for step in steps:
        await remove(step)


async def _while_there(reader: asyncio.StreamReader, work: Any) -> None:
    """Do it as long as the other side is there. ConnectionResetError: it went."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ConnectionResetError
        working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await whole(asyncio.wait([working, gone]))


async def _send(writer: asyncio.StreamWriter, said: dict[str, Any]) -> None:
    writer.write(msgspec.json.encode(said) + b"\n")
    await writer.drain()


def _bound(place: Path) -> socket.socket:
    """A socket that anyone in this directory's job may connect to. By the directory's descriptor: that path is short,
    whatever the directory's is (unix(7) has 107 bytes for it)."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    (place / SOCKET).unlink(missing_ok=True)
    held = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found.bind(f"/proc/self/fd/{held}/{SOCKET}")
        os.chmod(f"/proc/self/fd/{held}/{SOCKET}", stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    except BaseException:
        found.close()
        raise
    finally:
        os.close(held)
    return found
