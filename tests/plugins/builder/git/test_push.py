"""A push from its hook's question to the answer, where its build does not come to its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from flynn.core import keys, model
from flynn.core.errors import Full
from flynn.plugins.builder.git import building, push
from flynn.plugins.builder.git.hook import Asked
from flynn.plugins.builder.git.packs import After
from flynn.plugins.builder.git.push import Means, Push
from flynn.plugins.builder.git.repositories import Local
from flynn.plugins.builder.git.rules import Command
from flynn.plugins.builder.start import Source as Pushed
from flynn.plugins.builder.start import Supplies
from tests.harness import TestNode
from tests.plugins.builder.git.conftest import put
from tests.plugins.builder.git.test_packs import MAIN, Source

pytestmark = pytest.mark.usefixtures("git_client")


class Hook:
    """Who asks once, and notes what is said and the code that comes last."""

    def __init__(self, asked: Asked) -> None:
        self._asks: list[Asked] = [asked]
        self.said: list[str] = []
        self.code: int | None = None

    async def asked(self) -> Asked | None:
        return self._asks.pop() if self._asks else None

    async def say(self, text: str) -> None:
        self.said.append(text)

    async def end(self, code: int) -> None:
        self.code = code


@pytest.fixture(autouse=True)
def nobody_ends_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As there is no leader here."""
    monkeypatch.setattr(building, "ENDING", 0.0)


async def pushed(node: TestNode, means: Means, tmp_path: Path, *refs: str, waits: bool = False) -> Hook:
    """What the hook of a first push of these refs hears, whose build only begins; it may have to wait for its turn."""
    source = Source(tmp_path / "source")
    (tmp_path / "quarantine").mkdir()
    new = source.commit("First")
    source.pack(tmp_path / "quarantine/pack", new)

    async def supply(app: str) -> Supplies:
        return Supplies("c" * 64)

    async def begin(supplies: Supplies, app: str, pushed: Pushed) -> str:
        assert supplies.tools == "c" * 64
        assert (pushed.version, pushed.description) == (new, f"{new[:8]} First")
        build = model.Build(app=app, job="hello-push-1", source=pushed.blob, started=1.0, number=1)
        await put(node, keys.build(app, 1), build)
        return build.job

    commands = tuple(Command("0" * 40, new, ref) for ref in refs)
    hook = Hook(Asked("pre-receive", str(tmp_path / "quarantine"), "", commands))
    async with means.repositories.opened("hello") as local:
        push = Push(replace(means, supply=supply, begin=begin), local, hook)  # type: ignore[arg-type]
        async with local.turn if waits else contextlib.nullcontext():
            running = asyncio.create_task(push.run())
            while waits and not hook.said:
                await asyncio.sleep(0.01)
            assert not waits or list(means.scratch.iterdir()) == [], "it has no source yet"
        await running
    assert list(means.scratch.iterdir()) == []
    return hook


async def test_who_waits_for_a_turn_has_its_source_made_after_it(
    node: TestNode, means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "LIMIT", 0.1)
    hook = await pushed(node, means, tmp_path, MAIN, waits=True)
    assert hook.said[0] == "       Waits for another push of hello to end"
    assert (hook.code, node.mirror.facts.builds["hello/1"].source != "") == (1, True)


async def test_a_build_that_nobody_takes_is_ended_and_said_to_be(
    node: TestNode, means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "LIMIT", 0.1)
    hook = await pushed(node, means, tmp_path, MAIN)
    why = "build 1 of hello is still under way after 0.1 s; it is ended with this push; push again later"
    assert (hook.code, hook.said) == (1, [f" !     {why}; nothing serves yet"])
    assert node.mirror.facts.builds["hello/1"].cancel


async def test_what_cannot_be_kept_ends_the_build(node: TestNode, means: Means, tmp_path: Path) -> None:
    async def full(folder: Path, names: list[str], after: After | None) -> tuple[model.Pack, ...]:
        raise Full("no room is left")

    means.packs._keep_all = full  # type: ignore[method-assign]
    hook = await pushed(node, means, tmp_path, MAIN)
    assert (hook.code, hook.said) == (1, [" !     no room is left"])
    assert node.mirror.facts.builds["hello/1"].cancel == "what was pushed cannot be kept: no room is left"
    assert not node.mirror.facts.repositories


@pytest.mark.parametrize(
    ("refs", "why"),
    [
        ([MAIN], "only live is taken here and deployed, not main"),
        ([MAIN, "refs/heads/live"], "live is the branch that deploys now; push again"),
    ],
)
async def test_another_branch_that_is_chosen_while_a_push_waits_for_its_turn(
    node: TestNode, means: Means, tmp_path: Path, refs: list[str], why: str
) -> None:
    async def chosen(local: Local) -> None:
        await put(node, keys.repository("hello"), model.Repository(app="hello", branch="live"))
        await bring(local)

    async with means.repositories.opened("hello"):
        bring, opened = means.repositories.bring, means.repositories.opened

        @asynccontextmanager
        async def first(app: str) -> AsyncIterator[Local]:
            async with opened(app) as local:
                means.repositories.bring = chosen  # type: ignore[method-assign]
                yield local

        means.repositories.opened = first  # type: ignore[method-assign]
        hook = await pushed(node, means, tmp_path, *refs)
    assert hook.code == 1
    assert why in hook.said[-1]
    assert not node.mirror.facts.builds
