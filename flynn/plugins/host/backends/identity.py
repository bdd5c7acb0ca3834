"""A process named so that no other can be taken for it: pid, start time, boot of the machine."""

import asyncio
import os
from functools import cache
from pathlib import Path

import msgspec
import psutil

from flynn.plugins.host.backends.proc import stat

POLL = 0.1
"""Seconds between two looks at a process where the system has no pidfd."""


class Identity(msgspec.Struct, frozen=True):
    """`started` in the system's own measure (clock ticks since boot on Linux); `boot` names the machine's run."""

    pid: int
    started: float
    boot: str


def identify(pid: int) -> Identity | None:
    """Who has this pid now, if anyone."""
    found = stat(pid)
    return Identity(pid, found.started, boot_id()) if found else None


def alive(identity: Identity) -> bool:
    """Whether that very process still runs. One that has ended but was not reaped does not."""
    found = stat(identity.pid)
    return found is not None and not found.over and identity == Identity(identity.pid, found.started, boot_id())


@cache
def boot_id() -> str:
    """What changes with each boot of the machine. OSError: this daemon lacks open files."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return f"{psutil.boot_time():.0f}"


async def gone(identity: Identity) -> int | None:
    """Wait until the process is no more; its exit code if it was a child of this daemon, else None."""
    try:
        watched = os.pidfd_open(identity.pid) if hasattr(os, "pidfd_open") else -1
    except ProcessLookupError:
        return None
    except OSError:
        watched = -1
    try:
        if identify(identity.pid) == identity:
            await (_readable(watched) if watched >= 0 else _polled(identity))
            return _reap(identity.pid)
        return None
    finally:
        if watched >= 0:
            os.close(watched)


async def _readable(file: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(file, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file)


async def _polled(identity: Identity) -> None:
    while alive(identity):
        await asyncio.sleep(POLL)


def _reap(pid: int) -> int | None:
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    if not reaped:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
