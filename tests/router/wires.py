"""A router without sockets: connections are wires in memory, whose bytes a test delivers as it likes.

`Wires` is an event loop that hands out such wires to whoever connects; all else is the real thing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, cast

from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.model import Instance, Record, Route
from flynn.router.proxy import Limits, Proxy
from flynn.router.registry import Registry

TURNS = 8
"""Turns of the loop after which nothing goes on by itself any more."""


class Wire(asyncio.Transport):
    """The router's end of a connection, as `protocol` knows it; the test is the other end."""

    def __init__(self, protocol: asyncio.BaseProtocol, port: int) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000), "sockname": ("127.0.0.1", port)})
        self.protocol: Any = protocol
        self.sent = b""
        self.ended = ""
        """How the router ended it: eof, close or abort."""
        self.paused = False
        self.chokes: Iterator[bool] = iter(())
        """Of each further write: whether it is more than the peer takes at once."""
        self._choked = False
        self._coming: deque[bytes | None] = deque()
        self._lost = False
        protocol.connection_made(self)

    def deliver(self, data: bytes | None) -> None:
        """These bytes arrive, or the end (None); later, if the router does not read now."""
        self._coming.append(data)
        self._hand_over()

    def _hand_over(self) -> None:
        while self._coming and not self.paused and not self.is_closing():
            data = self._coming.popleft()
            if data is None:
                if not self.protocol.eof_received():
                    self.close()
            elif isinstance(self.protocol, asyncio.BufferedProtocol):
                self._fill(data)
            elif data:
                self.protocol.data_received(data)

    def _fill(self, data: bytes) -> None:
        protocol = cast(asyncio.BufferedProtocol, self.protocol)
        while data and not self.is_closing():
            buffer = memoryview(protocol.get_buffer(len(data))).cast("B")
            taken = min(len(buffer), len(data))
            buffer[:taken] = data[:taken]
            protocol.buffer_updated(taken)
            data = data[taken:]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.ended == "eof":
            raise RuntimeError("write after write_eof")
        if not self.ended:
            self.sent += bytes(data)
            if next(self.chokes, False) and not self._choked:
                self._choked = True
                self.protocol.pause_writing()
                asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, self._unchoke)

    def _unchoke(self) -> None:
        self._choked = False
        if not self._lost:
            self.protocol.resume_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = self.ended or "eof"

    def close(self) -> None:
        self._end("close")

    def abort(self) -> None:
        self._end("abort")

    def is_closing(self) -> bool:
        return self.ended in ("close", "abort")

    def _end(self, how: str) -> None:
        if self.ended in ("", "eof"):
            self.ended = how
        if not self._lost:
            self._lost = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        if self._coming:
            asyncio.get_running_loop().call_soon(self._hand_over)

    def is_reading(self) -> bool:
        return not self.paused

    def get_write_buffer_size(self) -> int:
        return 65536 if self._choked else 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast(asyncio.BaseProtocol, self.protocol)


class Wires(asyncio.SelectorEventLoop):
    """A loop on which every connection that is opened is a wire. `far` has those since the last `Desk`."""

    def __init__(self) -> None:
        super().__init__()
        self.far: list[Wire] = []

    async def create_connection(self, protocol_factory: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        wire = Wire(protocol_factory(), 80)
        self.far.append(wire)
        return wire, wire.protocol

    create_unix_connection = create_connection


class Desk:
    """A router with one client on the wire `near`, and the wires that it opens to the one instance of app.test."""

    def __init__(self) -> None:
        loop = cast(Wires, asyncio.get_running_loop())
        self.far: list[Wire] = []
        loop.far = self.far
        registry = Registry()
        self.proxy = Proxy(registry, Limits())
        records: dict[str, Record] = {
            keys.route("r"): Route(id="r", domain="app.test", service="s"),
            keys.instance("s", "i"): Instance(id="i", service="s", address="127.0.0.1:1", host="h"),
        }
        registry.swap(Facts.of(records), 0.0)
        self.near = Wire(self.proxy.client(), 8080)

    async def settle(self) -> None:
        """Let all that is under way come to its rest."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
