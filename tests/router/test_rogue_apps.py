"""Apps are not trusted: what is no answer becomes a 502 or a broken connection, and the next request gets its own."""

import asyncio

import pytest

from tests.router.rig import PATIENCE, Call, Talk, body_of, open_rig, until
from tests.router.rogue import ALL, BROKEN, FINE, Rogue
from tests.router.strict import Message, read_response


def ask(method: bytes, path: bytes) -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: app.test\r\n\r\n" % (method, path)


async def hear(talk: Talk, method: bytes, seen: asyncio.Event) -> Message | None:
    """The final answer, or None when the connection broke before its end. Malformed: it is no answer at all."""
    stream, ended = b"", False
    while True:
        while found := read_response(stream, method, ended):
            message, size = found
            stream = stream[size:]
            if not message.start[0].startswith(b"1"):
                assert stream == b"", "there is more than one answer"
                return message
        if ended:
            return None
        try:
            data = await talk.reader.read(65536)
        except ConnectionResetError:
            return None
        stream, ended = stream + data, not data
        if b"\r\n\r\n" in stream:
            seen.set()


def test_each_case_has_its_name() -> None:
    assert len({case.name for case in ALL}) == len(ALL) > 150


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
async def test_no_answer_passes_for_another(case: Rogue) -> None:
    seen = asyncio.Event()

    async def answer(call: Call) -> bytes | None:
        if b" /first " not in call.head:
            return body_of(call.head.split(b" ")[1])
        call.writer.write(case.data)
        if case.then:
            await seen.wait()
            call.writer.write(case.then)
        return None if case.closes else b""

    async with open_rig() as rig, asyncio.timeout(PATIENCE):
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(ask(case.method, b"/first"))
        first = await hear(talk, case.method, seen)
        check(case, first)
        if first is None or b"close" in first.tokens(b"connection"):
            assert first is None or await talk.rest() == b""
            talk = await rig.talk()
        for path in (b"/second", b"/third"):
            await talk.send(ask(b"GET", path))
            reply = await hear(talk, b"GET", seen)
            assert reply is not None
            assert (reply.start[0], reply.data) == (b"200", path)
        await until(lambda: rig.counts.in_flight == 0)
        assert [call.head.split(b" ")[1] for call in app.calls] == [b"/first", b"/second", b"/third"]


def check(case: Rogue, first: Message | None) -> None:
    if case.gives == BROKEN:
        assert first is None
        return
    assert first is not None
    assert b"evil" not in first.raw
    for name in (b"keep-alive", b"upgrade", b"proxy-connection"):
        assert first.values(name) == []
    if case.gives == FINE:
        assert first.values(b"x-flynn-error") == []
    else:
        assert first.start[0] == b"502"
        assert first.values(b"x-flynn-error")[0] in (b"H13", b"H17")
