"""A command run beside a job, for backends whose jobs are processes of this machine (`enter.py` is the other half)."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from flynn.core.child import Child
from flynn.plugins.host.backends.backend import START, NotStarted, Signals
from flynn.plugins.host.lacking import is_lack
from flynn.plugins.host.race import race

ENTER = Path(__file__).with_name("enter.py")

BARE = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
"""What Python may need to begin; the daemon's environment is nothing for a job."""

PATIENCE = 2.0
"""Seconds that a command which is given up may take to be gone, before its guardian is killed as well."""


def write_environ(dir: Path, env: Mapping[str, str]) -> None:
    """Keep the environment that a job begins with, for what is run beside it later."""
    path = dir / "environ"
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(b"\0".join(f"{name}={value}".encode() for name, value in env.items()))


async def run_beside(
    dir: Path, command: str, streams: tuple[int, int, int], pid: int, pidfd: int = -1, signals: Signals | None = None
) -> int:
    """As `Running.exec`, for the job of `dir`, where process `pid` is; `pidfd`, if given, leads to its namespaces."""
    near, far = socket.socketpair()
    with near, far:
        argv = [str(far.fileno()), str(pidfd), str(pid), str(dir), "/bin/sh", "-c", START, "sh", command]
        try:
            process = _begun(argv, streams, [file for file in (far.fileno(), pidfd) if file >= 0])
        except (OSError, ValueError) as error:  # It is too long (execve(2)), or has a NUL byte.
            if is_lack(error):
                raise
            raise NotStarted(f"nothing can be run beside it: {getattr(error, 'strerror', None) or error}") from None
        far.close()
        try:
            await process.open()
            code = await race(process.wait(), _send(near, signals))
        except asyncio.CancelledError:
            near.close()
            await _gone(process)
            raise
        with contextlib.suppress(BlockingIOError):
            if problem := near.recv(1000):
                raise NotStarted(f"nothing can be run beside it: {problem.decode(errors='replace')}")
        return code if code >= 0 else 128 - code


def _begun(argv: Sequence[str], streams: tuple[int, int, int], files: Sequence[int]) -> Child:
    """Blocks until it runs: about a millisecond. OSError, ValueError: it cannot be begun."""
    stdin, stdout, stderr = (subprocess.DEVNULL if file < 0 else file for file in streams)
    return Child(
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(ENTER), *argv], env=BARE, cwd="/", stdin=stdin, stdout=stdout,
            stderr=stderr, pass_fds=files, start_new_session=True,
        )
    )  # fmt: skip


async def _send(near: socket.socket, signals: Signals | None) -> int:
    """Tell of signals, for ever."""
    near.setblocking(False)
    while signals:
        number = await signals.get()
        with contextlib.suppress(OSError):
            near.send(bytes([number]))
    await asyncio.Event().wait()
    return 0


async def _gone(process: Child) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
