"""Ports of TCP routes: opened and closed live, and what cannot be had is said and tried again."""

import asyncio
import socket
from functools import partial

from flynn.core.model import Route
from flynn.router.listen import bound, close
from flynn.router.tcp_ports import Ports, wanted
from tests.ports import free_port
from tests.router.rig import until
from tests.router.tcp_rig import is_reset, open_tcp, refuses, working


def route(id: str, port: int, created: float = 0.0, service: str = "app-web") -> Route:
    return Route(id=id, service=service, kind="tcp", port=port, created=created)


def test_the_older_route_has_the_port() -> None:
    old, new, http = route("b", 3000, 1.0), route("a", 3000, 2.0), Route(id="c", service="s", domain="d", port=3001)
    bad = [route("x", 0), route("y", 70000)]
    assert wanted([new, old, http, *bad, route("z", 3002)]) == {3000: old, 3002: route("z", 3002)}


async def test_ports_open_and_close_with_their_routes() -> None:
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)
        assert tcp.ports.sentence() == f"TCP on port {tcp.port}"
        talk = await tcp.talk()
        await talk.send(b"a")
        assert await talk.reader.readexactly(1) == b"a"
        other = free_port()
        tcp.follow(route("u", other))
        await until(lambda: tcp.ports.sentence() == f"TCP on port {other}")
        assert await refuses(tcp.port)
        # Who is connected has a last while.
        await talk.send(b"b")
        assert await talk.reader.readexactly(1) == b"b"
        second = await tcp.talk(other)
        await second.send(b"c")
        assert await second.reader.readexactly(1) == b"c"
        tcp.ports.last = 0.1
        assert await is_reset(talk)
        tcp.follow(tcp.route())
        await until(lambda: tcp.ports.sentence() == f"TCP on port {tcp.port}")
        assert await is_reset(second)
        third = await tcp.talk()
        await third.send(b"d")
        assert await third.reader.readexactly(1) == b"d"


async def test_a_route_that_goes_and_comes_at_once() -> None:
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)
        tcp.follow()
        tcp.follow(tcp.route())
        await until(lambda: not tcp.ports._woken.is_set())
        assert await _echoed(await tcp.talk())
        assert tcp.counters["connections"] == 1, "the new one has it"


async def test_a_changed_route_keeps_its_port_open() -> None:
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)
        talk = await tcp.talk()
        await talk.send(b"a")
        assert await talk.reader.readexactly(1) == b"a"
        sockets = tcp.ports._open[tcp.port].sockets
        tcp.follow(tcp.route(service="nobody"))
        assert await is_reset(await tcp.talk())
        tcp.follow(tcp.route(id="u"))
        assert await asyncio.wait_for(_echoed(await tcp.talk()), 5)
        assert tcp.ports._open[tcp.port].sockets is sockets
        assert list(tcp.ports.counters()) == ["u"]


async def test_another_route_takes_the_port_in_one_change_and_the_clients_of_the_first_have_a_last_while() -> None:
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)
        talk = await tcp.talk()
        assert await _echoed(talk)
        tcp.follow(tcp.route(id="u"))
        second = await tcp.talk()
        assert await _echoed(second)
        assert await _echoed(talk)
        assert tcp.ports.counters()["u"]["connections"] == 1
        assert tcp.in_flight() == 2
        tcp.ports.last = 0.1
        assert await is_reset(talk)
        assert await _echoed(second)
        assert tcp.in_flight() == 1


async def _echoed(talk) -> bool:  # type: ignore[no-untyped-def]
    await talk.send(b"x")
    return bool(await talk.reader.readexactly(1) == b"x")


async def test_a_taken_port_is_said_and_tried_again_and_hurts_no_other() -> None:
    said: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        async with open_tcp() as tcp:
            tcp.ports.changed = lambda: said.append(tcp.ports.sentence())
            tcp.ports.retry = 0.05
            tcp.rig.show((await tcp.app()).address)
            tcp.follow(tcp.route(), route("u", number))
            problem = f"cannot listen on port {number}: Address already in use"
            await until(lambda: said)
            assert said == [f"TCP on port {tcp.port}; {problem}"]
            assert tcp.ports.counters()["u"]["problem"] == problem
            assert await _echoed(await tcp.talk())
            taken.close()
            await until(lambda: len(said) > 1)
            assert said[1] == f"TCP on port {', '.join(map(str, sorted([tcp.port, number])))}"
            assert await _echoed(await tcp.talk(number))


async def test_a_problem_goes_with_its_route() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with open_tcp() as tcp:
            tcp.follow(tcp.route(), route("u", taken.getsockname()[1]))
            await until(lambda: tcp.ports.problems)
            tcp.follow(tcp.route())
            await until(lambda: not tcp.ports.problems)
            assert tcp.ports.sentence() == f"TCP on port {tcp.port}"


async def test_the_daemons_own_ports_are_not_given_away() -> None:
    async with open_tcp() as tcp:
        ports = Ports(tcp.rig.proxy, partial(bound, "127.0.0.1"), close, (tcp.port,))
        ports.follow([route("u", tcp.port)])
        async with working(ports):
            assert ports.sentence() == f"cannot listen on port {tcp.port}: it is one of this daemon's own"


async def test_a_router_that_stops_waits_for_those_who_are_connected() -> None:
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)
        talk, late = await tcp.talk(), await tcp.talk()
        assert await _echoed(talk)
        assert await _echoed(late)
        draining = asyncio.create_task(tcp.ports.drain(0.4))
        talk.writer.write_eof()
        assert await talk.rest() == b"bye"
        assert not draining.done()
        assert await is_reset(late)
        assert await draining == 1


async def test_sockets_may_be_kept_for_another() -> None:
    """As a hand-over does: those who come meanwhile wait, and nobody is refused."""
    kept: dict[int, list[socket.socket]] = {}
    async with open_tcp() as tcp:
        tcp.rig.show((await tcp.app()).address)

        def opened(number: int) -> list[socket.socket]:
            if number not in kept:
                kept[number] = bound("127.0.0.1", number)
            return kept[number]

        number = free_port()
        one, other = (Ports(tcp.rig.proxy, opened, lambda sockets: None) for _ in range(2))
        for ports in (one, other):
            ports.follow([tcp.route(port=number)])
        await one.accept()
        talk = await tcp.talk(number)
        assert await _echoed(talk)
        one.stop_accepting()
        waiting = await tcp.talk(number)
        await other.accept()
        assert await _echoed(waiting)
        assert await _echoed(talk), "it goes on where it is"
        other.stop_accepting()
        assert await one.drain(0) == await other.drain(0) == 1
        close(kept[number])
        assert await refuses(number)
