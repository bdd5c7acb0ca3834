"""What a network of a job's own must be, whatever backend gives it: who is reached from there, and who reaches it."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from flynn.plugins.host.backends.backend import Backend, Running, Spec
from flynn.plugins.host.backends.proc import listening
from tests.contract.backend import printed, spec, start
from tests.plugins.host.rig import SERVER
from tests.plugins.host.sandbox.world import world
from tests.ports import free_port

LIMIT = 20.0
"""Seconds that a step may take on a slow machine."""

LOOK = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 3) as found:
            print(host, found.recv(10).decode().strip() or "took it", flush=True)
    except OSError as error:
        print(host, "no", flush=True)
"""
"""Says of each place what it hears there."""

HTTP = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * 3_000_000)
print("serves", flush=True)
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def told(dir: Path, command: str, **fields: object) -> Spec:
    (dir / "job").mkdir(exist_ok=True)
    made = spec(dir, command)
    for name, text in (("look.py", LOOK), ("http_app.py", HTTP), ("server.py", SERVER)):
        (dir / "app" / name).write_text(text)
    return replace(made, network="own", **fields)  # type: ignore[arg-type]


async def begun(backend: Backend, wanted: Spec, *texts: bytes) -> Running:
    """A job once it has printed this."""
    running = await start(backend, wanted)
    async with asyncio.timeout(LIMIT):
        for text in texts:
            await printed(wanted, text)
    return running


async def said(backend: Backend, wanted: Spec) -> list[str]:
    """What a job prints until its end, after which nothing is left of it."""
    running = await start(backend, wanted)
    async with asyncio.timeout(LIMIT):
        assert await running.wait() == 0, wanted.stderr.read_text()
    await ended(running, wanted)
    return wanted.stdout.read_text().splitlines()


async def ended(running: Running, wanted: Spec) -> None:
    await running.cleanup()
    async with asyncio.timeout(LIMIT):
        while left(wanted):
            await asyncio.sleep(0.01)


def left(wanted: Spec) -> list[psutil.Process]:
    """The processes that stand around a job, and those of pasta that were started for it and live."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            about = " ".join(process.cmdline())
            if str(wanted.dir) in about and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found + carriers(wanted)


def carriers(wanted: Spec) -> list[psutil.Process]:
    """The process of pasta that was written down last, if it lives."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        pid, _ = (wanted.dir / "pasta").read_text().split()  # Nothing: it has not begun.
        process = psutil.Process(int(pid))
        if process.status() != psutil.STATUS_ZOMBIE:
            return [process]
    return []


@contextlib.contextmanager
def listener(address: str = "0.0.0.0") -> Iterator[int]:
    """The port of somebody who listens on this machine, and greets."""
    with socket.create_server((address, 0)) as server:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as client:
                        client.sendall(b"host")

        threading.Thread(target=greet, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def addresses() -> list[str]:
    """Those of this machine, of IPv4."""
    cards = psutil.net_if_addrs().values()
    return [found.address for all in cards for found in all if found.family == socket.AF_INET]


async def does_not_reach_its_host(backend: Backend, dir: Path) -> None:
    with listener() as port:
        found = addresses()  # Engines of other tests make networks and remove them.
        places = [f"{address}:{port}" for address in found]
        lines = await said(backend, told(dir, f"exec python3 look.py {' '.join(places)}"))
        assert lines == [f"{address} no" for address in found]
        (dir / "job" / "stdout").unlink()
        plain = replace(told(dir, f"exec python3 look.py {' '.join(places)}"), network="host")
        lines, still = await said(backend, plain), addresses()
        assert [line for line in lines if line.split()[0] in still] == [
            f"{address} host" for address in found if address in still
        ]


async def reaches_the_world_and_nothing_that_is_refused(backend: Backend, dir: Path) -> None:
    with world() as out, listener() as port:
        look = f"exec python3 look.py {out.far}:80 {out.host}:{port} {out.metadata}:80"
        assert await said(backend, replace(told(dir, look), network="host")) == [
            f"{out.far} world", f"{out.host} host", f"{out.metadata} world",
        ]  # fmt: skip
        (dir / "job" / "stdout").unlink()
        assert await said(backend, told(dir, look)) == [
            f"{out.far} world", f"{out.host} no", f"{out.metadata} no",
        ]  # fmt: skip
        (dir / "job" / "stdout").unlink()
        net = out.far.rpartition(".")[0] + ".0/24"
        assert (await said(backend, told(dir, look, refused=(net,))))[0] == f"{out.far} no"


async def cannot_be_changed_from_within(backend: Backend, dir: Path) -> None:
    """It has no capability in its network: it can neither drop the rules nor make a raw socket."""
    command = (
        "ip rule del priority 100 2>/dev/null && echo dropped; ip addr add 10.9.9.9/32 dev lo 2>/dev/null && echo new; "
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW); print(\"raw\")' 2>/dev/null; "
        "cut -s -d: -f1 /proc/net/dev | tr -d ' '"
    )
    assert sorted(await said(backend, told(dir, command))) == ["eth0", "lo"]


async def lets_its_port_be_reached_and_no_other(backend: Backend, dir: Path) -> None:
    port, other = free_port(), free_port()
    command = f"PORT={other} python3 server.py & exec python3 http_app.py"
    wanted = told(dir, command, port=port)
    running = await begun(backend, replace(wanted, env={"PORT": str(port)}), b"serves", b"serving")
    try:
        async with asyncio.timeout(LIMIT):
            while not listening(await running.pid(), port):
                await asyncio.sleep(0.01)
        assert not listening(os.getpid(), other)
        for address in addresses():
            try:
                assert (await _answer(address, port)).endswith(b"x" * 3_000_000), address
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(address, other)
            except (OSError, AssertionError):
                if address in addresses():  # Engines of other tests remove their networks at any moment.
                    raise
    finally:
        await running.kill()
        assert await running.wait() == 137
        await ended(running, wanted)


async def _answer(address: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(LIMIT):
            return await reader.read()
    finally:
        writer.close()


async def tells_its_end(backend: Backend, dir: Path) -> None:
    for command, code in (("exit 3", 3), ("kill -TERM $$", 143), ("cat; exit 4", 4)):
        wanted = told(dir, command)
        running = await start(backend, wanted)
        async with asyncio.timeout(LIMIT):
            assert await running.wait() == code
        await ended(running, wanted)


async def reads_what_is_its_own(backend: Backend, dir: Path) -> None:
    wanted = told(dir, "cat", stdin=True)
    running = await start(backend, wanted)
    os.write(running.stdin, b"words")
    os.close(running.stdin)
    async with asyncio.timeout(LIMIT):
        assert await running.wait() == 0
    assert wanted.stdout.read_text() == "words"
    await ended(running, wanted)


Part = Callable[[Backend, Path], Awaitable[None]]

PARTS: list[Part] = [
    does_not_reach_its_host, cannot_be_changed_from_within, lets_its_port_be_reached_and_no_other, tells_its_end,
    reads_what_is_its_own, *([] if os.geteuid() else [reaches_the_world_and_nothing_that_is_refused]),
]  # fmt: skip
"""Only root can make a world."""
