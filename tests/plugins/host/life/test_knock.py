"""Waiting for somebody to listen on a port."""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from flynn.plugins.host.life.knock import Knock, listened

LIMIT = 20.0


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """It has a port, and does not listen yet."""
    address = str(request.param)
    try:
        found = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError as error:
        pytest.skip(f"no {address} here: {error}")
    place = found.getsockname()[:2]
    found.close()
    with socket.socket(found.family) as bound:
        bound.bind(place)
        yield bound


def pauses(count: list[float], waited: float) -> float:
    count.append(waited)
    return 0.001


async def test_who_listens_is_heard_the_next_time(server: socket.socket) -> None:
    asked: list[float] = []
    waiting = asyncio.create_task(listened(server.getsockname()[:2], 5.0, lambda waited: pauses(asked, waited)))
    async with asyncio.timeout(LIMIT):
        while len(asked) < 5:
            await asyncio.sleep(0.001)
        assert not waiting.done()
        server.listen()
        await waiting
    assert asked == sorted(asked)


async def test_who_is_given_up_is_let_go(server: socket.socket) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await listened(server.getsockname()[:2], 5.0, lambda waited: 0.001)
    assert os.listdir("/proc/self/fd") == before


async def test_who_is_too_busy_to_answer_is_asked_anew(server: socket.socket) -> None:
    """His queue is full: the kernel says nothing, and an attempt that hangs would be made again after a second."""
    server.listen(0)
    place, held = server.getsockname()[:2], []
    while True:
        held.append(socket.socket(server.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        if held[-1].connect_ex(place) and held[-1].connect_ex(place) != errno.EISCONN:
            break
    asked: list[float] = []
    waiting = asyncio.create_task(listened(place, 0.01, lambda waited: pauses(asked, waited)))
    async with asyncio.timeout(LIMIT):
        while len(asked) < 20:
            await asyncio.sleep(0.001)
        assert not waiting.done()
        while not waiting.done():
            server.setblocking(False)
            try:
                held.append(server.accept()[0])
            except BlockingIOError:
                await asyncio.sleep(0.001)
        await waiting
    for each in held:
        each.close()


def test_one_socket_is_asked_with_again_and_again(server: socket.socket) -> None:
    asking = Knock(server.getsockname()[:2])
    before = None
    for _ in range(3):
        assert not asking.heard()
        now = os.readlink(f"/proc/self/fd/{asking._socket.fileno()}") if asking._socket else ""
        assert before in (None, now)
        before = now
    asking.close()


def test_a_name_that_nobody_has_is_not_heard() -> None:
    asking = Knock(("nobody.invalid", 1))
    assert not asking.heard()


async def test_what_the_daemon_lacks_is_its_own_trouble() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(OSError, match="Too many"):
            await listened(("127.0.0.1", 1), 5.0, lambda waited: 0.001)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
