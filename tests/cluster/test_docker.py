"""A grid whose host runs everything as containers: a build, a slug, images, one-off commands, a killed daemon."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.cluster import apps
from tests.cluster.grid import EXAMPLES, Grid, open_grid
from tests.conftest import engine
from tests.docker import Engine
from tests.registry import Registry, busybox, image, open_registry

SERVE = ["sh", "-c", "exec httpd -f -p $PORT -h /www"]


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    engine("busybox", busybox(), "run tests/engines.sh, which installs it or says how")
    async with open_registry() as found:
        yield found


async def test_everything_in_containers(docker: Engine, registry: Registry) -> None:
    before = await docker.left()
    async with open_grid("--set", "host.backend=docker") as grid:
        await grid.ok("create", "site")
        said = await grid.ok("deploy", str(EXAMPLES / "static"), "-a", "site")
        assert "v1 of site is up" in said.out
        slug = await grid.get("site")
        assert slug[0] == 200
        echoed = await grid.ok("run", "-a", "site", "cat; ls; exit 0", stdin=b"in\0out\n")
        assert echoed.out.startswith("in\0out\n")
        assert "index.html" in echoed.out
        await _images(grid, registry)
        await _dockerfile(grid, registry)
        assert await docker.left() != before
        await grid.ok("release", "rollback", "v1", "-a", "site")
        assert await grid.get("site") == slug
        await grid.ok("delete", "site", "--yes")
        assert await docker.left() == before


async def _images(grid: Grid, registry: Registry) -> None:
    """An image in place of the slug; one that does not serve changes nothing; a killed daemon neither."""
    name = registry.add("site:1", image({"www/index.html": "of the image"}, Cmd=SERVE))
    said = await grid.ok("deploy", "--image", name, "-a", "site")
    assert "v2 of site is up" in said.out
    assert await grid.get("site") == (200, "of the image")
    failed = await grid.flynn("deploy", "--image", name, "--process", "web=exit 3", "-a", "site")
    assert failed.code == 1
    assert "exited with code 3" in failed.err
    (before,) = await grid.jobs("site", "up")
    await grid.kill()
    await grid.start()
    assert await grid.get("site") == (200, "of the image")
    (after,) = await grid.jobs("site", "up")
    assert (after["id"], after["pid"]) == (before["id"], before["pid"])


async def _dockerfile(grid: Grid, registry: Registry) -> None:
    """A source that says how it is built; one that cannot be leaves all as it is."""
    base = registry.add("base:1", image())
    told = f"FROM {base}\nCOPY www /www\nRUN echo made >>/www/index.html\nCMD {json.dumps(SERVE)}\n"
    source = apps.make(grid.data / "dockerfile", Dockerfile=told)
    apps.make(source / "www", index__html="of the Dockerfile\n")
    said = await grid.ok("deploy", str(source), "-a", "site")
    assert "-----> Step 3/4 : RUN echo made" in said.out
    assert await grid.get("site") == (200, "of the Dockerfile\nmade\n")
    apps.make(source, Dockerfile=f"FROM {base}\nRUN exit 7\n")
    failed = await grid.flynn("deploy", str(source), "-a", "site")
    assert failed.code == 1
    assert "returned a non-zero code: 7" in failed.err
    assert await grid.get("site") == (200, "of the Dockerfile\nmade\n")
