"""Backends to test with, or the sentence that says why one is left out."""

import os
from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.backends.process import ProcessBackend
from flynn.plugins.host.docker.docker import DockerBackend
from flynn.plugins.host.sandbox.sandbox import SandboxBackend

KINDS: dict[str, type[Backend]] = {"sandbox": SandboxBackend, "process": ProcessBackend, "docker": DockerBackend}


@pytest.fixture(params=sorted(KINDS))
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each backend in turn, open."""
    if request.param == "docker":
        request.getfixturevalue("docker")
    return await opened(KINDS[request.param](tmp_path / "backend"))


@pytest.fixture(params=["process", "sandbox"])
async def light_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each backend that starts a job in no time, open: for what the agent does alike with all."""
    return await opened(KINDS[request.param](tmp_path / "backend"))


@pytest.fixture
async def sandbox(tmp_path: Path) -> SandboxBackend:
    found = SandboxBackend(tmp_path / "backend")
    await opened(found)
    return found


async def opened(found: Backend) -> Backend:
    try:
        await found.open()
    except StartError as error:
        if os.environ.get("REQUIRE_ENGINES") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    return found
