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


@dataclass(frozen=True)
class World:
    """`host` is this machine's own address on the cable, `far` the other end's, `metadata` one that clouds use."""

    host: str
    far: str
    metadata: str = METADATA


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def world() -> Iterator[World]:
    """One, until the end of the block."""
    name = f"fw{os.getpid()}"
    number = os.getpid() % 200 + 1
    found = World(f"198.19.{number}.1", f"198.19.{number}.2")
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
        run = ["ip", "netns", "exec", name, sys.executable, "-c", SERVER]
        server = subprocess.Popen(run, stdout=subprocess.PIPE)
        stack.callback(server.wait)
        stack.callback(server.kill)
        assert server.stdout
        stack.callback(server.stdout.close)
        assert server.stdout.readline() == b"serves\n"
        yield found
