"""A program of a buildpack, run to its end: its output printed as it comes, all that it started ended with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import BinaryIO

MARKS = (b"----->", b"=====>", b" !", b"       ", b"\t")
"""How lines begin that need no indent."""

PIECE = 64 * 1024
"""Bytes of a line that are printed at once."""


def run(command: Sequence[str], cwd: str, env: Mapping[str, str]) -> int:
    """Run a program; its exit code, 128 + N when signal N ended it. Its output goes to ours, indented."""
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
    printing = threading.Thread(target=_print, args=(process.stdout,), daemon=True)
    printing.start()
    try:
        code = process.wait()
    finally:
        end_group(process)
        printing.join(10)
    return code if code >= 0 else 128 - code


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that has a session of its own, and all that it left behind there."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def _print(pipe: BinaryIO) -> None:
    begins = True
    with pipe:
        while piece := pipe.readline(PIECE):
            if begins and piece.strip() and not piece.startswith(MARKS):
                sys.stdout.buffer.write(b"       ")
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            begins = piece.endswith(b"\n")
