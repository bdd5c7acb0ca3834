"""An app that means ill (`hostile_app.py`), in each backend that shuts in: contained, and its neighbour serves on.

As whoever runs the tests; where that is root, all of it once more as an ordinary user.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from flynn.core.model import Network
from flynn.plugins.host.backends.backend import Backend, Limits, Running, Spec
from flynn.plugins.host.backends.ending import terminate
from flynn.plugins.host.limits import limiter
from flynn.plugins.host.limits.cgroup import OURS
from tests.contract.backend import printed, start
from tests.plugins.host.again import again_as_ordinary_user
from tests.plugins.host.conftest import KINDS, opened
from tests.plugins.host.rig import open_rig
from tests.ports import free_port

APP = Path(__file__).with_name("hostile_app.py")
LIMIT = 20.0
LIMITS = Limits(memory=96, cpus=0.5, pids=40, files=256)
SERVER = """
import os, socket
s = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
print("serves", flush=True)
while True:
    s.accept()[0].sendall(b"here")
"""

SHUT_IN = sorted(set(KINDS) - {"process"})


@dataclass
class Scene:
    """A backend with a neighbour that serves, and directories for the app that means ill."""

    backend: Backend
    dir: Path
    secret: str
    port: int
    neighbour: int = 0
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    attackers: list[Running] = field(default_factory=list)
    network: Network = "host"

    def spec(self, name: str, command: str, limits: Limits = LIMITS, **env: str) -> Spec:
        dir = self.dir / name
        (dir / "app").mkdir(parents=True)
        (dir / "jobs" / name).mkdir(parents=True)
        shutil.copy(APP, dir / "app")
        (dir / "app" / "server.py").write_text(SERVER)
        return Spec(
            name, command, env, {"app": dir / "app"}, dir / "jobs" / name, limits=limits, network=self.network,
            app=name, port=int(env.get("PORT", "0")),
        )  # fmt: skip

    async def attack(self, name: str, limits: Limits = LIMITS, **env: str) -> tuple[Running, Spec]:
        told = self.spec(f"hostile-{name}", f"exec python3 -SE hostile_app.py {name} {self.mark}", limits, **env)
        self.attackers.append(await start(self.backend, told))
        return self.attackers[-1], told

    async def said(self, name: str, limits: Limits = LIMITS, **env: str) -> list[str]:
        """What an attack prints until its end; the neighbour serves meanwhile, and nothing is left."""
        running, told = await self.attack(name, limits, **env)
        async with asyncio.timeout(LIMIT):
            await running.wait()
        await self.ended(running, told)
        return told.stdout.read_text().splitlines()

    async def ended(self, running: Running, told: Spec) -> None:
        """Nothing is left of an attack, and the neighbour is there."""
        await running.cleanup()
        async with asyncio.timeout(LIMIT):  # Whom the kernel has killed is there until it comes to run once more.
            while self.left(told):
                await asyncio.sleep(0.02)
        await self.serves()

    def left(self, told: Spec) -> list[str]:
        """Processes of an attack that still run, and its groups."""
        group = limiter.group_of(told.dir)
        return self.processes() + [str(dir) for dir in (group.dirs if group else ()) if dir.exists()]

    def processes(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if self.mark in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {process.status()}")
        return found

    async def serves(self) -> None:
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            assert await reader.read(4) == b"here"
            writer.close()


@asynccontextmanager
async def scene_of(backend: Backend, dir: Path, network: Network = "host") -> AsyncIterator[Scene]:
    scene = Scene(backend, dir, secrets.token_hex(8), free_port(), network=network)
    told = scene.spec(
        "neighbour", f"exec python3 -SE server.py {scene.secret}", PORT=str(scene.port), SECRET=scene.secret
    )
    running = await start(backend, told)
    try:
        async with asyncio.timeout(LIMIT):
            await printed(told, b"serves")
            scene.neighbour = await running.pid()
        yield scene
        assert running.alive()
    finally:
        for one in [running, *scene.attackers]:
            await one.kill()
            await one.cleanup()


@pytest.fixture(params=SHUT_IN)
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    if request.param == "docker":
        request.getfixturevalue("docker")
    backend = await opened(KINDS[request.param](tmp_path / "data"))
    async with scene_of(backend, tmp_path) as made:
        yield made


@asynccontextmanager
async def removed(dir: Path) -> AsyncIterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(dir)


def limited(scene: Scene) -> bool:
    """Whether memory and processes can be limited; where they cannot, the backend has said so."""
    able = "no limits of memory" not in scene.backend.lacks
    assert able or os.geteuid() != 0 or "control groups" in scene.backend.lacks
    return able


async def test_it_finds_none_of_the_nodes_files(scene: Scene) -> None:
    (scene.dir / "data").mkdir(exist_ok=True)
    secret = scene.dir / "data" / "node.key"
    secret.write_text(scene.secret)
    paths = [
        secret, scene.dir / "data" / "jobs", scene.dir / "neighbour", "/etc/shadow", "/root/.ssh", "/home", "/boot",
        "/var/run/docker.sock", "/run/docker.sock", "/var/lib/etcd", "/etc/kubernetes",
        f"/proc/{os.getpid()}", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda",
    ]  # fmt: skip
    told = ":".join(str(path) for path in paths)
    assert await scene.said("files", PATHS=told) == ["looked"]


async def test_it_reaches_no_socket_of_the_node(scene: Scene) -> None:
    engine = Path(tempfile.mkdtemp(prefix="flynn-")) / "docker.sock"
    server = await asyncio.start_unix_server(lambda reader, writer: None, engine)
    async with server, removed(engine.parent):
        paths = f"{engine}:/run/docker.sock:/var/run/docker.sock:/run/containerd/containerd.sock:/run/systemd/private"
        assert await scene.said("sockets", PATHS=paths) == ["tried"]


async def test_it_sees_no_other_process(scene: Scene) -> None:
    lines = await scene.said("processes", NEIGHBOUR=str(scene.neighbour), TERCES=scene.secret[::-1])
    assert len(lines) == 1, lines
    assert int(lines[0].removeprefix("sees ")) <= 4


async def test_its_forks_come_to_an_end(scene: Scene) -> None:
    running, told = await scene.attack("forks")
    async with asyncio.timeout(LIMIT):
        await printed(told, b"refused")
    await scene.serves()
    assert 10 < len(scene.processes()) <= LIMITS.pids + OURS
    await running.kill()
    async with asyncio.timeout(LIMIT):
        await running.wait()
    await scene.ended(running, told)


async def test_its_memory_is_limited(scene: Scene) -> None:
    if not limited(scene):
        return
    running, told = await scene.attack("memory")
    async with asyncio.timeout(LIMIT):
        assert await running.wait() == 137
    assert told.stdout.read_text() == "eats\n"
    assert (await running.oom_kills()).killed == 1
    await scene.ended(running, told)


async def test_it_fills_only_what_is_its_own(scene: Scene) -> None:
    lines = await scene.said("disk", replace(LIMITS, memory=64))
    filled = {line.split()[1]: int(line.split()[2]) for line in lines if line.startswith("filled /")}
    assert lines[-1] == "filled all", lines
    assert filled["/dev"] == 0
    assert max(filled.values()) <= 16
    assert not [line for line in lines if "BREACH" in line]


async def test_it_is_killed_if_it_does_not_listen(scene: Scene) -> None:
    running, told = await scene.attack("deaf")
    async with asyncio.timeout(LIMIT):
        await printed(told, b"deaf")
        assert await terminate(running, [signal.SIGTERM], 0.3) == (137, True)
    await scene.ended(running, told)


async def test_it_cannot_run_away(scene: Scene) -> None:
    running, told = await scene.attack("runaway")
    async with asyncio.timeout(LIMIT):
        await printed(told, b"deaf")
        await running.wait()
    await scene.ended(running, told)


async def test_it_cannot_kill_what_all_depends_on(scene: Scene) -> None:
    lines = await scene.said("first")
    assert lines[-1] == "lives", lines


def log_size(dir: Path) -> int:
    """Bytes of an app's log, parts of which may go meanwhile."""
    size = 0
    for path in dir.iterdir():
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


async def test_its_log_is_bounded(scene: Scene, tmp_path: Path) -> None:
    """A flood, and one line of 100 MB: through an agent, which serves another job's log meanwhile."""
    async with open_rig(tmp_path / "node", backend=scene.backend.name, log_size=1) as rig, rig.running():
        files = {"hostile_app.py": APP.read_text()}
        jobs = [
            rig.job(f"hello-{name}", f"exec python3 -SE hostile_app.py {name}", files=files, app=name)
            for name in ("flood", "line")
        ]
        await rig.assign(*jobs, rig.job("hello-good", "while :; do echo tick; sleep 0.05; done", files=files))
        for id in ("hello-good", "hello-flood", "hello-line"):
            await rig.state(id, "up")
        async with asyncio.timeout(LIMIT):
            while len(await rig.printed("hello-good")) < 20 or "end of it" not in await rig.printed("hello-line"):
                await asyncio.sleep(0.05)
        for name in ("flood", "line"):
            assert log_size(tmp_path / "node" / "host" / "logs" / name) < 2_500_000
        raw = rig.dir("hello-flood") / "stdout"
        async with asyncio.timeout(LIMIT):
            while (found := raw.stat()).st_size < 300_000_000 or found.st_blocks * 512 > found.st_size // 2:
                await asyncio.sleep(0.02)
        assert max(len(line) for line in await rig.printed("hello-line")) <= 10_000
        await scene.serves()


def test_all_of_it_as_an_ordinary_user() -> None:
    if os.geteuid() == 0:
        again_as_ordinary_user(__file__)
