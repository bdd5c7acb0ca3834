"""The verbs of cron, against a grid that answers as docs/api.md says."""

from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

CLEAN = {"name": "clean", "schedule": "0 3 * * *", "command": "bin/clean", "timezone": "UTC", "next": T0 + 60}
RUN = {"due": T0, "outcome": "failed", "job": "hello-clean-1", "started": T0 + 1, "ended": T0 + 5, "exit_code": 3}


async def test_entries_are_listed(grid: FakeGrid, flynn: Shell) -> None:
    assert (await flynn("cron")).out == ("no cron entries: write [cron.NAME] with schedule and command in flynn.toml\n")
    grid.cron = [CLEAN, {**CLEAN, "name": "report", "schedule": "@daily", "paused": True, "next": None, "last": RUN}]
    lines = [line.split() for line in (await flynn("cron", "list", "-a", "hello")).out.splitlines()]
    assert lines[0] == ["NAME", "SCHEDULE", "ZONE", "NEXT", "(UTC)", "LAST"]
    assert lines[1] == ["clean", "0", "3", "*", "*", "*", "UTC", "2026-11-18", "11:07:40", "-"]
    assert lines[2][:6] == ["report", "@daily", "UTC", "paused", "failed", "with"]
    assert {path for _, path, _ in grid.asked} == {"/v1/apps/hello/cron"}


async def test_runs_are_listed(grid: FakeGrid, flynn: Shell) -> None:
    assert (await flynn("cron", "runs", "clean")).out == "no runs yet\n"
    missed = {"due": T0 - 60, "outcome": "missed", "count": 3, "reason": "nobody was there to start it (3 ticks)"}
    grid.runs = [RUN, missed]
    lines = [" ".join(line.split()) for line in (await flynn("cron", "log", "clean")).out.splitlines()]
    assert lines == [
        "DUE (UTC) STARTED TOOK EXIT OUTCOME JOB",
        "2026-11-18 11:06:40 2026-11-18 11:06:41 4 s 3 failed hello-clean-1",
        "2026-11-18 11:05:40 - - - missed - nobody was there to start it (3 ticks)",
    ]
    assert grid.asked[-1][1] == "/v1/apps/hello/cron/clean/runs"


async def test_an_entry_is_run_paused_and_resumed(grid: FakeGrid, flynn: Shell) -> None:
    grid.cron = [CLEAN]
    assert (await flynn("cron", "run", "clean")).out == "hello-clean-1\n"
    assert (await flynn("cron", "pause", "clean")).out == "clean is paused\n"
    assert (await flynn("cron", "resume", "clean")).out == "clean is due next at 2026-11-18 11:07:40\n"
    assert grid.asked == [
        ("POST", "/v1/apps/hello/cron/clean/run", {}),
        ("PATCH", "/v1/apps/hello/cron/clean", {"paused": True}),
        ("PATCH", "/v1/apps/hello/cron/clean", {"paused": False}),
    ]
