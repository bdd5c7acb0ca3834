"""However the bytes of a conversation are cut on their way, both sides are sent the same.

The protocols are driven with transports that only take notes: no socket, no time.
"""

import asyncio
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.model import Instance, Route
from flynn.router.backend import Backend
from flynn.router.client import Client
from flynn.router.proxy import Limits, Proxy
from flynn.router.registry import Registry
from tests.router.test_body import PLACES, cut


class Notes(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        self.sent += bytes(data)

    def close(self) -> None:
        self.ended = self.ended or "close"

    def abort(self) -> None:
        self.ended = self.ended or "abort"

    def write_eof(self) -> None:
        self.ended = self.ended or "eof"

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.ended in ("close", "abort")

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Stage:
    """One client, and one warm connection to the one instance there is."""

    def __init__(self) -> None:
        registry = Registry()
        self.proxy = Proxy(registry, Limits())
        self.proxy.bits = lambda count: 7
        self.proxy.next_id = lambda: b"7"
        self.proxy.now_ms = lambda: 1000.0
        self.proxy.clock = lambda: 0.0
        records = {
            keys.route("r"): Route(id="r", domain="app.test", service="s"),
            keys.instance("s", "i"): Instance(id="i", service="s", address="127.0.0.1:1", host="h"),
        }
        registry.swap(Facts.of(records), 0.0)
        self.client = Client(self.proxy)
        self.near, self.far = Notes(), Notes()
        self.client.connection_made(self.near)
        (target,) = registry.services["s"].targets
        self.backend = Backend(target, cast(Client, None))
        self.backend.client = None
        self.backend.transport = cast(asyncio.Transport, self.far)
        target.give_back(self.backend, self.proxy.clock())


PAIRS = [
    (b"GET /1 HTTP/1.1\r\nHost: app.test\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    (
        b"POST /2 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 7\r\n\r\nGET / H",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ),
    (
        b"PUT /3 HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
    ),
    (b"HEAD /4 HTTP/1.1\r\nHost: app.test\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    (b"GET /5 HTTP/1.1\r\nHost: nowhere\r\n\r\n", b""),
]
ENDS = {b"/1": b"\r\n\r\n", b"/2": b"GET / H", b"/3": b"T: 1\r\n\r\n", b"/4": b"\r\n\r\n"}


def talk(chosen: list[int], asked: list[int], answered: list[int]) -> tuple[bytes, bytes, str]:
    """Send the chosen requests, cut; answer each with its response, cut, once it is there to its last byte."""
    stage = Stage()
    requests = b"".join(PAIRS[n][0] for n in chosen)
    pieces = cut(requests, asked)
    waiting = [n for n in chosen if PAIRS[n][1]]
    seen = rounds = 0
    while pieces or waiting:
        if pieces:
            stage.client.data_received(pieces.pop(0))
        arrived = stage.far.sent[seen:]
        while waiting and stage.backend.client is not None and arrived.endswith(ENDS[b"/%d" % (waiting[0] + 1)]):
            if not stage.client.done:
                break
            seen = len(stage.far.sent)
            for piece in cut(PAIRS[waiting.pop(0)][1], answered):
                stage.backend.data_received(piece)
            arrived = stage.far.sent[seen:]
        rounds += 1
        assert rounds < 10_000, "the conversation does not come to its end"
    return stage.near.sent, stage.far.sent, stage.near.ended


async def test_the_stage_itself() -> None:
    near, far, ended = talk([0, 4, 1], [], [])
    assert (near.count(b"HTTP/1.1 "), far.count(b"app.test\r\n"), ended) == (4, 4, "")


@settings(max_examples=150)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), PLACES, PLACES)
def test_cuts_change_nothing(chosen: list[int], asked: list[int], answered: list[int]) -> None:
    async def both() -> None:
        assert talk(chosen, asked, answered) == talk(chosen, [], [])

    asyncio.run(both())
