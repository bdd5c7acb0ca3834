"""`flynn build` and Ctrl-C of `flynn deploy`: what is shown, what is asked for."""

import asyncio
import signal
from pathlib import Path

from flynn.cli.show_builds import builds, ended
from flynn.core.records import BuildInfo
from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

DONE = BuildInfo(app="hello", number=1, job="j1", source="s", started=T0, ended=T0 + 4, state="complete", release=7)
FAILED = BuildInfo(
    app="hello", number=2, job="j2", source="s", started=T0, ended=T0 + 1, state="failed", reason="no luck",
    commit="1f3a" * 10, description="Try",
)  # fmt: skip
WAITS = BuildInfo(app="hello", number=3, job="j3", source="s", started=T0, waits="no host has 512 MiB")


def test_the_looks_of_builds() -> None:
    assert builds("hello", [WAITS, FAILED, DONE], T0 + 30) == [
        "BUILD  STARTED              TOOK  STATE     COMMIT    DESCRIPTION  OUTCOME",
        "3      2026-11-18 11:06:40  30 s  queued    -         -            no host has 512 MiB",
        "2      2026-11-18 11:06:40  1 s   failed    1f3a1f3a  Try          no luck",
        "1      2026-11-18 11:06:40  4 s   complete  -         -            v7",
    ]
    assert builds("hello", [], T0) == ["hello was never built: 'flynn deploy -a hello' does"]
    assert ended(FAILED) == "build 2 of hello had ended: failed"


async def test_the_last_build_is_meant_if_none_is_named(grid: FakeGrid, flynn: Shell) -> None:
    grid.builds = [WAITS, FAILED]
    grid.lines = [
        {"kind": "build", "job": "j3", "number": 3},
        {"kind": "log", "time": T0, "stream": "stdout", "line": "-----> one"},
        {"kind": "done", "ok": False, "message": "build failed: no luck"},
    ]
    shown = await flynn("build", "log")
    assert (shown.code, shown.out, shown.err) == (1, "-----> one\n", " !     build failed: no luck\n")
    assert (await flynn("build", "cancel")).out == "build 3 of hello is cancelled\n"
    assert (await flynn("build", "cancel", "2")).out == "build 2 of hello is cancelled\n"
    assert [asked[:2] for asked in grid.asked] == [
        ("GET", "/v1/apps/hello/builds/3/log"), ("DELETE", "/v1/apps/hello/builds/3"),
        ("DELETE", "/v1/apps/hello/builds/2"),
    ]  # fmt: skip
    assert (await flynn("build", "list")).out.splitlines()[1].startswith("3 ")
    grid.builds = []
    assert "was never built" in (await flynn("build", "cancel")).err


async def test_ctrl_c_ends_the_build(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: true\n")
    grid.builds = [WAITS]
    grid.lines = [
        {"kind": "build", "job": "j3", "number": 3},
        {"kind": "log", "time": T0, "stream": "stdout", "line": "-----> one"},
    ]
    grid.open = True
    process = await flynn.spawn("deploy")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while b"-----> one" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err.decode().strip()) == (130, "build 3 of hello is cancelled")
    assert grid.asked[-1][:2] == ("DELETE", "/v1/apps/hello/builds/3")
