"""A running sandbox: its monitor outside, its pid 1 inside, and what bubblewrap wrote down about both."""

import asyncio
import contextlib
import os
import signal
import time

import msgspec
import psutil

from flynn.plugins.host.backends.backend import NotStarted, Signals
from flynn.plugins.host.backends.beside import run_beside
from flynn.plugins.host.backends.here import RunningHere
from flynn.plugins.host.backends.identity import boot_id, gone
from flynn.plugins.host.backends.launch import descendants, send
from flynn.plugins.host.backends.probe import last_line
from flynn.plugins.host.backends.proc import await_end, children, over
from flynn.plugins.host.limits.cgroup import PATIENCE, members
from flynn.plugins.host.limits.limiter import end, group_of
from flynn.plugins.host.sandbox import network
from flynn.plugins.host.trees import remove_tree

GLANCE = 0.1
"""Seconds for which a process is waited for, until it is looked at who it is: its number may be another's by now."""


class _Status(msgspec.Struct, rename="kebab"):
    child_pid: int = 0
    pid_namespace: int = 0
    exit_code: int | None = None


class RunningSandbox(RunningHere):
    """The monitor (`identity`), the sandbox's pid 1, and what runs inside."""

    async def wait(self) -> int | None:
        known = await gone(self.identity)
        status = self._status()
        if status.exit_code is not None:
            return status.exit_code
        if known is not None and known <= 128:
            why = await asyncio.to_thread(last_line, self.dir / "stderr")
            raise NotStarted(f"the sandbox could not be made: {why or f'bubblewrap ended with code {known}'}")
        return known

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

    def _parent(self) -> int:
        return self._inner()

    def _kill(self) -> None:
        if inner := self._inner():
            with contextlib.suppress(ProcessLookupError):
                os.kill(inner, signal.SIGKILL)
        elif self.alive():
            send(descendants(self.identity.pid), signal.SIGKILL)
            send([psutil.Process(self.identity.pid)], signal.SIGKILL)

    def _end(self) -> None:
        """Once pid 1 has no children it alone is there, on its way out, which is bubblewrap."""
        self._kill()
        self._await_end(alone=True)

    def _clean(self) -> None:
        self._kill()
        end(self.dir)
        network.end(self.dir, self.identity.boot)
        self._await_end()
        for name in ("upper", "work", "home"):
            remove_tree(self.dir / name)

    def _await_end(self, alone: bool = False) -> None:
        """pid 1 ends once all others have. `alone`: wait for those only."""
        deadline = time.monotonic() + PATIENCE
        while (inner := self._inner()) and not over(inner) and time.monotonic() < deadline:
            if alone and not children(inner):
                return
            await_end(inner, GLANCE)

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
