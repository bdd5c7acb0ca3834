"""The talk with git's hooks: which refs are to change, what is said to the pusher meanwhile, and whether they may."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from flynn.core.errors import Invalid, Unavailable
from flynn.core.pipe import read_pipe
from flynn.plugins.builder.git.rules import Command, parse

MOST = 10_000
"""Refs in one push."""

PIPE = 256 * 1024
"""Bytes that a line of a hook may have."""


@dataclass(frozen=True)
class Asked:
    """What a hook asks about. The new objects are in `quarantine` until it has said yes; `shallow` is the file with the
    commits that have no parents here ("": as before)."""

    hook: str
    quarantine: str
    shallow: str
    commands: tuple[Command, ...]

    def environ(self, place: Path) -> dict[str, str]:
        """What git needs to see the new objects as well as those of the repository `place`."""
        shallow = {"GIT_SHALLOW_FILE": self.shallow} if self.shallow else {}
        objects = {
            "GIT_OBJECT_DIRECTORY": self.quarantine,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(place / "objects"),
            "GIT_QUARANTINE_PATH": self.quarantine,
        }
        return {"GIT_DIR": str(place), **(objects if self.quarantine else {}), **shallow}


class Talk:
    """The daemon's end. A hook that is gone hears nothing, and asks no more."""

    def __init__(self, reader: asyncio.StreamReader, tell: int, files: tuple[int, int]) -> None:
        self._reader, self._tell = reader, tell
        self._writes: asyncio.Future[None] | None = None
        self.files = files
        """The hooks' ends, to be open in git."""

        self.gone = False

    @property
    def environ(self) -> dict[str, str]:
        return {"FLYNN_TELL": str(self.files[0]), "FLYNN_HEAR": str(self.files[1])}

    def begun(self) -> None:
        """git has its ends: they are open there alone from now on."""
        for file in self.files:
            os.close(file)
        self.files = (-1, -1)

    async def asked(self) -> Asked | None:
        """What the next hook asks; None: git has ended, and no hook asks any more. Invalid: too many refs."""
        head = [await self._line() for _ in range(3)]
        if head[0] is None or head[2] is None:
            return None
        commands: list[Command] = []
        while line := await self._line():  # To the end: the hook hears nothing before it has said all.
            if len(commands) <= MOST:
                commands.append(parse(line))
        if len(commands) > MOST:
            raise Invalid(f"the push has over {MOST} refs; push the branch that deploys alone")
        return Asked(head[0] or "", head[1] or "", head[2] or "", tuple(commands))

    async def say(self, text: str) -> None:
        """A line for the pusher."""
        line = "".join(c if c.isprintable() or c in "\t\x1b" else "?" for c in text)
        await self._send(f"say {line}\n".encode(errors="replace"))

    async def end(self, code: int) -> None:
        """The hook's exit code."""
        await self._send(f"exit {code}\n".encode())

    async def _line(self) -> str | None:
        raw = await self._reader.readline()
        return raw[:-1].decode("utf-8", "surrogateescape") if raw.endswith(b"\n") else None

    async def _send(self, data: bytes) -> None:
        while data and not self.gone:
            try:
                data = data[os.write(self._tell, data) :]
            except BlockingIOError:
                await self._writable()
            except OSError:
                self.gone = True

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        self._writes = loop.create_future()
        loop.add_writer(self._tell, _settle, self._writes)
        try:
            await self._writes
        finally:
            self._leave()

    def _leave(self) -> None:
        """Wait no more until the hook reads."""
        if self._writes:
            asyncio.get_running_loop().remove_writer(self._tell)
            _settle(self._writes)
            self._writes = None

    def close(self) -> None:
        self.gone = True
        self._leave()
        os.close(self._tell)
        for file in self.files:
            if file >= 0:
                os.close(file)


def _settle(free: "asyncio.Future[None]") -> None:
    if not free.done():
        free.set_result(None)


@asynccontextmanager
async def open_talk() -> AsyncIterator[Talk]:
    """Two pipes, for the length of a block. Unavailable: this process has as many files open as it may."""
    hear, told, heard, tell = _pipes()
    os.set_blocking(tell, False)
    reader = asyncio.StreamReader(limit=PIPE)
    talk = Talk(reader, tell, (told, heard))
    try:
        transport = await read_pipe(hear, asyncio.StreamReaderProtocol(reader))
        try:
            yield talk
        finally:
            transport.close()
    finally:
        talk.close()


def _pipes() -> tuple[int, int, int, int]:
    """Two pipes, each first the end that is read; or none. Unavailable."""
    opened: list[int] = []
    try:
        opened += os.pipe()
        opened += os.pipe()
    except OSError as error:
        for file in opened:
            os.close(file)
        raise Unavailable(f"this node cannot take a push now: {error.strerror}; push again in a moment") from None
    hear, told, heard, tell = opened
    return hear, told, heard, tell
