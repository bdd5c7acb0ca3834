"""Jobs have the limit of open files that the daemon was started with, not the one that it has raised for itself.

Those in containers have what their engine gives them.
"""

import asyncio
import resource
import sys
from pathlib import Path

import pytest

from flynn.plugins.host.backends.backend import Backend
from tests.plugins.host.files import MANY

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.skipif(MANY + 100 > HARD > 0, reason="this machine allows too few open files")
async def test_a_job_has_the_limits_of_before(light_backend: Backend, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", 'ulimit -Sn 300; exec "$@"', "sh", sys.executable, "-m", "tests.plugins.host.files"),
        *(str(tmp_path), light_backend.name),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    hard = "unlimited" if HARD == resource.RLIM_INFINITY else str(HARD)
    assert said.decode().split() == ["300", hard, "None" if HARD == resource.RLIM_INFINITY else hard]
