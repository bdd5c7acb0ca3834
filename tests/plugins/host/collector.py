"""Real servers that take lines: syslog over TCP or TLS, and HTTP. They may be slow, close in the middle, or be away."""

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509

from tests.certificate import make_certificate
from tests.ports import free_port


class Collector:
    """`texts`: the lines that came, as they came. `close_after`: bytes of a connection after which it is closed.
    `stuck`: nothing is read from one."""

    def __init__(self) -> None:
        self.port = free_port()
        self.messages: list[str] = []
        self.connections = 0
        self.close_after = 0
        self.pause = 0.0
        self.stuck = False
        self.answers: list[int] = []
        self.requests: list[web.BaseRequest] = []
        self.came = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [message.split(" - ", 1)[1] for message in self.messages]

    async def until(self, count: int) -> None:
        """Until so many lines have come, among them perhaps some twice."""
        async with asyncio.timeout(20):
            while len(self.messages) < count:
                self.came.clear()
                await self.came.wait()

    @asynccontextmanager
    async def syslog(self, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
        """Answer for the length of a block. What is open at its end is cut."""
        open: set[asyncio.StreamWriter] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            open.add(writer)
            self.connections += 1
            try:
                await self._take(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.transport.abort()
                open.discard(writer)

        server = await asyncio.start_server(serve, "127.0.0.1", self.port, ssl=context)
        try:
            yield
        finally:
            self.stuck = False
            server.close()
            for writer in list(open):
                writer.transport.abort()
            while open:
                await asyncio.sleep(0.005)

    async def _take(self, reader: asyncio.StreamReader) -> None:
        size = 0
        while self.stuck:
            await asyncio.sleep(0.01)
        while not self.close_after or size < self.close_after:
            length = int(await reader.readuntil(b" "))
            self.messages.append((await reader.readexactly(length)).decode("utf-8", "replace"))
            self.came.set()
            size += length
            if self.pause:
                await asyncio.sleep(self.pause)
        self.close_after = 0

    @asynccontextmanager
    async def http(self) -> AsyncIterator[None]:
        """The same by HTTP: each answer is the next of `answers`, then 200."""

        async def take(request: web.BaseRequest) -> web.Response:
            self.requests.append(request)
            body = await request.read()
            await asyncio.sleep(self.pause)
            status = self.answers.pop(0) if self.answers else 200
            if status == 200:
                self.messages += [f"- - {json.loads(line)['line']}" for line in body.splitlines()]
            self.came.set()
            return web.Response(status=status, text="no" if status != 200 else "")

        runner = web.ServerRunner(web.Server(take))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()


def certificate(dir: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that signs itself, and what a server does with it."""
    found = make_certificate(dir / "cert.pem", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found)
    return found, context
