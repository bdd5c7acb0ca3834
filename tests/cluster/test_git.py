"""`git push` with the real git, on a real grid, as a developer sees it."""

import base64
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster.grid import Grid, open_grid
from tests.cluster.pushing import Work, created, nothing_left, work_tree

pytestmark = [pytest.mark.usefixtures("git_client"), pytest.mark.asyncio(loop_scope="module")]

QUICK = "--set", "controller.settle=0.1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Grid]:
    """A grid for all tests that leave an app of their own behind, and nothing else."""
    async with open_grid(*QUICK) as grid:
        yield grid


async def test_a_push_builds_deploys_and_says_how_it_went(grid: Grid) -> None:
    work = await created(grid)
    remote = await work.git("remote", "get-url", "flynn")
    assert remote == f"http://git.flynn.localhost:{grid.http_port}/hello.git", "any router leads to any node"
    commit = await work.git("rev-parse", "HEAD")
    said = await work.push()
    lines = said.err.splitlines()
    assert "-----> Procfile app detected" in lines
    assert f"-----> Releasing v1: {commit[:8]} First" in lines
    [last] = [line for line in lines if line.startswith("=====>")]
    assert last == f"=====> v1 of hello is up at http://hello.flynn.localhost:{grid.http_port}"
    assert "main -> main" in said.err
    assert (await grid.get("hello"))[0] == 200
    release = (await grid.ok("release", "show", "v1", "-a", "hello", "--json")).json
    assert release["commit"] == commit
    assert (await work.push()).err.strip() == "Everything up-to-date"

    second = await work.commit("Second", GREETING="x")
    assert "=====> v2 of hello is up" in (await work.push()).err
    await work.commit("Empty")
    assert "No file differs" in (await work.push()).err
    shown = (await grid.ok("remote", "-a", "hello", "--json")).json
    assert (shown["branch"], shown["url"]) == ("main", remote)
    assert shown["commit"] != second
    assert shown["pushed"]
    assert shown["size"]


async def test_what_is_not_deployed_is_refused_with_words(shared: Grid) -> None:
    work = await created(shared, "refused")
    said = await work.push("flynn", "main:dev", ok=False)
    assert "only main is taken here and deployed, not dev" in said.err
    assert "git push flynn dev:main" in said.err
    await work.git("tag", "v1.0")
    assert "v1.0 is a tag" in (await work.push("flynn", "v1.0", ok=False)).err
    assert (await shared.ok("release", "-a", "refused", "--json")).json == []

    said = await work.push("flynn", "main", "v1.0", ok=False)
    assert "=====> v1 of refused is up" in said.err, "the branch that deploys is deployed"
    assert "main -> main\n" in said.err
    assert "[remote rejected] v1.0 -> v1.0 (hook declined)" in said.err
    assert "refs/tags" not in await work.git("ls-remote", "flynn")

    await work.commit("Second")
    said = await work.push("--atomic", "flynn", "main", "v1.0", ok=False)
    assert "does not support --atomic" in said.err
    assert len((await shared.ok("release", "-a", "refused", "--json")).json) == 1, (
        "nothing is deployed and then refused"
    )

    assert "is not deleted" in (await work.push("flynn", ":main", ok=False)).err
    assert "nothing to delete" in (await work.push("flynn", ":refs/heads/dev", ok=False)).err
    assert (await shared.get("refused"))[0] == 200


async def test_another_branch_can_be_chosen_and_a_first_push_may_be_of_master(shared: Grid) -> None:
    work = await created(shared, "chosen")
    await work.git("branch", "-m", "master")
    said = await work.push("flynn", "master")
    assert "master is the branch that deploys from now on" in said.err
    assert "only master is taken here" in (await work.push("flynn", "master:main", ok=False)).err
    said = await work.flynn("remote", "branch", "live/now")
    assert said.out == "live/now is the branch of chosen that deploys\n"
    assert "master is not deleted by a push" in (await work.push("flynn", ":master", ok=False)).err
    await work.commit("Live")
    assert "=====> v2 of chosen is up" in (await work.push("flynn", "master:live/now")).err
    assert "refs/heads/master" not in await work.git("ls-remote", "flynn"), "only what deploys is kept"
    await work.flynn("remote", "branch", "live")
    await work.commit("Live again")
    assert "=====> v3 of chosen is up" in (await work.push("flynn", "master:live")).err
    assert "live/now" not in await work.git("ls-remote", "flynn")


async def test_a_forced_push_goes_back_and_says_so_and_a_shallow_clone_can_push(shared: Grid) -> None:
    work = await created(shared, "forced")
    first = await work.git("rev-parse", "HEAD")
    await work.commit("Second", GREETING="second")
    await work.push()
    assert "non-fast-forward" in (await work.push("flynn", f"{first}:main", ok=False)).err
    said = await work.push("-f", "flynn", f"{first}:main")
    assert f"Forced: {first[:8]} does not follow" in said.err
    assert "=====> v2 of forced is up" in said.err
    assert (await work.git("ls-remote", "flynn", "refs/heads/main")).split()[0] == first

    await shared.ok("create", "shallow")
    await work.git("clone", "-q", "--depth", "1", f"file://{work.place}", "../cut")
    cut = Work(shared, work.place.parent / "cut")
    await cut.push(cut.url("shallow"), "main")
    await cut.commit("On top", GREETING="third")
    await cut.push(cut.url("shallow"), "main")
    await cut.git("clone", "-q", cut.url("shallow"), "../again")
    assert (work.place.parent / "again" / "GREETING").read_text() == "third"


async def test_a_release_that_does_not_come_up_rejects_the_push_and_the_old_one_serves(shared: Grid) -> None:
    work = await created(shared, "broken")
    await work.push()
    broken = await work.commit("Broken", Procfile="web: exit 3\n")
    said = await work.push(ok=False)
    [last] = [line for line in said.err.splitlines() if line.startswith(" !     ")]
    assert "v2 of broken was not put in service" in last
    assert "v1 still serves" in last
    assert "[remote rejected] main -> main" in said.err
    assert (await work.git("ls-remote", "flynn", "refs/heads/main")).split()[0] != broken
    await work.commit("No build", Procfile="web = none\n")
    said = await work.push(ok=False)
    [*_, last] = [line for line in said.err.splitlines() if line.startswith(" !     ")]
    assert "build failed" in last
    assert "v1 still serves" in last
    assert (await shared.get("broken"))[0] == 200
    await work.git("reset", "-q", "--hard", "HEAD~2")
    await work.commit("Good again", GREETING="x")
    assert "of broken is up" in (await work.push()).err


async def test_files_of_git_lfs_and_submodules_from_elsewhere_are_refused(shared: Grid) -> None:
    work = await created(shared, "foreign")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
    await work.commit("LFS", data__bin=pointer)
    said = await work.push(ok=False)
    assert "data.bin: kept by Git LFS" in said.err
    await work.git("reset", "-q", "--hard", "HEAD~1")

    commit = await work.git("rev-parse", "HEAD")
    await work.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/lib")
    await work.git("commit", "-qm", "A link")
    assert ".gitmodules does not say where it comes from" in (await work.push(ok=False)).err
    for url, why in (
        (f"file://{work.place}", "file:// is not taken"),
        ("../lib.git", "relative"),
        ("git@github.com:a/b.git", "git@github.com: is not taken"),
        ("https://127.0.0.1/lib.git", "not on the public internet"),
    ):
        await work.commit("Modules", __gitmodules=f'[submodule "lib"]\n\tpath = vendor/lib\n\turl = {url}\n')
        said = await work.push(ok=False)
        assert "vendor/lib" in said.err
        assert why in said.err
    assert (await shared.ok("release", "-a", "foreign", "--json")).json == []


async def test_who_may_and_who_not(shared: Grid) -> None:
    work = await work_tree(shared, "who")
    await shared.ok("create", "who")
    said = await work.push(work.url("who", "wrong"), "main", ok=False)
    assert "Authentication failed" in said.err
    said = await work.push(f"http://127.0.0.1:{shared.port}/who.git", "main", ok=False)
    assert "could not read Username" in said.err
    said = await work.push(work.url("other"), "main", ok=False)
    assert "there is no app other; create it with: flynn create other" in said.err
    token = json.loads((shared.data / "client.json").read_text())["token"]
    basic = {"Authorization": "Basic " + base64.b64encode(f"any:{token}".encode()).decode()}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{shared.port}", headers=basic) as session:
        for path, status in (
            ("/who.git/info/refs?service=git-receive-pack", 200),
            ("/who.git/info/refs?service=git-upload-archive", 403),
            ("/who.git/info/refs", 403),
            ("/nobody.git/info/refs?service=git-upload-pack", 404),
            ("/..%2fwho.git/info/refs?service=git-upload-pack", 404),
        ):
            async with session.get(path) as response:
                assert response.status == status, path
    async with aiohttp.ClientSession(f"http://127.0.0.1:{shared.port}") as session:
        async with session.get("/who.git/info/refs?service=git-receive-pack") as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic")


async def test_what_git_sends_packed_and_in_its_newest_protocol(shared: Grid, tmp_path: Path) -> None:
    work = await created(shared, "packed")
    await work.push()
    said = await work.run("git", "-c", "protocol.version=2", "ls-remote", "flynn", GIT_TRACE_PACKET="1")
    assert "version 2" in said.err
    await work.git("clone", "-q", work.url("packed"), str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "server.py").exists()

    body = gzip.compress(b"0000")
    kind = {"Content-Type": "application/x-git-receive-pack-request", "Content-Encoding": "gzip"}
    token = json.loads((shared.data / "client.json").read_text())["token"]
    url = f"http://127.0.0.1:{shared.port}/packed.git/git-receive-pack"
    async with aiohttp.ClientSession(headers=kind | {"Authorization": f"Bearer {token}"}) as session:
        async with session.post(url, data=body) as response:
            assert response.status == 200
        for bad in (b"no gzip", body[:-4]):
            async with session.post(url, data=bad) as response:
                assert response.status == 422, f"{await response.text()}\n{shared.tail()}"
        async with session.post(url, data=b"0000", headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 415
    await work.commit("More", GREETING="x")
    assert "of packed is up" in (await work.push()).err, "what was no good harmed nothing"


async def test_nothing_is_left_of_a_push_that_was_refused(shared: Grid) -> None:
    work = await created(shared, "left")
    await work.push("flynn", "main:other", ok=False)
    assert await nothing_left(shared)
    assert list((shared.data / "builder/git/left.git/objects/pack").iterdir()) == []
