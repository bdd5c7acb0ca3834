"""Ports for what tests start: each process has some that no other asks for, and that the kernel gives to nobody.

A port that is found free and listened on a moment later may be another's by then; and so may one whose daemon is
killed and started again. So these are below those that the kernel gives away (ip_local_port_range), and in blocks, of
which a process holds one as long as it lives: by a lock on a file, which holds in whatever network it is just then.
"""

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

FIRST, BLOCKS, SIZE = 10_000, 50, 200


class _Block:
    """`held`: the file that is locked, until the process ends."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.held, number = _taken()
        begin = FIRST + number * SIZE
        self.ports: Iterator[int] = itertools.cycle(range(begin, begin + SIZE))


_blocks: list[_Block] = []


def free_port() -> int:
    """A TCP port that nobody listens on now, and that only this process gives away."""
    if not _blocks or _blocks[-1].owner != os.getpid():  # A child has its parent's.
        _blocks.append(_Block())
    for port in itertools.islice(_blocks[-1].ports, SIZE):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As servers do, past connections of before.
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all {SIZE} ports of this process are taken")


def _taken() -> tuple[int, int]:
    for number in range(BLOCKS):
        try:
            held = os.open(Path(tempfile.gettempdir()) / f"flynn-test-ports-{number}", os.O_RDONLY | os.O_CREAT, 0o644)
        except PermissionError:  # Another user's, in a directory where nobody opens those of others so.
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            continue
        return held, number
    raise AssertionError(f"all {BLOCKS} blocks of ports are taken")
