"""Looks and exit codes of the verbs, as processes against a grid that answers as docs/api.md says."""

import asyncio
import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from flynn.cli import show
from flynn.cli.app import answer
from flynn.core.records import HostInfo
from tests.cli.fake import T0, TOKEN, FakeGrid
from tests.cli.shell import Shell

DONE = {"kind": "done", "ok": True, "message": "hello runs web=3", "seconds": 3.94}


def job(id: str, state: str, reason: str = "") -> dict[str, object]:
    return {"kind": "job", "id": id, "type": "web", "state": state, "release": 1, "reason": reason, "time": T0}


async def test_scale_shows_events_as_they_come(grid: FakeGrid, flynn: Shell) -> None:
    waits = "no host has 512 MiB left"
    grid.lines = [job("hello-web-1", "starting"), job("hello-web-2", "queued", waits), job("hello-web-1", "up"), DONE]
    done = await flynn("scale", "web=3")
    lines = done.out.splitlines()
    assert lines[:2] == ["scaling web: 1=>3", ""]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} ==> web hello-web-2 queued: no host has 512 MiB left", lines[2])
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} ==> web hello-web-1 up", lines[3])
    assert lines[4:] == ["", "scale completed in 3.9 s"]
    assert (done.code, done.err) == (0, "")
    assert grid.asked == [("PATCH", "/v1/apps/hello/formation", {"web": 3})]


async def test_scale_says_where(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [DONE]
    assert (await flynn("scale", "web=3", "worker", "--tag", "disk=ssd", "--one-per-host")).code == 0
    where = {"tags": {"disk": "ssd"}, "one_per_host": True}
    asked = {"web": {"count": 3, **where}, "worker": where}
    assert grid.asked == [("PATCH", "/v1/apps/hello/formation", asked)]
    assert (await flynn("scale", "web", "--any")).out.startswith("scaling web\n")
    assert grid.asked[1:] == [("PATCH", "/v1/apps/hello/formation", {"web": {"any": True}})]
    assert (await flynn("scale")).out == "web=1  on hosts with disk=ssd, one on a host\n"
    nothing = await flynn("scale", "--omni")
    assert (nothing.code, "say for which types" in nothing.err) == (2, True)


async def test_explain_shows_each_host(flynn: Shell) -> None:
    assert (await flynn("explain")).out.splitlines() == [
        "=== the next web of hello v2: would go to a; asks 128 MiB and 0.5 cores",
        "a:  1 web in zone x, 0 web on it, fit 0.250",
        "b:  0 web in zone y, 2 web on it, fit 1.500, runs nothing yet",
        "c:  has 64 MiB of 512 free, 128 MiB asked",
    ]
    lines = (await flynn("explain", "hello-web-1")).out.splitlines()
    assert lines[0] == "=== hello-web-1: up on b; asks 128 MiB and 0.5 cores"
    assert lines[3].endswith("<- here")
    assert json.loads((await flynn("explain", "--json")).out)[0]["hosts"][2]["refusal"]


async def test_a_failure_is_told_on_stderr_with_exit_code_1(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{"kind": "done", "ok": False, "message": "v2 never listened on $PORT; v1 still serves", "seconds": 1}]
    done = await flynn("release", "rollback")
    assert (done.code, done.err) == (1, " !     v2 never listened on $PORT; v1 still serves\n")


async def test_what_is_shown_while_the_store_is_away_is_called_old(grid: FakeGrid, flynn: Shell) -> None:
    fresh = await flynn("env")
    grid.stale_since = time.time() - 125
    done = await flynn("env")
    assert (done.code, done.out) == (0, fresh.out)
    assert done.err == " !     the store has not answered for 2 min: facts are as of then\n"


async def test_a_stream_that_is_cut_off_is_a_failure(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines, grid.cut = [job("hello-web-1", "up")], True
    done = await flynn("scale", "web=3")
    assert done.code == 1
    assert "goes on" in done.err


async def test_env_set_makes_a_release(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{"kind": "release", "version": 4, "description": ""}, {**DONE, "version": 4, "url": "http://x"}]
    done = await flynn("env", "set", "A=b=c", "D=")
    assert done.out == "Setting A, D and restarting hello...\ndone, v4 in 3.9 s\n"
    assert grid.asked == [("PATCH", "/v1/apps/hello/env", {"set": {"A": "b=c", "D": ""}, "unset": []})]


async def test_limits_are_set_in_the_units_of_people(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{**DONE, "version": 4}]
    done = await flynn("limit", "set", "web", "memory=1.5G", "reserve=256M", "cpu=0.5", "cpu_reserve=250m", "pids=100")
    assert done.out.endswith("done, v4 in 3.9 s\n")
    wanted = {"memory": 1536, "reserve": 256, "cpu": 500, "cpu_reserve": 250, "pids": 100}
    assert grid.asked == [("PATCH", "/v1/apps/hello/limits", {"set": {"web": wanted}, "unset": {}})]
    await flynn("limit", "unset", "web", "cpu")
    assert grid.asked[1:] == [("PATCH", "/v1/apps/hello/limits", {"set": {}, "unset": {"web": ["cpu"]}})]
    assert (await flynn("limit")).out.splitlines() == [
        "TYPE  MEMORY   RESERVED  CPU        CPU RESERVED  PIDS  FILES",
        "web   512 MiB  128 MiB   0.5 cores  -             2048  16384",
    ]
    wrong = await flynn("limit", "set", "web", "memory=lots")
    assert (wrong.code, "'lots' is no number; write memory=512M" in wrong.err) == (2, True)


async def test_env_get_and_json(flynn: Shell) -> None:
    assert (await flynn("env", "get", "GREETING")).out == "Hello\n"
    assert json.loads((await flynn("env", "--json")).out) == {"GREETING": "Hello"}
    missing = await flynn("env", "get", "NONE")
    assert (missing.code, missing.out) == (1, "")


async def test_the_log_looks_like_a_heroku_log(grid: FakeGrid, flynn: Shell) -> None:
    line = {"kind": "log", "time": T0 + 0.123, "job": "hello-web-3f2a9c1e", "type": "web", "stream": "stdout"}
    grid.lines = [{**line, "line": "one\x1b[2J\x07"}, {**line, "stream": "flynn", "line": "started"}]
    done = await flynn("log", "-n", "2", "--type", "web")
    assert done.out.splitlines() == [
        "2026-11-18T11:06:40.123+00:00 app[web.3f2a9c1e]: one?[2J?",
        "2026-11-18T11:06:40.123+00:00 flynn[web.3f2a9c1e]: started",
    ]
    assert grid.asked == [("GET", "/v1/apps/hello/log?n=2&follow=false&type=web", None)]


async def test_ps_groups_by_type_and_says_why_a_job_waits(grid: FakeGrid, flynn: Shell) -> None:
    grid.jobs = [
        {"id": "hello-web-1", "type": "web", "state": "up", "release": 3, "host": "a", "since": T0, "created": T0},
        {"id": "hello-web-2", "type": "web", "queue": "services", "state": "queued", "reason": "no host has 9 MiB",
         "waiting": True},
        {"id": "hello-job-3", "type": "job", "state": "down", "exit_code": 3, "restarts": 1, "reason": ""},
    ]  # fmt: skip
    out = (await flynn("ps")).out
    assert "=== job (1)\nhello-job-3  down        exit code 3, restarted 1 time\n\n=== web (2)\n" in out
    assert re.search(r"hello-web-2 +queued +no host has 9 MiB\n", out)
    assert len(json.loads((await flynn("ps", "--json")).out)) == 3


async def test_kill_takes_the_name_that_the_log_shows(grid: FakeGrid, flynn: Shell) -> None:
    grid.jobs = [{"id": "hello-web-3f2a", "type": "web", "state": "up"}]
    done = await flynn("kill", "web.3f2a", "other")
    assert done.out == "hello-web-3f2a killed\nother killed\n"
    assert [path for _, path, _ in grid.asked] == ["/v1/jobs/hello-web-3f2a", "/v1/jobs/other"]


async def test_delete_asks_for_the_name(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{"kind": "done", "ok": True, "message": "hello is deleted", "seconds": 1}]
    for typed in (b"", b"helo\n"):
        refused = await flynn("delete", stdin=typed)
        assert refused.code == 1
        assert "nothing was deleted" in refused.err
    assert (await flynn("delete", "--confirm", "other")).code == 1
    assert grid.asked == []
    for words, typed in ((["-y"], b""), (["--confirm", "hello"], b""), (["--confirm"], b""), ([], b"hello\n")):
        done = await flynn("delete", *words, stdin=typed)
        assert (done.code, done.out) == (0, "hello is deleted\n")


async def test_create_in_a_git_tree_names_the_app_for_the_other_verbs(grid: FakeGrid, tmp_path: Path) -> None:
    await asyncio.to_thread(subprocess.run, ["git", "init", "-q", str(tmp_path)], check=True)
    flynn = Shell(tmp_path, {"FLYNN_URL": grid.url, "FLYNN_TOKEN": TOKEN})
    made = await flynn("create", "shop")
    assert made.out == "Creating shop... done\nhttp://shop.flynn.localhost:8080\n"
    assert made.err == f"Git remote flynn added: {grid.url}/shop.git\n"
    assert (await flynn("info")).out.startswith("=== shop\n")
    again = await flynn("create", "shop")
    assert (again.code, again.err) == (1, " !     there is an app shop already; choose another name\n")


async def test_without_an_app_or_a_grid_the_remedy_is_told(grid: FakeGrid, tmp_path: Path) -> None:
    nowhere = await Shell(tmp_path, {"FLYNN_APP": "hello"})("ps")
    words = "no grid found: start one with 'flynn daemon', or set FLYNN_URL and FLYNN_TOKEN"
    assert (nowhere.code, nowhere.err) == (1, f" !     {words}\n")
    nameless = await Shell(tmp_path, {"FLYNN_URL": grid.url})("ps")
    assert nameless.code == 1
    assert "-a APP" in nameless.err
    assert "--create" in (await Shell(tmp_path, {"FLYNN_URL": grid.url})("deploy")).err
    stranger = await Shell(tmp_path, {"FLYNN_URL": grid.url, "FLYNN_APP": "hello"})("info")
    assert (stranger.code, "FLYNN_TOKEN" in stranger.err) == (1, True)


async def test_a_grid_that_is_not_there_is_named(tmp_path: Path) -> None:
    gone = await Shell(tmp_path, {"FLYNN_URL": "http://127.0.0.1:1"})("apps")
    assert gone.code == 1
    assert gone.err.startswith(" !     no flynn answers at http://127.0.0.1:1 (")
    assert (await Shell(tmp_path, {"FLYNN_URL": "not a url"})("apps")).code == 1


async def test_the_client_file_of_the_daemon_is_found(grid: FakeGrid, tmp_path: Path) -> None:
    (tmp_path / "client.json").write_text(json.dumps({"url": grid.url, "token": TOKEN}))
    assert "hello" in (await Shell(tmp_path, {"FLYNN_DATA": str(tmp_path)})("apps")).out
    (tmp_path / "client.json").write_text("{")
    broken = await Shell(tmp_path, {"FLYNN_DATA": str(tmp_path)})("apps")
    assert (broken.code, "client.json is no good" in broken.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["logs"], "did you mean 'flynn log'?"),
        (["config:set"], "did you mean 'flynn env'?"),
        (["env", "sett"], "'flynn env set'"),
        (["frobnicate"], "it has: daemon, demo"),
        (["scale", "web"], "write NAME=VALUE"),
        (["scale", "web=many"], "'many' is no number"),
        (["release", "show", "latest"], "write v4"),
        (["ps", "--bogus"], "--bogus"),
        (["run"], "CMD"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_hint(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLYNN_APP", "hello")
    assert answer(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err


async def test_names_are_checked_before_they_go_into_a_path(flynn: Shell) -> None:
    for name in ("../../v1/blobs", "a b", "A", "x" * 99):
        assert "is no good app name" in (await flynn("info", "-a", name)).err


async def test_ctrl_c_is_quiet(grid: FakeGrid, flynn: Shell) -> None:
    grid.jobs = []
    process = await flynn.spawn("log", "-f")
    async with asyncio.timeout(20):
        while not grid.asked:
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out.strip(), err.strip()) == (130, b"", b"")


async def test_a_reader_that_goes_away_is_no_error(grid: FakeGrid, flynn: Shell) -> None:
    line = {"kind": "log", "time": T0, "job": "hello-web-1", "type": "web", "stream": "stdout", "line": "x" * 1000}
    grid.lines = [line] * 2000
    process = await flynn.spawn("log")
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]
    err = await asyncio.wait_for(process.stderr.read(), 20)
    assert (await process.wait(), err) == (1, b"")


async def test_a_log_that_is_followed_outlives_a_broken_stream(grid: FakeGrid, flynn: Shell) -> None:
    line = {"kind": "log", "time": T0, "host": "a", "job": "hello-web-1", "type": "web", "stream": "stdout", "at": 7}
    other = {**line, "host": "b", "at": 3, "line": "other"}
    begun = {"kind": "position", "time": T0 + 9, "hosts": {"a": 9, "b": 4, "c": 80}}
    grid.lines, grid.cut = (
        [{**line, "line": "one"}, other, {**line, "line": "two"}, begun, {**line, "at": 9, "line": "3"}],
        True,
    )
    grid.then = [{**line, "at": 10, "line": "four"}]
    process = await flynn.spawn("log", "-f", "-n", "2", "-s", "stdout", "--since", "10m")
    assert process.stdout is not None
    shown = [await asyncio.wait_for(process.stdout.readline(), 20) for _ in range(5)]
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 20)
    assert [text.split()[-1] for text in shown] == [b"one", b"other", b"two", b"3", b"four"]
    assert [path.split("?")[1] for _, path, _ in grid.asked[:2]] == [
        "n=2&follow=true&stream=stdout&since=10m",
        f"follow=true&stream=stdout&since={T0 + 4:.6f}&from=a:10,b:4,c:80",
    ]


async def test_a_log_is_asked_for_by_what_its_lines_are(grid: FakeGrid, flynn: Shell) -> None:
    await flynn("log", "-j", "web.3f2a9c1e", "-r", "v3", "-g", "a b&c", "-s", "stderr", "-s", "flynn")
    assert grid.asked[-1][1] == (
        "/v1/apps/hello/log?follow=false&job=hello-web-3f2a9c1e&release=v3&stream=stderr,flynn&text=a+b%26c"
    )
    for bad, told in (("10 minutes", "is no time; write how long ago"), ("2026-13-45", "2026-11-25T10:00")):
        done = await flynn("log", "--since", bad)
        assert (done.code, done.out) == (1, "")
        assert told in done.err
    done = await flynn("log", "-s", "stdin")
    assert done.code == 2
    assert "'stdin' is not one of" in done.err


def test_a_host_that_cannot_shut_in_says_so() -> None:
    told = HostInfo(name="a", address="10.0.0.1", url="", started=0.0, backend="process", lacks="jobs are not shut in")
    lines = show.hosts([told, HostInfo(name="b", address="10.0.0.2", url="", started=0.0, backend="sandbox")], 60.0)
    assert lines[3:] == ["", "a (process): jobs are not shut in"]


async def test_sinks_are_listed_with_what_is_wrong_with_them(grid: FakeGrid, flynn: Shell) -> None:
    assert (await flynn("sink")).out == "no sinks yet: 'flynn sink add URL' makes one\n"
    done = await flynn("sink", "add", "syslog://logs.example:514", "-o", 'data=[a@1 b="c"]', "-a", "hello")
    assert done.out == "Sending the log of hello to syslog://logs.example:514... 3f2a9c1e\n"
    assert grid.asked[-1][2] == {"url": "syslog://logs.example:514", "app": "hello", "options": {"data": '[a@1 b="c"]'}}
    grid.sinks[0]["hosts"] = {"a": {"sent": 7, "problem": "it is away"}, "b": {"sent": 2, "behind": 5, "dropped": 1}}
    assert [line.split() for line in (await flynn("sink", "list")).out.splitlines()] == [
        ["ID", "APP", "URL", "SENT", "BEHIND", "DROPPED"],
        ["3f2a9c1e", "hello", "syslog://logs.example:514", "9", "5", "1"],
        [],
        ["3f2a9c1e", "a", "it", "is", "away"],
    ]
    assert (await flynn("sink", "remove", "3f2a9c1e")).out == "Removing the sink syslog://logs.example:514... done\n"
