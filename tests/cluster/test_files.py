"""A daemon raises its own limit of open files, not that of its jobs, and says it when the limit is too low."""

import re
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid

HARD = 4096


@dataclass(eq=False)
class Limited(Grid):
    """A daemon that is started with a soft limit of 300."""

    def daemon_command(self) -> list[str]:
        shell = f'ulimit -Sn 300; ulimit -Hn {HARD}; exec "$@"'
        return ["/bin/sh", "-c", shell, "sh", *super().daemon_command()]


def limits(pid: int) -> list[str]:
    """Soft and hard (proc(5), /proc/pid/limits)."""
    found = re.search(r"Max open files +(\d+) +(\d+)", Path(f"/proc/{pid}/limits").read_text())
    assert found
    return [*found.groups()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(HARD > resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 0, reason="this machine allows too few")
async def test_a_daemon_takes_all_files_it_may_and_its_jobs_what_they_had(tmp_path: Path) -> None:
    async with open_grid(kind=Limited) as grid:
        assert grid.process is not None
        assert limits(grid.process.pid) == [str(HARD), str(HARD)]
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
        (job,) = await grid.jobs("hello", "up")
        assert limits(job["pid"]) == ["300", str(HARD)]
        assert (await grid.get("hello"))[0] == 200
        assert grid.tail().count("raise the hard limit of open files to 40512") == 1
