"""How many files may be open: what the router says at its start, and what it does when there is no more to be had."""

import asyncio
import itertools
import os
import resource
import sys

import pytest

from flynn.router.room import shortage
from flynn.router.tcp import Exit
from tests.router.process import routing
from tests.router.rig import PATIENCE, Call, open_rig, until
from tests.router.tcp_rig import open_tcp

GET = b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"
FIRST = GET.replace(b"/ ", b"/first ", 1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(("clients", "files"), [(20_000, None), (20_000, 40_512), (0, 512), (10, 2**63)])
def test_enough_is_not_worth_a_word(clients: int, files: int | None) -> None:
    assert shortage(clients, files) == ""


def test_too_few_are_told_with_what_to_do() -> None:
    assert shortage(20_000, 20_000) == (
        "this process may have 20000 files open, enough for 9744 clients with a request under way, not for "
        "router.max_clients = 20000: raise the hard limit of open files to 40512 (LimitNOFILE= of systemd, "
        "--ulimit nofile= of Docker, /etc/security/limits.conf), or set router.max_clients = 9744"
    )
    assert shortage(9744, 20_000) == ""
    assert "set router.max_clients = 1" in shortage(20_000, 64)


class Files:
    """The open files of a process, and how many it may have."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.before = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)

    def end(self) -> None:
        """From now on it can open none."""
        free = next(number for number in itertools.count() if not os.path.lexists(f"/proc/{self.pid}/fd/{number}"))
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (free, self.before[1]))

    def allow(self) -> None:
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self.before)


@pytest.mark.skipif(sys.platform != "linux", reason="changes the limit of another process")
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_without_a_file_a_request_is_refused_and_no_instance_blamed() -> None:
    go = asyncio.Event()

    async def answer(call: Call) -> bytes:
        if b" /first " not in call.head:
            await go.wait()
        return OK

    async with open_rig() as rig:
        app = await rig.app(answer)
        async with routing(app.address) as router:
            files = Files(router.process.pid)
            busy, other = await router.talk(), await router.talk()
            assert (await other.ask(FIRST)).status == 200
            await busy.send(GET)  # It has the one warm connection.
            await until(lambda: sum(b" / " in call.head for call in app.calls) == 1)
            files.end()
            reply = await other.ask(GET)
            assert (reply.status, reply.value("X-Flynn-Error")) == (503, "H11")
            # Nor can anybody be let in: who comes is told so at once, by the end of the connection.
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
                writer.write(GET)
                assert await read(reader) == b""
            writer.close()
            files.allow()
            go.set()
            assert (await other.ask(GET)).status == 200
            assert (await busy.reply()).status == 200
            assert (await router.ask(GET)).status == 200
            for talk in (busy, other):
                await talk.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_without_a_file_no_instance_of_a_tcp_route_is_blamed() -> None:
    async with open_tcp() as tcp:
        app = await tcp.app()
        tcp.rig.show(app.address)
        talk = await tcp.talk()
        await until(lambda: app.open)
        (entry,) = tcp.ports.ports[tcp.port].entries
        (target,) = tcp.rig.registry.services["app-web"].targets
        files = Files(os.getpid())
        files.end()
        try:
            assert not await entry._reaches(Exit(entry, target), target)
        finally:
            files.allow()
        assert (target.strikes, target.aside, target.in_flight) == (0, 0, 1)
        await talk.close()


async def read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
