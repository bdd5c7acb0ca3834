"""What git and others are answered over HTTP, where no build is needed for it."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.core.store import Delete
from flynn.plugins.builder.git import repository_api
from flynn.plugins.builder.git.api import GitApi, Limits
from flynn.plugins.builder.git.endpoint import keep_route, make_route, routed, url
from flynn.plugins.builder.git.push import Means
from flynn.plugins.builder.git.repositories import Local
from tests.harness import TestNode
from tests.plugins.builder.git.conftest import put

PUSH, FETCH = "application/x-git-receive-pack-request", "application/x-git-upload-pack-request"


@pytest.fixture
async def api(node: TestNode, means: Means) -> AsyncIterator[GitApi]:
    async with asyncio.TaskGroup() as tasks:
        api = GitApi(means, Limits(1 << 20, 2), tasks)
        with node.web.serving(*api.routes(), *repository_api.routes(means.ctx)):
            yield api
        api.leave()


async def ask(node: TestNode, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
    """The answer's status, media type and body."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    method = "GET" if body is None else "POST"
    async with node.http.request(method, f"{node.url}{path}", data=body, headers=told) as response:
        return response.status, response.content_type, await response.read()


async def test_an_empty_repository_has_its_first_answer(node: TestNode, api: GitApi) -> None:
    status, media, body = await ask(node, "/hello.git/info/refs?service=git-receive-pack")
    assert (status, media) == (200, "application/x-git-receive-pack-advertisement")
    assert body.startswith(b"001f# service=git-receive-pack\n0000")
    assert b"report-status" in body
    status, _, body = await ask(node, "/hello.git/info/refs?service=git-upload-pack", Git_Protocol="version=2")
    assert body.startswith(b"000eversion 2\n"), "as git-http-backend has it"
    status, _, body = await ask(node, "/hello.git/info/refs?service=git-upload-pack", Git_Protocol="version=2\tx")
    assert body.startswith(b"001e# service=git-upload-pack\n0000"), "what is no protocol is not passed on"


async def test_errors_are_text_to_git_and_json_to_others(node: TestNode, api: GitApi) -> None:
    for agent, media in (("git/2.39.5", "text/plain"), ("curl/8", "application/json")):
        status, found, body = await ask(node, "/other.git/info/refs?service=git-upload-pack", User_Agent=agent)
        assert (status, found) == (404, media)
        assert b"there is no app other; create it with: flynn create other" in body
        status, found, _ = await ask(node, "/hello.git/info/refs?service=git-upload-archive", User_Agent=agent)
        assert (status, found) == (403, media)


@pytest.mark.parametrize(("path", "kind"), [("git-receive-pack", PUSH), ("git-upload-pack", FETCH)])
async def test_bodies_that_are_no_good(node: TestNode, api: GitApi, path: str, kind: str) -> None:
    where = f"/hello.git/{path}"
    assert (await ask(node, where, b"0000", Content_Type="text/plain"))[0] == 415
    status, _, body = await ask(node, where, b"what is this", Content_Type=kind)
    assert status == 422
    assert b"git did not understand that" in body
    for packed, why in ((b"no gzip", b"no gzip"), (gzip.compress(b"0000")[:-4], b"no whole gzip")):
        status, _, body = await ask(node, where, packed, Content_Type=kind, Content_Encoding="gzip")
        assert (status, why in body) == (422, True)
    assert (await ask(node, "/hello.git/git-receive-pack", b"0000", Content_Type=PUSH))[0] == 200


async def test_more_pushes_than_a_node_takes(node: TestNode, api: GitApi) -> None:
    going = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"0"
        await going.wait()
        yield b"000"

    async def push() -> int:
        kind = {"Content-Type": PUSH}
        async with node.http.post(f"{node.url}/hello.git/git-receive-pack", data=slowly(), headers=kind) as response:
            return response.status

    pushes = [asyncio.create_task(push()) for _ in range(2)]
    while sum(api._under_way.values()) < 2:
        await asyncio.sleep(0.01)
    status, _, body = await ask(node, "/hello.git/git-receive-pack", b"0000", Content_Type=PUSH)
    assert (status, b"takes 2 pushes at a time already" in body) == (503, True)
    going.set()
    assert [await push for push in pushes] == [200, 200]
    while sum(api._under_way.values()):
        await asyncio.sleep(0.01)
    assert (await ask(node, "/hello.git/git-receive-pack", b"0000", Content_Type=PUSH))[0] == 200


async def test_more_questions_about_refs_than_a_node_takes(node: TestNode, means: Means, api: GitApi) -> None:
    asked, going, bring = asyncio.Semaphore(0), asyncio.Event(), means.repositories.bring

    async def slowly(local: Local) -> None:
        asked.release()
        await going.wait()
        await bring(local)

    means.repositories.bring = slowly  # type: ignore[method-assign]
    where = "/{}.git/info/refs?service=git-upload-pack"
    for app in ("one", "two"):
        await put(node, keys.app(app), model.App(name=app, created=1.0))
    questions = [asyncio.create_task(ask(node, where.format(app))) for app in ("one", "two")]
    for _ in questions:
        await asked.acquire()
    status, _, body = await ask(node, where.format("hello"))
    assert (status, b"takes 2 questions about refs at a time already" in body) == (503, True)
    going.set()
    assert [(await question)[0] for question in questions] == [200, 200]
    assert (await ask(node, where.format("hello")))[0] == 200


async def test_a_client_that_goes_away_leaves_no_git(node: TestNode, api: GitApi) -> None:
    async def halfway() -> AsyncIterator[bytes]:
        yield b"0"
        raise ConnectionResetError("gone")

    kind = {"Content-Type": PUSH}
    with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
        await node.http.post(f"{node.url}/hello.git/git-receive-pack", data=halfway(), headers=kind)
    while sum(api._under_way.values()):
        await asyncio.sleep(0.01)


async def test_a_node_without_git_says_so(node: TestNode, means: Means) -> None:
    without = replace(means, git=replace(means.git, problem="this node has no git"))
    async with asyncio.TaskGroup() as tasks:
        with node.web.serving(*GitApi(without, Limits(1 << 20, 2), tasks).routes()):
            for path, body in (("info/refs?service=git-receive-pack", None), ("git-receive-pack", b"0000")):
                status, _, said = await ask(node, f"/hello.git/{path}", body, Content_Type=PUSH)
                assert (status, b"this node has no git" in said) == (503, True)


async def test_what_a_shelf_has_lost_cannot_be_fetched_but_pushed(node: TestNode, api: GitApi) -> None:
    pack = model.Pack(name="a" * 40, pack="b" * 64, index="c" * 64, size=1)
    known = model.Repository(app="hello", branch="main", refs={"refs/heads/main": "d" * 40}, packs=(pack,))
    await put(node, keys.repository("hello"), known)
    for path, body in (("info/refs?service=git-upload-pack", None), ("git-upload-pack", b"0000")):
        status, _, said = await ask(node, f"/hello.git/{path}", body, Content_Type=FETCH)
        assert (status, b"is on a shelf that is away or lost" in said) == (503, True)
    assert (await ask(node, "/hello.git/info/refs?service=git-receive-pack"))[0] == 200


async def test_the_branch_that_deploys_can_be_chosen(node: TestNode, api: GitApi) -> None:
    async with node.http.get(f"{node.url}/v1/apps/hello/repository") as response:
        told = await response.json()
    assert told == {"app": "hello", "url": "", "branch": "main", "commit": "", "pushed": 0.0, "size": 0}
    for branch, status in (("live", 200), ("live", 200), ("a/b-1.x", 200), ("", 422), ("-x", 422), ("a..b", 422)):
        async with node.http.patch(f"{node.url}/v1/apps/hello/repository", json={"branch": branch}) as response:
            assert response.status == status, branch
            assert status != 200 or (await response.json())["branch"] == branch
    for bad in ("a b", "a.lock", "a/", "x" * 101, "a\n", "ä", "refs//x"):
        async with node.http.patch(f"{node.url}/v1/apps/hello/repository", json={"branch": bad}) as response:
            assert response.status == 422, bad
    async with node.http.get(f"{node.url}/v1/apps/other/repository") as response:
        assert response.status == 404


async def test_the_grid_has_one_route_to_all_who_take_pushes(node: TestNode, means: Means) -> None:
    await make_route(means.ctx)
    await make_route(means.ctx)
    [route] = node.mirror.facts.routes.values()
    assert (route.id, route.service, route.domain, route.app) == ("git", "git", "git.flynn.localhost", "")
    assert url(node.mirror.facts, "hello", "flynn.localhost") == "", "no router is up"
    await put(node, keys.router("host-a"), model.Router(host="host-a", revision=1, port=8080))
    assert url(node.mirror.facts, "hello", "flynn.localhost") == "http://git.flynn.localhost:8080/hello.git"
    assert not routed(node.mirror.facts, "flynn.localhost", 2.0).puts


def test_the_domain_is_as_routes_have_it() -> None:
    assert routed(Facts(), "Example.COM.", 1.0).puts == routed(Facts(), "example.com", 1.0).puts


async def test_an_app_that_has_the_domain_keeps_it(node: TestNode, means: Means) -> None:
    await put(node, keys.route("x"), model.Route(id="x", domain="git.flynn.localhost", service="git-web", app="git"))
    await make_route(means.ctx)
    assert list(node.mirror.facts.routes) == ["x"]
    assert url(node.mirror.facts, "hello", "flynn.localhost") == ""
    keeping = asyncio.create_task(keep_route(means.ctx))
    await asyncio.sleep(0)
    for _ in range(2):  # The app goes; then somebody removes what is not his.
        gone = await node.store.commit([Delete(keys.route(next(iter(node.mirror.facts.routes))))])
        await node.mirror.until(lambda facts, gone=gone: _made_after(facts, gone), 5)  # type: ignore[misc]
    keeping.cancel()


def _made_after(facts: Facts, revision: int) -> bool:
    stamp = facts.stamp(keys.route("git"))
    return list(facts.routes) == ["git"] and stamp is not None and stamp.revision > revision
