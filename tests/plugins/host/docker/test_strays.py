"""What is made of an image that is let go, and nobody was told of, goes with it; but nothing that is somebody's."""

from pathlib import Path

import pytest
from aiodocker import Docker
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.host.docker.heads import Heads, Told
from flynn.plugins.host.docker.strays import Image, image, short, strays
from tests.docker import Engine
from tests.plugins.host.docker.test_build_limits import images
from tests.plugins.host.docker.test_image_build import registry as registry
from tests.registry import Registry

CHAIN = [Image("base", "", True), Image("head", "base", False), Image("one", "head", False), Image("two", "one", False)]


def test_what_is_made_of_it_goes_the_last_first() -> None:
    assert strays("head", CHAIN, ()) == ["two", "one"]


def test_a_child_on_which_a_kept_one_stands_stays() -> None:
    other, kept = Image("other", "one", False), Image("kept", "two", False)
    assert strays("head", [*CHAIN, other, kept], {"kept"}) == ["other"]
    assert strays("head", [*CHAIN, other], {"one"}) == ["other", "two"]


def test_a_child_on_which_one_with_a_name_stands_stays() -> None:
    assert strays("head", [*CHAIN, Image("theirs", "two", True)], ()) == []


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["", "named", "kept"])), max_size=20))
def test_it_is_all_that_nothing_else_needs(made: list[tuple[int, str]]) -> None:
    """Images that are each made of one before."""
    images = [Image("0", "", False)]
    images += [Image(f"{at}", f"{below % at}", why == "named") for at, (below, why) in enumerate(made, 1)]
    kept = {f"{at}" for at, (_, why) in enumerate(made, 1) if why == "kept"}
    found = strays("0", images, kept)
    for one in images[1:]:
        above = [other.id for other in images if other.parent == one.id]
        is_needed = one.is_named or one.id in kept or not {*above} <= {*found}
        assert (one.id in found) is not is_needed
        assert one.id not in found or all(found.index(other) < found.index(one.id) for other in above)
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
    assert image({"Id": f"sha256:{'a' * 64}", **names}) == Image("a" * 12, "", is_named)


async def test_what_is_left_unheard_of_a_build_that_wrote_too_much_is_found_later(
    docker: Engine, registry: Registry, tmp_path: Path
) -> None:
    """Not while a container is of it, nor while what a later build stands on is made of it."""
    heads = Heads(tmp_path / "heads")
    async with Docker(docker.url) as client:
        await client.images.pull(f"127.0.0.1:{registry.port}/base:1")
        before = await images(client)
        head = await made(client, f"127.0.0.1:{registry.port}/base:1")
        last = await made(client, await made(client, head))
        tell(heads, "hello", head, is_kept=False)
        tell(heads, "other", last, is_kept=True)
        all = await images(client)
        await heads.remove(client, {"hello", "other"})
        assert await images(client) == all
        assert heads.told.over == heads.told.old == [head]

        heads = Heads(tmp_path / "heads")
        container = await client.containers.create({"Image": last, "Cmd": ["true"]})
        await heads.remove(client, ())
        assert await images(client) == all
        await container.delete()
        await heads.remove(client, ())
        assert await images(client) == before
        assert heads.told == Told()
    await docker.forget_images()


async def test_what_somebody_has_made_of_one_that_is_old_is_left(
    docker: Engine, registry: Registry, tmp_path: Path
) -> None:
    heads = Heads(tmp_path / "heads")
    async with Docker(docker.url) as client:
        await client.images.pull(f"127.0.0.1:{registry.port}/base:1")
        head = await made(client, f"127.0.0.1:{registry.port}/base:1")
        await made(client, head)
        all = await images(client)
        tell(heads, "hello", head, is_kept=True)
        await heads.remove(client, ())
        assert await images(client) == all
        assert (heads.told.old, heads.told.over) == ([head], [])
    await docker.forget_images()


async def made(client: Docker, below: str) -> str:
    """An image without a name, as the builder makes one of what a step leaves."""
    container = await client.containers.create({"Image": below, "Cmd": ["true"]})
    found = await client._query_json("commit", "POST", params={"container": container.id})
    await container.delete()
    return short(found["Id"])


def tell(heads: Heads, app: str, head: str, is_kept: bool) -> None:
    """A build has come as far as this."""
    with heads.building(app, lambda: is_kept) as stages:
        for line in ("Step 1/2 : FROM base:1", f" ---> {'0' * 12}", "Step 2/2 : RUN x", f" ---> {head}"):
            stages.take(line)
