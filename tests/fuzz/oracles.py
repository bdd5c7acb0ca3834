"""What must hold of any bytes: AssertionError if it does not. The router runs whole, on wires in memory.

The judges share no code with it: the strict reader of tests/router/strict.py, and h11.
"""

import re
import time

import h11

from flynn.router.body import BadBody, Chunks
from flynn.router.fields import CHUNKED, Refusal
from flynn.router.head import Request, Response, parse_request, parse_response
from flynn.router.plain import LIMIT, plain_request, plain_response
from tests.router.strict import Fields, Malformed, Message, read_request, read_response
from tests.router.test_body import cut
from tests.router.test_split import UNCUT, Places, converse, statuses
from tests.router.wires import Desk

OURS = re.compile(
    rb"connection|keep-alive|te|upgrade|proxy-(connection|authenticate|authorization)"
    rb"|forwarded|x-forwarded-(for|proto|port|host)|x-request-(id|start)"
)
"""Fields that concern one hop, or that only the router may tell: never passed on as they came."""

TOLD = [
    *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto"),
    *(b"x-request-id", b"x-request-start"),
]
REFUSALS = (b"400", b"405", b"414", b"417", b"431", b"505")
"""Of two faults in one head, the one that is met first counts: that may depend on what of it has come."""

FRAMING = (b"content-length", b"transfer-encoding")
LOOKALIKE = re.compile(rb"(?i)(?<=\n)(content_length|transfer_encoding):[^\r]*\r\n")

SLOW = 0.05
"""Seconds of CPU that reading a head of 64 KiB may take."""


def judge_head(head: bytes) -> None:
    """A request's head, to the CR LF of its last field: it is refused, or all readers see the same in it."""
    begun = time.process_time()
    found = parse_request(head)
    taken = time.process_time() - begun
    assert taken < SLOW or _least(head) < SLOW
    assert len(head) > LIMIT or plain_request(head, len(head)) in (None, found), "longer ones are not given to it"
    if isinstance(found, Refusal):
        assert b"%d" % found.status in REFUSALS
        assert re.fullmatch(r"[ -~]+", found.reason)
        return
    assert isinstance(found, Request)
    message = _read(head)
    target, host = _place(message)
    assert (found.method, found.target, found.host) == (message.start[0], target, host)
    assert (found.length == CHUNKED) == (message.framing == "chunked")
    assert message.framing == "chunked" or found.length == int((message.values(b"content-length") or [b"0"])[0])
    assert found.minor == (message.minor == 1)
    assert len(message.fields) <= 100
    _judge_by_h11(head, message)


def _least(head: bytes) -> float:
    """The least CPU time of three more tries: the first may have met the garbage collector."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        parse_request(head + b"X: 1\r\n")
        times.append(time.process_time() - begun)
    return min(times)


def _read(head: bytes) -> Message:
    """The head as the strict reader sees it, its body made up. What looks like a length to CGI alone is none here."""
    head = LOOKALIKE.sub(b"", head)
    for body in (b"", b"0\r\n\r\n"):
        found = read_request(head + b"\r\n" + body)
        if found is not None:
            return found[0]
    length = re.search(rb"(?im)^content-length:[ \t]*([0-9]+)", head)
    assert length
    # The body is not made: only the head is of interest here.
    short = head[: length.start(1)] + b"0" + head[length.end(1) :]
    whole = read_request(short + b"\r\n")
    assert whole
    fields = tuple((n, length[1] if n == b"content-length" else v) for n, v in whole[0].fields)
    return Message(whole[0].start, fields, framing="counted", minor=whole[0].minor)


def _place(message: Message) -> tuple[bytes, bytes]:
    """Target and host, as RFC 9112 section 3.2 has them."""
    target, hosts = message.start[1], message.values(b"host")
    url = re.fullmatch(rb"(?i:https?)://([^/?]+)(.*)", target)
    if not url:
        return target, hosts[0] if hosts else b""
    return (url[2] if url[2].startswith(b"/") else b"/" + url[2]), url[1]


def _judge_by_h11(head: bytes, message: Message) -> None:
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    reader.receive_data(head + b"\r\n")
    event = reader.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == message.start
    theirs = {name: value for name, value in event.headers if name in FRAMING}
    assert theirs.keys() == {name for name, _ in message.fields if name in FRAMING}


async def judge_passing(head: bytes) -> None:
    """The same head, sent: refused with one answer, or passed on with nothing of one hop in it."""
    desk = Desk()
    desk.near.deliver(head + b"\r\n")
    await desk.settle()
    found = parse_request(head)
    if isinstance(found, Refusal):
        assert desk.far == []
        answer = read_response(desk.near.sent)
        assert answer
        assert answer[1] == len(desk.near.sent)
    elif desk.far:
        sent = desk.far[0].sent
        body = b"0\r\n\r\n" if found.length == CHUNKED else b"x" * found.length if found.length < 10_000 else None
        if body is not None:
            passed = read_request(sent + body)
            assert passed
            assert passed[1] == len(sent + body)
            _judge_passed(passed[0], _read(head), bool(found.upgrade))
    desk.near.abort()
    await desk.settle()


def _judge_passed(passed: Message, was: Message, upgrade: bool) -> None:
    target, host = _place(was)
    assert passed.start == (was.start[0], target)
    assert passed.values(b"host") == [host]
    names = sorted(name for name, _ in passed.fields if OURS.fullmatch(name))
    assert names == sorted(TOLD + [b"connection", b"upgrade"] * upgrade)
    for name, value in (
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", host),
    ):
        assert passed.values(name) == [value]
    assert _others(passed.fields, set()) == _others(was.fields, was.tokens(b"connection"))


def _others(fields: Fields, listed: set[bytes]) -> list[tuple[bytes, bytes]]:
    """The fields that an app gets as they were sent, less those listed in Connection."""
    listed = listed - {b"host", b"content-length", b"transfer-encoding"}
    return [
        (name, value)
        for name, value in fields
        if name != b"host" and name not in listed and not OURS.fullmatch(name.replace(b"_", b"-"))
    ]


def judge_answer(head: bytes) -> None:
    """A response's head: never raises, and what is passed on of it is one."""
    found = parse_response(head)
    assert isinstance(found, Response | Refusal)
    assert len(head) > LIMIT or plain_response(head, len(head)) in (None, found)


def judge_chunks(data: bytes, places: list[int]) -> None:
    """A chunked body: where the router sees its end, the strict reader does, and finds the same data in it."""
    whole = _scan([data])
    assert _scan(cut(data, places)) == whole
    if isinstance(whole, tuple):
        found = read_request(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
        assert found
        assert (found[0].raw, found[0].data) == (data[: whole[0]], whole[1])


def _scan(pieces: list[bytes]) -> tuple[int, bytes] | str:
    scan, seen, taken = Chunks(decode=True), 0, b""
    try:
        for piece in pieces:
            end = scan.feed(piece)
            taken += scan.take()
            if end >= 0:
                return seen + end, taken
            seen += len(piece)
    except BadBody:
        return "bad"
    return "more"


async def judge_stream(stream: bytes, places: Places) -> None:
    """Whatever a client sends: the app gets good requests only, the same ones however it is cut."""
    whole, pieces = await converse(stream, {}, UNCUT), await converse(stream, {}, places)
    assert not whole.broken
    assert not pieces.broken
    said, said_whole = _said(pieces.answers), _said(whole.answers)
    if b"404" in said + said_whole:
        # The router's own answer does not wait for the body: what has come of it decides how it goes on.
        return
    assert said == said_whole
    assert pieces.requests == whole.requests
    assert pieces.ended == whole.ended


def _said(answers: bytes) -> list[bytes]:
    return [b"refused" if status in REFUSALS else status for status in statuses(answers)]


async def judge_talk(answer: bytes, method: bytes, places: Places) -> None:
    """Whatever an app answers: the client gets good answers only, the last one perhaps not to its end."""
    stream = b"%b /0 HTTP/1.1\r\nHost: app.test\r\n\r\n" % method
    for cuts in (UNCUT, places):
        heard = await converse(stream, {b"/0": (answer, True)}, cuts)
        said, final = heard.answers, list[bytes]()
        try:
            while said and (found := read_response(said, method, ended=heard.ended == "end")):
                said = said[found[1] :]
                final += [found[0].start[0]] * (found[0].start[0] >= b"200")
                assert not [n for n, _ in found[0].fields if n in (b"keep-alive", b"te", b"proxy-connection")]
        except Malformed as error:
            raise AssertionError(f"the client gets {heard.answers!r}") from error
        assert len(final) == 1 or heard.ended == "abort", heard
