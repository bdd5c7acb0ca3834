"""What git is told first, which is kept until something has changed."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from flynn.plugins.builder.git.advertise import advertise, advertised
from flynn.plugins.builder.git.program import Git
from flynn.plugins.builder.git.push import Means
from flynn.plugins.builder.git.repositories import Local
from tests.harness import TestNode
from tests.plugins.builder.git.test_packs import MAIN, Source, pushed

PUSH, FETCH = "git-receive-pack", "git-upload-pack"
NEWEST = {"GIT_PROTOCOL": "version=2"}

pytestmark = pytest.mark.usefixtures("git_client")


class Counted(Git):
    """Counts how often it is asked something."""

    asked = 0

    async def output(
        self, place: Path, *words: str, environ: Mapping[str, str] | None = None, limit: float = 60.0
    ) -> bytes:
        Counted.asked += 1
        return await super().output(place, *words, environ=environ, limit=limit)


class Overtaken(Counted):
    """Somebody brings the repository to what is newer while git says what it sees."""

    local: Local

    async def output(
        self, place: Path, *words: str, environ: Mapping[str, str] | None = None, limit: float = 60.0
    ) -> bytes:
        said = await super().output(place, *words, environ=environ, limit=limit)
        self.local.known = replace(self.local.known, pushed=self.local.known.pushed + 1)
        return said


@pytest.fixture
def git(means: Means) -> Counted:
    Counted.asked = 0
    return Counted(means.git.path, means.git.home)


async def test_git_is_asked_once_until_a_ref_changes(
    node: TestNode, means: Means, git: Counted, tmp_path: Path
) -> None:
    source, commits = Source(tmp_path / "source"), []
    for number in range(2):
        source.commit(f"before {number}")
        folder = tmp_path / f"{number}"
        folder.mkdir()
        [new] = await pushed(node, means, source, folder, 1)
        commits.append(new)
        async with means.repositories.opened("hello") as local:
            for _ in range(2):
                text = await advertised(git, local, PUSH, {})
                assert f"{new} {MAIN}".encode() in text
                assert text == await means.git.output(
                    local.place, "receive-pack", "--stateless-rpc", "--advertise-refs", "."
                )
        assert Counted.asked == number + 1
    assert commits[0] != commits[1]


async def test_each_service_and_protocol_has_its_own(means: Means, git: Counted) -> None:
    async with means.repositories.opened("hello") as local:
        old, new = [await advertised(git, local, FETCH, environ) for environ in ({}, NEWEST)]
        push = await advertised(git, local, PUSH, NEWEST)
        assert len({old, new, push}) == 3
        assert Counted.asked == 3
        assert [await advertised(git, local, name, NEWEST) for name in (FETCH, PUSH)] == [new, push]
        assert Counted.asked == 3


async def test_it_is_there_before_it_is_asked_for(node: TestNode, means: Means, git: Counted, tmp_path: Path) -> None:
    async with means.repositories.opened("hello") as local:
        await advertised(git, local, PUSH, NEWEST)
    [new] = await pushed(node, means, Source(tmp_path / "source"), tmp_path, 1)
    async with means.repositories.opened("hello") as local:
        await advertise(git, local)
        assert Counted.asked == 2
        assert new.encode() in await advertised(git, local, PUSH, NEWEST)
        assert Counted.asked == 2


async def test_what_was_seen_while_refs_changed_is_not_kept(means: Means, git: Counted) -> None:
    overtaken = Overtaken(git.path, git.home)
    async with means.repositories.opened("hello") as local:
        for service in (FETCH, PUSH):
            await advertised(git, local, service, {})
        before = dict(local.advertised)
        local.known, overtaken.local = replace(local.known, pushed=5.0), local
        await advertised(overtaken, local, PUSH, {})
        assert local.advertised == before
        Counted.asked = 0
        await advertise(overtaken, local)
        assert Counted.asked == 1, "the refs of what is known by now need not be there yet"
        assert local.advertised == before
