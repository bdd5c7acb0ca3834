"""One daemon after the other: what passes, who is refused, and who goes on when the next one fails."""

import asyncio
import errno
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from flynn.core import doorway, handover
from flynn.core.channel import Channel, pair
from flynn.core.config import Node
from flynn.core.errors import StartError, Unavailable
from flynn.core.estate import Estate
from flynn.core.handover import Hello, Sockets, Up, take_over
from flynn.core.succession import Succession, open_succession

LIMIT = 20.0


@dataclass(eq=False)
class Daemon:
    """A daemon without bricks: it listens on one socket, and notes what happens to it."""

    node: Node
    takeover: bool = False
    notes: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    """What its next lives end with at once."""

    succession: Succession | None = None
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async with open_succession(self.node, self.takeover) as self.succession:
            await self.succession.run(self.live)
            self.notes.append("ends")
        self.notes.append("has ended")

    async def live(self) -> None:
        assert self.succession is not None
        self.notes.append("lives")
        if self.errors:
            raise self.errors.pop(0)
        estate = self.succession.estate
        sock = estate.opened("door", lambda: socket.create_server(("127.0.0.1", 0)))
        await self.succession.up()
        self.up.set()
        await self.succession.leave.wait()
        self.up.clear()
        if estate.handing:
            mine, theirs = pair()
            mine.close()
            estate.leave("brick", self, theirs)
        else:
            estate.close(sock)

    async def end(self) -> None:
        self.notes.append("ends what is left")


@pytest.fixture
def node() -> Iterator[Node]:
    with tempfile.TemporaryDirectory(prefix="flynn-") as directory:
        yield Node(data=Path(directory), name="one")


@asynccontextmanager
async def running(daemon: Daemon) -> AsyncIterator[Daemon]:
    task = asyncio.create_task(daemon.run())
    try:
        async with asyncio.timeout(LIMIT):
            await asyncio.wait([task, asyncio.create_task(daemon.up.wait())], return_when="FIRST_COMPLETED")
            if task.done():
                task.result()
            yield daemon
            if daemon.succession:
                daemon.succession.end()
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def port(daemon: Daemon) -> int:
    assert daemon.succession is not None
    return int(daemon.succession.estate.bequest()["door"].getsockname()[1])


async def test_the_next_one_has_the_sockets_and_the_first_one_ends(node: Node) -> None:
    async with running(Daemon(node)) as first:
        before = port(first)
        with socket.create_connection(("127.0.0.1", before)) as waiting:
            async with running(Daemon(node, takeover=True)) as second:
                assert port(second) == before
                while first.notes != ["lives", "ends", "ends what is left", "has ended"]:
                    await asyncio.sleep(0.005)
                accepted, _ = second.succession.estate.bequest()["door"].accept()  # type: ignore[union-attr]
                accepted.close()
                assert waiting.recv(1) == b""
    assert second.notes == ["lives", "ends", "has ended"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", before))


async def test_where_none_runs_there_is_nothing_to_take(node: Node) -> None:
    assert await take_over(node) is None
    doorway.listen(node.data).close()
    assert await take_over(node) is None
    async with running(Daemon(node, takeover=True)) as daemon:
        assert daemon.notes == ["lives"]


async def test_what_nobody_asks_for_is_closed_once_the_next_one_is_up(node: Node) -> None:
    async with running(Daemon(node)) as first:
        assert first.succession is not None
        extra = first.succession.estate.opened("extra", lambda: socket.create_server(("127.0.0.1", 0)))
        number = extra.getsockname()[1]
        async with running(Daemon(node, takeover=True)):
            while first.notes[-1] != "has ended":
                await asyncio.sleep(0.005)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", number))


@pytest.mark.parametrize(
    "other",
    [
        Node(name="two"),
        Node(name="one", port=2),
        Node(name="one", etcd=("http://127.0.0.1:1",)),
    ],
)
async def test_a_daemon_of_another_kind_is_refused(node: Node, other: Node) -> None:
    wrong = Node(data=node.data, name=other.name, port=other.port, etcd=other.etcd)
    async with running(Daemon(node)) as first:
        with pytest.raises(StartError, match=r"it is one at http://127\.0\.0\.1:1111.*stop it, then start without"):
            await take_over(wrong)
        assert first.up.is_set()
        assert first.succession is not None
        first.succession.judge = lambda: "the store is away"
        with pytest.raises(StartError, match="does not hand over: the store is away"):
            await take_over(node)
        assert first.notes == ["lives"]


async def test_one_at_a_time(node: Node) -> None:
    async with running(Daemon(node)) as first:
        before = await take_over(node)
        assert before is not None
        with pytest.raises(StartError, match=f"it is handing over to process {os.getpid()} already"):
            await take_over(node)
        before.channel.close()
        before.estate.close_all()
        await first.up.wait()
        assert first.notes == ["lives", "lives"]


async def test_an_heir_that_ends_before_it_is_up_changes_nothing(node: Node) -> None:
    async with running(Daemon(node)) as first:
        number = port(first)
        for _ in range(2):
            before = await take_over(node)
            assert before is not None
            assert not first.up.is_set()
            before.channel.close()
            before.estate.close_all()
            await first.up.wait()
            assert port(first) == number
        assert first.notes == ["lives"] * 3
        async with running(Daemon(node, takeover=True)) as second:
            assert port(second) == number


async def test_one_that_cannot_go_on_at_once_tries_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flynn.core.succession.PAUSE", 0.01)
    async with running(Daemon(node)) as first:
        before = await take_over(node)
        assert before is not None
        first.errors = [StartError("the lock is held"), Unavailable("no store"), OSError(errno.ENOSPC, "full")]
        before.channel.close()
        before.estate.close_all()
        async with asyncio.timeout(LIMIT):
            await first.up.wait()
        assert first.notes == ["lives"] * 5
    with pytest.raises(StartError, match="taken"):
        async with running(Daemon(node, errors=[StartError("taken")])):
            pass


async def test_an_heir_that_takes_too_long_must_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "UP", 0.05)
    async with running(Daemon(node)) as first:
        before = await take_over(node)
        assert before is not None
        assert "it was not up within 0.05 s" in await before.takes_back()
        await first.up.wait()
        before.channel.close()
        before.estate.close_all()
        assert first.notes == ["lives", "lives"]


async def test_one_that_is_stopped_meanwhile_leaves_it_to_the_heir(node: Node) -> None:
    async with running(Daemon(node)) as first:
        before = await take_over(node)
        assert before is not None
        assert first.succession is not None
        first.succession.end()
        while first.notes[-1] != "has ended":
            await asyncio.sleep(0.005)
        assert first.notes == ["lives", "ends", "ends what is left", "has ended"]
        waiting = asyncio.create_task(before.takes_back())
        assert not (await asyncio.wait([waiting], timeout=0.05))[0]
        waiting.cancel()
        await before.up()
        before.estate.close_all()


async def test_nonsense_at_the_door_is_not_heard(node: Node) -> None:
    async with running(Daemon(node)) as first:
        for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x02\0{}"):
            sock = doorway.connect(node.data)
            assert sock is not None
            sock.sendall(data)
            sock.close()
        sock = doorway.connect(node.data)
        assert sock is not None
        channel = Channel(sock)
        await channel.send(Up())
        with pytest.raises(EOFError):
            await channel.receive(Hello)
        channel.close()
        assert first.notes == ["lives"]
        async with running(Daemon(node, takeover=True)):
            pass


async def test_an_heir_that_cannot_take_what_it_is_given_says_so(node: Node) -> None:
    listener = doorway.listen(node.data)
    taking = asyncio.create_task(take_over(node))
    asked, _ = await asyncio.get_running_loop().sock_accept(listener)
    channel = Channel(asked)
    await channel.receive(Hello)
    record = msgspec.json.encode(Sockets(["a", "b"]))
    asked.sendall(len(record).to_bytes(4) + b"\2" + record)  # Two files are announced, and lost.
    with pytest.raises(StartError, match=r"cannot be taken, so it goes on: .*lost 2 of its files: .*too many open"):
        await taking
    channel.close()
    listener.close()


async def test_who_asks_while_too_many_files_are_open_is_heard_later(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flynn.core.succession.PAUSE", 0.01)
    async with running(Daemon(node)) as first:
        sock = doorway.connect(node.data)
        assert sock is not None
        with no_more_files():
            await asyncio.sleep(0.05)
        sock.close()
        async with asyncio.timeout(LIMIT):
            before = await take_over(node)
        assert before is not None
        before.channel.close()
        before.estate.close_all()
        await first.up.wait()


@contextmanager
def no_more_files() -> Iterator[None]:
    """No file can be opened in a block, but for one that is open already when it begins."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as first_free:
        resource.setrlimit(resource.RLIMIT_NOFILE, (first_free.fileno(), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_door_is_for_its_user_alone(node: Node) -> None:
    async with running(Daemon(node)):
        door = node.data / doorway.NAME
        assert door.stat().st_mode & 0o777 == 0o600
        if os.geteuid() == 0 and shutil.which("true"):
            node.data.chmod(0o755)
            door.chmod(0o666)  # Whoever can reach it is still asked who he is.
            code = f"""
import asyncio, os
from pathlib import Path
from flynn.core.config import Node
from flynn.core.handover import take_over
os.setgid(65534); os.setuid(65534)
asyncio.run(take_over(Node(data=Path({str(node.data)!r}), name="one")))
"""
            done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True)
            assert "only its own user may take over from it, not user 65534" in done.stderr


async def test_a_long_path_is_no_matter(node: Node) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system has no way to shorten a path")
    deep = node.data / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    long = Node(data=deep, name="one")
    async with running(Daemon(long)) as first:
        assert (deep / doorway.NAME).is_socket()
        async with running(Daemon(long, takeover=True)) as second:
            assert second.notes == ["lives"]
            while first.notes[-1] != "has ended":
                await asyncio.sleep(0.005)


def test_an_estate_keeps_what_it_opened(node: Node) -> None:
    def never() -> socket.socket:
        raise AssertionError

    one, other = pair()
    estate = Estate({"a": one}, lease=7)
    assert estate.opened("a", never) is one
    assert estate.opened("a", never) is one
    assert estate.opened("b", lambda: other) is other
    assert estate.take("a") is None
    estate.close(one)
    assert (one.fileno(), list(estate.bequest())) == (-1, ["b"])
    estate.close_all()
    assert other.fileno() == -1
