"""Running the programs that make load or answer it, each in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.processes import Process, running


def command(name: str, *words: object) -> list[str]:
    """`name`: the module below this package, as `router.load.slow_app`."""
    return [sys.executable, "-m", f"bench.{name}", *map(str, words)]


def app(work: Path, name: str, *words: object) -> AbstractAsyncContextManager[Process]:
    """A program that answers, for the length of a block."""
    return running(name, command(name, *words), work / f"{name}.log")


async def done(limit: float, name: str, *words: object) -> list[str]:
    """Run a program to its end, within `limit` seconds: the words of the last line it printed. NotMeasured."""
    async with program(name, *words) as told:
        try:
            out, _ = await asyncio.wait_for(told.process.communicate(), limit)
        except TimeoutError:
            raise NotMeasured(f"{name} is not done after {limit:g} s") from None
    if told.process.returncode:
        raise NotMeasured(f"{name} ended with {told.process.returncode}: {out.decode()[-500:]}")
    return out.decode().splitlines()[-1].split()


class Program:
    """A program that is told what to do, a line at a time."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")

    async def says(self, word: str, limit: float) -> list[str]:
        """The other words of the next line, which must begin with `word`. NotMeasured."""
        assert self.process.stdout
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), limit)
        except TimeoutError:
            raise NotMeasured(f"{self.name} says nothing for {limit:g} s") from None
        if line.split()[:1] != [word.encode()]:
            more = await asyncio.wait_for(self.process.stdout.read(2000), limit)
            raise NotMeasured(f"{self.name} says {(line + more).decode().strip()!r}, not {word!r}")
        return line.decode().split()[1:]


@asynccontextmanager
async def program(name: str, *words: object) -> AsyncIterator[Program]:
    """A program for the length of a block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command(name, *words), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield Program(name, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
