"""A program of a buildpack, run to its end: its output printed as it comes, all that it started ended with it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

MARKS = (b"----->", b"=====>", b" !", b"       ", b"\t")
"""How lines begin that need no indent."""

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


class Ended(NamedTuple):
    """The exit code of a program, 128 + N when signal N ended it; and its last line, if that is marked as a failure."""

    code: int
    reason: str = ""


def run(command: Sequence[str], cwd: str, env: Mapping[str, str], quiet: float = QUIET) -> Ended:
    """Run a program to its end. Its output goes to ours, indented."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    last: list[bytes] = [b""]
    printing = threading.Thread(target=_print, args=(process.stdout, process.pid, quiet, last), daemon=True)
    printing.start()
    try:
        code = process.wait()
    finally:
        end_group(process)
        printing.join(10)
    reason = last[0].decode("utf-8", "replace") if BUDGET.left > 0 else ""
    return Ended(code if code >= 0 else 128 - code, reason[2:].strip() if reason.startswith(" !") else "")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that has a session of its own, and all that it left behind there."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _print(pipe: BinaryIO, session: int, quiet: float, last: list[bytes]) -> None:
    """As it comes: a line that is not whole yet may be all there is to see for a while. `last` gets the last line."""
    begins, held = True, b""
    with pipe:
        for piece in map(BUDGET.cut, _pieces(pipe, session, quiet)):
            lines, held = (held + piece).splitlines(keepends=True), b""
            if lines and (begins or len(lines) > 1) and any(mark.startswith(lines[-1]) for mark in MARKS):
                held = lines.pop()  # Too little to know whether it is a mark.
            for line in lines:
                if begins and line.strip() and not line.startswith(MARKS):
                    sys.stdout.buffer.write(b"       ")
                sys.stdout.buffer.write(line)
                last[0] = line if begins else (last[0] + line)[-PIECE:]
                begins = line.endswith((b"\n", b"\r"))
            sys.stdout.buffer.flush()
        sys.stdout.buffer.write(held)
        sys.stdout.buffer.flush()


def _pieces(pipe: BinaryIO, session: int, quiet: float) -> Iterator[bytes]:
    """What is printed; and, where a program tries a dead host again and again without a word, that it does."""
    waited, patience = 0.0, quiet
    while True:
        if not select.select([pipe], [], [], patience)[0]:
            waited, patience = waited + patience, waited + patience
            yield f"       ({_newest(session)} has said nothing for {waited:g} s)\n".encode()
            continue
        waited, patience = 0.0, quiet
        piece = os.read(pipe.fileno(), PIECE)
        if not piece:
            return
        yield piece


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
