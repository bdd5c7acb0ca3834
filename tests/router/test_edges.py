"""Faults at their edges: just before and after a limit, resets, several bad instances at once, all of them at once."""

import asyncio
import socket
import struct
import time

import pytest

from flynn.core import keys
from flynn.core.model import Route
from tests.router.rig import GET, OK, PATIENCE, App, Call, always, body_of, open_rig, until
from tests.router.wires import Desk, Wires

POST = b"POST /p HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello"


def reset(call: Call) -> None:
    """Break the app's connection with a RST."""
    sock = call.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.writer.transport.abort()


@pytest.mark.parametrize(("request_", "calls"), [(POST, 2), (GET, 3)], ids=["POST", "GET"])
async def test_a_reset_in_place_of_an_answer(request_: bytes, calls: int) -> None:
    """On a warm connection a GET is asked once more, on a new one, and a POST never."""

    async def answer(call: Call) -> bytes | None:
        if len(app.calls) == 1:
            return OK
        reset(call)
        return None

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        talk = await rig.talk()
        await talk.ask()
        reply = await talk.ask(request_)
        assert (reply.status, reply.value("X-Flynn-Error"), len(app.calls)) == (502, "H13", calls)


@pytest.mark.parametrize(("limit", "status"), [(PATIENCE, 200), (0.3, 503)])
async def test_an_answer_before_the_limit_counts_and_after_it_does_not(limit: float, status: int) -> None:
    told = asyncio.Event()

    async def answer(call: Call) -> bytes:
        await told.wait()
        return OK

    async with open_rig(first_byte_timeout=limit) as rig:
        app = await rig.app(answer)
        rig.show(app.address)
        asking = asyncio.create_task(rig.ask())
        await until(lambda: asking.done() if status == 503 else app.calls)
        told.set()
        assert (await asking).status == status
        # What the app says too late reaches nobody.
        await until(lambda: app.open == (status == 200))


async def test_of_three_instances_one_refuses_one_breaks_and_requests_do_not_suffer() -> None:
    """The flapping one breaks its first two connections at once: then it is left out, and few requests are lost."""
    breaks = 0

    async def flaps(call: Call) -> bytes | None:
        nonlocal breaks
        breaks += 1
        return None

    async with open_rig() as rig:
        well, bad = await rig.app(always(OK)), await rig.app(flaps)
        with socket.socket() as gone:
            gone.bind(("127.0.0.1", 0))
            rig.show(well.address, bad.address, f"127.0.0.1:{gone.getsockname()[1]}")
            statuses = [(await rig.ask()).status for _ in range(300)]
        assert set(statuses) <= {200, 502}
        assert statuses.count(502) == breaks <= 3


async def test_all_instances_die_at_once_and_the_first_to_return_serves_at_once() -> None:
    async with open_rig() as rig:
        apps = [App(always(OK)) for _ in range(3)]
        servers = [await asyncio.start_server(app.serve, "127.0.0.1", 0) for app in apps]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        rig.show(*(f"127.0.0.1:{port}" for port in ports))
        talk = await rig.talk()
        for _ in range(10):
            assert (await talk.ask()).status == 200
        for server, app in zip(servers, apps, strict=True):
            server.close()
            for task in tuple(app.tasks):
                task.cancel()
        await until(lambda: not any(app.open for app in apps))
        begun = time.monotonic()
        assert {(await talk.ask()).status for _ in range(20)} == {503}
        assert time.monotonic() - begun < 1
        servers[0] = await asyncio.start_server(apps[0].serve, "127.0.0.1", ports[0])
        async with asyncio.timeout(1):
            while (await talk.ask()).status != 200:
                await asyncio.sleep(0.02)
        servers[0].close()
        for task in tuple(apps[0].tasks):
            task.cancel()


async def test_names_and_paths_are_passed_byte_for_byte() -> None:
    async def answer(call: Call) -> bytes:
        return body_of(call.head.split(b" ")[1] + b" " + call.values("Host")[0].encode())

    async with open_rig() as rig:
        app = await rig.app(answer)
        rig.routes[keys.route("p")] = Route(id="p", domain="xn--bcher-kva.test", service="app-web")
        rig.show(app.address)
        for path in (b"/../..%2f%2F//a/./b;c?d=%00&e#".rstrip(b"#"), b"/%ff%zz", b"//", b"/?", b"/a?b?c"):
            asked = b"GET %b HTTP/1.1\r\nHost: XN--Bcher-KVA.test.:8080\r\n\r\n" % path
            assert (await rig.ask(asked)).body == path + b" XN--Bcher-KVA.test.:8080"


async def test_a_client_that_sends_empty_lines_alone_is_given_up() -> None:
    async with open_rig(head_timeout=0.4) as rig:
        talk = await rig.talk()
        ending = asyncio.create_task(talk.rest())
        begun = time.monotonic()
        while not ending.done() and time.monotonic() - begun < 3:
            talk.writer.write(b"\r\n")
            await asyncio.wait([ending], timeout=0.05)
        assert ending.done(), "the connection outlives the limit of a head"
        ending.exception()


def test_a_long_head_that_dribbles_in_costs_little() -> None:
    """Each byte is looked at once, not with all before it: 3 000 of them after 60 000 took 2 s of CPU."""

    async def dribble() -> float:
        desk = Desk()
        desk.near.deliver(GET[:-2] + (b"X: " + b"y" * 500 + b"\r\n") * 116 + b"Y: ")
        begun = time.process_time()
        for _ in range(3000):
            desk.near.deliver(b"y")
        assert desk.near.ended == ""
        return time.process_time() - begun

    with asyncio.Runner(loop_factory=Wires) as runner:
        assert runner.run(dribble()) < 0.5


@pytest.mark.parametrize("upgrade", [b"h2c", b"H2C", b", h2c", b"websocket, h2c", b"h2c,websocket"])
async def test_h2c_is_not_offered_to_apps_in_any_list(upgrade: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address)
        await rig.ask(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % upgrade)
        assert (app.calls[0].values("Upgrade"), app.calls[0].values("Connection")) == ([], [])
