"""A real grid of one node for the end-to-end tests: a daemon in a process of its own, driven by the command line."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.ports import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
START = 60.0
"""Seconds that a daemon may take until it is healthy."""


@dataclass(frozen=True)
class Said:
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(eq=False)
class Grid:
    """One daemon and what it needs to be started again: its data directory, ports and settings."""

    data: Path
    settings: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    former: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    """Daemons that have handed over, and may still end what they had under way."""

    @property
    def log(self) -> Path:
        return self.data.with_name(self.data.name + ".log")

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FLYNN_")}
        return kept | {"FLYNN_DATA": str(self.data), "NO_COLOR": "1"}

    def daemon_command(self) -> list[str]:
        told = ["--port", str(self.port), "--http-port", str(self.http_port), "--set", "controller.settle=1"]
        return [sys.executable, "-m", "flynn", "daemon", *told, *self.settings]

    def launch(self, *more: str) -> "subprocess.Popen[bytes]":
        """A daemon's process, just begun."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.daemon_command(), *more], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environ
            )

    async def start(self) -> None:
        """Start the daemon and wait until it is healthy."""
        self.process = self.launch()
        await self.until(self.is_healthy, START, "the daemon is healthy")

    async def take_over(self, *settings: str) -> "subprocess.Popen[bytes]":
        """Start the next daemon with `--takeover`, and wait until it is up; the process of the one before."""
        assert self.process is not None
        former = self.process
        self.former.append(former)
        self.process = self.launch("--takeover", *settings)
        await self.until(self._taken_over, START, "the next daemon is up")
        return former

    async def kill(self) -> None:
        """SIGKILL the daemon, as if its machine had not noticed."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM the daemon; its exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = await asyncio.to_thread(self.process.wait, 60)
        self.process = None
        return code

    async def _taken_over(self) -> bool:
        """Whether the node API is healthy, and this very process's."""
        assert self.process is not None
        return await self.is_healthy() and self.holder() == self.process.pid

    async def answered(self) -> int:
        """How many requests this node's router has answered."""
        told = json.loads((self.data / "client.json").read_text())
        headers = {"Authorization": f"Bearer {told['token']}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.get(f"{told['url']}/v1/router/stats") as response:
                services = (await response.json())["services"]
        return sum(sum(service["answers"].values()) for service in services.values())

    def holder(self) -> int:
        """The process that holds the data directory, or was the last to."""
        return int((self.data / "lock").read_text().strip() or 0)

    async def is_healthy(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
        return await self.answers()

    async def answers(self) -> bool:
        """Whether whoever has the port says that it is healthy."""
        try:
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{self.port}/health", timeout=_SHORT) as response:
                    return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def tail(self, size: int = 6000) -> str:
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else "(no log)"

    async def until(self, wanted: Callable[[], Any], limit: float, what: str) -> Any:
        """Wait until `wanted()` (a coroutine function) is true; what it returned. Fails after `limit` seconds."""
        deadline = time.monotonic() + limit
        while True:
            found = await wanted()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {limit:g} s: {what}\n{self.tail()}")
            await asyncio.sleep(0.05)

    async def flynn(self, *words: str, stdin: bytes = b"", limit: float = 180, **environ: str) -> Said:
        """Run the command line; it must end within `limit` seconds."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "flynn", *words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environ | environ,
            cwd=self.data.parent,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), limit)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"flynn {' '.join(words)} took over {limit:g} s\n{self.tail()}") from None
        assert process.returncode is not None
        return Said(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    async def ok(self, *words: str, stdin: bytes = b"", limit: float = 180) -> Said:
        """Run the command line; it must succeed."""
        said = await self.flynn(*words, stdin=stdin, limit=limit)
        assert said.code == 0, f"flynn {' '.join(words)}: {said.code}\n{said.out}\n{said.err}\n{self.tail()}"
        return said

    async def jobs(self, app: str, state: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ok("ps", "-a", app, "--json")).json
        return [job for job in found if not state or job["state"] == state]

    async def get(self, app: str, path: str = "/") -> tuple[int, str]:
        """Ask the app through the router, on a connection of its own."""
        headers = {"Host": f"{app}.flynn.localhost"}
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{self.http_port}{path}", headers=headers) as response:
                return response.status, await response.text()

    def processes(self) -> list[psutil.Process]:
        """Processes of the jobs of this grid: their standard output goes to a file under its data directory. What waits
        ready for a job is none."""
        return self._who_print_to(f"{self.data}/")

    def commands(self) -> list[list[str]]:
        """The command lines of these processes, of which some may end meanwhile."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                found.append(process.cmdline())
        return found

    def _who_print_to(self, *places: str) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if _is_of(output_of(process.pid), places)]

    async def clean(self) -> None:
        """Stop the daemon and whatever is left of its jobs."""
        for former in self.former:
            former.kill()
            await asyncio.to_thread(former.wait, 10)
        if self.process is not None and self.process.poll() is None:
            await self.stop()
        for _ in range(5):
            left = self._who_print_to(f"{self.data}/", str(self.log))
            for process in left:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            await asyncio.to_thread(psutil.wait_procs, left, 5)


_SHORT = aiohttp.ClientTimeout(total=2)


def output_of(pid: int) -> str:
    """The file that the standard output of a process goes to; empty: it is gone, or not ours to see."""
    try:
        return os.readlink(f"/proc/{pid}/fd/1")
    except OSError:
        return ""


def _is_of(output: str, places: tuple[str, ...]) -> bool:
    return output.startswith(places) and "/sandbox/ready/" not in output


@asynccontextmanager
async def open_grid(*settings: str, kind: type[Grid] = Grid) -> AsyncIterator[Grid]:
    """A started grid with its data in a directory of its own, cleaned away at the end."""
    with tempfile.TemporaryDirectory(prefix=f"flynn-test-{os.getpid()}-", ignore_cleanup_errors=True) as directory:
        grid = kind(Path(directory) / "data", settings)
        try:
            await grid.start()
            yield grid
        finally:
            await grid.clean()


@dataclass(eq=False)
class Load:
    """Keep-alive clients that ask an app through the router again and again, and count what they get."""

    grid: Grid
    app: str
    clients: int = 8
    pause: float = 0.01
    answers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.answers.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Load for the length of a block; every request begun in it is waited for."""
        stop = asyncio.Event()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=self.clients)) as session:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self.clients):
                    tasks.create_task(self._client(session, stop), name=f"client {number}")
                try:
                    yield self
                finally:
                    stop.set()

    async def _client(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        url = f"http://127.0.0.1:{self.grid.http_port}/"
        headers = {"Host": f"{self.app}.flynn.localhost"}
        while not stop.is_set():
            try:
                async with session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as response:
                    text = await response.text()
                    if response.status == 200:
                        self.answers[text] = self.answers.get(text, 0) + 1
                    else:
                        self.failures.append(f"{response.status} {text[:200]}")
            except (aiohttp.ClientError, TimeoutError) as error:
                self.failures.append(repr(error))
            await asyncio.sleep(self.pause)
