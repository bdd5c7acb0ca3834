"""What is refused, each with its one clear sentence and exit code 1, the old release still serving (law 3)."""

import io
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster import apps
from tests.cluster.grid import Grid, Said, open_grid
from tests.ports import free_port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Grid]:
    """One grid for all of these, with the app `hello` serving."""
    async with open_grid("--boot-timeout", "6") as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(apps.server(tmp_path_factory.mktemp("hello"))), "-a", "hello")
        yield grid


pytestmark = pytest.mark.asyncio(loop_scope="module")


def expect_refused(said: Said, *words: str) -> None:
    """Exit code 1 and a sentence with these words on standard error, no traceback."""
    assert said.code == 1, said
    assert "Traceback" not in said.err + said.out
    for word in words:
        assert word in said.err + said.out, f"{word!r} is not in: {said.err}\n{said.out}"
    assert said.err.strip(), said


async def still_serves(grid: Grid) -> None:
    status, text = await grid.get("hello")
    assert (status, text[:10]) == (200, "hello from")


async def test_unknown_app(serving: Grid, tmp_path: Path) -> None:
    for verb in (["ps"], ["log"], ["scale", "web=2"], ["env"], ["release"], ["info"]):
        expect_refused(await serving.flynn(*verb, "-a", "nosuch"), "nosuch", "flynn create")
    expect_refused(await serving.flynn("run", "-a", "nosuch", "true"), "nosuch", "flynn create")
    expect_refused(await serving.flynn("deploy", str(apps.server(tmp_path)), "-a", "nosuch"), "nosuch")


@pytest.mark.parametrize("name", ["Bad", "a_b", "-a", "a--b", "a" * 80, "../x", "a;rm", "1a", "\uff41"])
async def test_bad_app_name(serving: Grid, name: str) -> None:
    expect_refused(await serving.flynn("create", "--", name), "name")


async def test_taken_name(serving: Grid) -> None:
    expect_refused(await serving.flynn("create", "hello"), "already")


async def test_no_buildpack_fits(serving: Grid, tmp_path: Path) -> None:
    said = await serving.flynn("deploy", str(apps.make(tmp_path, notes__txt="x")), "-a", "hello")
    expect_refused(said, "no buildpack fits")
    await still_serves(serving)


async def test_a_build_that_fails(serving: Grid, tmp_path: Path) -> None:
    broken = apps.make(tmp_path, requirements__txt="no-such-package-for-sure-xyz==1\n", Procfile="web: x\n")
    expect_refused(await serving.flynn("deploy", str(broken), "-a", "hello"), "no-such-package-for-sure-xyz", "build")
    await still_serves(serving)


async def test_an_app_that_never_listens(serving: Grid, tmp_path: Path) -> None:
    deaf = apps.make(tmp_path, Procfile="web: echo I am deaf; sleep 100\n")
    expect_refused(
        await serving.flynn("deploy", str(deaf), "-a", "hello"), "did not listen", "I am deaf", "still serves"
    )
    await still_serves(serving)


async def test_an_app_that_says_what_cannot_be_of_its_types(serving: Grid, tmp_path: Path) -> None:
    said = {"flynn__json": '{"processes": {"web": {"check": {"pth": "/"}}}}'}
    wrong = apps.make(tmp_path, Procfile="web: sleep 9\n", **said)
    expect_refused(
        await serving.flynn("deploy", str(wrong), "-a", "hello"),
        "flynn.json, web, check: unknown key 'pth'; known are: kind, path",
    )
    await still_serves(serving)


async def test_an_app_that_never_is_well(serving: Grid, tmp_path: Path) -> None:
    said = (
        '{"processes": {"web": {"check": {"path": "/", "status": 204, "start_timeout": 6}, "stop_signal": "SIGINT"}}}'
    )
    wrong = apps.make(apps.server(tmp_path), flynn__json=said)
    expect_refused(
        await serving.flynn("deploy", str(wrong), "-a", "hello"),
        "did not come up within 6 s: GET / on port", "was answered with 200, not 204", "still serves",
    )  # fmt: skip
    apps.make(tmp_path, flynn__json=said.replace("204", "200"))
    assert "is up" in (await serving.ok("deploy", str(tmp_path), "-a", "hello")).out
    await still_serves(serving)


async def test_an_app_that_exits_at_once(serving: Grid, tmp_path: Path) -> None:
    short = apps.make(tmp_path, Procfile="web: echo goodbye world; exit 3\n")
    expect_refused(await serving.flynn("deploy", str(short), "-a", "hello"), "exited with code 3", "goodbye world")
    await still_serves(serving)


async def test_a_first_deploy_that_fails_leaves_nothing_running(serving: Grid, tmp_path: Path) -> None:
    await serving.ok("create", "short")
    expect_refused(
        await serving.flynn("deploy", str(apps.make(tmp_path, Procfile="web: exit 3\n")), "-a", "short"), "code 3"
    )

    async def gone() -> bool:
        return not await serving.jobs("short")

    await serving.until(gone, 20, "the failed jobs are gone")
    said = await serving.ok("deploy", str(apps.server(tmp_path / "good")), "-a", "short")
    assert "is up" in said.out


async def test_wrong_token(serving: Grid) -> None:
    said = await serving.flynn("apps", FLYNN_URL=f"http://127.0.0.1:{serving.port}", FLYNN_TOKEN="wrong")
    expect_refused(said, "token")
    async with aiohttp.ClientSession() as session:
        for path in ("/v1/apps", "/v1/status", "/v1/blobs", "/v1/services", "/v1/hosts", "/v1/node"):
            async with session.get(f"http://127.0.0.1:{serving.port}{path}") as response:
                assert response.status == 401
        async with session.get(f"http://127.0.0.1:{serving.port}/health") as response:
            assert response.status == 200


async def test_nobody_there() -> None:
    async with open_grid() as grid:
        url = f"http://127.0.0.1:{free_port()}"
        expect_refused(await grid.flynn("apps", FLYNN_URL=url, FLYNN_TOKEN="x"), url)


async def test_port_taken(serving: Grid, tmp_path: Path) -> None:
    for flag, port in (("--port", serving.port), ("--http-port", serving.http_port)):
        other = "--http-port" if flag == "--port" else "--port"
        said = await serving.flynn(
            "daemon", "--data", str(tmp_path / "d"), flag, str(port), other, str(free_port()), limit=60
        )
        expect_refused(said, str(port), flag)


async def test_a_second_daemon(serving: Grid) -> None:
    said = await serving.flynn("daemon", "--data", str(serving.data), "--port", str(free_port()), limit=60)
    expect_refused(said, "another flynn daemon", str(serving.data))


async def test_etcd_unreachable(serving: Grid, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = await serving.flynn("daemon", "--data", str(tmp_path / "d"), "--etcd", url, limit=60)
    expect_refused(said, url.removeprefix("http://"))


async def test_unknown_setting(serving: Grid, tmp_path: Path) -> None:
    file = tmp_path / "flynn.toml"
    file.write_text("prot = 1\n")
    said = await serving.flynn("daemon", "--data", str(tmp_path / "d"), "--config", str(file), limit=60)
    expect_refused(said, "prot", "known are", "port")


def hostile(kind: str) -> bytes:
    """A gzip'd tar that would reach out of its tree."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo({"parent": "../evil", "absolute": "/evil"}.get(kind, "link"))
        if kind in ("symlink", "hardlink"):
            entry.type = tarfile.SYMTYPE if kind == "symlink" else tarfile.LNKTYPE
            entry.linkname = "../../etc/passwd"
        if kind == "device":
            entry.type = tarfile.CHRTYPE
        tar.addfile(entry)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["parent", "absolute", "symlink", "hardlink", "device"])
async def test_a_tar_that_reaches_out(serving: Grid, kind: str) -> None:
    token = (serving.data / "client.json").read_text().split('"token": "')[1].split('"')[0]
    url = f"http://127.0.0.1:{serving.port}/v1/apps/hello/builds"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        async with session.post(url, data=hostile(kind)) as response:
            assert response.status == 422
            assert "message" in await response.json()
    await still_serves(serving)


async def test_a_gigabyte_to_a_small_endpoint(serving: Grid) -> None:
    token = (serving.data / "client.json").read_text().split('"token": "')[1].split('"')[0]

    async def gigabyte() -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield b"x" * 1024 * 1024

    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        for headers in ({"Content-Length": str(1024**3)}, {}):
            try:
                async with session.post(
                    f"http://127.0.0.1:{serving.port}/v1/apps", data=gigabyte(), headers=headers
                ) as response:
                    assert response.status == 413
            except aiohttp.ClientConnectionError:
                continue
    await still_serves(serving)


async def test_a_full_shelf(tmp_path: Path) -> None:
    """The disk of the shelf is full: the deploy says so, and the old release serves on."""
    shelf = tmp_path / "small"
    shelf.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", shelf], capture_output=True)  # noqa: ASYNC221
    if mounted.returncode:
        pytest.skip("needs root to mount a small disk")
    try:
        async with open_grid() as grid:
            await grid.ok("create", "hello")
            await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
            await grid.stop()
            subprocess.run(["cp", "-a", f"{grid.data}/shelf/.", shelf], check=True)  # noqa: ASYNC221
            subprocess.run(["mount", "--bind", shelf, grid.data / "shelf"], check=True)  # noqa: ASYNC221
            try:
                await grid.start()
                large = apps.server(tmp_path / "large")
                (large / "noise").write_bytes(subprocess.check_output(["head", "-c", "80M", "/dev/urandom"]))  # noqa: ASYNC221
                expect_refused(await grid.flynn("deploy", str(large), "-a", "hello"), "no room", "shelf")
                await still_serves(grid)
            finally:
                await grid.stop()
                subprocess.run(["umount", "-l", grid.data / "shelf"], check=True)  # noqa: ASYNC221
    finally:
        subprocess.run(["umount", "-l", shelf], check=True)  # noqa: ASYNC221


async def test_usage_errors_end_with_2(serving: Grid) -> None:
    for words in (["kill"], ["nosuchverb"], ["scale", "web"], ["env", "set"]):
        said = await serving.flynn(*words, *(["-a", "hello"] if words[0] != "nosuchverb" else []))
        assert said.code == 2, (words, said)
        assert "Traceback" not in said.err
