"""What is docker's own: a container shuts in, holds to its limits, and leaves nothing in the engine."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiodocker import Docker

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import Limits, NotStarted, Spec
from flynn.plugins.host.docker.container import RunningContainer
from flynn.plugins.host.docker.docker import MODES, DockerBackend, _patiently
from flynn.plugins.host.docker.made import Made, save, unborn
from flynn.plugins.host.docker.overlay import USER
from tests.contract import backend as contract
from tests.contract.backend import output, printed, spec
from tests.docker import Engine
from tests.plugins.host.rig import open_rig

LIMIT = 20.0
OTHER = 61_001
"""An ordinary user, of whom nobody else knows."""


@pytest.fixture(scope="module")
def opened(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> DockerBackend:
    """A backend, open."""
    found = DockerBackend(tmp_path_factory.mktemp("backend"))
    asyncio.run(found.open())
    return found


@pytest.fixture
async def backend(opened: DockerBackend, docker: Engine) -> AsyncIterator[DockerBackend]:
    """The backend; nothing of it may be left in the engine."""
    yield opened
    assert await docker.left() == []


async def inside(backend: DockerBackend, dir: Path, command: str, limits: Limits = Limits()) -> tuple[int, list[str]]:  # noqa: B008
    """The exit code of a command in a container, and what it prints, errors too."""
    (dir / "job").mkdir(exist_ok=True)
    told = spec(dir, f"exec 2>&1; {command}", tools="t")
    running = await contract.start(backend, Spec(**{**vars(told), "limits": limits}))
    async with asyncio.timeout(LIMIT):
        code = await running.wait()
    await running.cleanup()
    assert code is not None
    return code, (dir / "job" / "stdout").read_text(errors="replace").splitlines()


async def test_it_is_nobody(backend: DockerBackend, tmp_path: Path) -> None:
    wanted = "grep -E 'Cap(Eff|Prm|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status"
    _, lines = await inside(backend, tmp_path, f"id -u; id -un; id -G; hostname; {wanted}")
    assert lines[:4] == [str(USER), "app", str(USER), "job-1"]
    assert [line.split()[1] for line in lines[4:]] == ["0" * 16] * 3 + ["1", "2"]


async def test_one_whose_start_was_not_written_down_can_be_ended(backend: DockerBackend, tmp_path: Path) -> None:
    """As its daemon was killed in that moment: the next one knows the container, but not its process."""
    (tmp_path / "job").mkdir()
    wanted = spec(tmp_path, "echo here; exec sleep 60")
    running = await contract.start(backend, wanted)
    async with asyncio.timeout(LIMIT):
        await printed(wanted, b"here")
    assert isinstance(running, RunningContainer)
    assert running.made
    save(wanted.dir, Made(running.made.id, unborn()))
    found = backend.adopt(wanted.dir, unborn())
    assert await found.pid()
    await backend.adopt(wanted.dir, unborn()).kill()
    async with asyncio.timeout(LIMIT):
        assert await found.wait() == 137
    await found.cleanup()


async def test_it_sees_nothing_of_the_machine(backend: DockerBackend, docker: Engine, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    paths = [
        str(tmp_path / "secret"), "/etc/shadow", "/root/.ssh", "/home", str(docker.home), "/run/docker.sock",
        "/var/run/docker.sock", "/etc/ssl/private/key", "/boot", f"/proc/{os.getpid()}", "/dev/sda", "/dev/vda",
    ]  # fmt: skip
    told = f"for f in {' '.join(paths)}; do test -e $f && echo $f; done; ls /proc | grep -c '^[0-9]'; ls /"
    _, lines = await inside(backend, tmp_path, told)
    assert int(lines[0]) <= 6
    assert {"home", "boot", "mnt", "srv", "opt"}.isdisjoint(lines[1:])


async def test_it_writes_only_where_it_may(backend: DockerBackend, tmp_path: Path) -> None:
    places = "/x /usr/x /etc/x /tools/x /tools/file /var/x /root/x /app/x /app/file /tmp/x /run/x /cache/x /out/x"
    kernel = "/proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/mm/ksm/run /proc/self/oom_score_adj"
    _, lines = await inside(backend, tmp_path, f"for f in {places} {kernel}; do (: >>$f) 2>/dev/null && echo $f; done")
    assert lines == ["/app/x", "/app/file", "/tmp/x", "/run/x", "/cache/x", "/out/x", "/proc/self/oom_score_adj"]


async def test_it_cannot_be_left(backend: DockerBackend, tmp_path: Path) -> None:
    tries = "unshare -Ur true && echo rooted; mount -t tmpfs x /tmp && echo mounted; kill -9 1; mknod /tmp/d b 8 0"
    code, lines = await inside(backend, tmp_path, f"{tries} && echo made; echo x; exit 7")
    assert code == 7
    assert {"rooted", "mounted", "made"}.isdisjoint(lines)


async def test_memory_is_limited(backend: DockerBackend, tmp_path: Path) -> None:
    """What is put into /tmp is memory: it is full before the job is killed."""
    code, lines = await inside(backend, tmp_path, "head -c 100M /dev/zero >/tmp/fills", Limits(memory=48))
    assert (code, "No space left" in lines[0]) == (1, True)
    (tmp_path / "job").mkdir(exist_ok=True)
    told = spec(tmp_path, "exec tail /dev/zero")
    running = await contract.start(backend, Spec(**{**vars(told), "limits": Limits(memory=48)}))
    async with asyncio.timeout(LIMIT):
        assert await running.wait() == 137
    assert (await running.oom_kills()).killed == 1
    await running.cleanup()
    assert (await running.oom_kills()).killed == 0


async def test_processes_and_files_are_limited(backend: DockerBackend, tmp_path: Path) -> None:
    bomb = "ulimit -n; cat /proc/self/limits | grep -c x; f() { f | f & }; f; sleep 0.5; echo on"
    code, lines = await inside(backend, tmp_path, bomb, Limits(pids=30, files=100, cpus=0.5))
    assert lines[0] == "100"
    assert any("fork" in line for line in lines)
    assert code in (0, 2)


@pytest.mark.parametrize("mode", MODES)
async def test_what_it_writes_is_thrown_away_in_every_mode(docker: Engine, tmp_path: Path, mode: str) -> None:
    found = DockerBackend(tmp_path / "backend")
    await found.open()
    found.mode, _ = await found._choose((mode,))
    assert found.mode == mode
    (tmp_path / "job").mkdir()
    told = spec(tmp_path, "cat file; echo changed >file; mkdir d; mv file d/file; cat d/file")
    assert await output(found, told) == ["hellochanged"]
    assert (tmp_path / "app" / "file").read_text() == "hello"
    assert await docker.left() == []


async def test_a_slug_is_shared_and_not_copied(backend: DockerBackend, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    told = spec(tmp_path, "stat -c %i file; echo x >other; exec sleep 60")
    seen = []
    for name in ("one", "two"):
        mine = Spec(**{**vars(told), "dir": tmp_path / name, "id": name})
        running = await contract.start(backend, mine)
        async with asyncio.timeout(LIMIT):
            await printed(mine, b"\n")
        assert os.listdir(tmp_path / name / "upper") in ([], ["other"])
        seen.append(mine.stdout.read_text())
        await running.kill()
        await running.wait()
        await running.cleanup()
    assert seen[0] == seen[1]
    assert os.listdir(tmp_path / "app") == ["file"]


async def test_a_start_that_is_cancelled_leaves_nothing(backend: DockerBackend, tmp_path: Path) -> None:
    """At whatever moment; at the last ones it has begun already."""
    (tmp_path / "job").mkdir()
    for moment in (0.0, 0.02, 0.05, 0.1, 0.2):
        starting = asyncio.create_task(contract.start(backend, spec(tmp_path, "exec sleep 60")))
        await asyncio.sleep(moment)
        starting.cancel()
        await asyncio.wait([starting], timeout=LIMIT)
        assert starting.done()
        if not starting.cancelled():
            await starting.result().cleanup()
        assert not (tmp_path / "job" / "container").exists()


async def test_a_start_that_is_given_up_waits_for_the_container_that_is_being_made() -> None:
    """Else the engine would have it, and nobody would know."""
    go, made = asyncio.Event(), []

    async def make() -> Any:
        await go.wait()
        made.append("container")

    starting = asyncio.create_task(_patiently(make()))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting], timeout=0.1)
    assert not starting.done()
    go.set()
    await asyncio.wait([starting], timeout=LIMIT)
    assert starting.cancelled()
    assert made == ["container"]


async def test_a_container_that_cannot_be_made_says_why(backend: DockerBackend, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    told = spec(tmp_path, "true")
    with pytest.raises(NotStarted, match="nothere"):
        await contract.start(backend, Spec(**{**vars(told), "layers": {"app": tmp_path / "nothere"}}))


async def test_without_an_engine_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothere")
    with pytest.raises(StartError, match="DOCKER_HOST"):
        await DockerBackend(tmp_path).open()


async def test_a_service_is_found_by_its_labels_and_has_its_limits(docker: Engine, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="docker") as rig, rig.running():
        await rig.assign(rig.web("web-1", memory=64))
        up = await rig.state("web-1", "up")
        async with Docker(docker.url) as client:
            filters = {"label": ["flynn.app=hello", "flynn.release=v3", "flynn.type=web", "flynn.job=web-1"]}
            (found,) = await client.containers.list(filters=filters)
            made = (await found.show())["HostConfig"]
        assert (made["Memory"], made["PidsLimit"], made["NanoCpus"]) == (256 << 20, 2048, 0)
        assert Path(f"/proc/{up.pid}/comm").read_text() == "python3\n"
    assert await docker.left() == []


async def test_an_ordinary_user_may_do_it_too(docker: Engine, tmp_path: Path) -> None:
    """One who may use the engine; jobs are this user then."""
    docker.home.chmod(0o711)
    (docker.home / "sock").chmod(0o666)
    with tempfile.TemporaryDirectory() as dir:  # pytest's own are closed to others
        os.chown(dir, OTHER, OTHER)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.plugins.host.ordinary", dir, str(OTHER),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(3 * LIMIT):
            out, err = await process.communicate()
    assert out.decode() == f"overlay {OTHER}\n", err.decode()
    assert await docker.left() == []


async def test_a_slug_may_ask_for_a_container_beside_sandboxes(docker: Engine, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="auto") as rig, rig.running():
        jobs = {"plain": "", "asks": "docker", "cannot": "process"}
        await rig.assign(*(rig.job(id, "exec sleep 60", backend=backend) for id, backend in jobs.items()))
        for id in ("plain", "asks"):
            await rig.state(id, "up")
        down = await rig.state("cannot", "down")
        assert down.reason == "this host does not offer the backend process for it, but sandbox"
        assert [name for name in await docker.left() if name.startswith("flynn-asks-")]
        assert not [name for name in await docker.left() if name.startswith("flynn-plain-")]
        await rig.assign(*(rig.job(id, "exec sleep 60", backend=jobs[id]) for id in ("plain", "asks")), stop=True)
        for id in ("plain", "asks"):
            await rig.state(id, "down")
