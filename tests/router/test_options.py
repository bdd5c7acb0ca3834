"""What a route may ask for: maintenance, limits, turns, sticky clients, the leader alone, pages, times of its own."""

import asyncio
import re
from typing import Any

import pytest

from flynn.core import keys
from flynn.core.model import Route
from tests.router.rig import GET, OK, Call, Rig, always, body_of, open_rig, until

POST = b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello"


def route(rig: Rig, **options: Any) -> None:
    """The route of app.test, with these options."""
    rig.routes[keys.route("r")] = Route(id="r", domain="app.test", service="app-web", **options)


async def test_maintenance_keeps_requests_from_the_app_until_it_ends() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        route(rig, maintenance=True, pages={"maintenance": "<p>back at 5</p>", "503": "<p>no</p>"})
        rig.show(app.address)
        talk = await rig.talk()
        reply = await talk.ask()
        assert (reply.status, reply.value("X-Flynn-Error"), reply.body) == (503, "H80", b"<p>back at 5</p>")
        assert reply.value("Content-Type") == "text/html; charset=utf-8"
        json = await talk.ask(GET[:-2] + b"Accept: application/json\r\n\r\n")
        assert b'"code": "H80"' in json.body
        route(rig)
        rig.show(app.address)
        assert (await talk.ask()).status == 200
        assert len(app.calls) == 1


async def test_pages_of_a_route_the_most_fitting_one_first() -> None:
    async with open_rig() as rig:
        route(rig, pages={"503": "<p>down</p>", "error": "<p>oh</p>"})
        rig.show()
        assert (await rig.ask()).body == b"<p>down</p>"
        route(rig, pages={"error": "<p>oh</p>"})
        rig.show()
        assert (await rig.ask()).body == b"<p>oh</p>"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused_and_one_within_is_not(chunked: bool) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        route(rig, body_limit=5)
        rig.show(app.address)
        assert (await rig.ask(POST)).status == 200
        long = POST.replace(b"5\r\n\r\nhello", b"6\r\n\r\nhello!")
        if chunked:
            long = POST[:-26] + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        reply = await rig.ask(long)
        assert (reply.status, reply.value("X-Flynn-Error")) == (413, "too-large")
        assert len(app.calls) == 1


async def test_a_chunked_body_that_grows_over_the_limit_is_cut_off_before_it_is_whole() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        route(rig, body_limit=5)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.send(b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await until(lambda: app.open == 1)
        reply = await talk.ask(b"3\r\ndef\r\n")
        assert (reply.status, reply.value("Connection")) == (413, "close")
        await until(lambda: app.open == 0)
        assert app.calls == []


async def test_only_so_many_at_a_time_some_wait_and_the_rest_is_told() -> None:
    go = asyncio.Event()
    most = now = 0

    async def answer(call: Call) -> bytes:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await go.wait()
        now -= 1
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer)
        route(rig, max_in_flight=2, queue=3)
        rig.show(app.address)
        talks = [await rig.talk() for _ in range(5)]
        for talk in talks:
            await talk.send(GET)
        await until(lambda: rig.counts.queued == 3 and len(app.calls) == 2)
        reply = await rig.ask()
        assert (reply.status, reply.value("X-Flynn-Error")) == (503, "H11")
        go.set()
        assert [(await talk.reply()).status for talk in talks] == [200] * 5
        assert (most, rig.counts.queued, rig.counts.in_flight) == (2, 0, 0)


async def test_who_leaves_the_queue_is_not_waited_for() -> None:
    go = asyncio.Event()

    async def answer(call: Call) -> bytes:
        await go.wait()
        return body_of(call.head.split()[1])

    async with open_rig() as rig:
        app = await rig.app(answer)
        route(rig, max_in_flight=1, queue=2)
        rig.show(app.address)
        first, second, third = [await rig.talk() for _ in range(3)]
        for number, talk in enumerate((first, second, third)):
            await talk.send(GET.replace(b"/ ", b"/%d " % number))
            await until(lambda n=number: rig.counts.in_flight == n + 1)  # type: ignore[misc]
        await second.close()
        await until(lambda: rig.counts.queued == 1)
        go.set()
        assert (await first.reply()).body == b"/0"
        assert (await third.reply()).body == b"/2"
        assert [call.head.split()[1] for call in app.calls] == [b"/0", b"/2"]


async def test_nobody_overtakes_the_queue() -> None:
    go = asyncio.Event()

    async def answer(call: Call) -> bytes:
        await go.wait()
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer)
        route(rig, max_in_flight=1, queue=5)
        rig.show(app.address)
        first, second = await rig.talk(), await rig.talk()
        await first.send(b"".join(GET.replace(b"/ ", b"/first%d " % n) for n in range(3)))
        await until(lambda: len(app.calls) == 1)
        await second.send(GET.replace(b"/ ", b"/second "))
        await until(lambda: rig.counts.queued == 1)
        go.set()
        for talk in (first, second, first, first):
            assert (await talk.reply()).status == 200
        asked = [call.head.split()[1] for call in app.calls]
        assert asked == [b"/first0", b"/second", b"/first1", b"/first2"]


async def test_a_sticky_request_that_waited_goes_to_no_instance_that_drains_meanwhile() -> None:
    go = asyncio.Event()

    async def slow(call: Call) -> bytes:
        if b"/slow" in call.head:
            await go.wait()
        return body_of("left")

    async with open_rig() as rig:
        drains, stays = await rig.app(slow), await rig.app(always(body_of("stays")))
        route(rig, sticky=True, max_in_flight=1, queue=1)
        rig.show(drains.address)
        cookie = str((await rig.ask()).value("Set-Cookie")).split(";")[0].encode()
        again = GET[:-2] + b"Cookie: " + cookie + b"\r\n\r\n"
        busy, waits = await rig.talk(), await rig.talk()
        await busy.send(again.replace(b"/ ", b"/slow "))
        await until(lambda: len(drains.calls) == 2)
        await waits.send(again)
        await until(lambda: rig.counts.queued == 1)
        rig.show(drains.address, stays.address, draining=[drains.address])
        go.set()
        assert (await busy.reply()).body == b"left"
        assert (await waits.reply()).body == b"stays"


async def test_a_limit_that_is_new_does_not_hold_up_those_after_it() -> None:
    """Those before it came while there was none."""
    go = asyncio.Event()

    async def answer(call: Call) -> bytes:
        await go.wait()
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        before = [await rig.talk() for _ in range(3)]
        for talk in before:
            await talk.send(GET)
        await until(lambda: len(app.calls) == 3)
        route(rig, max_in_flight=2, queue=10)
        rig.show(app.address)
        after = await rig.talk()
        await after.send(GET)
        await until(lambda: rig.counts.queued == 1)
        go.set()
        assert [(await talk.reply()).status for talk in (*before, after)] == [200] * 4
        assert (rig.counts.queued, rig.counts.in_flight) == (0, 0)


@pytest.mark.parametrize("limits", [{}, {"max_in_flight": 3, "queue": 1}], ids=["none", "more"])
async def test_who_waits_for_a_limit_that_is_lifted_waits_no_more(limits: dict[str, int]) -> None:
    async def answer(call: Call) -> bytes:
        if len(app.calls) == 1:
            await go.wait()
        return OK

    go = asyncio.Event()
    async with open_rig() as rig:
        app = await rig.app(answer)
        route(rig, max_in_flight=1, queue=1)
        rig.show(app.address)
        first, waits = await rig.talk(), await rig.talk()
        await first.send(GET)
        await until(lambda: app.calls)
        await waits.send(GET)
        await until(lambda: rig.counts.queued == 1)
        route(rig, **limits)
        rig.show(app.address)
        assert (await waits.reply()).status == 200
        assert (await rig.ask()).status == 200
        go.set()
        assert (await first.reply()).status == 200


async def test_a_turn_that_does_not_come_in_time() -> None:
    async with open_rig() as rig:
        app = await rig.app(always(None))

        async def never(call: Call) -> bytes:
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")

        app.answer = never
        route(rig, max_in_flight=1, queue=1, first_byte_timeout=0.2)
        rig.show(app.address)
        one, two = await rig.talk(), await rig.talk()
        await one.send(GET)
        await until(lambda: len(app.calls) == 1)
        replies = await asyncio.gather(two.ask(), one.reply())
        assert sorted(str(reply.value("X-Flynn-Error")) for reply in replies) in (["H11", "H12"], ["H12", "H12"])
        assert (rig.counts.queued, rig.counts.in_flight) == (0, 0)


async def test_a_queue_whose_instances_all_refuse_ends_for_all() -> None:
    async with open_rig() as rig:
        go = asyncio.Event()

        async def answer(call: Call) -> bytes | None:
            await go.wait()
            return None

        app = await rig.app(answer)
        route(rig, max_in_flight=1, queue=200)
        rig.show(app.address)
        talks = [await rig.talk() for _ in range(200)]
        for talk in talks:
            await talk.send(GET)
        await until(lambda: rig.counts.queued == 199)
        rig.show()
        rig.registry.tick(rig.proxy.clock() + 60)
        go.set()
        assert {(await talk.reply()).status for talk in talks} <= {502, 503}
        assert (rig.counts.queued, rig.counts.in_flight) == (0, 0)


async def test_sticky_clients_stay_with_their_instance_while_it_is_there() -> None:
    async with open_rig() as rig:
        apps = [await rig.app(always(body_of(str(n)))) for n in range(3)]
        route(rig, sticky=True, path="/")
        rig.show(*(app.address for app in apps))
        reply = await rig.ask()
        cookie = str(reply.value("Set-Cookie")).split(";")[0]
        assert re.fullmatch(r"_backend=[0-9A-Za-z_=-]{40,}", cookie)
        assert str(reply.value("Set-Cookie")).endswith("; Path=/; HttpOnly; SameSite=Lax")
        again = GET[:-2] + b"Cookie: a=b; " + cookie.encode() + b"; c=d\r\n\r\n"
        for _ in range(10):
            stays = await rig.ask(again)
            assert (stays.body, stays.value("Set-Cookie")) == (reply.body, None)
        gone = apps[int(reply.body)]
        rig.show(*(app.address for app in apps), draining=[gone.address])
        moved = await rig.ask(again)
        assert moved.body != reply.body
        assert moved.value("Set-Cookie")


async def test_the_leader_alone_is_asked() -> None:
    async with open_rig() as rig:
        apps = [await rig.app(always(body_of(str(n)))) for n in range(3)]
        route(rig, leader=True)
        rig.show(*(app.address for app in apps))
        assert {(await rig.ask()).body for _ in range(9)} == {b"0"}
        rig.show(*(app.address for app in apps), draining=[apps[0].address])
        assert {(await rig.ask()).body for _ in range(9)} == {b"1"}


async def test_times_of_a_route_go_before_those_of_the_router() -> None:
    async def answer(call: Call) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async with open_rig() as rig:
        app = await rig.app(answer)
        route(rig, first_byte_timeout=0.1)
        rig.show(app.address)
        reply = await rig.ask()
        assert (reply.status, reply.value("X-Flynn-Error")) == (503, "H12")
        route(rig, body_timeout=0.2)
        rig.show(app.address)
        talk = await rig.talk()
        reply = await talk.ask(POST[:-1])
        assert (reply.status, reply.value("X-Flynn-Error")) == (408, "H28")
