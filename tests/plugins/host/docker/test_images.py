"""Jobs that are images, and slugs on an image: pulled once, kept by a name that does not move, run as nobody."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiodocker import Docker

from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import Job, JobState, Mount, Volume
from flynn.core.store import Put
from flynn.plugins.host.docker import images
from flynn.plugins.host.docker.overlay import USER
from flynn.plugins.host.docker.roots import may_be_root
from tests.conftest import engine
from tests.docker import Engine
from tests.plugins.host.rig import HOST, Rig, open_rig
from tests.registry import Registry, busybox, image, open_registry

SERVE = ["sh", "-c", "exec httpd -f -p $PORT -h /www"]


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    engine("busybox", busybox(), "run tests/engines.sh, which installs it or says how")
    async with open_registry() as found:
        yield found


def job(rig: Rig, id: str, image: str, command: str = "", **fields: Any) -> Job:
    """A job of an image."""
    return rig.job(id, command, **{"layers": {}, "image": image, "queue": "ephemeral", **fields})


async def served(state: JobState, path: str = "") -> str:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{state.port}/{path}") as response:
            return await response.text()


async def ran(rig: Rig, made: Job) -> list[str]:
    """What a job prints until its end, a good one."""
    await rig.assign(made)
    down = await rig.state(made.id, "down")
    assert down.exit_code == 0, down.reason
    return await rig.printed(made.id)


async def test_an_image_serves_and_a_moved_tag_moves_no_release(rig: Rig, registry: Registry) -> None:
    name = registry.add("shop/hello:latest", image({"www/index.html": "one"}, Cmd=SERVE))
    fields = {"queue": "services", "type": "web", "service": "hello-web"}
    await rig.assign(job(rig, "web-1", name, release=3, **fields))
    assert await served(await rig.state("web-1", "up")) == "one"
    said = [line["line"] for line in await rig.log(job="web-1")]
    assert said[:2] == [f"pulls the image {name}", "started"]
    registry.add("shop/hello:latest", image({"www/index.html": "two"}, Cmd=SERVE))
    await rig.assign(job(rig, "web-2", name, release=3, **fields), job(rig, "web-3", name, release=4, **fields))
    assert await served(await rig.state("web-2", "up")) == "one"
    assert await served(await rig.state("web-3", "up")) == "two"
    assert registry.asked["shop/hello:latest"] == 2


async def test_many_jobs_wait_for_one_pull_and_are_told_how_far_it_is(
    rig: Rig, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "EVERY", 0.05)
    registry.slow = asyncio.Event()
    name = registry.add("big:1", image({"www/x": "x" * 4_000_000}, Cmd=["true"]))
    await rig.assign(job(rig, "run-1", name), job(rig, "run-2", name))
    async with asyncio.timeout(20):
        while not any("MiB have come" in line["line"] for line in await rig.log(job="run-2")):
            await asyncio.sleep(0.02)
    registry.slow.set()
    for id in ("run-1", "run-2"):
        assert (await rig.state(id, "down")).exit_code == 0
    assert registry.asked["big:1"] == 1


async def test_an_image_that_cannot_be_had_says_why(rig: Rig, registry: Registry) -> None:
    await rig.assign(job(rig, "run-1", f"127.0.0.1:{registry.port}/nothere:1"))
    down = await rig.state("run-1", "down")
    assert (down.failure, down.exit_code) == ("start", None)
    assert down.reason.startswith(f"the image 127.0.0.1:{registry.port}/nothere:1 cannot be pulled: ")


async def test_an_image_writes_to_its_volume_as_whoever_it_is(rig: Rig, registry: Registry) -> None:
    """One after the other: nobody in particular, a number, a name; also where a slug could mount nothing."""
    volume = Volume(app="hello", name="data", id="1", created=1.0, host=HOST)
    await rig.node.store.commit([Put(keys.volume("hello", "data"), encode(volume))])
    users = {"etc/passwd": "db:x:78:78::/:/bin/sh\n"}
    for number, user in enumerate(("", "77:77", "db")):
        name = registry.add(f"writer{number}:1", image(users, User=user, Labels={"flynn.read-only": "true"}))
        mount = Mount(path="/usr/share/data", volume="data", id="1")
        command = 'echo x >>"$FLYNN_VOLUME_DATA/by-$(id -u)"; ls /usr/share/data'
        lines = await ran(rig, job(rig, f"run-{number}", name, command, mounts=(mount,), release=number + 1))
        assert lines == [f"by-{id}" for id in (USER, 77, 78)][: number + 1]


async def test_what_an_image_says_of_itself_is_heeded(rig: Rig, registry: Registry) -> None:
    """Its command, directory, variables and user, but for root; a label makes it read-only."""
    told = ["sh", "-c", "id -u; pwd; echo $COLOR $HELLO; touch /var/x && echo wrote"]
    plain = registry.add("plain:1", image(Cmd=told, Env=["COLOR=red", "PATH=/bin"], WorkingDir="/www"))
    assert await ran(rig, job(rig, "run-1", plain, env={"HELLO": "you"})) == [str(USER), "/www", "red you", "wrote"]
    its = registry.add(
        "its:1", image(Entrypoint=told[:2], Cmd=told[2:], User="77:77", Labels={"flynn.read-only": "true"})
    )
    assert await ran(rig, job(rig, "run-2", its, "id -u; touch /var/x || echo kept", app="its")) == ["77", "kept"]
    root = registry.add("root:1", image(Cmd=["id", "-u"], User="root"))
    assert await ran(rig, job(rig, "run-3", root, app="root")) == [str(USER)]


@pytest.mark.parametrize(
    ("user", "passwd", "runs"),
    [
        ("app", "app:x:0:0::/:/bin/sh\n", USER),
        ("app:root", "root:x:0:0::/:\napp:x:1234:1234::/:\n", 1234),
        ("app", None, USER),
    ],
    ids=["called otherwise", "named", "nowhere"],
)
async def test_no_image_is_root(rig: Rig, registry: Registry, user: str, passwd: str | None, runs: int) -> None:
    """Whatever it calls that."""
    files = {} if passwd is None else {"etc/passwd": passwd, "etc/group": "root:x:0:\n"}
    name = registry.add("who:1", image(files, User=user, Cmd=["id", "-u"]))
    assert await ran(rig, job(rig, "run-1", name)) == [str(runs)]


def test_who_may_be_root() -> None:
    text = """
        root:x:0:0::/:
        # a word
        zero:x:00:0::/:
        app:x:1000:1000::/:
        signed:x:+0:0::/:
        odd:x:abc:0::/:
        odd:x:1000:0::/:
        short:x
        77:x:0:0::/:
    """
    roots = ["root", "zero", "signed", "odd", "short", "nobody", "0", "+5", "77", "²"]
    assert [name for name in [*roots, "app", "1000", "78"] if may_be_root(name, text)] == roots


async def test_an_image_without_a_shell_runs_what_it_says(rig: Rig, registry: Registry) -> None:
    """Each byte of it comes once, whatever it is, though it comes by the engine's log."""
    told = "echo one; printf 'two\\n\\nthree'; printf 'no\\377 end' >&2; head -c 40000 /dev/zero; exit 3"
    name = registry.add("bare:1", image(shell=False, Cmd=["/bin/busybox", "sh", "-c", told]))
    await rig.assign(job(rig, "run-1", name))
    down = await rig.state("run-1", "down")
    assert down.exit_code == 3
    lines = await rig.printed("run-1")
    assert lines[:3] == ["one", "two", ""]
    assert "".join(lines[3:]) == "three" + "\0" * 40_000
    assert await rig.printed("run-1", "stderr") == ["no\ufffd end"]
    await rig.assign(job(rig, "run-2", name, "echo no"))
    assert "has no /bin/sh" in (await rig.state("run-2", "down")).reason


async def test_slugs_run_on_a_stack(docker: Engine, registry: Registry, tmp_path: Path) -> None:
    stack = registry.add("stack:1", image({"etc/mark": "of the stack"}, Env=["PATH=/bin"]))
    async with open_rig(tmp_path / "data", backend="docker", stack=stack) as rig, rig.running():
        made = rig.job(
            "run-1", "cat /etc/mark file; echo x >file && echo; pwd", queue="ephemeral", files={"file": "mine"}
        )
        assert await ran(rig, made) == ["of the stackmine", "/app"]
    assert await docker.left() == []


async def test_images_that_nobody_wants_are_let_go(rig: Rig, registry: Registry, docker: Engine) -> None:
    name = registry.add("hello:1", image(Cmd=["true"]))
    for release in (3, 4):
        await ran(rig, job(rig, f"run-{release}", name, release=release))
    async with asyncio.TaskGroup() as tasks:
        mine = images.Images(rig.node.node.data / "host", tasks)
        await mine.keep({("hello", 4)}, {name})
    async with Docker(docker.url) as client:

        async def tags() -> list[str]:
            return [tag for one in await client.images.list() for tag in one["RepoTags"] or ()]

        assert mine.name("hello", 4) in await tags()
        assert mine.name("hello", 3) not in await tags()
        assert name in await tags()
        await mine.keep({("hello", 4)})
        assert name not in await tags()
        assert mine.name("hello", 4) in await tags()
        assert images.Images(rig.node.node.data / "host", tasks).pulled.names == set()


async def test_the_image_of_a_live_job_is_kept_though_nobody_wants_its_release(
    rig: Rig, registry: Registry, tmp_path: Path
) -> None:
    """It may have come a moment ago, and have no container yet: one of an old release that is run once more, say."""
    name = registry.add("hello:1", image(Cmd=["true"]))
    live = [job(rig, "run-1", name, release=3)]

    async def say(text: str) -> None:
        pass

    async with asyncio.TaskGroup() as tasks:
        mine = images.Images(tmp_path / "another", tasks, live=lambda: live)
        kept = await mine.get(live[0], say)
        await mine.keep(())
        assert await images._has(kept)
        assert await images._has(name)
        live.clear()
        await mine.keep(())
        assert not await images._has(kept)
        assert not await images._has(name)


async def test_an_image_that_was_there_before_is_not_let_go(rig: Rig, registry: Registry, docker: Engine) -> None:
    name = registry.add("hello:1", image(Cmd=["true"]))
    async with Docker(docker.url) as client:
        await client.images.pull(name)
        await ran(rig, job(rig, "run-1", name))
        async with asyncio.TaskGroup() as tasks:
            await images.Images(rig.node.node.data / "host", tasks).keep(())
        tags = [tag for one in await client.images.list() for tag in one["RepoTags"] or ()]
    assert tags.count(name) == 1
    assert not any(tag.startswith("flynn-") and ":v" in tag for tag in tags)


async def test_a_host_without_an_engine_runs_no_images(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        assert not rig.node.mirror.facts.hosts["host-a"].images
        await rig.assign(job(rig, "run-1", "hello:1"))
        assert "runs no images" in (await rig.state("run-1", "down")).reason
