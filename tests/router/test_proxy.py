"""What a request meets on its way through, on real sockets."""

import asyncio

from flynn.router.target import IDLE_TIMEOUT
from tests.router.rig import GET, OK, Call, always, body_of, open_rig, until

POST = b"POST /p HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello"


async def echo(call: Call) -> bytes:
    return body_of(call.head.split(b"\r\n")[0] + b"|" + call.body)


async def test_connections_are_kept_on_both_sides() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        for _ in range(5):
            reply = await talk.ask()
            assert (reply.status, reply.body) == (200, b"ok")
            assert reply.value("Connection") is None
        assert app.conns == 1
        (target,) = rig.registry.services["app-web"].targets
        assert (target.opened, target.reused, target.answers[2], target.in_flight) == (1, 4, 5, 0)
        assert (rig.counts.answers(), rig.counts.in_flight) == ({"2xx": 5}, 0)


async def test_a_warm_connection_without_requests_is_closed_in_time() -> None:
    async with open_rig() as rig:
        app, other = await rig.app(always(OK)), await rig.app(always(OK))
        rig.show(app.address)
        for round in (1, 2):
            await rig.ask()
            rig.registry.tick(rig.proxy.clock() + IDLE_TIMEOUT - 1)
            assert (app.open, app.conns) == (1, round)
            rig.registry.tick(rig.proxy.clock() + IDLE_TIMEOUT + 1)
            await until(lambda: not app.open)
        rig.show(other.address)
        await rig.ask()
        rig.registry.close_idle()
        await until(lambda: not other.open)


async def test_bodies_pass_as_they_came() -> None:
    async with open_rig() as rig:
        app = await rig.app(echo)
        rig.show(app.address)
        talk = await rig.talk()
        assert (await talk.ask(POST)).body == b"POST /p HTTP/1.1|hello"
        chunked = b"3;x=y\r\nabc\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
        await talk.send(b"PUT /c?q=%2f//..|{} HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: Chunked\r\n\r\n")
        for byte in chunked:
            await talk.send(bytes([byte]))
        assert (await talk.reply()).body == b"PUT /c?q=%2f//..|{} HTTP/1.1|" + chunked
        assert (await talk.ask()).body == b"GET / HTTP/1.1|"
        assert app.conns == 1


async def test_a_chunked_answer_passes_as_it_came_and_is_unpacked_for_http_1_0() -> None:
    body = b"5\r\nhello\r\n1;a\r\n!\r\n0\r\n\r\n"
    async with open_rig() as rig:
        app = await rig.app(always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body))
        rig.show(app.address)
        talk = await rig.talk()
        for _ in range(2):
            assert (await talk.ask()).body == body
        old = await rig.talk()
        await old.send(b"GET / HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n")
        reply = await old.reply()
        assert reply.body == b"hello!"
        assert reply.value("Transfer-Encoding") is None
        assert reply.value("Connection") == "close"
        assert app.conns == 1


async def test_http_1_0_is_kept_only_when_asked_for() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        reply = await talk.ask(b"GET / HTTP/1.0\r\nHost: app.test\r\nConnection: Keep-Alive\r\n\r\n")
        assert reply.value("Connection") == "keep-alive"
        reply = await talk.ask(b"GET / HTTP/1.0\r\nHost: app.test\r\n\r\n")
        assert reply.value("Connection") == "close"
        assert await talk.rest() == b""
        assert app.calls[0].head.startswith(b"GET / HTTP/1.1\r\n")


async def test_answers_without_a_body() -> None:
    heads = {
        b"/head": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
        b"/204": b"HTTP/1.1 204 No Content\r\n\r\n",
        b"/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    }

    async def answer(call: Call) -> bytes:
        return heads[call.head.split(b" ")[1]]

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        for path, status in ((b"/head", 200), (b"/204", 204), (b"/304", 304)):
            await talk.send((b"HEAD %b" if path == b"/head" else b"GET %b") % path + GET[5:])
            assert (await talk.reply(bodiless=True)).status == status
        assert app.conns == 1


async def test_a_body_that_ends_with_the_connection() -> None:
    async def answer(call: Call) -> bytes | None:
        call.writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        return None

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        reply = await talk.ask()
        assert (reply.status, reply.body, reply.value("Connection")) == (200, b"all of it", "close")


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with open_rig() as rig:
        app = await rig.app(echo)
        rig.show(app.address)
        talk = await rig.talk()
        requests = [b"GET /%d HTTP/1.1\r\nHost: app.test\r\n\r\n" % n for n in range(20)]
        requests[5] = POST
        requests[7] = b"GET /7 HTTP/1.1\r\nHost: unknown.test\r\n\r\n"
        await talk.send(b"".join(requests))
        replies = [await talk.reply() for _ in requests]
        assert [r.status for r in replies] == [200] * 7 + [404] + [200] * 12
        assert replies[5].body.endswith(b"hello")
        assert [r.body.split(b" ")[1] for r in replies[8:]] == [b"/%d" % n for n in range(8, 20)]


async def test_many_pipelined_requests_of_no_route_do_not_recurse() -> None:
    async with open_rig() as rig:
        talk = await rig.talk()
        await talk.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        for _ in range(2000):
            assert (await talk.reply(bodiless=True)).status == 404


async def test_a_bad_request_after_good_ones_is_refused_in_its_turn() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET + GET + b"GET / HTTP/1.1\r\nHost : app.test\r\n\r\n" + GET * 17)
        assert [(await talk.reply()).status for _ in range(3)] == [200, 200, 400]
        assert await talk.rest() == b""
        assert len(app.calls) == 2


async def test_interim_answers_are_relayed() -> None:
    async def answer(call: Call) -> bytes:
        call.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 50)
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(GET)
        statuses = [(await talk.reply()).status]
        while statuses[-1] != 200:
            statuses.append((await talk.reply()).status)
        assert statuses == [103] * 16 + [200]


async def test_continue_goes_from_end_to_end() -> None:
    async def answer(call: Call) -> bytes:
        call.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return body_of(await call.reader.readexactly(5))

    async with open_rig() as rig:
        app = await rig.app(answer, whole=False)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(POST[:-9] + b"\r\nExpect: 100-continue\r\n\r\n")
        assert (await talk.reply()).status == 100
        assert app.calls[0].values("Expect") == ["100-continue"]
        await talk.send(b"hello")
        assert (await talk.reply()).body == b"hello"


async def test_an_early_answer_ends_the_upload() -> None:
    async def answer(call: Call) -> bytes | None:
        call.writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await call.reader.read()
        return None

    async with open_rig() as rig:
        app = await rig.app(answer, whole=False)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\nxxx")
        reply = await talk.reply()
        assert (reply.status, reply.body, reply.value("Connection")) == (413, b"no", "close")
        await talk.send(b"x" * 100_000)
        assert await talk.rest() == b""
        await until(lambda: app.open == 0)


async def test_hosts_and_paths_decide() -> None:
    async with open_rig() as rig:
        app = await rig.app(echo)
        rig.show(app.address)
        assert (await rig.ask(GET.replace(b"app.test", b"APP.test.:80"))).status == 200
        reply = await rig.ask(GET.replace(b"app.test", b"other.test"))
        assert (reply.status, reply.value("X-Flynn-Error")) == (404, "no-route")
        whole = await rig.ask(b"GET http://app.test/a?b HTTP/1.1\r\nHost: other.test\r\n\r\n")
        assert whole.body == b"GET /a?b HTTP/1.1|"
        assert app.calls[-1].values("Host") == ["app.test"]
        rig.show(app.address, draining=[app.address])
        reply = await rig.ask()
        assert (reply.status, reply.value("X-Flynn-Error")) == (503, "H14")
        assert reply.value("Retry-After") == "1"


async def test_a_slow_app_does_not_hold_up_others() -> None:
    async def answer(call: Call) -> bytes:
        if b"/slow" in call.head:
            await asyncio.sleep(60)
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        slow = await rig.talk()
        await slow.send(GET.replace(b"/ ", b"/slow "))
        await until(lambda: app.calls)
        assert (await rig.ask()).status == 200
