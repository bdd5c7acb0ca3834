"""A sandbox that waits to be told what it is to be: a shell, with all that bubblewrap is given by descriptor open.

It may begin before it is known for which job. Then its files are in a directory of its own, and are moved to the job's.
"""

import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flynn.plugins.host.backends.backend import Spec
from flynn.plugins.host.backends.beside import BARE
from flynn.plugins.host.backends.identity import alive
from flynn.plugins.host.backends.launch import GO, Gate, held, opened
from flynn.plugins.host.limits.limiter import Hold, Limiter
from flynn.plugins.host.sandbox import network

ENV = {"PATH": "/usr/bin:/bin"}

BECOME = GO + ". /proc/self/fd/{}"
"""What it is to be is a line of the shell, in a file: its arguments must be known before it begins. The file goes on
with the arguments of bubblewrap, which closes it once they are read: a job shall have no file open but its own."""

MOVED = ("stdout", "stderr", "status", "seccomp", "pasta")
"""The files that become the job's."""


@dataclass(frozen=True)
class Waiting:
    """`files`: what bubblewrap is given, by the option that takes it. `told`: what the shell becomes, and bubblewrap's
    arguments. `refused`: what its network does not reach, if it has one of its own (`own`); `servers`: whom that asks
    for names."""

    dir: Path
    gate: Gate
    files: Mapping[str, int]
    told: int
    own: bool
    refused: tuple[str, ...]
    servers: tuple[str, ...]
    open: contextlib.ExitStack

    def ready(self) -> bool:
        """Whether nothing more is to be waited for, but for the job."""
        with contextlib.suppress(OSError):
            return not self.own or (self.dir / "pasta").stat().st_size > 0
        return False

    def alive(self) -> bool:
        return alive(self.gate.identity)

    def is_as(self, refused: tuple[str, ...]) -> bool:
        """Whether its network, if it has one of its own, is as one that begins now, which does not reach these."""
        return self.refused == refused and (not self.own or self.servers == network.servers())

    def become(self, argv: Sequence[str], words: Sequence[str]) -> None:
        """Say what it is: `argv`, and bubblewrap's arguments. It begins with that. OSError: the disk is full."""
        code = os.fsencode(f"exec {shlex.join(argv)}\n")
        fill(self.told, code + b"".join(word.encode() + b"\0" for word in words), len(code))
        self.gate.build()

    def hold(self, hold: Hold) -> None:
        """The limits that what it becomes inherits."""
        for pid in (self.gate.identity.pid, *_children(self.gate.identity.pid)):
            with contextlib.suppress(ProcessLookupError):
                held(pid, hold)

    def move(self, spec: Spec, limiter: Limiter) -> None:
        """It is that job's, of which nothing has run yet. NotStarted; OSError: the disk is full or broken."""
        limiter.give(spec, self.dir)
        for name in MOVED:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.dir / name, spec.dir / name)


def begin(
    dir: Path,
    refused: Sequence[str] | None,
    port: str,
    filter: bytes,
    hold: Hold,
    stdin: bool = False,
    more: Sequence[int] = (),
) -> Waiting:
    """One that waits, its files in `dir`, which is there; whoever holds it closes `open`, and it is gone if it was not
    set going. `refused`: of a network of its own (None: it has none), in which `port` is let in, in pasta's words.
    `more` are descriptors that it keeps. NotStarted; OSError: the disk is full or broken."""
    with contextlib.ExitStack() as stack:
        files = {"--json-status-fd": _new(dir / "status", os.O_WRONLY | os.O_APPEND, stack)}
        files["--file"] = _memory("hosts", stack)
        if refused is not None:
            files[network.RESOLVER] = _memory("resolv.conf", stack)
        if filter:  # What is run beside the job needs it too.
            files["--seccomp"] = _new(dir / "seccomp", os.O_RDWR, stack)
            fill(files["--seccomp"], filter)
        told = _memory("bwrap arguments", stack)
        script, argv, servers = BECOME.format(told), list[str](), network.servers()
        if refused is not None:
            network.write(dir, port, refused)
            script, argv = 'exec "$@"', [*network.words(dir), "/bin/sh", "-c", script]
        kept = [told, *files.values(), *more]
        env = ENV if refused is None else {**BARE, **ENV}
        gate = stack.enter_context(opened(argv, env, (dir / "stdout", dir / "stderr"), stdin, kept, hold, script))
        return Waiting(dir, gate, files, told, refused is not None, tuple(refused or ()), servers, stack.pop_all())


def fill(file: int, data: bytes, begin: int = 0) -> None:
    """Put this into it, to be read from there on. OSError: the disk is full or broken."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, begin, os.SEEK_SET)


def _memory(name: str, stack: contextlib.ExitStack) -> int:
    """A file in memory, open as long as the stack."""
    file = os.memfd_create(name)
    stack.callback(os.close, file)
    return file


def _new(path: Path, flags: int, stack: contextlib.ExitStack) -> int:
    """A new file, open as long as the stack; who has that of an earlier run open keeps it."""
    path.unlink(missing_ok=True)
    file = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, file)
    return file


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
