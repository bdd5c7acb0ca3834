"""`flynn deploy`: what is shown, what is sent."""

from pathlib import Path

from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

LOG = {"kind": "log", "time": T0, "job": "hello-build-1", "type": "build", "stream": "stdout"}
UP = {"kind": "job", "id": "hello-web-1", "type": "web", "state": "up", "release": 3, "reason": "", "time": T0}
DONE = {"kind": "done", "ok": True, "message": "", "version": 3, "url": "http://hello.flynn.localhost:8080"}


def lines() -> list[dict[str, object]]:
    built: list[dict[str, object]] = [
        {"kind": "build", "job": "hello-build-1"},
        {**LOG, "line": "-----> Python app detected"},
    ]
    return [*built, {"kind": "release", "version": 3, "description": "deploy"}, UP, {**DONE, "seconds": 2.5}]


async def test_a_deploy_from_the_files_to_the_url(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "Procfile").write_text("web: python app.py\n")
    grid.lines = lines()
    done = await flynn("deploy", str(app), "-m", "first try")
    shown = done.out.splitlines()
    assert shown[0] == "-----> Packing 1 file, 19 B"
    assert shown[1].startswith("-----> Uploading ")
    assert shown[2:4] == ["-----> Python app detected", "-----> Releasing v3: deploy"]
    assert shown[4].endswith(" ==> web hello-web-1 up")
    assert shown[5:] == ["=====> v3 of hello is up at http://hello.flynn.localhost:8080"]
    assert (done.code, done.err) == (0, "")
    assert grid.asked == [("POST", "/v1/apps/hello/builds?description=first+try", ["Procfile"])]


async def test_a_failed_deploy_shows_the_last_lines_of_the_job(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: false\n")
    failed = {"kind": "done", "ok": False, "message": "v3 is not in service: web exited with 1", "seconds": 1}
    grid.lines = [*lines()[:3], {**LOG, "job": "hello-web-1", "type": "web", "line": "boom"}, failed]
    done = await flynn("deploy")
    assert done.out.splitlines()[-1].endswith("app[web.1]: boom")
    assert (done.code, done.err) == (1, " !     v3 is not in service: web exited with 1\n")


async def test_an_unknown_app_is_made_when_asked(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hi")
    grid.lines = lines()
    refused = await flynn("deploy", "-a", "shop")
    assert refused.code == 1
    assert "'flynn create shop'" in refused.err
    assert (await flynn("deploy", "--create", "-a", "shop")).code == 0
    assert "shop" in grid.apps


async def test_nothing_is_sent_that_cannot_be(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    assert "holds nothing to deploy" in (await flynn("deploy")).err
    assert "is not a directory" in (await flynn("deploy", "nowhere")).err
    (tmp_path / "out").symlink_to("../secret")
    done = await flynn("deploy")
    assert (done.code, "out -> ../secret leads out of the directory" in done.err) == (1, True)
    assert grid.asked == []


async def test_an_image_is_deployed_by_its_name(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{"kind": "release", "version": 3, "description": "Deploy shop/x:1"}, UP, {**DONE, "seconds": 2.5}]
    done = await flynn("deploy", "--image", "shop/x:1", "--process", "web=./serve -p $PORT", "--process", "clock=tick")
    shown = done.out.splitlines()
    assert shown[0] == "-----> Deploying shop/x:1"
    assert shown[-1] == "=====> v3 of hello is up at http://hello.flynn.localhost:8080"
    assert (done.code, done.err) == (0, "")
    ((method, path, sent),) = grid.asked
    assert (method, path) == ("POST", "/v1/apps/hello/releases")
    assert sent == {"image": "shop/x:1", "processes": {"web": "./serve -p $PORT", "clock": "tick"}, "description": ""}


async def test_what_is_said_of_an_images_types_is_sent(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    said = tmp_path / "flynn.json"
    said.write_text('{"processes": {"web": {"stop_timeout": 5}}}')
    grid.lines = [UP, DONE]
    assert (await flynn("deploy", "--image", "shop/x:1", "--describe", str(said))).code == 0
    ((_, _, sent),) = grid.asked
    assert sent["described"] == {"processes": {"web": {"stop_timeout": 5}}}
    said.write_text("{")
    refused = await flynn("deploy", "--image", "shop/x:1", "--describe", str(said))
    assert (refused.code, "--describe" in refused.err) == (2, True)
    toml = tmp_path / "flynn.toml"
    toml.write_text('[cron.clean]\nschedule = "@daily"\ncommand = "bin/clean"\n')
    assert (await flynn("deploy", "--image", "shop/x:1", "--describe", str(toml))).code == 0
    assert grid.asked[-1][2]["described"] == {"cron": {"clean": {"schedule": "@daily", "command": "bin/clean"}}}


async def test_processes_are_for_images_and_have_commands(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    for told in (("deploy", str(tmp_path), "--process", "web=x"), ("deploy", "--image", "x", "--process", "web")):
        done = await flynn(*told)
        assert done.code == 2
        assert "--process" in done.err
    assert grid.asked == []
