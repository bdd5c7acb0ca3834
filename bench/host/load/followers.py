"""`followers PLACE PATH TOKEN ACCEPT SIGN READERS COUNT`: so many follow a log, and one more who takes nothing for now.

SIGN is in what the daemon says where the past ends and what is new begins. Says `ready` when all are there; `done`, how
many of the readers have had COUNT lines, and the seconds that the slowest took; and then, as the one who took nothing
reads at last, `late` and how many lines it has.
"""

import selectors
import socket
import sys
import time

from bench.host.load.reading import get

QUIET = 15.0
"""Seconds without a line after which no more are waited for."""

MARK = b"@"
"""Where there is one there is a line."""

SMALL = 256 * 1024
"""Bytes that the kernel holds for the one who takes nothing: all else that waits is the daemon's trouble."""


class Reader:
    """`lines` counts what came; `rest` is the end of it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lines, self.rest = 0, b""

    def take(self, buffer: bytearray) -> bool:
        """Read once; False: there is no more."""
        size = self.connection.recv_into(buffer)
        data = self.rest + buffer[:size]
        last = data.rfind(b"\n") + 1
        self.lines += data.count(MARK, 0, last)
        self.rest = data[last:]
        return size > 0


def read(readers: list[Reader], count: int) -> float:
    """Until each of them has so many lines, or nothing comes for long: when the last of them was there."""
    buffer = bytearray(1 << 18)
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.connection, selectors.EVENT_READ, reader)
        heard = time.perf_counter()
        while selector.get_map() and time.perf_counter() < heard + QUIET:
            for key, _ in selector.select(1.0):
                before = key.data.lines
                if not key.data.take(buffer) or key.data.lines >= count:
                    selector.unregister(key.fileobj)
                if key.data.lines > before:
                    heard = time.perf_counter()
    return time.perf_counter()


def main(place: str, path: str, token: str, accept: str, sign: bytes, readers: int, count: int) -> None:
    found = [Reader(get(place, path, token, accept, sign)) for _ in range(readers)]
    stuck = Reader(get(place, path, token, accept, sign, SMALL))
    print("ready", flush=True)
    begun = time.perf_counter()
    taken = read(found, count) - begun
    print("done", sum(reader.lines == count for reader in found), f"{taken:.2f}", flush=True)
    sys.stdin.readline()
    read([stuck], count)
    print("late", stuck.lines, flush=True)


if __name__ == "__main__":
    place, path, token, accept, sign, readers, count = sys.argv[1:]
    main(place, path, token, accept, sign.encode(), int(readers), int(count))
