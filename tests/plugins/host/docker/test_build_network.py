"""Steps of Dockerfiles reach the world and nothing else: with a real engine that has rules of its own, in a network of
the tests' own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiodocker import Docker

from flynn.core.serve import serve
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.docker import walls
from flynn.plugins.host.docker.build_network import BuildNetwork
from flynn.plugins.host.docker.docker import DockerBackend
from flynn.plugins.host.docker.engine import engine
from flynn.plugins.host.docker.networks import Networks
from tests.contract.network import addresses, listener
from tests.docker import Engine
from tests.plugins.host.docker.test_image_build import build
from tests.plugins.host.docker.test_image_build import registry as registry
from tests.plugins.host.docker.test_own import flush, ruled
from tests.plugins.host.docker.test_own import ruleless as ruleless
from tests.plugins.host.rig import HOST, Rig, open_rig
from tests.plugins.host.sandbox.world import world
from tests.ports import free_port
from tests.registry import Registry

LIMIT = 30.0

pytestmark = pytest.mark.heavy

LOOK = r"""
ask() { printf 'GET /nothing HTTP/1.0\r\n\r\n'; sleep 5; }
look() {
    said=$(ask | timeout 10 nc -w 3 "${1%:*}" "${1##*:}" 2>/dev/null | head -n 1)
    echo "$1 ${said:-no}" | tr -d '\r'
}
for place; do look "$place" & done
wait
"""
"""Says of each place what answers there, if anything does."""

GATEWAY = "$(ip route | grep default | cut -d' ' -f3)"
ANSWER = "HTTP/1.0 404 Not Found"
"""The node's API: there is nothing at that place."""

WAIT = "until test -e /go; do sleep 0.1; done"


@pytest.fixture
async def rig(walled: Engine, tmp_path: Path) -> AsyncIterator[Rig]:
    """A host with its agent, of which nothing is left in the engine or the kernel but images."""
    async with open_rig(tmp_path / "data", backend="docker") as found:
        async with found.running():
            yield found
    assert await walled.left() == []
    assert ruled() == []


def base(registry: Registry) -> str:
    return f"FROM 127.0.0.1:{registry.port}/base:1\n"


async def said(rig: Rig, id: str, code: int = 0) -> list[str]:
    """What a build has printed, once it has ended with this code; what its steps say is indented."""
    down = await rig.state(id, "down", 2 * LIMIT)
    lines = await rig.printed(id)
    assert down.exit_code == code, (down.reason, lines)
    return [line.strip() for line in lines]


async def begun(rig: Rig, id: str, line: str = "on") -> None:
    deadline = asyncio.get_running_loop().time() + LIMIT
    while f"       {line}" not in (lines := await rig.printed(id)):
        state = rig.node.mirror.facts.states.get(f"{HOST}/{id}")
        assert asyncio.get_running_loop().time() < deadline, (state, lines)
        assert not state or state.state != "down", lines
        await asyncio.sleep(0.05)


async def containers(rig: Rig, id: str, app: str = "hello") -> list[str]:
    """The containers of the engine that are on the network of that build's steps."""
    network = Networks(rig.node.node.data / "host" / "docker").name_of(app, id)
    async with Docker() as client:
        return [one.id for one in await client.containers.list(filters={"network": [network]})]


async def address(id: str) -> str:
    async with Docker() as client:
        (one,) = (await client.containers.container(id).show())["NetworkSettings"]["Networks"].values()
        return str(one["IPAddress"])


async def go(id: str) -> None:
    """Let the step in this container go on."""
    async with Docker() as client:
        made = await client.containers.container(id).exec(["touch", "/go"])
        await made.start(detach=True)


async def test_a_hostile_dockerfile_reaches_nothing_but_the_world(rig: Rig, registry: Registry) -> None:
    """Neither the node's API, nor any address of this machine, its own gateway among it, nor another app's container by
    its address or port, nor another build's step, nor where clouds tell their secrets."""
    await rig.assign(rig.web("web-1", network="own", app="other"))
    up = await rig.state("web-1", "up")
    serves = {"Dockerfile": f"{base(registry)}RUN echo on; exec httpd -f -p 8000 -h /www\n"}
    await rig.assign(build(rig, "build-1", serves, cache="build-1"))
    await begun(rig, "build-1")
    async with Docker() as client:
        (web,) = [one.id for one in await client.containers.list(filters={"label": ["flynn.job=web-1"]})]
    (step,) = await containers(rig, "build-1")
    with world() as out, listener() as port:
        api = free_port()
        async with serve(rig.node.web, "0.0.0.0", api):
            inside = [f"{await address(web)}:{up.port}", f"{await address(step)}:8000"]
            own = [f"{one}:{number}" for one in addresses() for number in (api, port, up.port)]
            refused = [*inside, *own, f"{out.metadata}:80"]
            gateway = [f"{GATEWAY}:{number}" for number in (api, port, up.port)]
            look = f"RUN sh /look.sh {out.far}:80 {' '.join(refused)}\nRUN sh /look.sh {' '.join(gateway)}\n"
            files = {"Dockerfile": f"{base(registry)}COPY look.sh /\n{look}", "look.sh": LOOK}
            await rig.assign(build(rig, "build-2", files))
            lines = await said(rig, "build-2")
    assert {line for line in lines if line.endswith(" no")} >= {f"{place} no" for place in refused}
    answered = [line for line in lines if line.startswith(("1", "2")) and not line.endswith(" no")]
    assert answered == [f"{out.far}:80 world"]
    assert len([line for line in lines if line.startswith("10.213.") and line.split()[0] not in refused]) == len(
        gateway
    )
    assert await containers(rig, "build-1")
    await rig.assign(
        build(rig, "build-1", serves, cache="build-1"), rig.web("web-1", network="own", app="other"), stop=True
    )
    for id in ("build-1", "web-1"):
        await rig.state(id, "down")


async def test_all_that_is_refused_would_answer(walled: Engine, registry: Registry, tmp_path: Path) -> None:
    """With the machine's network, as the operator may say, the same Dockerfile reaches it."""
    async with open_rig(tmp_path / "data", backend="docker", image_network="host") as rig, rig.running():
        with world() as out, listener() as port:
            api = free_port()
            async with serve(rig.node.web, "0.0.0.0", api):
                places = [f"{out.far}:80", f"{out.metadata}:80", f"{out.host}:{port}", f"{out.host}:{api}"]
                look = f"RUN sh /look.sh {' '.join(places)}\n"
                files = {"Dockerfile": f"{base(registry)}COPY look.sh /\n{look}", "look.sh": LOOK}
                await rig.assign(build(rig, "build-1", files))
                answers = ["world", "world", "host", ANSWER]
                lines = await said(rig, "build-1")
                assert {f"{place} {answer}" for place, answer in zip(places, answers, strict=True)} <= set(lines), lines


async def test_names_are_answered_in_a_step(rig: Rig, registry: Registry) -> None:
    server = (walls.resolvers() or ["8.8.8.8"])[0]
    with world() as out, out.resolver(server):
        await rig.assign(build(rig, "build-1", {"Dockerfile": f"{base(registry)}RUN nslookup some.name.example\n"}))
        assert "Address: 203.0.113.99" in await said(rig, "build-1")


async def test_walls_that_are_torn_down_in_a_step_are_put_up_again(rig: Rig, registry: Registry) -> None:
    with listener() as port, world() as out:
        look = f"RUN echo on; {WAIT}; sh /look.sh {out.host}:{port} {out.far}:80\n"
        files = {"Dockerfile": f"{base(registry)}COPY look.sh /\n{look}", "look.sh": LOOK}
        await rig.assign(build(rig, "build-1", files))
        await begun(rig, "build-1")
        before = ruled()
        assert before
        flush()
        async with asyncio.timeout(LIMIT):
            while ruled() != before:
                await asyncio.sleep(0.1)
        (step,) = await containers(rig, "build-1")
        await go(step)
        assert {f"{out.host}:{port} no", f"{out.far}:80 world"} <= set(await said(rig, "build-1"))


async def test_a_build_that_is_stopped_leaves_no_network(rig: Rig, registry: Registry, walled: Engine) -> None:
    wanted = build(rig, "build-1", {"Dockerfile": f"{base(registry)}RUN echo on; exec sleep 600\n"})
    await rig.assign(wanted)
    await begun(rig, "build-1")
    assert [name for name in await walled.left() if name.startswith("flynn-hello-")]
    await rig.assign(wanted, stop=True)
    await rig.state("build-1", "down")
    assert await walled.left() == []
    assert ruled() == []


async def test_an_engine_that_is_killed_in_a_step_leaves_nothing(rig: Rig, registry: Registry, walled: Engine) -> None:
    """It lets the step's container live (`live-restore`), of which it knows no more that a build has made it."""
    await rig.assign(build(rig, "build-1", {"Dockerfile": f"{base(registry)}RUN echo on; exec sleep 600\n"}))
    await begun(rig, "build-1")
    (step,) = await containers(rig, "build-1")
    await asyncio.to_thread(walled.kill)
    await asyncio.to_thread(walled.start)
    lines = await said(rig, "build-1", code=1)
    assert lines[-1].startswith("!     the Dockerfile cannot be built: the Docker Engine at "), lines
    assert await containers(rig, "build-1") in ([], [step])  # As its end, or the next sweep, was before or after.
    await Networks(rig.node.node.data / "host" / "docker").leave()
    assert await walled.left() == []


@pytest.mark.parametrize("engine_too", [False, True], ids=["the daemon", "the engine and the daemon"])
async def test_what_is_killed_in_a_step_leaves_nothing_that_the_next_daemon_does_not_find(
    engine_too: bool, walled: Engine, registry: Registry, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "tests.plugins.host.docker.build_daemon", str(tmp_path / "data")]
    process = await asyncio.create_subprocess_exec(*words, base(registry).split()[1], stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        async with asyncio.timeout(2 * LIMIT):
            assert await process.stdout.readline() == b"on\n"
        if engine_too:
            await asyncio.to_thread(walled.kill)
    finally:
        process.kill()
        await process.wait()
    if engine_too:
        await asyncio.to_thread(walled.start)
        assert len(await walled.left()) > 1
    networks = Networks(tmp_path / "data" / "host" / "docker")
    async with engine() as client, networks.given(client, "lost", (), "build-9"):
        assert [name for name in await walled.left() if name.startswith("flynn-lost-")]
    async with open_rig(tmp_path / "data", backend="docker") as rig, rig.running():
        await rig.state("build-1", "down")
        async with asyncio.timeout(LIMIT):
            while await walled.left():
                await asyncio.sleep(0.1)
    assert ruled() == []


async def test_where_walls_never_could_be_it_is_said_what_is_reached(
    ruleless: Engine, registry: Registry, tmp_path: Path
) -> None:
    why = "the engine lets its networks not out by iptables; run it without --iptables=false"
    async with open_rig(tmp_path / "data", backend="docker") as rig, rig.running():
        await rig.assign(build(rig, "build-1", {"Dockerfile": f"{base(registry)}RUN echo ran\n"}))
        lines = await said(rig, "build-1")
        assert {"ran", f"!     the steps of this build reach what listens on its host: {why}"} <= set(lines)
    async with open_rig(tmp_path / "other", backend="docker", image_network="own") as rig, rig.running():
        await rig.assign(build(rig, "build-1", {"Dockerfile": f"{base(registry)}RUN echo ran\n"}))
        lines = await said(rig, "build-1", code=1)
        assert "ran" not in lines
        assert lines[-1].endswith(f"this host cannot keep its steps from what else runs here: {why}")


async def test_where_walls_could_be_none_is_built_without(
    walled: Engine, rig: Rig, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by the next daemon."""
    again = DockerBackend(rig.node.node.data / "host")
    monkeypatch.setattr(walls, "PATH", str(tmp_path))
    await again.open()
    wanted = build(rig, "build-1", {"Dockerfile": f"{base(registry)}RUN echo ran\n"})
    with pytest.raises(NotStarted, match="cannot keep its steps from what else runs here: there is no iptables"):
        async with BuildNetwork(again, "", ()).given(wanted):
            pass
    async with BuildNetwork(again, "bridge", ()).given(wanted) as found:
        assert found == ("bridge", "")
