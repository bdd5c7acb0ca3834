"""The build of a push, begun among others, and ended when nobody waits for it any more."""

import asyncio

import pytest

from flynn.core import keys, model
from flynn.core.errors import Conflict, Invalid
from flynn.plugins.builder.git import building
from flynn.plugins.builder.git.building import begun, end_orphans
from flynn.plugins.builder.git.push import Means
from flynn.plugins.builder.start import Source
from tests.harness import TestNode
from tests.plugins.builder.git.conftest import put

PUSHED = Source("a" * 64, (), "b" * 40, "A change")


async def build(node: TestNode, number: int, job: str, **more: str) -> None:
    record = model.Build(app="hello", job=job, source="a" * 64, started=1.0, number=number, **more)  # type: ignore[arg-type]
    await put(node, keys.build("hello", number), record)


async def nothing(text: str) -> None:
    pass


async def test_a_push_waits_for_builds_that_others_begin(node: TestNode, means: Means) -> None:
    await build(node, 1, "hello-build-1")
    said: list[str] = []
    tried = 0

    async def begin(app: str, pushed: Source) -> str:
        nonlocal tried
        tried += 1
        if tried == 1:  # Somebody was faster.
            await build(node, 2, "hello-build-2")
            raise Conflict("a build of hello is under way")
        return "hello-push-3"

    async def say(text: str) -> None:
        said.append(text)

    job = asyncio.create_task(begun(means.ctx, begin, "hello", PUSHED, say))
    for number in (1, 2):
        while len(said) < number:
            await asyncio.sleep(0)
        await build(node, number, f"hello-build-{number}", state="complete")
    assert await job == "hello-push-3"
    assert said == [f"       Waits for the build that is under way (hello-build-{number})" for number in (1, 2)]


async def test_what_is_no_good_is_tried_once(node: TestNode, means: Means) -> None:
    async def begin(app: str, pushed: Source) -> str:
        raise Invalid("no good")

    with pytest.raises(Invalid):
        await begun(means.ctx, begin, "hello", PUSHED, nothing)

    async def conflict(app: str, pushed: Source) -> str:
        raise Conflict("something else")

    with pytest.raises(Conflict, match="something else"):
        await begun(means.ctx, conflict, "hello", PUSHED, nothing)


async def test_a_pusher_who_leaves_while_the_build_begins_leaves_none_behind(
    node: TestNode, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "ENDING", 0.1)
    beginning, go = asyncio.Event(), asyncio.Event()

    async def begin(app: str, pushed: Source) -> str:
        beginning.set()
        await go.wait()
        await build(node, 1, "hello-push-1")
        return "hello-push-1"

    push = asyncio.create_task(begun(means.ctx, begin, "hello", PUSHED, nothing))
    await beginning.wait()
    push.cancel()
    await asyncio.sleep(0)
    go.set()
    means.ctx.stopping.set()  # No leader is here to end it.
    with pytest.raises(asyncio.CancelledError):
        await push
    assert node.mirror.facts.builds["hello/1"].cancel == "who pushed it left"


@pytest.mark.parametrize(
    ("job", "holder", "ends"),
    [
        ("hello-push-1", "", True),
        ("hello-push-1", "host-a", True),
        ("hello-push-1", "host-b", False),
        ("hello-build-1", "", False),
    ],
)
async def test_builds_of_an_earlier_life_of_the_daemon_are_ended(
    node: TestNode, means: Means, job: str, holder: str, ends: bool
) -> None:
    await build(node, 1, job)
    if holder:
        await put(node, keys.lock("push-hello"), model.Leader(host=holder))
    await end_orphans(means.ctx)
    assert bool(node.mirror.facts.builds["hello/1"].cancel) == ends
