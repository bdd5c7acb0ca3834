"""A running sandbox: its monitor outside, its pid 1 inside, and what bubblewrap wrote down about both."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec
import psutil

from flynn.plugins.host.backends.backend import NotStarted, Signals
from flynn.plugins.host.backends.begun import Begun
from flynn.plugins.host.backends.beside import run_beside
from flynn.plugins.host.backends.identity import Identity, alive, boot_id, gone
from flynn.plugins.host.backends.launch import descendants, send
from flynn.plugins.host.backends.proc import first_child
from flynn.plugins.host.limits.cgroup import PATIENCE, members
from flynn.plugins.host.limits.limiter import end, group_of, oom_kills
from flynn.plugins.host.trees import remove_tree
from flynn.plugins.host.usage.reading import Seat
from flynn.plugins.host.usage.seats import seat_of

TAIL = 4096


class _Status(msgspec.Struct, rename="kebab"):
    child_pid: int = 0
    pid_namespace: int = 0
    exit_code: int | None = None


class RunningSandbox:
    """The monitor (`identity`), the sandbox's pid 1, and what runs inside."""

    def __init__(self, dir: Path, identity: Identity, stdin: int = -1, begun: Begun | None = None) -> None:
        self.dir, self.identity, self.stdin, self._begun = dir, identity, stdin, begun

    def alive(self) -> bool:
        return alive(self.identity)

    async def pid(self) -> int:
        if self._begun:
            await self._begun.wait()
        while self.alive():
            inner = self._inner()
            if inner and (found := first_child(inner)):
                return found
            await asyncio.sleep(0.005)
        return 0

    async def wait(self) -> int | None:
        known = await gone(self.identity)
        status = self._status()
        if status.exit_code is not None:
            return status.exit_code
        if known is not None and known <= 128:
            why = await asyncio.to_thread(last_line, self.dir / "stderr")
            raise NotStarted(f"the sandbox could not be made: {why or f'bubblewrap ended with code {known}'}")
        return known

    async def signal(self, number: int) -> None:
        await asyncio.to_thread(lambda: send(self._members(), number))

    async def kill(self) -> None:
        await asyncio.to_thread(self._kill)

    async def oom_kills(self) -> int:
        return await oom_kills(self.dir)

    async def exec(
        self, command: str, stdin: int = -1, stdout: int = -1, stderr: int = -1, signals: Signals | None = None
    ) -> int:
        await self.pid()
        if not (inner := self._inner()):
            raise NotStarted("the job has ended")
        with contextlib.ExitStack() as stack:
            try:
                held = os.pidfd_open(inner)
            except OSError as error:
                raise NotStarted(f"nothing can be run beside it: {error.strerror}") from None
            stack.callback(os.close, held)
            if self._inner() != inner:
                raise NotStarted("the job has ended")
            return await run_beside(self.dir, command, (stdin, stdout, stderr), inner, held, signals)

    def seat(self) -> Seat:
        return seat_of(self.dir, self.identity.pid)

    async def cleanup(self) -> None:
        await asyncio.to_thread(self._clean)

    def _kill(self) -> None:
        if inner := self._inner():
            with contextlib.suppress(ProcessLookupError):
                os.kill(inner, signal.SIGKILL)
        elif self.alive():
            send(descendants(self.identity.pid), signal.SIGKILL)
            send([psutil.Process(self.identity.pid)], signal.SIGKILL)

    def _clean(self) -> None:
        self._kill()
        end(self.dir)
        deadline = time.monotonic() + PATIENCE
        while (inner := self._inner()) and not dead(inner) and time.monotonic() < deadline:
            time.sleep(0.005)  # pid 1 ends once all others have.
        for name in ("upper", "work"):
            remove_tree(self.dir / name)

    def _members(self) -> list[psutil.Process]:
        if not (inner := self._inner()):
            return []
        group = group_of(self.dir)
        return descendants(inner, members(group) if group else None)

    def _inner(self) -> int:
        """The sandbox's pid 1 as this machine numbers it, if it is there; known again by its pid namespace."""
        status = self._status()
        if not status.child_pid or self.identity.boot != boot_id():
            return 0
        try:
            found = os.stat(f"/proc/{status.child_pid}/ns/pid").st_ino
        except OSError:
            return 0
        return status.child_pid if found == status.pid_namespace else 0

    def _status(self) -> _Status:
        """Both documents of the file as one; what is not there yet has its default."""
        found: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for line in (self.dir / "status").read_bytes().splitlines():
                with contextlib.suppress(msgspec.DecodeError):
                    found |= msgspec.json.decode(line)
        return msgspec.convert(found, _Status)


def dead(pid: int) -> bool:
    """Whether it has ended, be it that nobody has taken note yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True


def last_line(path: Path) -> str:
    """Its last line, looked for at its end: a raw file says that it is as large as all that was ever printed."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
        lines = file.read(TAIL).decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
