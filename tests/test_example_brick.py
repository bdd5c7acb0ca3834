"""The third party's brick of examples/brick: installed as a package with an entry point, it runs among flynn's own."""

import shutil
import tomllib
from pathlib import Path

import pytest

from flynn.core import config, hooks
from flynn.core.brick import Brick
from flynn.core.daemon import settings_types
from tests.harness import open_node

EXAMPLE = Path(__file__).parent.parent / "examples" / "brick"


def install(target: Path) -> None:
    """Put the package where an installer would: its modules, and a dist-info made of its pyproject.toml."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())
    meta = project["project"]
    for module in project["tool"]["setuptools"]["py-modules"]:
        shutil.copy(EXAMPLE / f"{module}.py", target)
    info = target / f"{meta['name'].replace('-', '_')}-{meta['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {meta['name']}\nVersion: {meta['version']}\n")
    lines = [f"{name} = {value}" for name, value in meta["entry-points"][hooks.GROUP].items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{hooks.GROUP}]", *lines, ""]))


def bricks() -> dict[str, type[Brick]]:
    """Every brick that the installed plugins bring."""
    return {kind.name: kind for brought in hooks.load().hook.flynn_bricks() for kind in brought}


async def test_it_loads_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hello" not in bricks()
    (tmp_path / "site").mkdir()
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    kind = bricks()["hello"]
    told = config.load(settings_types([kind]), environ={"FLYNN_HELLO_GREETING": "Ahoy"}).bricks["hello"]
    async with open_node(tmp_path / "node") as node:
        async with node.running(kind(told)) as ctx:
            assert ctx.sentence == "greeted nobody yet"
            await node.mirror.until(lambda facts: bool(facts.instances("hello")), 5)
            async with node.http.get(f"{ctx.find('hello')}/v1/hello/Ada") as response:
                assert (response.status, await response.json()) == (200, {"greeting": "Ahoy, Ada"})
            assert ctx.sentence == "greeted Ada"
        await node.mirror.until(lambda facts: not facts.instances("hello"), 5)
        async with node.http.get(f"{node.url}/v1/hello/Ada") as response:
            assert response.status == 404
