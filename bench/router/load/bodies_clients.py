"""`bodies_clients PORT HOST down|up COUNT SIZE`: four clients, each moves COUNT bodies of SIZE bytes in turn.

With `slow SECONDS` in place of COUNT it is one client that takes 64 KiB each 10 ms for so long, then all the rest.
Prints `moved BYTES`. Exit code 1: an answer was no 200, or not whole.
"""

import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.router.load.streams import drop, send

CLIENTS = 4

SIP, PAUSE = 65536, 0.01


class Client:
    """One connection through the proxy."""

    def __init__(self, port: int, host: str, buffer: int = 0) -> None:
        self.host = host
        self.sock = socket.socket()
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.sock.settimeout(60)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def download(self, size: int) -> None:
        self._ask("GET", size, 0)
        drop(self.sock, size - self._head())

    def upload(self, size: int) -> None:
        self._ask("POST", 1, size)
        send(self.sock, size)
        drop(self.sock, 1 - self._head())

    def sip(self, size: int, seconds: float) -> None:
        """Download slowly for some seconds, then fast."""
        self._ask("GET", size, 0)
        left, end = size - self._head(), time.monotonic() + seconds
        while time.monotonic() < end:
            drop(self.sock, min(left, SIP), SIP)
            left -= min(left, SIP)
            time.sleep(PAUSE)
        drop(self.sock, left)

    def _ask(self, method: str, wanted: int, length: int) -> None:
        body = f"Content-Length: {length}\r\n" if length else ""
        self.sock.sendall(f"{method} /{wanted} HTTP/1.1\r\nHost: {self.host}\r\n{body}\r\n".encode())

    def _head(self) -> int:
        """Take the head of a 200: how many bytes of the body came with it. ConnectionError."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(4096)
            if not more:
                raise ConnectionError("no answer")
            data += more
        if not data.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"answered {data[:100]!r}")
        return len(data.partition(b"\r\n\r\n")[2])


def move(port: int, host: str, way: str, count: int, size: int) -> int:
    """One client's work; the bytes moved."""
    client = Client(port, host)
    for _ in range(count):
        if way == "up":
            client.upload(size)
        else:
            client.download(size)
    return count * size


def main(port: int, host: str, way: str, count: str, size: int) -> None:
    if way == "slow":
        Client(port, host, buffer=SIP).sip(size, float(count))
        print(f"moved {size}")
        return
    with ThreadPoolExecutor(CLIENTS) as pool:
        moved = pool.map(lambda _: move(port, host, way, int(count), size), range(CLIENTS))
        print(f"moved {sum(moved)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
