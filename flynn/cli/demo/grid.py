"""A grid of one machine for a while: a data directory, free ports, a daemon; and proof that nothing of it is left."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

from flynn.cli.demo.transcript import NotSo

START, STOP = 60.0, 90.0
"""Seconds that the daemon may take to be ready, and to stop."""

SETTLE = 1
"""Seconds that a new process must hold before the next step of a deploy (10 unless told otherwise)."""


@dataclass(eq=False)
class Grid:
    """The demo's daemon. `top` is removed at the end; the daemon's data is in it."""

    top: Path
    port: int
    http_port: int
    process: asyncio.subprocess.Process | None = None
    seen: set[psutil.Process] = field(default_factory=set)

    @property
    def data(self) -> Path:
        return self.top / "data"

    @property
    def log(self) -> Path:
        return self.top / "daemon.log"

    def words(self) -> list[str]:
        """The daemon's command line, without the interpreter."""
        ports = ["--port", str(self.port), "--http-port", str(self.http_port)]
        return ["daemon", "--data", str(self.data), "--name", "demo", *ports, "--set", f"controller.settle={SETTLE}"]

    async def start(self) -> None:
        """Start the daemon and wait until all its bricks are ready. NotSo: it ended, or took too long."""
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command(self.words()), stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL, env=environment(),
                start_new_session=True, cwd=self.top,
            )  # fmt: skip
        try:
            async with asyncio.timeout(START), aiohttp.ClientSession() as session:
                while not await self._healthy(session):
                    if self.process.returncode is not None:
                        raise NotSo(f"the daemon ended with exit code {self.process.returncode}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise NotSo(f"the daemon was not ready within {START:g} s") from None

    async def _healthy(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{self.port}/health") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def look(self) -> None:
        """Remember the processes that belong to the daemon now, to ask for them at the end."""
        if self.process and self.process.returncode is None:
            with suppress(psutil.Error):
                daemon = psutil.Process(self.process.pid)
                self.seen |= {daemon, *daemon.children(recursive=True)}

    async def stop(self) -> int:
        """Ask the daemon to stop; its exit code. NotSo: it did not."""
        assert self.process is not None
        self.look()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), STOP)
        except TimeoutError:
            raise NotSo(f"the daemon did not stop within {STOP:g} s") from None

    def left(self) -> list[str]:
        """What is still there: processes of the grid, and ports that answer."""
        found = [f"process {p.pid} ({name_of(p)})" for p in self.processes()]
        return found + [f"port {port}" for port in (self.port, self.http_port) if answers(port)]

    def processes(self) -> list[psutil.Process]:
        """Everything alive that the daemon had as a child, or that has to do with its data directory."""
        known = {p for p in self.seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE}
        return sorted(known | {p for p in psutil.process_iter() if self._mine(p)}, key=lambda p: p.pid)

    def _mine(self, process: psutil.Process) -> bool:
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            files = [file.path for file in process.open_files()]  # a job shut in shows no more of it than its log
            words = [*process.cmdline(), process.cwd() or "", *files]
        except psutil.Error:
            return False
        return any(str(self.top) in word for word in words)

    def tail(self, lines: int = 40) -> list[str]:
        """The end of the daemon's log."""
        try:
            return self.log.read_text("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []

    async def clean(self) -> None:
        """Whatever happened: leave no process and no file."""
        if self.process and self.process.returncode is None:
            with suppress(NotSo):
                await self.stop()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        if self.process:
            await self.process.wait()
        await asyncio.to_thread(shutil.rmtree, self.top, ignore_errors=True)


@asynccontextmanager
async def open_grid() -> AsyncIterator[Grid]:
    """A grid that is not started yet, and is gone after the block."""
    top = Path(tempfile.mkdtemp(prefix="flynn-demo-"))
    top.chmod(0o711)  # jobs may run as users of their own
    port, http_port = free_ports(2)
    grid = Grid(top, port, http_port)
    try:
        yield grid
    finally:
        await asyncio.shield(grid.clean())


def command(words: Sequence[str]) -> list[str]:
    """The `flynn` that this one is, as a process of its own."""
    return [sys.executable, "-m", "flynn", *words]


def environment(**more: str) -> dict[str, str]:
    """This process's variables without what speaks to another grid."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FLYNN_")}
    return kept | {"PYTHONUNBUFFERED": "1"} | more


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody listens on now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def answers(port: int) -> bool:
    """Whether someone listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:120] or process.name()
    except psutil.Error:
        return "gone"
