"""What is made of an image that is let go, and nobody was told of, goes with it; but nothing that is somebody's."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from aiodocker import Docker
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.host.docker.heads import Heads, Stages, Told
from flynn.plugins.host.docker.strays import Image, image, short, strays
from tests.docker import Engine
from tests.plugins.host.docker.lying_engine import open_lying
from tests.plugins.host.docker.test_build_limits import images
from tests.plugins.host.docker.test_image_build import registry as registry
from tests.registry import Registry

SPANS = [(100.9, 105.0), (205.0, 210.0)]


def one(id: str, below: str, is_named: bool = False, created: float = 100.0) -> Image:
    return Image(id, below, is_named, created)


CHAIN = [one("base", "", True, 50.0), one("head", "base"), one("one", "head"), one("two", "one")]


def test_what_is_made_of_it_goes_the_last_first() -> None:
    assert strays("head", CHAIN, (), SPANS) == ["two", "one"]


def test_a_child_on_which_a_kept_one_stands_stays() -> None:
    other, kept = one("other", "one"), one("kept", "two")
    assert strays("head", [*CHAIN, other, kept], {"kept"}, SPANS) == ["other"]
    assert strays("head", [*CHAIN, other], {"one"}, SPANS) == ["other", "two"]


def test_a_child_on_which_one_with_a_name_stands_stays() -> None:
    assert strays("head", [*CHAIN, one("theirs", "two", True)], (), SPANS) == []


@pytest.mark.parametrize(("created", "is_ours"), [(99, False), (100, True), (165, True), (166, False), (270, True)])
def test_what_was_made_when_none_of_the_builds_was_is_somebodys(created: float, is_ours: bool) -> None:
    """The engine tells whole seconds, and may make an image after the builder was broken off."""
    found = strays("head", [*CHAIN, one("last", "two", created=created)], (), SPANS)
    assert found == (["last", "two", "one"] if is_ours else [])


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["", "named", "kept", "late"])), max_size=20))
def test_it_is_all_that_nothing_else_needs(made: list[tuple[int, str]]) -> None:
    """Images that are each made of one before."""
    images = [one("0", "")]
    images += [
        one(f"{at}", f"{below % at}", why == "named", 999.0 if why == "late" else 100.0)
        for at, (below, why) in enumerate(made, 1)
    ]
    kept = {f"{at}" for at, (_, why) in enumerate(made, 1) if why == "kept"}
    found = strays("0", images, kept, SPANS)
    for each in images[1:]:
        above = [other.id for other in images if other.parent == each.id]
        is_needed = each.is_named or each.id in kept or each.created == 999.0 or not {*above} <= {*found}
        assert (each.id in found) is not is_needed
        assert each.id not in found or all(found.index(other) < found.index(each.id) for other in above)
    assert len({*found, "0"}) == len(found) + 1


@pytest.mark.parametrize(
    ("names", "is_named"),
    [
        ({"RepoTags": ["a:1"], "RepoDigests": None}, True),
        ({"RepoTags": ["<none>:<none>"], "RepoDigests": ["a@sha256:12"]}, True),
        ({"RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]}, False),
        ({"RepoTags": [], "RepoDigests": []}, False),
    ],
)
def test_the_engine_says_which_have_a_name(names: dict[str, list[str]], is_named: bool) -> None:
    assert image({"Id": f"sha256:{'a' * 64}", "Created": 7, **names}) == Image("a" * 12, "", is_named, 7)


@pytest.fixture
async def client(docker: Engine, registry: Registry) -> AsyncIterator[Docker]:
    """Of an engine that has a base, and whose images are forgotten afterwards."""
    async with Docker(docker.url) as found:
        try:
            await found.images.pull(f"127.0.0.1:{registry.port}/base:1")
            yield found
        finally:
            await docker.forget_images()


@pytest.fixture
def base(registry: Registry) -> str:
    return f"127.0.0.1:{registry.port}/base:1"


async def test_what_is_left_unheard_of_a_build_that_wrote_too_much_is_found_later(
    client: Docker, base: str, tmp_path: Path
) -> None:
    """Not while a container is of it, nor while what a later build stands on is made of it."""
    heads = Heads(tmp_path / "heads")
    before = await images(client)
    with exceeding(heads, "hello") as stages:
        head = await made(client, base)
        last = await made(client, await made(client, head))
        ends(stages, head)
    tell(heads, "other", last)
    all = await images(client)
    await heads.remove(client, {"hello", "other"})
    assert await images(client) == all
    assert [*heads.told.over] == heads.told.old == [head]

    heads = Heads(tmp_path / "heads")
    container = await client.containers.create({"Image": last, "Cmd": ["true"]})
    await heads.remove(client, ())
    assert await images(client) == all
    await container.delete()
    await heads.remove(client, ())
    assert await images(client) == before
    assert heads.told == Told()


async def test_a_kept_one_stays_when_what_is_left_unheard_above_it_goes(
    client: Docker, base: str, tmp_path: Path
) -> None:
    heads = Heads(tmp_path / "heads")
    before = await images(client)
    with exceeding(heads, "hello") as stages:
        head = await made(client, base)
        kept = await made(client, head)
        all = await images(client)
        await made(client, kept)
        ends(stages, head)
    tell(heads, "hello", kept)
    await heads.remove(client, {"hello"})
    assert await images(client) == all
    assert heads.told.kept == {"hello": [kept]}
    await heads.remove(client, ())
    assert await images(client) == before
    assert heads.told == Told()


async def test_what_is_left_unheard_above_a_kept_one_goes_with_it(client: Docker, base: str, tmp_path: Path) -> None:
    """A build kept it; the next one, which wrote too much, ended with it."""
    heads = Heads(tmp_path / "heads")
    before = await images(client)
    kept = await made(client, base)
    tell(heads, "hello", kept)
    with exceeding(heads, "hello") as stages:
        await made(client, kept)
        ends(stages, kept)
    all = await images(client)
    await heads.remove(client, {"hello"})
    assert await images(client) == all
    assert (heads.told.kept, heads.told.old) == ({"hello": [kept]}, [])
    await heads.remove(client, ())
    assert await images(client) == before
    assert heads.told == Told()


async def test_the_engine_is_asked_once_for_all_it_has(
    docker: Engine, client: Docker, base: str, tmp_path: Path
) -> None:
    heads = Heads(tmp_path / "heads")
    with exceeding(heads, "hello") as stages:
        found = [await made(client, base) for _ in range(3)]
        for head in found:
            ends(stages, head)
    containers = [await client.containers.create({"Image": head, "Cmd": ["true"]}) for head in found]
    async with open_lying(docker, tmp_path) as liar, Docker() as asked:
        with liar.lying("GET .*/images/json", 200, b"[]"):
            await heads.remove(asked, ())
        assert liar.told == 1
    assert heads.told.old == sorted(found)
    for container in containers:
        await container.delete()
    await heads.remove(client, ())
    assert heads.told == Told()


async def test_what_somebody_has_made_is_left(client: Docker, base: str, tmp_path: Path) -> None:
    """Of one that is old; or of one of a build that wrote too much, at another time."""
    heads = Heads(tmp_path / "heads")
    head = await made(client, base)
    await made(client, head)
    all = await images(client)
    tell(heads, "hello", head)
    await heads.remove(client, ())
    assert await images(client) == all
    assert (heads.told.old, heads.told.over) == ([head], {})
    heads._set(Told(old=[head], over={head: [(0.0, 1.0)]}))
    await heads.remove(client, ())
    assert await images(client) == all
    assert heads.told.old == [head]


async def made(client: Docker, below: str) -> str:
    """An image without a name, as the builder makes one of what a step leaves."""
    container = await client.containers.create({"Image": below, "Cmd": ["true"]})
    found = await client._query_json("commit", "POST", params={"container": container.id})
    await container.delete()
    return short(found["Id"])


def tell(heads: Heads, app: str, head: str) -> None:
    """A build of the app is kept."""
    with heads.building(app) as stages:
        ends(stages, head)


def exceeding(heads: Heads, app: str) -> AbstractContextManager[Stages]:
    """A build that writes too much."""
    return heads.building(app, lambda: False)


def ends(stages: Stages, head: str) -> None:
    """One stage has come as far as this."""
    for line in ("Step 1/2 : FROM base:1", f" ---> {'0' * 12}", "Step 2/2 : RUN x", f" ---> {head}"):
        stages.take(line)
