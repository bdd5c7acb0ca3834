"""Cutting a stream anywhere changes nothing: apps get the same requests, and clients the same bytes.

The whole router runs, on wires in memory. The conversations are generated: see scripts.py.
"""

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.router.scripts import Exchange, exchanges
from tests.router.strict import Malformed, Message, read_request
from tests.router.test_body import PLACES, cut
from tests.router.wires import Desk, Wire, Wires

VOLATILE = re.compile(rb"(?<=X-Request-Id: )[0-9a-f]{32}|(?<=request )[0-9a-f]{32}")
ROUNDS = 20_000

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
"""Generated cases of each property: few here, many by `make fuzz`."""


@dataclass
class Heard:
    """What came out of it: at the client, and at the app."""

    answers: bytes
    ended: str
    requests: list[Message]
    broken: bool = False
    """Whether the app got something that is no request."""
    talked_over: bool = False
    """Whether the app still said more than its answer when the next request was there: that ends any understanding."""
    rest: list[bytes] = field(default_factory=list)
    """What the app got of requests that did not come to their end."""


@dataclass(eq=False)
class AtApp:
    """The app's end of one connection."""

    wire: Wire
    seen: int = 0
    saying: list[bytes | None] = field(default_factory=list)

    def hear(self) -> Message | None:
        """The next request, once it is complete. Malformed."""
        found = None if self.saying or self.wire.is_closing() else read_request(self.wire.sent[self.seen :])
        if found is None:
            return None
        message, size = found
        self.seen += size
        return message


Places = tuple[list[int], list[int], list[bool]]
"""Where the client's stream, and each answer, are cut; and which writes are more than the peers take at once."""

UNCUT: Places = ([], [], [])


async def converse(stream: bytes, answers: dict[bytes, tuple[bytes, bool]], places: Places) -> Heard:
    """Let one client send `stream` as fast as it is taken, and one app answer by the path asked for."""
    asked, answered, choked = places
    desk, requests = Desk(), list[Message]()
    desk.near.chokes = _repeated(choked)
    pieces, apps = cut(stream, asked), list[AtApp]()
    heard = Heard(b"", "", requests)
    for _ in range(ROUNDS):
        if pieces:
            desk.near.deliver(pieces.pop(0))
        await desk.settle()
        for wire in desk.far[len(apps) :]:
            wire.chokes = _repeated(choked[::-1])
            apps.append(AtApp(wire))
        going = bool(pieces)
        for app in apps:
            going |= _work(app, answers, answered, heard)
        await desk.settle()
        if not going:
            break
    else:
        raise AssertionError("the conversation does not come to its end")
    heard.rest = [app.wire.sent[app.seen :] for app in apps]
    heard.answers = VOLATILE.sub(b"0" * 32, desk.near.sent)
    heard.ended = "open" if not desk.near.ended else "abort" if desk.near.ended == "abort" else "end"
    desk.near.abort()
    await desk.settle()
    return heard


def _work(app: AtApp, answers: dict[bytes, tuple[bytes, bool]], answered: list[int], heard: Heard) -> bool:
    """One step of the app: take a request, or say a piece of the answer. Whether there was anything to do."""
    if app.saying:
        heard.talked_over |= len(app.wire.sent) > app.seen
        app.wire.deliver(app.saying.pop(0))
        return True
    try:
        message = app.hear()
    except Malformed:
        heard.broken = True
        app.wire.deliver(None)
        return False
    if message is None:
        return False
    heard.requests.append(_plain(message))
    found = re.match(rb"/[0-9]+", message.start[1])
    answer, closes = answers.get(found[0] if found else b"", (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", False))
    app.saying = [*cut(answer, answered), *([None] if closes else [])]
    return True


def _plain(message: Message) -> Message:
    """A request without what differs from one try to the next."""
    fields = tuple((n, b"" if n in (b"x-request-id", b"x-request-start") else v) for n, v in message.fields)
    return Message(message.start, fields, message.raw, message.data, message.trailer, message.framing)


def _repeated(choked: list[bool]) -> Iterator[bool]:
    return islice(cycle(choked), 10_000) if choked else iter(())


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

PLACE = st.tuples(PLACES, PLACES, st.lists(st.booleans(), max_size=4))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=Wires) as runner:
        yield runner


def script(asked: list[Exchange]) -> tuple[bytes, dict[bytes, tuple[bytes, bool]]]:
    return (
        b"".join(e.request for e in asked),
        {b"/%d" % n: (e.response, e.closes) for n, e in enumerate(asked)},
    )


@settings(max_examples=EXAMPLES)
@given(exchanges(), PLACE)
def test_cuts_change_nothing_on_either_side(runner: asyncio.Runner, asked: list[Exchange], places: Places) -> None:
    stream, answers = script(asked)
    whole = runner.run(converse(stream, answers, UNCUT))
    assert not whole.broken
    assert set(whole.rest) <= {b""}
    assert runner.run(converse(stream, answers, places)) == whole


@settings(max_examples=EXAMPLES // 10)
@given(exchanges())
def test_one_byte_at_a_time(runner: asyncio.Runner, asked: list[Exchange]) -> None:
    stream, answers = script(asked)
    everywhere: Places = (list(range(10_000)), list(range(10_000)), [])
    assert runner.run(converse(stream, answers, everywhere)) == runner.run(converse(stream, answers, UNCUT))


EDITS = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.integers(0, 2),
        st.sampled_from(
            [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b":", b";", b",", b"0", b"f", b"\x80", b"\x0b", b"H"]
        ),
    ),
    min_size=1,
    max_size=3,
)
"""Places where a stream is spoilt: how many bytes are taken out, and what is put there."""


def spoilt(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for place, out, put in edits:
        at = place % (len(data) + 1)
        data = data[:at] + put + data[at + out :]
    return data


NO_ROUTE = b"X-Flynn-Error: no-route\r\n"


def statuses(answers: bytes) -> list[bytes]:
    """The status of each answer, in order (no generated body has a status line in it)."""
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)


@settings(max_examples=EXAMPLES)
@given(exchanges(), EDITS, PLACE)
def test_cuts_do_not_change_what_is_understood_of_a_spoilt_stream(
    runner: asyncio.Runner, asked: list[Exchange], edits: list[tuple[int, int, bytes]], places: Places
) -> None:
    stream, answers = script(asked)
    stream = spoilt(stream, edits)
    whole = runner.run(converse(stream, answers, UNCUT))
    pieces = runner.run(converse(stream, answers, places))
    assert not whole.broken
    assert not pieces.broken
    if NO_ROUTE in whole.answers:
        return  # The host was spoilt. Whether the connection outlives that answer hangs on what of a body has come.
    assert pieces.requests == whole.requests
    assert statuses(pieces.answers) == statuses(whole.answers)
    assert pieces.ended == whole.ended


@settings(max_examples=EXAMPLES)
@given(exchanges(), EDITS, PLACE)
def test_a_spoilt_answer_is_relayed_whole_or_refused_or_broken_off(
    runner: asyncio.Runner, asked: list[Exchange], edits: list[tuple[int, int, bytes]], places: Places
) -> None:
    """Where it is cut decides only whether a 502 is still possible; the next answer is never touched."""
    stream = asked[0].request + b"GET /1 HTTP/1.1\r\nHost: app.test\r\n\r\n"
    answers = {b"/0": (spoilt(asked[0].response, edits), True), b"/1": (GOOD, False)}
    heard = [runner.run(converse(stream, answers, cuts)) for cuts in (UNCUT, places)]
    assert not any(h.broken for h in heard)
    if any(h.talked_over for h in heard) or "abort" in (heard[0].ended, heard[1].ended):
        return
    assert heard[0].answers == heard[1].answers
    if len(heard[0].requests) == 2:
        assert heard[0].answers.endswith(GOOD)
