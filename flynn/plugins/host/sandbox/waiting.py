"""A sandbox that waits to be told what it is to be: bubblewrap, which reads its arguments, with all open that it is
given by descriptor.

It may begin before it is known for which job. Then its files are in a directory of its own, and are moved to the job's.
What is to run within is told by its arguments as well: a shell begins there, and does what two variables say.
"""

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flynn.plugins.host.backends.backend import NotStarted, Spec
from flynn.plugins.host.backends.beside import BARE
from flynn.plugins.host.backends.identity import alive
from flynn.plugins.host.backends.launch import Gate, held, opened
from flynn.plugins.host.limits.limiter import Hold, Limiter
from flynn.plugins.host.sandbox import network

ENV = {"PATH": "/usr/bin:/bin"}

BECOME = 'exec "$@"'

CODE, ARGUMENT = "FLYNN_BEGIN", "FLYNN_ARGUMENT"
"""The variables with what the shell within is to do, and with the argument that it has, if it has one: the command of a
sandbox has to be known before its arguments are. The shell takes them out of the environment."""

WITHIN = f'set -- ${{{ARGUMENT}+"${ARGUMENT}"}}; eval "${CODE}"'
FORGET = f"unset {CODE} {ARGUMENT}; "

PATIENCE = 30.0
"""Seconds that bubblewrap may take to read its arguments."""

MOVED = ("stdout", "stderr", "status", "seccomp", "pasta")
"""The files that become the job's."""


@dataclass(frozen=True)
class Waiting:
    """`files`: what bubblewrap is given, by the option that takes it. `told`: where it reads its arguments. `refused`:
    what its network does not reach, if it has one of its own (`own`); `servers`: whom that asks for names."""

    dir: Path
    gate: Gate
    files: Mapping[str, int]
    told: socket.socket
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

    def become(self, words: Sequence[str], argv: Sequence[str]) -> None:
        """Say what it is: the arguments of bubblewrap, which it begins with, and `argv`, as `begin` has it, to be run
        within. Who dies while he says so has said nothing: the code comes last. NotStarted: it does not listen, or one
        of the words cannot be said."""
        _, _, code, _, *argument = argv
        told = [word for value in argument for word in ("--setenv", ARGUMENT, value)]
        all = (*words, *told, "--setenv", CODE, FORGET + code)
        if any("\0" in word for word in all):  # What follows would be an argument of its own.
            raise NotStarted("its command or a variable has a NUL byte, which nothing can be told; remove it")
        said = b"".join(os.fsencode(word) + b"\0" for word in all)
        try:
            self.told.sendall(said)
            self.told.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # It has ended, and is found so.
        except TimeoutError:
            raise NotStarted(f"bubblewrap did not read its arguments within {PATIENCE:g} s") from None

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
    bwrap: str,
    dir: Path,
    refused: Sequence[str] | None,
    port: str,
    filter: bytes,
    hold: Hold,
    stdin: bool = False,
    more: Sequence[int] = (),
) -> Waiting:
    """One that waits to be told what `bwrap` makes of it, its files in `dir`, which is there; whoever holds it closes
    `open`, and it is gone if it was not set going. `refused`: of a network of its own (None: it has none), in which
    `port` is let in, in pasta's words. `more` are descriptors that it keeps. NotStarted; OSError: the disk is full or
    broken."""
    with contextlib.ExitStack() as stack:
        files = {"--json-status-fd": _new(dir / "status", os.O_WRONLY | os.O_APPEND, stack)}
        files["--file"] = _memory("hosts", stack)
        if refused is not None:
            files[network.RESOLVER] = _memory("resolv.conf", stack)
        if filter:  # What is run beside the job needs it too.
            files["--seccomp"] = _new(dir / "seccomp", os.O_RDWR, stack)
            fill(files["--seccomp"], filter)
        told, read = (stack.enter_context(end) for end in socket.socketpair())
        told.settimeout(PATIENCE)
        argv = [bwrap, "--args", str(read.fileno()), "--", "/bin/sh", "-c", WITHIN, "sh"]
        servers = network.servers()
        if refused is not None:
            network.write(dir, port, refused)
            argv = [*network.words(dir), *argv]
        kept = [read.fileno(), *files.values(), *more]
        env = ENV if refused is None else {**BARE, **ENV}
        with read:
            gate = stack.enter_context(opened(argv, env, (dir / "stdout", dir / "stderr"), stdin, kept, hold, BECOME))
        return Waiting(dir, gate, files, told, refused is not None, tuple(refused or ()), servers, stack.pop_all())


def fill(file: int, data: bytes) -> None:
    """Put this into it, to be read from its beginning. OSError: the disk is full or broken."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)


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
