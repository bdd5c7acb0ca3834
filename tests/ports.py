"""Ports for what tests start: each process has some that no other asks for, and that the kernel gives to nobody.

A port that is found free and listened on a moment later may be another's by then; and so may one whose daemon is
killed and started again. So these are below those that the kernel gives away (ip_local_port_range), and in blocks, of
which a process holds one as long as it lives: by a name that there is once in a network (unix(7), abstract sockets).
"""

import itertools
import os
import socket
from collections.abc import Iterator

FIRST, BLOCKS, SIZE = 10_000, 50, 200


class _Block:
    """`held`: the socket that has its name, which the kernel takes back when the process ends."""

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


def _taken() -> tuple[socket.socket, int]:
    for number in range(BLOCKS):
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0flynn-test-ports-{number}")
        except OSError:
            held.close()
            continue
        return held, number
    raise AssertionError(f"all {BLOCKS} blocks of ports are taken")
