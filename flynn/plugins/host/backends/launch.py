"""How a process is set going: detached from the daemon, and not before it has been written down.

A shell first waits for a line on its standard input. The daemon writes it once the process's identity is on disk;
a daemon that dies before closes the pipe, and the shell ends without having run anything.
"""

import contextlib
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from flynn.core.files import AT_START
from flynn.core.model import FILES
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.begun import Begun
from flynn.plugins.host.backends.identity import Identity, identify
from flynn.plugins.host.limits.limiter import Hold

ENTER = "echo 0 >{} || exit 124; "
GATE = 'read -r go || exit 125; echo 500 2>/dev/null >/proc/self/oom_score_adj; exec "$@"'
"""`read` takes the first line byte by byte from a pipe, so that the rest of it is the process's own input.
The daemon has raised its own limit of open files; a job gets the one from before. The kernel shall end a job, not the
daemon, when memory is short (proc(5), oom_score_adj)."""


class Launched(NamedTuple):
    """`stdin`: the end of its input pipe (-1: it has none). `begun`: hears it begin; None where it has that pipe."""

    identity: Identity
    stdin: int = -1
    begun: Begun | None = None


def launch(
    argv: Sequence[str],
    env: Mapping[str, str],
    outputs: tuple[Path, Path],
    commit: Callable[[Identity], None],
    stdin: bool = False,
    files: Sequence[int] = (),
    hold: Hold = Hold(),  # noqa: B008 (frozen)
) -> Launched:
    """Start `argv` in a session of its own. Without `stdin` it has to begin with `BEGUN`.

    `files` are descriptors that it keeps, by the same numbers. What `commit` raises prevents the start. It enters the
    groups of `hold` while it waits, before it can have any children.
    """
    with contextlib.ExitStack() as stack:
        far, near = os.pipe() if stdin else _sockets()
        stack.callback(os.close, far)
        unless_kept = stack.enter_context(contextlib.ExitStack())
        unless_kept.callback(os.close, near)
        out, err = (stack.enter_context(path.open("ab", buffering=0)) for path in outputs)
        enter = "".join(ENTER.format(shlex.quote(str(path))) for path in hold.groups)
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", enter + GATE, "flynn", *argv],
                env=dict(env), cwd="/", stdin=far, stdout=out, stderr=err, pass_fds=files, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise NotStarted(f"the process could not be made: {error.strerror}") from None
        process.returncode = 0  # It outlives us: Popen shall neither wait for it nor warn of it.
        if sys.platform == "linux":
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, open_files(hold.files))
        identity = identify(process.pid)
        assert identity is not None, "a child that was not waited for cannot vanish"
        with _ended_on_error(process.pid):
            commit(identity)
            begun = None if stdin else Begun(near)
            if begun:
                unless_kept.pop_all()  # It closes it.
            os.write(near, b"\n")
            unless_kept.pop_all()
    return Launched(identity, near if stdin else -1, begun)


def _sockets() -> tuple[int, int]:
    far, near = socket.socketpair()
    return far.detach(), near.detach()


@contextlib.contextmanager
def _ended_on_error(child: int) -> Iterator[None]:
    """What was not set going is not left, nor is what the kernel keeps of it."""
    try:
        yield
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


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


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below `pid`. Blocks for a moment: call it in a thread."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def send(processes: Sequence[psutil.Process], number: int) -> None:
    """Send a signal to those that still are what they were."""
    for process in processes:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            process.send_signal(signal.Signals(number) if number in set(signal.Signals) else number)
