"""The plugin author's guide: a section for each hook, and examples that work as they stand there."""

import asyncio
import importlib.util
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from flynn.core import config, hooks
from flynn.core.daemon import settings_types
from flynn.core.logframe import Head, made
from flynn.core.model import Deploying
from flynn.plugins.controller.deploy.strategy import Part, Stage
from flynn.plugins.host.backends.backend import Spec
from tests.harness import open_node

GUIDE = Path(__file__).parent.parent / "docs" / "plugins.md"
HOOKS = sorted(name for name in vars(hooks) if name.startswith("flynn_"))


def section(hook: str) -> str:
    """What the guide says of a hook; empty if it says nothing."""
    parts = re.split(r"^## (.*)$", GUIDE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(hook, "")


def answers(module: ModuleType, hook: str) -> Any:
    """What the example, as the only plugin, answers to the hook."""
    manager = hooks.load()
    for plugin in manager.get_plugins():
        manager.unregister(plugin)
    manager.register(module)
    manager.check_pending()
    [answer] = getattr(manager.hook, hook)()
    return answer


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """What the guide's example for the hook in the test's name answers."""
    hook = request.node.name.removeprefix("test_")
    blocks = re.findall(r"^```python\n(.*?)^```$", section(hook), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"docs/plugins.md has {len(blocks)} examples of {hook}, not one"
    path = tmp_path / f"example_{hook}.py"
    path.write_text(blocks[0])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield answers(module, hook)
    del sys.modules[path.stem]


def test_every_hook_is_described_and_its_example_tested() -> None:
    assert HOOKS
    for hook in HOOKS:
        assert section(hook).strip(), f"docs/plugins.md has no section `## {hook}`"
        assert f"test_{hook}" in globals(), f"the example of {hook} in docs/plugins.md is not tested here"


async def test_flynn_bricks(example: Any, tmp_path: Path) -> None:
    [kind] = example
    told = config.load(settings_types([kind]), flags={"census.noun": "programs"}).bricks["census"]
    async with open_node(tmp_path / "node") as node, node.running(kind(told)) as ctx:
        assert ctx.sentence == "counts the programs"
        await node.mirror.until(lambda facts: bool(facts.instances("census")), 5)
        async with node.http.get(f"{ctx.find('census')}/v1/census") as response:
            assert await response.json() == {"programs": 0}


async def test_flynn_backends(example: Any, tmp_path: Path) -> None:
    [(name, kind)] = example.items()
    backend = kind(tmp_path)
    assert backend.name == name
    (tmp_path / "app").mkdir()
    (tmp_path / "job").mkdir()
    spec = Spec(id="a", command="nice; exit 3", env={}, layers={"app": tmp_path / "app"}, dir=tmp_path / "job")
    await backend.open()
    running = await backend.start(spec, lambda identity: None)
    assert await running.wait() == 3
    await running.cleanup()
    assert int(spec.stdout.read_text()) >= 10


async def test_flynn_log_sinks(example: Any) -> None:
    [(name, kind)] = example.items()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sink = kind(f"{name}://127.0.0.1:{receiver.getsockname()[1]}", {})
        head = Head(1, 1.0, "hello", "hello-web-1", "web", 1, "stdout", 0, 0)
        await sink.send("host-a", [made(head, [b"one", b"two"])])
        received = [await asyncio.to_thread(receiver.recv, 1000) for _ in range(2)]
    assert received == [b"host-a hello one", b"host-a hello two"]


def test_flynn_deploy_strategies(example: Any) -> None:
    how = Deploying(strategy="halves", batch=1)
    taken: list[int] = []
    while sum(taken[-1:]) < 5:
        stage = Stage([Part("web", 5, moved=sum(taken[-1:]))], how)
        taken.append(example["halves"](stage).new["web"])
    assert taken == [3, 4, 5]


def test_flynn_buildpacks(example: Any, tmp_path: Path) -> None:
    assert [path.relative_to(tmp_path).as_posix() for path in example] == ["buildpacks/lua", "buildpacks/php"]


def test_flynn_commands(example: Any) -> None:
    [command] = example
    assert CliRunner().invoke(command, ["hello", "grid"]).output == "HELLO GRID\n"
