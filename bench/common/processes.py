"""Processes of a measurement: each on the core it is given, and gone at the end."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psutil

from bench.common import machine
from bench.common.errors import NotMeasured

START = 60.0
"""Seconds within which a proxy must listen, 10 000 routes or not."""

STOP = 10.0
"""Seconds from SIGTERM to SIGKILL."""


class Process:
    """A process and those that it started."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.popen = popen
        self.log = log

    def pids(self) -> list[int]:
        """Of itself and all below it."""
        return [self.popen.pid, *(child.pid for child in psutil.Process(self.popen.pid).children(recursive=True))]

    def cpu_ns(self) -> int:
        return machine.cpu_ns(self.pids())

    def resident(self) -> int:
        return machine.resident(self.pids())

    def check(self) -> None:
        """NotMeasured: it has ended."""
        if self.popen.poll() is not None:
            raise NotMeasured(f"{self.name} ended with {self.popen.returncode}: {self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1500:].strip()

    async def listens(self, port: int, limit: float = START) -> None:
        """Wait until it accepts on `port` of 127.0.0.1. NotMeasured: it ends, or does not within `limit` seconds."""
        with expecting(f"{self.name} listens", limit):
            async with asyncio.timeout(limit):
                while not _accepts(port):
                    self.check()
                    await asyncio.sleep(0.05)

    async def ended(self, limit: float) -> int:
        """Wait for its end: the exit code. NotMeasured: it goes on for `limit` seconds."""
        with expecting(f"{self.name} ends", limit):
            async with asyncio.timeout(limit):
                while (code := self.popen.poll()) is None:
                    await asyncio.sleep(0.02)
        return code

    async def stop(self) -> None:
        """End it, and what it started."""
        if self.popen.poll() is None:
            left = [psutil.Process(pid) for pid in self.pids()]
            self.popen.terminate()
            try:
                await self.ended(STOP)
            except NotMeasured:
                self.popen.kill()
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self.popen.wait()


@contextmanager
def expecting(what: str, limit: float) -> Iterator[None]:
    """Say `what` was waited for when the time is up."""
    try:
        yield
    except TimeoutError:
        raise NotMeasured(f"not within {limit:g} s: {what}") from None


def spawn(name: str, command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> Process:
    """Start a command on the cores of this process, its output into `log`."""
    with log.open("ab") as out:
        popen = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environ)
    return Process(name, popen, log)


def start(
    name: str, command: Sequence[str], log: Path, core: int | None = None, environ: Mapping[str, str] | None = None
) -> Process:
    """Start a command, its output into `log`; on the core of all else unless another is named."""
    pinned = ["taskset", "-c", str(machine.cores()[1] if core is None else core), *command]
    return spawn(name, pinned, log, environ)


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], log: Path, core: int | None = None, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """A process for the length of a block."""
    process = start(name, command, log, core, environ)
    try:
        yield process
    finally:
        await process.stop()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def signal_to(process: Process, number: signal.Signals) -> None:
    """As a person would: to the process that was started, not to its workers."""
    process.popen.send_signal(number)
