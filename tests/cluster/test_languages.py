"""An app of each language that hosts must have, built and served in a real grid: what is in a sandbox is enough."""

from pathlib import Path

import pytest

from tests.cluster.grid import open_grid
from tests.plugins.builder.building import write_app
from tests.plugins.builder.test_languages import GO, JAVA, MAVEN, PHP, RUBY, needs

APPS = {
    "go": (GO, "Hello from go"),
    "ruby": (RUBY, "Hello from ruby"),
    "php": (PHP, "Hello from php at /"),
    "java": ({**JAVA, "mvnw": MAVEN}, "Hello from java"),
}


@pytest.mark.heavy
async def test_each_language(tmp_path: Path) -> None:
    async with open_grid() as grid:
        for name, (files, text) in APPS.items():
            needs(name)
            await grid.ok("create", name)
            said = await grid.ok("deploy", str(write_app(tmp_path / name, files)), "-a", name, limit=200)
            assert f"-----> Using the machine's {name}" in said.out
            assert await grid.get(name) == (200, text)
