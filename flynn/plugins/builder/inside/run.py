"""A program of a buildpack, run to its end: its output printed as it comes, all that it started ended with it."""

from __future__ import annotations

import os
import select
import sys
import time

TYPE_CHECKING = False  # `typing` itself takes long to load.
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
else:
    import _signal as signal  # What is in it but the names of numbers.

MARKS = (b"----->", b"=====>", b" !", b"       ", b"\t")
"""How lines begin that need no indent, perhaps after a colour."""

COLOUR, CODES = b"\x1b[", b"0123456789;"
"""How a colour begins, which is some codes and an `m` (ECMA-48, SGR)."""

COLOUR_LENGTH = 32
"""Bytes of one, at most."""

PIECE = 64 * 1024
"""Bytes that are printed at once."""

PRINTED = 16 << 20
"""Bytes that all programs of a build may print together; what is over that is left out."""

QUIET = 10.0
"""Seconds without a word after which it is said who keeps silent; then after twice as many, and so on."""


class Budget:
    """What of the output may still be printed."""

    def __init__(self, size: int) -> None:
        self.size = self.left = size

    def cut(self, piece: bytes) -> bytes:
        """As much of it as may be; with the last of it the note that says so."""
        if self.left <= 0:
            return b""
        self.left -= len(piece)
        if self.left > 0:
            return piece
        told = f"\n !     the build has printed over {self.size >> 20} MiB: what follows is left out\n".encode()
        return piece[: len(piece) + self.left] + told


BUDGET = Budget(PRINTED)

GLANCE = 0.1
"""Seconds between two looks whether a program has ended that prints nothing: what it left behind may hold its output
open."""

DRAIN = 10.0
"""Seconds for which the rest of the output is waited for, once all that wrote it has been ended."""


ENDING = (signal.SIGALRM, signal.SIGTERM)
"""What ends a build before its time (`limit_time`)."""


class Ended:
    """`code`: the exit code of a program, 128 + N when signal N ended it. `reason`: its last line, if that is marked as
    a failure."""

    def __init__(self, code: int, reason: str = "") -> None:
        self.code, self.reason = code, reason


def run(command: Sequence[str], cwd: str, env: Mapping[str, str], quiet: float = QUIET) -> Ended:
    """Run a program to its end. Its output goes to ours, indented. OSError: it cannot be run."""
    import subprocess  # It takes long to load, and most builds run no program.

    pipe, out = os.pipe()
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        process.returncode = 0  # It is waited for here.
    except BaseException:
        os.close(pipe)
        raise
    finally:
        os.close(out)
    return _followed(process.pid, pipe, quiet)


def run_here(
    main: Callable[[], None],
    cwd: str,
    env: Mapping[str, str],
    quiet: float = QUIET,
) -> Ended:
    """The same for a function: a fork of this program calls it, in which Python is up already."""
    sys.stdout.flush()
    pipe, out = os.pipe()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # What they have Python do is for this process alone.
    pid = os.fork()
    if pid == 0:
        os.close(pipe)
        _be(main, cwd, env, out)
    os.close(out)
    return _followed(pid, pipe, quiet, lambda: signal.pthread_sigmask(signal.SIG_SETMASK, held))


def _be(main: Callable[[], None], cwd: str, env: Mapping[str, str], out: int) -> None:
    """In the fork: nothing of the build is left but its code. Does not return."""
    code = 1
    try:
        os.setsid()
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _followed(pid: int, pipe: int, quiet: float, begun: Callable[[], object] = lambda: None) -> Ended:
    """Print what a program prints, which has a session of its own, until it has ended. Then what it has left behind
    there ends, and so it does where the build breaks off: also in `begun`, which is called at first."""
    printer, status = Printer(), None
    try:
        begun()
        status = _last(pid, pipe, printer, quiet)
    finally:
        _end_session(pid)
        if status is None:
            os.kill(pid, signal.SIGKILL)  # It may not have its session yet.
            os.waitpid(pid, 0)
        _drain(pipe, printer)
        os.close(pipe)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    reason = uncoloured(printer.last).decode("utf-8", "replace") if BUDGET.left > 0 else ""
    return Ended(code, reason[2:].strip() if reason.startswith(" !") else "")


def _last(pid: int, pipe: int, printer: Printer, quiet: float) -> int:
    """The status of a program that has ended (wait(2)). Where it tries a dead host again and again without a word, that
    is said."""
    silent, patience = time.monotonic(), quiet
    while True:
        if select.select([pipe], [], [], min(GLANCE, quiet))[0]:
            if not (piece := os.read(pipe, PIECE)):
                return os.waitpid(pid, 0)[1]
            printer.take(piece)
            silent, patience = time.monotonic(), quiet
        elif time.monotonic() - silent >= patience:
            printer.take(f"       ({_newest(pid)} has said nothing for {patience:g} s)\n".encode())
            patience *= 2
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status


def _end_session(pid: int) -> None:
    """Kill a program that has a session of its own, and all that it left behind there."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _drain(pipe: int, printer: Printer) -> None:
    """Print what is left of the output."""
    deadline = time.monotonic() + DRAIN
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not (piece := os.read(pipe, PIECE)):
            break
        printer.take(piece)
    printer.close()


class Printer:
    """Prints as it comes: a line that is not whole yet may be all there is to see. `last`: the last line."""

    def __init__(self) -> None:
        self.last = self._held = b""
        self._begins = True

    def take(self, piece: bytes) -> None:
        if not (piece := BUDGET.cut(piece)):
            return
        out = sys.stdout.buffer
        lines, self._held = (self._held + piece).splitlines(keepends=True), b""
        if lines and (self._begins or len(lines) > 1) and may_be_marked(lines[-1]):
            self._held = lines.pop()  # Too little to know.
        for line in lines:
            if self._begins and line.strip() and not uncoloured(line).startswith(MARKS):
                out.write(b"       ")
            out.write(line)
            self.last = line if self._begins else (self.last + line)[-PIECE:]
            self._begins = line.endswith((b"\n", b"\r"))
        out.flush()

    def close(self) -> None:
        sys.stdout.buffer.write(self._held)
        sys.stdout.buffer.flush()


def uncoloured(line: bytes) -> bytes:
    """The line without the colours that it begins with."""
    while line.startswith(COLOUR):
        codes, end, rest = line[len(COLOUR) :].partition(b"m")
        if not end or codes.strip(CODES):
            break
        line = rest
    return line


def may_be_marked(begun: bytes) -> bool:
    """Whether more of a line has to be seen to know if it is marked: it may be in the middle of a mark, or a colour."""
    begun = uncoloured(begun)
    in_colour = begun.startswith(COLOUR) and not begun[len(COLOUR) : COLOUR_LENGTH].strip(CODES)
    return any(mark.startswith(begun) for mark in (*MARKS, COLOUR)) or (in_colour and len(begun) < COLOUR_LENGTH)


def _newest(session: int) -> str:
    """The name of the process of a session that was started last: it is what the others wait for."""
    found, name = (0, 0), "the buildpack"
    for pid in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                before, _, after = file.read().rpartition(")")
        except OSError:
            continue
        fields = after.split()
        if int(fields[3]) == session and (began := (int(fields[19]), int(pid))) > found:
            found, name = began, before.partition("(")[2]
    return name
