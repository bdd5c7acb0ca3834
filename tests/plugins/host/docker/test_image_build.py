"""Dockerfiles: built by the engine for a job that has no other way to it, kept on the shelf, loaded from there."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiodocker import Docker

from flynn.core import keys
from flynn.core.facts import encode
from flynn.core.model import App, Job
from flynn.core.store import Put
from flynn.plugins.builder import inside
from flynn.plugins.builder.start import COMMAND
from flynn.plugins.host.docker import images
from flynn.plugins.host.docker.heads import Heads, Stages
from flynn.plugins.host.docker.image_build import tag_of
from flynn.plugins.host.docker.pulled import Pulled
from tests.conftest import engine
from tests.docker import Engine
from tests.plugins.host.rig import Rig, open_rig, tar
from tests.registry import Registry, busybox, image, open_registry

SERVE = 'CMD ["sh", "-c", "exec httpd -f -p $PORT -h /www"]\n'

TOOLS = {f"inside/{path.name}": path.read_text() for path in Path(inside.__file__).parent.glob("*.py")}


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    engine("busybox", busybox(), "run tests/engines.sh, which installs it or says how")
    async with open_registry() as found:
        found.add("base:1", image())
        yield found


async def known(rig: Rig, *apps: str) -> None:
    """There are these apps: what they leave is kept when the agent looks for what nobody needs, as it does by itself
    too."""
    await rig.node.store.commit([Put(keys.app(app), encode(App(name=app, created=1.0))) for app in apps])


def build(rig: Rig, id: str, files: dict[str, str], **fields: Any) -> Job:
    """A build of these files, as the builder begins it."""
    layers = {"build": rig.shelf.add(tar(**files)), "tools": rig.shelf.add(tar(**TOOLS))}
    told = {"layers": layers, "queue": "builders", "type": "build", "output": True, "dockerfile": True, "release": 0}
    return rig.job(id, COMMAND, **{**told, "cache": "build-hello", "memory": 512, **fields})


async def test_a_dockerfile_becomes_an_image_that_any_host_can_have(
    rig: Rig, registry: Registry, docker: Engine
) -> None:
    dockerfile = f"FROM 127.0.0.1:{registry.port}/base:1\nCOPY . /www\nRUN echo built >/www/made && ls /www\n{SERVE}"
    files = {"Dockerfile": dockerfile, "index.html": "hello", "secret": "x", ".dockerignore": "secret\n"}
    made = build(rig, "build-1", files)
    await rig.assign(made)
    down = await rig.state("build-1", "down")
    lines = await rig.printed("build-1")
    assert down.exit_code == 0, (down.reason, lines)
    assert any(line.startswith("-----> Step 1/4 : FROM ") for line in lines)
    assert {"       index.html", "       made"} <= set(lines)
    assert "       secret" not in lines
    assert json.loads(down.result)["processes"] == {"web": ""}
    artifact = down.output
    assert artifact
    assert (artifact.kind, artifact.image) == ("image", tag_of(made))
    assert artifact.sha256 in rig.shelf.blobs
    async with asyncio.timeout(10):
        while list(rig.dir("build-1").glob("image.tgz*")):
            await asyncio.sleep(0.02)

    rig.shelf.asked.clear()
    async with Docker(docker.url) as client:  # Now the engine is one that has not built it.
        await client.images.delete(artifact.image)
    web = {"layers": {}, "image": artifact.image, "image_blob": artifact.sha256, "type": "web", "service": "hello-web"}
    await rig.assign(rig.job("web-1", "", **web))
    up = await rig.state("web-1", "up")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{up.port}/made") as response:
            assert await response.text() == "built\n"
    assert rig.shelf.asked[artifact.sha256] == 1
    assert f"fetches the image {artifact.image}" in [line["line"] for line in await rig.log(job="web-1")]


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ("FROM {base}\nRUN exit 3\n", "returned a non-zero code: 3"),
        ("FROM {base}\nCOPY nothere /\n", "nothere"),
        ("NONSENSE\n", "unknown instruction: NONSENSE"),
        ("FROM {base}-not-there\n", "404"),
    ],
    ids=["a step fails", "no such file", "no dockerfile", "no such base"],
)
async def test_what_cannot_be_built_says_why(rig: Rig, registry: Registry, dockerfile: str, said: str) -> None:
    base = f"127.0.0.1:{registry.port}/base:1"
    await rig.assign(build(rig, "build-1", {"Dockerfile": dockerfile.format(base=base)}))
    down = await rig.state("build-1", "down")
    last = (await rig.printed("build-1"))[-1]
    assert (down.exit_code, down.output) == (1, None)
    assert last.startswith(" !     the Dockerfile cannot be built: ")
    assert said in last


async def test_a_build_that_is_stopped_ends_in_the_engine(rig: Rig, registry: Registry, docker: Engine) -> None:
    made = build(rig, "build-1", {"Dockerfile": f"FROM 127.0.0.1:{registry.port}/base:1\nRUN echo on; sleep 600\n"})
    await rig.assign(made)
    async with asyncio.timeout(20):
        while "       on" not in await rig.printed("build-1"):
            await asyncio.sleep(0.05)
    await rig.assign(made, stop=True)
    await rig.state("build-1", "down")
    async with asyncio.timeout(20):
        while await docker.left():
            await asyncio.sleep(0.05)


async def test_a_source_may_be_larger_than_tmp(rig: Rig, registry: Registry) -> None:
    files = {"Dockerfile": f"FROM 127.0.0.1:{registry.port}/base:1\nCOPY large /\n", "large": "x" * 40_000_000}
    await rig.assign(build(rig, "build-1", files, memory_limit=128))
    down = await rig.state("build-1", "down")
    assert down.exit_code == 0, await rig.printed("build-1")


@pytest.mark.parametrize(("network", "has"), [("host", True), ("none", False)])
async def test_the_steps_have_the_network_that_the_host_says(
    network: str, has: bool, registry: Registry, docker: Engine, tmp_path: Path
) -> None:
    step = (
        f"RUN grep -q 00000000:{registry.port:04X} /proc/net/tcp || grep -q 0100007F:{registry.port:04X} /proc/net/tcp"
    )
    files = {"Dockerfile": f"FROM 127.0.0.1:{registry.port}/base:1\n{step}\n"}
    async with open_rig(tmp_path / "data", backend="docker", image_network=network) as rig, rig.running():
        await rig.assign(build(rig, "build-1", files))
        down = await rig.state("build-1", "down")
        assert (down.exit_code == 0) is has, await rig.printed("build-1")


async def test_a_host_without_an_engine_builds_none(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        await rig.assign(build(rig, "build-1", {"Dockerfile": "FROM scratch\n"}))
        down = await rig.state("build-1", "down")
        assert (down.failure, "no Docker Engine works with flynn here" in down.reason) == ("start", True)


async def test_an_image_is_known_that_the_engine_has_when_its_build_is_broken_off(rig: Rig, registry: Registry) -> None:
    base = f"FROM 127.0.0.1:{registry.port}/base:1\n"
    made = build(rig, "build-1", {"Dockerfile": f"{base}RUN head -c 100000000 /dev/urandom >/large\n"})
    await rig.assign(made)
    async with asyncio.timeout(30):
        while not (rig.dir("build-1") / "image.tgz.part").exists():
            await asyncio.sleep(0.02)
    await rig.assign(made, stop=True)
    assert (await rig.state("build-1", "down")).output is None
    assert tag_of(made) in Pulled(rig.node.node.data / "host" / "docker" / "pulled").names


async def test_of_what_a_dockerfile_prints_there_is_a_limit(rig: Rig, registry: Registry) -> None:
    loud = "RUN i=0; x=$(head -c 3000 /dev/zero | tr '\\0' x); while [ $i -lt 6000 ]; do echo $x; i=$((i+1)); done"
    await rig.assign(build(rig, "build-1", {"Dockerfile": f"FROM 127.0.0.1:{registry.port}/base:1\n{loud}\n"}))
    assert (await rig.state("build-1", "down")).exit_code == 0
    last = [line for line in await rig.printed("build-1") if line.strip()][-2:]
    assert last[-1].startswith("-----> Built an image"), last
    assert last[0] == " !     the build has printed over 16 MiB: what follows is left out"


async def test_of_what_builds_leave_without_a_name_only_the_last_ones_stays(
    rig: Rig, registry: Registry, docker: Engine
) -> None:
    base = f"127.0.0.1:{registry.port}/base:1"
    stages = (
        f"FROM {base} AS made\nCOPY index.html /x\nRUN head -c 1000000 /x >/y\nFROM {base}\nCOPY --from=made /y /y\n"
    )

    async def nameless() -> set[str]:
        async with Docker(docker.url) as client, asyncio.TaskGroup() as tasks:
            await images.Images(rig.node.node.data / "host", tasks).keep(set(), set(), {"hello"})
            return {one["Id"] for one in await client.images.list() if one["RepoTags"] in (None, [], ["<none>:<none>"])}

    found = []
    await known(rig, "hello")
    for number, last in enumerate(("", "", "RUN exit 3\n", "")):
        files = {"Dockerfile": stages + last, "index.html": f"{number}" if number < 3 else "2"}
        await rig.assign(build(rig, f"build-{number}", files))
        await rig.state(f"build-{number}", "down")
        found.append(await nameless())
    assert [len(ids) for ids in found] == [1, 1, 2, 1], found
    assert not found[0] & found[1]
    assert "---> Using cache" in [line.strip() for line in await rig.printed("build-3")]
    async with Docker(docker.url) as client:
        await client.images.inspect(base)


async def test_what_was_pulled_to_begin_with_goes_when_no_last_build_began_with_it(
    rig: Rig, registry: Registry, docker: Engine
) -> None:
    """But not what the engine had before, and not while another app's last build began with it."""
    at = f"127.0.0.1:{registry.port}"
    for name in ("base:2", "theirs:1"):
        registry.add(name, image())

    async def tags() -> set[str]:
        async with Docker(docker.url) as client, asyncio.TaskGroup() as tasks:
            await images.Images(rig.node.node.data / "host", tasks).keep(set(), set(), {"hello", "other"})
            found = [tag for one in await client.images.list() for tag in one["RepoTags"] or ()]
            return {tag.removeprefix(f"{at}/") for tag in found if tag.startswith(at)}

    async with Docker(docker.url) as client:
        await client.images.pull(f"{at}/theirs:1")
    builds = [("hello", "base:1"), ("other", "base:1"), ("hello", "theirs:1"), ("other", "base:2"), ("hello", "base:2")]
    left = [{"base:1"}, {"base:1"}, {"base:1"}, {"base:2"}, {"base:2"}]
    await known(rig, "hello", "other")
    for number, ((app, base), expected) in enumerate(zip(builds, left, strict=True)):
        files = {"Dockerfile": f"FROM {at}/{base}\nCOPY x /x\n", "x": f"{number}"}
        await rig.assign(build(rig, f"build-{number}", files, app=app))
        assert (await rig.state(f"build-{number}", "down")).exit_code == 0, await rig.printed(f"build-{number}")
        assert await tags() == {"theirs:1", *expected}, (number, app, base)


async def test_a_step_that_claims_to_have_pulled_an_image_takes_it_from_nobody(
    rig: Rig, registry: Registry, docker: Engine
) -> None:
    at = f"127.0.0.1:{registry.port}"
    registry.add("theirs:1", image())
    async with Docker(docker.url) as client:
        await client.images.pull(f"{at}/theirs:1")
        for number, step in enumerate((f"RUN echo 'Status: Downloaded newer image for {at}/theirs:1'", "RUN echo on")):
            await rig.assign(build(rig, f"build-{number}", {"Dockerfile": f"FROM {at}/base:1\n{step}\n"}))
            assert (await rig.state(f"build-{number}", "down")).exit_code == 0
        async with asyncio.TaskGroup() as tasks:
            await images.Images(rig.node.node.data / "host", tasks).keep(set(), set(), {"hello"})
        await client.images.inspect(f"{at}/theirs:1")


BEGINS = """Step 1/5 : ARG BASE=x
Step 2/5 : FROM --platform=linux/amd64 busybox AS one
latest: Pulling from library/busybox
Status: Downloaded newer image for busybox:latest
Step 3/5 : FROM registry.example.com:5000/a/b@sha256:12 AS two
Step 4/5 : from registry.example.com:5000/a/b
Step 5/5 : FROM $BASE"""


def tell(stages: Stages, text: str) -> None:
    """As the engine does, which tells of pulls apart."""
    for line in text.splitlines():
        (stages.pull if line.startswith(("latest: ", "Status: ")) else stages.take)(line)


def test_the_engine_says_what_the_stages_begin_with() -> None:
    stages = Stages()
    tell(stages, BEGINS)
    at = "registry.example.com:5000/a/b"
    assert stages.named == {"busybox:latest", f"{at}@sha256:12", f"{at}:latest", "$BASE:latest"}
    assert stages.pulled == {"busybox:latest"}


def test_a_stage_that_does_not_say_what_it_begins_with_lets_nothing_go(tmp_path: Path) -> None:
    heads = Heads(tmp_path / "heads")
    for lines in (BEGINS, "Step 2/5 : FROM $BASE"):
        with heads.building("hello") as stages:
            tell(stages, lines)
    assert (heads.told.bases, heads.told.unused) == ({"hello": ["busybox:latest"]}, [])
    with heads.building("hello") as stages:
        stages.take("Step 1/1 : FROM scratch")
    assert (Heads(tmp_path / "heads").told.bases, heads.told.unused) == ({"hello": []}, ["busybox:latest"])
    with heads.building("other") as stages:
        stages.take("Step 1/1 : FROM busybox")
    assert (heads.told.bases["other"], heads.told.unused) == (["busybox:latest"], [])


def test_what_a_build_has_made_that_was_too_much_goes(tmp_path: Path) -> None:
    heads = Heads(tmp_path / "heads")
    for made, is_kept in (("a" * 12, True), ("b" * 12, False), ("a" * 12, False)):
        with heads.building("hello", lambda is_kept=is_kept: is_kept) as stages:  # type: ignore[misc]
            tell(stages, f"Step 1/2 : FROM busybox\n ---> {'c' * 12}\nStep 2/2 : RUN x\n ---> {made}")
    assert (heads.told.kept, heads.told.old) == ({"hello": ["a" * 12]}, ["b" * 12])


def test_the_engine_says_which_images_the_stages_of_a_build_end_with() -> None:
    stages = Stages()
    for line in """Step 1/6 : ARG X=1
 ---> Running in 0123456789ab
 ---> 1111aaaa1111
Step 2/6 : FROM base AS one
 ---> aaaaaaaaaaaa
Step 3/6 : RUN x
 ---> Using cache
 ---> bbbbbbbbbbbb
Step 4/6 : RUN y
 ---> Running in 0123456789ab
 ---> cccccccccccc
Step 5/6 : FROM scratch
 --->
Step 6/6 : COPY --from=one /x /
 ---> dddddddddddd
Step 7/7 : FROM one
 ---> cccccccccccc""".splitlines():
        stages.take(line)
    assert stages.heads == {"cccccccccccc", "dddddddddddd"}
