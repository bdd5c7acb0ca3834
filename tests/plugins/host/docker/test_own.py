"""Networks of apps' own: real containers of a real engine with its own rules, in a network of the tests' own."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiodocker import Docker

from flynn.plugins.host.backends.backend import Backend, NotStarted, Running, Spec
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.docker import docker, engine_watch, trial, walls
from flynn.plugins.host.docker.container import RunningContainer
from flynn.plugins.host.docker.docker import DockerBackend
from flynn.plugins.host.docker.engine_watch import sweep
from flynn.plugins.host.docker.networks import Networks, pool_of
from tests.conftest import engine
from tests.contract import backend as contract
from tests.contract import network
from tests.contract.network import addresses, begun, listener, said, told
from tests.docker import Engine, running_docker
from tests.netns import netns
from tests.plugins.host.rig import SERVE, Rig, ask, open_rig
from tests.plugins.host.sandbox.world import world
from tests.plugins.host.test_restart_of_daemon import daemon
from tests.ports import free_port
from tests.registry import busybox, image, open_registry

LIMIT = 20.0

pytestmark = pytest.mark.heavy


@pytest.fixture
async def backend(walled: Engine, tmp_path: Path) -> AsyncIterator[DockerBackend]:
    """A backend that is open; nothing of it may be left, in the engine or the kernel."""
    found = DockerBackend(tmp_path / "backend")
    await found.open()
    assert found.no_own == ""
    assert ruled() == []
    yield found
    assert await walled.left() == []
    assert ruled() == []


def ruled() -> list[str]:
    """All rules of ours."""
    found = []
    for program in walls.programs().values():
        done = subprocess.run([program, "-t", "mangle", "-S"], capture_output=True, text=True, check=True)
        found += [line for line in done.stdout.splitlines() if "FLYNN-" in line]
    return found


def flush() -> None:
    """As somebody does who loads other rules of the machine."""
    for program in walls.programs().values():
        subprocess.run([program, "-t", "mangle", "-F"], check=True)


@contextlib.contextmanager
def with_rules(*rules: Sequence[str | bytes]) -> Iterator[None]:
    """As somebody has them for what is no concern of ours."""
    program = walls.programs()["iptables"]
    for rule in rules:
        subprocess.run([program, "-t", "mangle", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules[::-1]:
            undone = [{"-N": "-X", "-A": "-D"}.get(str(word), word) for word in rule]
            subprocess.run([program, "-t", "mangle", *undone], check=True)


@contextlib.contextmanager
def let_in() -> Iterator[None]:
    """As somebody does who has a rule of his own before all others."""
    rule = f"{walls.HOOK} -m addrtype --dst-type LOCAL -j ACCEPT".split()
    program = walls.programs()["iptables"]
    subprocess.run([program, "-t", "mangle", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run([program, "-t", "mangle", "-D", *rule], check=True)


def of(dir: Path, app: str, command: str, **fields: object) -> Spec:
    """A job of that app, in a directory of its own."""
    dir /= app + str(len(list(dir.iterdir())))
    dir.mkdir()
    return told(dir, command, app=app, **fields)


async def address(running: Running) -> str:
    """Of a container on its own network."""
    assert isinstance(running, RunningContainer)
    assert running.made
    async with Docker() as client:
        found = await client.containers.container(running.made.id).show()
    (one,) = found["NetworkSettings"]["Networks"].values()
    return str(one["IPAddress"])


async def stopped(*all: Running) -> None:
    for running in all:
        await running.kill()
        await running.wait()
        await running.cleanup()


async def test_it_does_all_that_a_backend_must(backend: DockerBackend, tmp_path: Path) -> None:
    await contract.check(backend, tmp_path)


class Apart(DockerBackend):
    """One that gives all that ask for the machine's network one of their own."""

    async def start(self, spec: Spec, commit: Callable[[Identity], None]) -> RunningContainer:
        return await super().start(replace(spec, network="own", port=free_port()), commit)


@pytest.mark.parametrize("part", contract.PARTS[:-1], ids=lambda part: part.__name__)
async def test_all_of_that_with_a_network_of_its_own(
    walled: Engine, tmp_path: Path, part: Callable[[Backend, Path], Awaitable[None]]
) -> None:
    backend = Apart(tmp_path / "backend")
    await backend.open()
    (tmp_path / "job").mkdir()
    await part(backend, tmp_path)
    await backend.nets.leave()  # As a backend of another directory leaves it to this one.
    assert await walled.left() == []
    assert ruled() == []


@pytest.mark.parametrize("part", network.PARTS, ids=lambda part: part.__name__)
async def test_contract(backend: DockerBackend, tmp_path: Path, part: network.Part) -> None:
    await part(backend, tmp_path)


async def test_apps_do_not_reach_each_other_and_their_own_jobs_do(backend: DockerBackend, tmp_path: Path) -> None:
    ports = {"red": free_port(), "blue": free_port()}
    wanted = {app: of(tmp_path, app, SERVE, port=port) for app, port in ports.items()}
    running = {}
    for app, port in ports.items():
        env = {"PORT": str(port), "FLYNN_JOB_ID": app}
        running[app] = await begun(backend, replace(wanted[app], env=env), b"serving")
    places = [f"{await address(running[app])}:{port}" for app, port in ports.items()]
    places += [f"{one}:{port}" for one in addresses() for port in ports.values()]
    look = of(tmp_path, "red", f"exec python3 look.py {' '.join(places)}")
    lines = [line.split()[-1] for line in await said(backend, look)]
    assert lines[:2] == ["red", "no"]
    assert set(lines[2:]) == {"no"}
    names = {app: backend.nets.name_of(app) for app in ports}
    assert set(names.values()) < set(await left(backend))
    await stopped(running["red"])
    assert names["red"] not in await left(backend)
    assert names["blue"] in await left(backend)
    await stopped(running["blue"])


async def left(backend: DockerBackend) -> list[str]:
    """The names of its networks, and something else."""
    async with Docker() as client:
        return ["", *(one["Name"] for one in await backend.nets._ours(client))]


async def test_names_are_answered(backend: DockerBackend, tmp_path: Path) -> None:
    ask = "python3 -c 'import socket; print(socket.gethostbyname(\"some.name.example\"))'"
    server = (walls.resolvers() or ["8.8.8.8"])[0]
    with world() as out, out.resolver(server):
        wanted = of(tmp_path, "red", ask, refused=(f"{server}/32",) if walls.resolvers() else ())
        assert await said(backend, wanted) == ["203.0.113.99"]


async def test_walls_that_were_torn_down_are_put_up_again(backend: DockerBackend, tmp_path: Path) -> None:
    running = await begun(backend, of(tmp_path, "red", "echo here; exec sleep 60"), b"here")
    before = ruled()
    assert before
    with listener() as port:
        look = f"python3 look.py {' '.join(f'{one}:{port}' for one in addresses())}"
        flush()
        assert not [line for line in ruled() if line.startswith("-A")]
        assert await backend.look() is False
        assert ruled() == before
        assert await running.exec(look + " | grep -v ' no$' && exit 1; exit 0") == 0
    await stopped(running)


async def test_rules_that_let_pass_what_walls_are_for_come_after_them(backend: DockerBackend, tmp_path: Path) -> None:
    running = await begun(backend, of(tmp_path, "red", "echo here; exec sleep 60"), b"here")
    before = ruled()
    with listener() as port:
        reached = " ".join(f"{one}:{port}" for one in addresses())
        look = f"python3 look.py {reached} | grep -v ' no$' && exit 1; exit 0"
        assert await running.exec(look) == 0
        with let_in():
            assert await running.exec(look) == 1
            assert await backend.look() is False
            assert await running.exec(look) == 0
            assert ruled() == before
    await stopped(running)


async def test_whatever_others_write_in_their_rules_does_not_end_the_agent(
    backend: DockerBackend, tmp_path: Path
) -> None:
    running = await begun(backend, of(tmp_path, "red", "echo here; exec sleep 60"), b"here")
    comment: list[str | bytes] = [
        "-A",
        "POSTROUTING",
        "-m",
        "comment",
        "--comment",
        b"two\nlines, caf\xe9",
        "-j",
        "MARK",
        "--set-mark",
        "1",
    ]
    with with_rules(comment):
        assert await backend.look() is False
        with with_rules(["-N", 'its"']):
            assert await backend.look() is True
            assert "iptables says of the table mangle cannot be read: No closing quotation" in backend.no_own
        assert await backend.look() is True
        assert backend.no_own == ""
    await stopped(running)


async def test_walls_are_put_up_again_while_the_engine_is_away(
    backend: DockerBackend, walled: Engine, tmp_path: Path
) -> None:
    running = await begun(backend, of(tmp_path, "red", "echo here; exec sleep 60"), b"here")
    before = ruled()
    walled.freeze()
    leaving = asyncio.create_task(backend.nets.leave())
    try:
        await asyncio.sleep(0)
        flush()
        async with asyncio.timeout(LIMIT):
            assert await backend.look(answers=False) is False
        assert ruled() == before
        assert not leaving.done()
    finally:
        walled.thaw()
    await leaving
    await stopped(running)


async def test_a_trial_that_went_wrong_is_made_again(
    backend: DockerBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "AGAIN", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(trial, "LIMIT", 0.0)
        await backend.open()
        assert (backend.networks, backend.no_own) == (("host", "none"), "a trial of it did not end within 0 s")
        assert await backend.look() is False
    assert await backend.look(answers=False) is False
    assert await backend.look() is True
    assert (backend.networks, backend.no_own) == (("host", "own", "none"), "")


async def test_where_walls_cannot_be_none_is_given(
    backend: DockerBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await begun(backend, of(tmp_path, "red", "echo here; exec sleep 60"), b"here")
    flush()
    with monkeypatch.context() as patched:
        patched.setattr(walls, "PATH", str(tmp_path))
        with pytest.raises(NotStarted, match="there is no iptables"):
            await backend.start(of(tmp_path, "blue", "echo ran"), lambda identity: None)
        assert await backend.look() is True
        assert (backend.networks, backend.no_own) == (
            ("host", "none"), "there is no iptables to keep containers from this machine; install it",
        )  # fmt: skip
        assert await backend.look() is False
    assert await backend.look() is True
    assert (backend.networks, backend.no_own) == (("host", "own", "none"), "")
    assert len(await left(backend)) == 2
    await stopped(running)


async def test_there_are_as_many_as_the_pool_has_room_for(backend: DockerBackend, tmp_path: Path) -> None:
    backend.nets.pool = pool_of("10.214.6.0/23")
    running = [
        await begun(backend, of(tmp_path, app, "echo here; exec sleep 60"), b"here") for app in ("red", "blue", "red")
    ]
    with pytest.raises(NotStarted, match=r"all of 10\.214\.6\.0/23 is taken on this host; widen host\.app_networks"):
        await backend.start(of(tmp_path, "green", "echo ran"), lambda identity: None)
    await stopped(running.pop(1))
    assert await said(backend, of(tmp_path, "green", "echo ran")) == ["ran"]
    await stopped(*running)


@pytest.fixture
def ruleless(walled: Engine) -> Iterator[Engine]:
    """An engine in the same network that keeps no rules."""
    with running_docker(walled.binary) as found:
        yield found


async def test_an_engine_without_rules_gives_none(ruleless: Engine, tmp_path: Path) -> None:
    found = DockerBackend(tmp_path / "backend")
    await found.open()
    assert found.networks == ("host", "none")
    assert found.no_own == "the engine lets its networks not out by iptables; run it without --iptables=false"
    assert await ruleless.left() == []
    assert ruled() == []


@pytest.fixture
def elsewhere(walled: Engine) -> Iterator[Engine]:
    """An engine in another network, as it is for a daemon in a container that has one of its own."""
    with contextlib.ExitStack() as stack:
        with netns():
            found = stack.enter_context(running_docker(walled.binary, "--iptables=true"))
        yield found


async def test_an_engine_elsewhere_gives_none(elsewhere: Engine, tmp_path: Path) -> None:
    found = DockerBackend(tmp_path / "backend")
    await found.open()
    assert found.networks == ("host", "none")
    assert found.no_own == "the engine's networks are not this daemon's machine's; run both in the network of the host"
    assert await elsewhere.left() == []
    assert ruled() == []


@pytest.fixture
async def rig(walled: Engine, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host without its agent, of which nothing is left."""
    async with open_rig(tmp_path / "data", backend="docker") as found:
        yield found
    await asyncio.to_thread(walled.stop)  # It holds on to volumes that it was restarted over, until the next time.
    await asyncio.to_thread(walled.start)
    await sweep(tmp_path / "data" / "host" / "docker", young=0)
    assert await walled.left() == []
    assert ruled() == []


async def test_services_of_several_apps_outlive_the_daemon_and_the_engine(
    rig: Rig, walled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_watch, "LOOK", 0.2)
    jobs = [
        rig.web("web-1", network="own"),
        rig.web("web-2", network="own"),
        rig.job("other-1", "exec sleep 60", network="own", app="other"),
    ]
    async with rig.running():
        host = rig.node.mirror.facts.hosts["host-a"]
        assert (host.networks, host.image_networks) == (("host", "own", "none"),) * 2
        assert (host.no_own, host.image_no_own) == ("", "")
        await rig.assign(*jobs)
        before = {job.id: await rig.state(job.id, "up") for job in jobs}
    rules = ruled()
    assert rules
    await asyncio.to_thread(walled.kill)
    await asyncio.to_thread(walled.start)
    async with rig.running():
        for job in jobs:
            assert await rig.state(job.id, "up") == before[job.id]
        for id in ("web-1", "web-2"):
            instance = rig.instance(id)
            assert instance
            assert await ask(instance) == id
            reader, writer = await asyncio.open_connection("::1", before[id].port)
            assert await reader.read() == f"{id}\n".encode()
            writer.close()
        assert ruled() == rules
        await rig.assign(rig.web("web-3", network="own"))
        await rig.state("web-3", "up")
        await rig.assign(*jobs, rig.web("web-3", network="own"), stop=True)
        for id in (*before, "web-3"):
            await rig.state(id, "down")


async def test_images_have_it_too(rig: Rig, walled: Engine) -> None:
    engine("busybox", busybox(), "run tests/engines.sh, which installs it or says how")
    async with open_registry() as registry, rig.running():
        for number, shell in enumerate((True, False)):
            made = image({"www/index.html": "page"}, shell, Cmd=["httpd", "-f", "-p", "20999", "-h", "/www"])
            job = rig.job(f"image-{number}", "", image=registry.add(f"app:{number}", made), layers={}, network="own")
            await rig.assign(job)
            up = await rig.state(job.id, "up")
            cards = Path(f"/proc/{up.pid}/net/dev").read_text()
            assert ("eth0:" in cards, cards.count(":")) == (True, 2)
            await rig.assign(job, stop=True)
            await rig.state(job.id, "down")
    await walled.forget_images()


async def test_killed_daemons_leave_nothing_that_the_next_one_does_not_find(walled: Engine, tmp_path: Path) -> None:
    """Their job lives, and has its network; one who was killed between making a network and using it leaves none."""
    seen, data = set(), tmp_path / "data"
    for _ in range(2):
        async with daemon(data, "docker", "own") as process:
            assert process.stdout is not None
            async with asyncio.timeout(2 * LIMIT):
                pid = (await process.stdout.readline()).decode().strip()
                await process.stdout.readline()
        seen.add((pid, os.readlink(f"/proc/{pid}/ns/net")))
    assert len(seen) == 1
    assert ruled()
    async with Docker() as client, Networks(data / "host" / "docker").given(client, "lost", ()):
        assert [name for name in await walled.left() if name.startswith("flynn-lost-")]
    async with open_rig(data, backend="docker") as rig, rig.running():
        assert not [name for name in await walled.left() if name.startswith("flynn-lost-")]
        await rig.state("worker-1", "down")
    assert await walled.left() == []
    assert ruled() == []


async def test_whom_running_jobs_may_not_reach_outlives_the_daemon(backend: DockerBackend, tmp_path: Path) -> None:
    """Its trial, which knows nobody, takes nothing away from them."""
    others = ("198.51.100.0/24", "203.0.113.7")
    running = await begun(backend, of(tmp_path, "red", "echo here; exec sleep 60", refused=others), b"here")
    before = ruled()
    assert len([line for line in before if "198.51.100.0/24" in line or "203.0.113.7/32" in line]) == 2
    again = DockerBackend(tmp_path / "backend")
    await again.open()
    assert again.no_own == ""
    assert ruled() == before
    await stopped(running)
    await again.nets.leave()


async def test_another_pool_is_taken_from_beside_what_runs_in_the_old_one(
    backend: DockerBackend, tmp_path: Path
) -> None:
    old, running = pool_of("10.214.0.0/20"), []
    for pool, apps in ((old, range(10)), (pool_of("10.215.0.0/20"), range(10, 12))):
        backend.nets.pool = pool
        for app in apps:
            running.append(await begun(backend, of(tmp_path, f"app{app}", "echo here; exec sleep 60"), b"here"))
    ask = "python3 -c 'import socket,sys; socket.create_connection((sys.argv[1], 1), 2)' "
    assert await running[-1].exec(f"{ask} {await address(running[0])} 2>&1 | grep -q 'timed out'") == 0
    await stopped(*running)
