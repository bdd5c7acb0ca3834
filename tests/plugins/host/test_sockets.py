"""UNIX sockets of jobs: found when an app listens there, and never somebody else's."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flynn.core.model import Instance
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.life.health import FAILURES
from flynn.plugins.host.sockets import LONGEST, JobSocket, Sockets
from tests.plugins.host.rig import Rig, open_rig

SERVER = """
import os, signal, socket, sys, threading
place = os.environ["FLYNN_SOCKET"]
def serve(s):
    s.listen(16)
    while True:
        c, _ = s.accept()
        try:
            c.sendall(f"{s.family.name} {os.environ['FLYNN_JOB_ID']}".encode())
        except OSError:
            pass
        c.close()
def local(*_):
    if os.path.exists(place): os.unlink(place)
    s = socket.socket(socket.AF_UNIX)
    s.bind(place)
    threading.Thread(target=serve, args=(s,), daemon=True).start()
def trick(*_):
    os.unlink(place)
    os.symlink(os.environ["ELSEWHERE"], place)
signal.signal(signal.SIGUSR1, local)
signal.signal(signal.SIGUSR2, trick)
if "AT_ONCE" in os.environ: local()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", int(os.environ["PORT"])))
print(place, flush=True)
threading.Thread(target=serve, args=(s,), daemon=True).start()
while True: signal.pause()
"""
"""Listens on its port, and on its socket from SIGUSR1 (or the start) on; puts a link in its place at SIGUSR2."""

SERVE = "exec python3 -SE server.py"


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short name."""
    found = Path(tempfile.mkdtemp(prefix="s-"))
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.fixture
def place(short: Path) -> JobSocket:
    found = Sockets(short).of("web-1")
    assert found is not None
    assert found.make() == found.own
    return found


def listener(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def connect_all(sockets: list[socket.socket], path: Path) -> None:
    for sock in sockets:
        sock.connect(str(path))


def reaches(path: str, sock: socket.socket) -> bool:
    """Whether a connection to `path` is accepted by `sock`."""
    sock.setblocking(False)
    while True:
        try:
            sock.accept()[0].close()
        except BlockingIOError:
            break
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
            sock.accept()[0].close()
        except (OSError, BlockingIOError):
            return False
    return True


def test_what_a_job_bound_is_found_under_another_name(place: JobSocket, short: Path) -> None:
    assert place.look() == ""
    with listener(place.own) as sock:
        assert place.look() == str(place.path) == place.found
        assert place.path.parent == short
        assert reaches(place.look(), sock)
        before = place.path.stat().st_ino
        assert place.look()
        assert place.path.stat().st_ino == before
    for _ in range(FAILURES - 1):
        assert place.look() == str(place.path)
    assert place.look() == ""
    assert sorted(short.iterdir()) == [place.dir]


def test_a_socket_bound_anew_takes_the_place_of_the_old_one(place: JobSocket) -> None:
    with listener(place.own) as old:
        path = place.look()
        place.own.unlink()
        with listener(place.own) as new:
            assert reaches(path, old)
            assert place.look() == path
            assert reaches(path, new)
            assert not reaches(path, old)


def test_a_link_in_its_place_leads_nowhere(place: JobSocket, short: Path) -> None:
    with listener(short / "docker.sock") as foreign, listener(place.own) as own:
        path = place.look()
        place.own.unlink()
        place.own.symlink_to(short / "docker.sock")
        for _ in range(FAILURES):
            assert reaches(path, own), "the name that routers have leads where it led"
            assert not reaches(path, foreign)
            place.look()
        assert place.look() == ""
        assert not os.path.lexists(path)
        assert not reaches(path, foreign)


@pytest.mark.parametrize("what", ["file", "directory", "pipe", "datagram", "unheard", "closed", "link"])
def test_only_a_socket_that_accepts_will_do(place: JobSocket, short: Path, what: str) -> None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if what == "datagram" else socket.SOCK_STREAM)
    if what == "file":
        place.own.write_text("")
    elif what == "directory":
        place.own.mkdir()
    elif what == "pipe":
        os.mkfifo(place.own)
    elif what == "link":
        sock.bind(str(short / "x"))
        sock.listen()
        place.own.symlink_to(short / "x")
    else:
        sock.bind(str(place.own))
        if what == "closed":
            sock.listen()
            sock.close()
    assert place.look() == ""
    assert not os.path.lexists(place.path)
    sock.close()


def test_a_full_queue_is_an_answer_too(place: JobSocket) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(place.own))
        sock.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(9)]
        for one in waiting:
            one.setblocking(False)
        with pytest.raises(BlockingIOError):
            connect_all(waiting, place.own)
        assert place.look()
        for one in waiting:
            one.close()


def test_nothing_is_left_of_a_job(place: JobSocket, short: Path) -> None:
    with listener(place.own):
        assert place.look()
        (place.dir / "more").mkdir(mode=0)
        place.remove()
        assert not short.exists(), "it is no place of ours, once nothing is in it"
        assert place.look() == ""
        assert place.make()


def test_what_no_job_owns_is_tidied_away(place: JobSocket, short: Path) -> None:
    other = Sockets(short).of("web-2")
    assert other is not None
    other.make()
    (short / "stray").write_text("")
    (short / "away").symlink_to("/etc")
    with listener(place.own), listener(other.own):
        assert place.look()
        assert other.look()
        Sockets(short).tidy(["web-1"])
        assert sorted(short.iterdir()) == sorted([place.dir, place.path])
        again = Sockets(short).of("web-1")
        assert again is not None
        assert again.found == place.found, "the next daemon knows it"


def test_a_place_that_is_short_enough_and_private(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Sockets.below(short).base == short / "sockets"
    deep = short / ("d" * 80)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    found = Sockets.below(deep).base
    assert found is not None
    assert found.stat().st_mode & 0o077 == 0
    assert not found.is_relative_to(deep)
    own = JobSocket(found, "k" * 16).own
    assert len(str(own)) <= LONGEST
    # One that others may write to, or that is a link, is not used.
    for place in {found, short / found.name}:
        if place.exists():
            place.rmdir()
        place.symlink_to(short)
    assert Sockets.below(deep).base is None
    assert Sockets(None).of("web-1") is None
    for place in {found, short / found.name}:
        place.unlink()


@pytest.fixture
async def rig(light_backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host without its agent."""
    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig:
        yield rig


@pytest.fixture
async def any_rig(backend: Backend, tmp_path: Path) -> AsyncIterator[Rig]:
    """The same with every backend."""
    async with open_rig(tmp_path / "data", backend=backend.name) as rig:
        yield rig


def serving(rig: Rig, id: str = "web-1", **env: str):  # type: ignore[no-untyped-def]
    return rig.web(id, SERVE, files={"server.py": SERVER}, env=env)


async def registered(rig: Rig, has_socket: bool, id: str = "web-1") -> Instance:
    """The record of the job once it has a socket, or none."""
    facts = await rig.node.mirror.until(
        lambda f: (i := f.services.get(f"hello-web/{id}")) is not None and bool(i.socket) == has_socket, 15
    )
    return facts.services[f"hello-web/{id}"]


async def said(path: str) -> str:
    """What is said at a socket."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_unix_connection(path)
        text = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        return text


async def test_an_app_that_listens_there_is_found_there(any_rig: Rig) -> None:
    rig = any_rig
    await rig.assign(serving(rig, AT_ONCE="1"), serving(rig, "web-2", AT_ONCE="1"))
    async with rig.running():
        one, two = await registered(rig, True), await registered(rig, True, "web-2")
        assert await said(one.socket) == "AF_UNIX web-1"
        assert await said(two.socket) == "AF_UNIX web-2"
        assert len(one.socket) <= LONGEST
        await rig.assign(serving(rig, AT_ONCE="1"), stop=True)
        await rig.state("web-1", "down")
        assert not Path(one.socket).exists()
        assert rig.instance("web-1") is None
        assert await said(two.socket) == "AF_UNIX web-2"


async def test_it_may_come_and_go(rig: Rig, short: Path) -> None:
    await rig.assign(serving(rig, ELSEWHERE=str(short / "x")))
    async with rig.running():
        up = await rig.state("web-1", "up")
        before = await registered(rig, False)
        os.kill(up.pid, signal.SIGUSR1)
        after = await registered(rig, True)
        assert after.address == before.address
        assert await said(after.socket) == "AF_UNIX web-1"
        with listener(short / "x") as foreign:
            os.kill(up.pid, signal.SIGUSR2)
            assert not reaches(after.socket, foreign)
            gone = await registered(rig, False)
            assert gone.address == before.address
            assert not reaches(after.socket, foreign)
        assert (await rig.state("web-1", "up")).reason == ""
        told = [line for line in await rig.printed("web-1", "flynn") if "socket" in line]
        assert told == ["answers on its UNIX socket too", "answers on its UNIX socket no more"]


async def test_a_restart_of_the_job_begins_without(rig: Rig) -> None:
    await rig.assign(serving(rig))
    async with rig.running():
        up = await rig.state("web-1", "up")
        os.kill(up.pid, signal.SIGUSR1)
        await registered(rig, True)
        os.kill(up.pid, signal.SIGKILL)
        await rig.state("web-1", lambda s: s.state == "up" and s.restarts == 1)
        await registered(rig, False)


async def test_the_next_daemon_knows_it_at_once(rig: Rig) -> None:
    await rig.assign(serving(rig, AT_ONCE="1"))
    async with rig.running():
        before = await registered(rig, True)
    assert await said(before.socket) == "AF_UNIX web-1"
    stamp = rig.node.mirror.facts.stamp("services/hello-web/web-1")
    async with rig.running():
        await rig.node.mirror.until(lambda f: f.stamp("services/hello-web/web-1") != stamp, 10)
        assert rig.instance("web-1") == before
        told = [line for line in await rig.printed("web-1", "flynn") if "socket" in line]
        assert told == ["answers on its UNIX socket too"]


async def test_only_what_serves_gets_one(rig: Rig) -> None:
    await rig.assign(rig.job("run-1", 'echo "[$FLYNN_SOCKET]"', queue="ephemeral", env={"FLYNN_SOCKET": "/mine"}))
    async with rig.running():
        await rig.state("run-1", "down")
        assert await rig.printed("run-1") == ["[]"]


async def test_a_sandbox_sees_its_own_alone(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="sandbox") as rig:
        look = 'ls -A /run/flynn /run; echo "$FLYNN_SOCKET"; touch /run/flynn/mine /run/mine && echo may; ' + SERVE
        await rig.assign(rig.web("web-1", look, files={"server.py": SERVER}, env={"AT_ONCE": "1"}))
        async with rig.running():
            found = await registered(rig, True)
            wanted = ["/run:", "flynn", "", "/run/flynn:", "/run/flynn/http.sock", "may"]
            async with asyncio.timeout(10):
                while len(lines := await rig.printed("web-1")) < len(wanted):
                    await asyncio.sleep(0.05)
            assert lines[: len(wanted)] == wanted
            assert await said(found.socket) == "AF_UNIX web-1"
