"""The data plane on a real socket, small real apps behind it, and a client that speaks bytes."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.model import Instance, Record, Route
from flynn.router.counts import Counts
from flynn.router.listen import listening, open_sockets
from flynn.router.proxy import Limits, Proxy
from flynn.router.registry import Registry
from flynn.router.upstream import Networks

PATIENCE = 10.0

GET = b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(eq=False)
class Call:
    """One request as an app got it. `conn` counts the app's connections from 1."""

    head: bytes
    body: bytes
    conn: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def values(self, name: str) -> list[str]:
        return re.findall(rf"(?im)^{name}:[ \t]*(.*?)\r$", self.head.decode("latin-1"))


Answer = Callable[[Call], Awaitable[bytes | None]]


@dataclass(eq=False)
class Served:
    """What serves at `address`, by `talk`; `conns` counts its connections, `open` those that are."""

    port: int = field(default=0, init=False)
    conns: int = field(default=0, init=False)
    open: int = field(default=0, init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end."""
        raise NotImplementedError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.conns += 1
        self.open += 1
        try:
            await self.talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()
            self.tasks.discard(task)


@dataclass(eq=False)
class App(Served):
    """An app: `answer` gives the bytes to send, or None to close. With `whole`, the body is read before it is asked."""

    answer: Answer
    whole: bool = True
    calls: list[Call] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.conns
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await read_body(head, reader) if self.whole else b""
            call = Call(head, body, number, reader, writer)
            self.calls.append(call)
            data = await self.answer(call)
            if data is None:
                return
            writer.write(data)
            await writer.drain()


def always(data: bytes | None) -> Answer:
    async def answer(call: Call) -> bytes | None:
        return data

    return answer


def body_of(text: bytes | str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)


async def read_body(head: bytes, reader: asyncio.StreamReader, to_end: bool = False) -> bytes:
    """The body as it came, with its chunked framing if it has one."""
    if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
        return await reader.readexactly(int(length[1]))
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        body = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            body += line
            if int(line.split(b";")[0], 16) == 0:
                while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                    body += line
                return body + line
            body += await reader.readexactly(int(line.split(b";")[0], 16) + 2)
    return await reader.read() if to_end else b""


@dataclass(frozen=True)
class Reply:
    status: int
    head: bytes
    body: bytes

    def value(self, name: str) -> str | None:
        found = re.search(rf"(?im)^{name}:[ \t]*(.*?)\r$", self.head.decode("latin-1"))
        return found[1] if found else None


@dataclass(eq=False)
class Talk:
    """A client's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, bodiless: bool = False) -> Reply:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            none = bodiless or status < 200 or status in (204, 304)
            return Reply(status, head, b"" if none else await read_body(head, self.reader, to_end=True))

    async def ask(self, data: bytes = GET) -> Reply:
        await self.send(data)
        return await self.reply()

    async def rest(self) -> bytes:
        """All until the router closes. ConnectionResetError: it broke the connection instead."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.writer.wait_closed()
        except ConnectionError:
            pass


@dataclass(eq=False)
class Rig:
    """A router, its apps, and what opens more of both."""

    proxy: Proxy
    registry: Registry
    port: int
    stack: AsyncExitStack
    routes: dict[str, Record] = field(default_factory=dict)
    revision: int = 0

    async def app(self, answer: Answer, *, whole: bool = True) -> App:
        app = App(answer, whole)
        server = await asyncio.start_server(app.serve, "127.0.0.1", 0, limit=2**20)
        app.port = server.sockets[0].getsockname()[1]

        async def stop() -> None:
            server.close()
            for task in tuple(app.tasks):
                task.cancel()
            await asyncio.gather(*app.tasks, return_exceptions=True)

        self.stack.push_async_callback(stop)
        return app

    async def talk(self) -> Talk:
        talk = Talk(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))
        self.stack.push_async_callback(talk.close)
        return talk

    async def ask(self, data: bytes = GET) -> Reply:
        """A request on a connection of its own."""
        talk = await self.talk()
        reply = await talk.ask(data)
        await talk.close()
        return reply

    @property
    def counts(self) -> Counts:
        """What was counted of the requests to app.test."""
        place = self.registry.table.find(b"app.test", b"/")
        assert place is not None
        return place.counts

    def show(self, *addresses: str, draining: Iterable[str] = (), socket: str = "", host: str = "h") -> None:
        """The instances of app-web, `i0` on, at these addresses, all with this UNIX socket on this machine."""
        records: dict[str, Record] = dict(self.routes)
        for number, address in enumerate(addresses):
            instance = Instance(
                id=f"i{number}",
                service="app-web",
                address=address,
                host=host,
                socket=socket,
                draining=address in draining,
            )
            records[keys.instance("app-web", f"i{number}")] = instance
        self.revision += 1
        self.registry.swap(Facts.of(records, self.revision), self.proxy.clock())


@asynccontextmanager
async def open_rig(trusted: Networks = (), **limits: float) -> AsyncIterator[Rig]:
    """A router on a free port that knows the host app.test."""
    registry = Registry(host="h")
    proxy = Proxy(registry, Limits(**{"sweep": 0.05} | limits), trusted)  # type: ignore[arg-type]
    sockets = open_sockets("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(proxy.client, sockets))
        sweep = asyncio.create_task(proxy.sweep())
        stack.callback(sweep.cancel)
        rig = Rig(proxy, registry, port, stack)
        rig.routes[keys.route("r")] = Route(id="r", domain="app.test", service="app-web")
        rig.show()
        stack.push_async_callback(proxy.drain, 0)
        async with AsyncExitStack() as inner:
            rig.stack = inner
            yield rig
    await until(lambda: not proxy.clients)


async def until(true: Callable[[], object]) -> None:
    """Wait until the condition holds. TimeoutError after PATIENCE."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)
