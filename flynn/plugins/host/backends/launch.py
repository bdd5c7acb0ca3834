"""How a process is set going: detached from the daemon, and not before it has been written down.

A shell begins while all else is made ready, and waits for lines on its standard input. The daemon writes the first once
the groups of the process are there, which the shell then enters, and the last once its identity is on disk; a daemon
that dies before closes the pipe, and the shell ends without having run anything of the job's. What is to stand around
the process may be built while the daemon still does the rest: then it is a shell within that waits for the last line.
"""

import asyncio
import contextlib
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from flynn.core.files import AT_START
from flynn.core.model import FILES
from flynn.plugins.host.backends.backend import Spec
from flynn.plugins.host.backends.begun import Begun
from flynn.plugins.host.backends.identity import Identity, identify
from flynn.plugins.host.backends.proc import below
from flynn.plugins.host.backends.telling import telling
from flynn.plugins.host.limits.limiter import Hold, end
from flynn.plugins.host.race import whole

WAIT = "read -r made || exit 125; "
ENTER = "echo 0 >{} || exit 124; "
FIRST = "echo 500 2>/dev/null >/proc/self/oom_score_adj; "
GO = "read -r go || exit 125; "
GATE = f'{GO}exec "$@"'
"""`read` takes a line byte by byte from a pipe, so that the rest of it is the process's own input.
The daemon has raised its own limit of open files; a job gets the one from before. The kernel shall end a job, not the
daemon, when memory is short (proc(5), oom_score_adj)."""


class Launched(NamedTuple):
    """`stdin`: the end of its input pipe (-1: it has none). `begun`: hears it begin; None where it has that pipe."""

    identity: Identity
    stdin: int = -1
    begun: Begun | None = None


class Gate:
    """The shell that waits (`opened`). `near`: the daemon's end of its standard input, a pipe if `stdin`."""

    def __init__(self, identity: Identity, near: int, stdin: bool) -> None:
        self.identity, self.near, self.stdin = identity, near, stdin
        self.gone = False

    def enter(self) -> None:
        """Its groups are there: it enters them, before it can have any children."""
        self._say()

    def go(self, commit: Callable[[Identity], None]) -> Launched:
        """Set it going, once it is written down; on the loop. What `commit` raises prevents it."""
        commit(self.identity)
        self._say()
        self.gone = True
        return Launched(self.identity, self.near) if self.stdin else Launched(self.identity, begun=Begun(self.near))

    def _say(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # It has ended, and is found so.
            os.write(self.near, b"\n")


@contextlib.contextmanager
def opened(
    argv: Sequence[str],
    env: Mapping[str, str],
    outputs: tuple[Path, Path],
    stdin: bool = False,
    files: Sequence[int] = (),
    hold: Hold = Hold(),  # noqa: B008 (frozen)
    script: str = GATE,
) -> Iterator[Gate]:
    """The gate of `argv` in a session of its own, which ends with the block unless it was set going. Blocks for a
    moment. Without `stdin` it has to begin with `BEGUN`. `files` are descriptors that it keeps, by the same numbers.
    `script`: what the shell does once it is in its groups, `argv` being its arguments; it waits for a line more.
    NotStarted; OSError: the disk is full or broken.
    """
    far, near = os.pipe() if stdin else _sockets()
    gate = None
    try:
        try:
            child = _spawned(argv, env, outputs, far, files, hold, script)
        finally:
            os.close(far)
        identity = identify(child)
        assert identity is not None, "a child that was not waited for cannot vanish"
        gate = Gate(identity, near, stdin)
        yield gate
    finally:
        if gate is None or not gate.gone:
            os.close(near)
        if gate is not None and not gate.gone:
            os.kill(gate.identity.pid, signal.SIGKILL)
            os.waitpid(gate.identity.pid, 0)


async def launch(
    spec: Spec,
    ready: Callable[[contextlib.ExitStack], Gate],
    commit: Callable[[Identity], None],
) -> Launched:
    """Start the process of a job. `ready` opens its gate, as long as the stack, lets it into its groups, and makes all
    that it needs beyond while that begins; in a thread. Nothing is left of what fails. NotStarted, and what either of
    them raises.
    """
    stack = contextlib.ExitStack()
    try:
        try:
            return (await whole(asyncio.to_thread(ready, stack))).go(commit)
        finally:
            await whole(asyncio.to_thread(stack.close))  # It ends processes and removes files.
    except BaseException:
        await whole(asyncio.to_thread(end, spec.dir))
        raise


def _spawned(
    argv: Sequence[str],
    env: Mapping[str, str],
    outputs: tuple[Path, Path],
    stdin: int,
    files: Sequence[int],
    hold: Hold,
    script: str,
) -> int:
    enter = "".join(ENTER.format(shlex.quote(str(path))) for path in hold.groups)
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(path.open("ab", buffering=0)) for path in outputs)
        with telling("the process could not be made"):
            process = subprocess.Popen(
                ["/bin/sh", "-c", WAIT + enter + FIRST + script, "flynn", *argv],
                env=dict(env), cwd="/", stdin=stdin, stdout=out, stderr=err, pass_fds=files, start_new_session=True,
            )  # fmt: skip
    process.returncode = 0  # It outlives us: Popen shall neither wait for it nor warn of it.
    held(process.pid, hold)
    return process.pid


def held(pid: int, hold: Hold) -> None:
    """Set the plain limits of a process that waits, and how far it stands back."""
    if sys.platform == "linux":
        resource.prlimit(pid, resource.RLIMIT_NOFILE, open_files(hold.files))
    if hold.nice:
        os.setpriority(os.PRIO_PROCESS, pid, min(os.getpriority(os.PRIO_PROCESS, 0) + hold.nice, 19))


def _sockets() -> tuple[int, int]:
    far, near = socket.socketpair()
    return far.detach(), near.detach()


def open_files(limit: int) -> tuple[int, int]:
    """The soft and the hard limit of open files of a job with this limit (0: none of its own).

    What is usual leaves the soft one as it was before the daemon raised its own: programs expect that.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    hard = limit or most
    usual = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if limit not in (0, usual) or AT_START == resource.RLIM_INFINITY:
        return hard, hard
    return AT_START if hard == resource.RLIM_INFINITY else min(AT_START, hard), hard


def descendants(pid: int, among: Collection[int] | None = None) -> list[psutil.Process]:
    """All processes below `pid`; where it is known which there can be, only these are looked at, not all of the
    machine. Blocks for a moment: call it in a thread."""
    if among is not None:
        return processes(below(pid, among))
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def processes(pids: Iterable[int]) -> list[psutil.Process]:
    """Those of them that there are."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            found.append(psutil.Process(pid))
    return found


def send(processes: Sequence[psutil.Process], number: int) -> None:
    """Send a signal to those that still are what they were."""
    for process in processes:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            process.send_signal(signal.Signals(number) if number in set(signal.Signals) else number)
