"""A world outside of this machine: a network namespace at the other end of a cable, in which a server answers.

Only root can make one.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

METADATA = "169.254.169.254"

SERVER = """
import socket, sys
s = socket.create_server(("0.0.0.0", 80))
print("serves", flush=True)
while True:
    c, (address, _) = s.accept()
    c.sendall(b"world\\n")
    c.close()
"""


RESOLVER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print("serves", flush=True)
while True:
    asked, client = s.recvfrom(4096)
    end = asked.index(b"\\0", 12) + 5
    found = b"\\xc0\\x0c" + asked[end - 4 : end] + b"\\0\\0\\0\\x3c\\0\\x04" + bytes([203, 0, 113, 99])
    answers = found if asked[end - 3] == 1 else b""
    head = asked[:2] + b"\\x81\\x80\\0\\x01\\0" + bytes([1 if answers else 0]) + b"\\0\\0\\0\\0"
    s.sendto(head + asked[12:end] + answers, client)
"""
"""Answers for all names with one address."""


@dataclass(frozen=True)
class World:
    """`host` is this machine's own address on the cable, `far` the other end's, `metadata` one that clouds use."""

    host: str
    far: str
    metadata: str = METADATA
    space: str = ""

    @contextlib.contextmanager
    def resolver(self, address: str) -> Iterator[None]:
        """Somebody out there answers at this address, of IPv4, for names; until the end of the block."""
        _ip("-n", self.space, "addr", "add", f"{address}/32", "dev", "lo")
        _ip("route", "add", address, "via", self.far)
        with _running(self.space, RESOLVER, address):
            yield


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def world() -> Iterator[World]:
    """One, until the end of the block."""
    name = f"fw{os.getpid()}"
    number = os.getpid() % 200 + 1
    found = World(f"198.19.{number}.1", f"198.19.{number}.2", space=name)
    with contextlib.ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "far0", "netns", name)
        for words in (f"addr add {found.host}/30 dev {name}", f"link set {name} up"):
            _ip(*words.split())
        for words in (f"addr add {found.far}/30 dev far0", f"addr add {METADATA}/32 dev lo", "link set far0 up"):
            _ip("-n", name, *words.split())
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("route", "add", METADATA, "via", found.far)
        with _running(name, SERVER):
            yield found


@contextlib.contextmanager
def _running(space: str, program: str, *words: str) -> Iterator[None]:
    """A program of Python out there, once it has said that it serves."""
    run = ["ip", "netns", "exec", space, sys.executable, "-c", program, *words]
    with subprocess.Popen(run, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == b"serves\n"
            yield
        finally:
            server.kill()
