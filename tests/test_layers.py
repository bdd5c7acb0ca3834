"""Who may import whom, read from the imports themselves (nothing is run).

Layers of the core, from below; packages; and the pure files, which decide and must not know time, chance or I/O.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = [
    "addresses client_file errors model explained frozen quantile room route_stats keepalive exposition usage lazy "
    "records",
    "keys",
    "store decoding groups locked logframe moment ticks",
    "facts",
    "change queue_room builds previews logquery logform logmerge matching",
    "memory database storefile sqlite etcd etcd_lanes etcd_lease etcd_link etcd_rpc etcd_txn etcd_watch",
    "mirror lease bulk app_changes",
    "election pipe handed threads",
    "child config disk files hooks lag ports channel estate doorway",
    "spare",
    "directory outgoing",
    "naming handover",
    "web",
    "metrics",
    "brick own_metrics output",
    "blobs follow once version watched serve supervisor succession",
    "daemon",
    "move",
]
"""The files of `flynn/core`: each imports from its own line and those above it."""

PURE = [
    *("flynn/core/model/*.py", "flynn/core/errors.py", "flynn/core/keys.py"),
    *("flynn/core/store.py", "flynn/core/frozen.py", "flynn/core/facts.py", "flynn/core/change.py"),
    "flynn/core/exposition.py",
    *(
        "flynn/plugins/controller/plan*.py",
        "flynn/plugins/controller/place*.py",
        "flynn/plugins/controller/deploy_image.py",
    ),
    "flynn/plugins/controller/deploy/*.py",
    *(
        "flynn/plugins/controller/decide.py",
        "flynn/plugins/controller/described.py",
        "flynn/plugins/controller/routing.py",
    ),
    *("flynn/plugins/controller/route_ports.py", "flynn/plugins/controller/route_rules.py"),
    *("flynn/plugins/controller/volumes.py", "flynn/plugins/controller/mounts.py"),
    *("flynn/plugins/controller/described.py", "flynn/plugins/controller/news.py"),
    *(
        "flynn/core/builds.py",
        "flynn/core/previews.py",
        "flynn/plugins/builder/start.py",
        "flynn/plugins/builder/cancel.py",
    ),
    *("flynn/core/queue_room.py", "flynn/plugins/controller/line.py", "flynn/plugins/controller/backoff.py"),
    *("flynn/plugins/controller/cancel.py", "flynn/plugins/controller/queue_limits.py"),
    *("flynn/plugins/controller/queue_view.py", "flynn/plugins/controller/wishes.py"),
    *("flynn/plugins/controller/moving.py", "flynn/plugins/controller/drain.py"),
    *("flynn/plugins/controller/rebalance.py", "flynn/plugins/controller/balancer.py"),
    *("flynn/plugins/host/plan.py", "flynn/plugins/host/life/pulse.py", "flynn/plugins/host/volumes/plan.py"),
    "flynn/plugins/host/disk/budget.py",
    "flynn/core/room.py",
    *(
        "flynn/plugins/host/usage/pace.py",
        "flynn/plugins/host/usage/reading.py",
        "flynn/plugins/host/usage/families.py",
    ),
    "flynn/plugins/host/usage/noticeable.py",
    *("flynn/router/table.py", "flynn/router/balance.py", "flynn/router/head.py"),
    "flynn/router/proxyproto.py",
    "flynn/plugins/shelf/unused.py",
    *(f"flynn/plugins/builder/git/{name}.py" for name in ("rules", "words")),
    *("flynn/router/metrics.py", "flynn/router/stats.py", "flynn/router/snapshot.py"),
]
"""Files that decide. What they import, and what that imports, is pure as well."""

WORLD = frozenset(
    "time datetime socket random secrets uuid os io subprocess threading asyncio selectors signal sqlite3 urllib http "
    "pathlib shutil tempfile aiohttp aetcd psutil uvloop".split()
)
"""Modules that a pure file does not import."""

CALENDAR = "flynn/core/ticks.py"
"""Knows months and time zones, so it may import `datetime`; a test sees that it never asks what time it is."""

TOP = frozenset({"daemon", "move", "supervisor"})
"""What hosts the bricks: no brick knows it."""

Sources = Mapping[str, str]
"""Files of a tree: their text by path."""


@dataclass(frozen=True)
class Import:
    """A module that a file imports; `typing`: for type checkers alone."""

    module: str
    typing: bool
    line: int


def imports(path: str, text: str, sources: Sources) -> Iterator[Import]:
    """Every import of a file, also those inside of functions."""
    tree = ast.parse(text, path)
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for part in node.body
        for inner in ast.walk(part)
    }
    package = _module(path) if path.endswith("/__init__.py") else _module(path).rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(name.name, node in typing, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                inner = f"{module}.{name.name}"
                yield Import(inner if _file(inner, sources) else module, node in typing, node.lineno)


def breaches(sources: Sources) -> list[str]:
    """A sentence for each import that should not be."""
    found = []
    for path, text in sorted(sources.items()):
        for imported in imports(path, text, sources):
            if imported.module.split(".")[0] == "flynn":
                why = _package_breach(path, imported) or _core_breach(path, imported)
                if why:
                    found.append(f"{path}:{imported.line} imports {imported.module}: {why}")
    return found + _impurities(sources)


def _package_breach(path: str, imported: Import) -> str:
    here, there = _package(_module(path)), _package(imported.module)
    if here == there or there == "flynn":
        return ""
    if here == "flynn.core":
        return "the core knows nothing of what stands on it"
    if here == "flynn.demo_app":
        return "it is an app like any other, and knows nothing of flynn"
    if here in ("flynn.cli", "flynn.__main__"):
        return "" if there in ("flynn.cli", "flynn.client", "flynn.core") else "the command line speaks HTTP to bricks"
    if here == "flynn.client":
        return "" if there == "flynn.core" else "the client stands on the core alone"
    if here == "flynn.plugins":
        return "" if _is_brick(there) or there == "flynn.core" else "the list of built-in bricks imports bricks alone"
    if _is_brick(there) or there == "flynn.plugins":
        return "a brick never imports another brick; they meet through the store's facts and HTTP"
    if there != "flynn.core":
        return "a brick stands on the core alone"
    if _core_name(imported.module) in TOP:
        return "a brick does not know what hosts it"
    return ""


def _core_breach(path: str, imported: Import) -> str:
    """Within the core: upwards. Imports for type checkers may point upwards."""
    if _package(_module(path)) != "flynn.core" or _package(imported.module) != "flynn.core" or imported.typing:
        return ""
    here, there = _layer(_core_name(_module(path))), _layer(_core_name(imported.module))
    if here is None or there is None:
        return "one of both has no layer; give it one in LAYERS"
    return "" if there <= here else "it stands higher in the core"


def _impurities(sources: Sources) -> list[str]:
    """Breaches of purity, each with the chain of imports that leads to it."""
    found: list[str] = []
    waiting: list[tuple[str, ...]] = [(path,) for path in sources if any(Path(path).match(pattern) for pattern in PURE)]
    seen: set[str] = set()
    while waiting:
        chain = waiting.pop(0)
        if chain[-1] in seen:
            continue
        seen.add(chain[-1])
        for imported in imports(chain[-1], sources[chain[-1]], sources):
            if imported.typing or (chain[-1], imported.module.split(".")[0]) == (CALENDAR, "datetime"):
                continue
            if imported.module.split(".")[0] in WORLD:
                shown = " -> ".join(chain)
                found.append(
                    f"{shown}:{imported.line} imports {imported.module}: a pure file knows no clock and no I/O"
                )
            elif (inner := _file(imported.module, sources)) and inner != "flynn/__init__.py":
                waiting.append((*chain, inner))
    return found


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _file(module: str, sources: Sources) -> str:
    """The file of a module, "" if it is none of the tree."""
    base = module.replace(".", "/")
    return next((path for path in (f"{base}.py", f"{base}/__init__.py") if path in sources), "")


def _package(module: str) -> str:
    """`flynn.core`, `flynn.router`, `flynn.cli`, `flynn.plugins` (its list) or `flynn.plugins.BRICK`."""
    parts = module.split(".")
    return ".".join(parts[:3] if parts[1:2] == ["plugins"] else parts[:2])


def _is_brick(package: str) -> bool:
    return package == "flynn.router" or package.startswith("flynn.plugins.")


def _core_name(module: str) -> str:
    return module.removeprefix("flynn.core").strip(".").split(".")[0]


def _layer(name: str) -> int | None:
    return next((number for number, names in enumerate(["", *LAYERS]) if name in names.split() or not name), None)


def _tree() -> Sources:
    return {str(file.relative_to(ROOT)): file.read_text() for file in sorted((ROOT / "flynn").rglob("*.py"))}


def test_nobody_imports_whom_it_must_not() -> None:
    found = breaches(_tree())
    assert not found, "\n" + "\n".join(found)


def test_every_layer_and_every_pure_file_is_there() -> None:
    tree = _tree()
    assert [name for names in LAYERS for name in names.split() if not _file(f"flynn.core.{name}", tree)] == []
    assert [pattern for pattern in PURE if not any(Path(path).match(pattern) for path in tree)] == []


SMALL = {
    "flynn/__init__.py": "",
    "flynn/core/__init__.py": "",
    "flynn/core/model.py": "",
    "flynn/core/store.py": "",
    "flynn/core/brick.py": "",
    "flynn/core/daemon.py": "",
    "flynn/plugins/__init__.py": "",
    "flynn/plugins/shelf/__init__.py": "",
    "flynn/plugins/shelf/disk.py": "import os",
    "flynn/plugins/host/__init__.py": "",
    "flynn/plugins/host/agent.py": "",
    "flynn/router/__init__.py": "",
    "flynn/router/table.py": "",
    "flynn/router/fields.py": "",
    "flynn/client/__init__.py": "",
    "flynn/cli/__init__.py": "",
}


@pytest.mark.parametrize(
    ("path", "line", "why"),
    [
        ("flynn/core/store.py", "from flynn.core import brick", "stands higher"),
        ("flynn/core/store.py", "def f():\n    from flynn.core.brick import Brick", "stands higher"),
        ("flynn/core/store.py", "from .brick import Brick", "stands higher"),
        ("flynn/core/new.py", "import flynn.core.model", "has no layer"),
        ("flynn/core/daemon.py", "import flynn.plugins.shelf.disk", "knows nothing of what stands on it"),
        ("flynn/core/daemon.py", "from flynn.cli import main", "knows nothing of what stands on it"),
        ("flynn/plugins/host/agent.py", "from flynn.plugins.shelf.disk import Disk", "never imports another brick"),
        ("flynn/plugins/host/agent.py", "from ..shelf import disk", "never imports another brick"),
        ("flynn/plugins/host/agent.py", "from flynn.router import table", "never imports another brick"),
        ("flynn/plugins/host/agent.py", "from flynn.core.daemon import run", "does not know what hosts it"),
        ("flynn/plugins/host/agent.py", "from flynn.client import Client", "stands on the core alone"),
        ("flynn/router/table.py", "if TYPE_CHECKING:\n    import flynn.plugins.host.agent", "never imports another"),
        ("flynn/client/__init__.py", "from flynn.plugins.shelf import disk", "stands on the core alone"),
        ("flynn/cli/__init__.py", "from flynn.plugins.shelf import disk", "speaks HTTP"),
        ("flynn/router/table.py", "import time", "no clock"),
        ("flynn/router/table.py", "def f():\n    from os.path import join", "no clock"),
        ("flynn/core/store.py", "import asyncio.tasks", "no clock"),
    ],
)
def test_a_breach_is_found(path: str, line: str, why: str) -> None:
    [sentence] = breaches({**SMALL, path: line})
    assert sentence.startswith(path)
    assert why in sentence


def test_a_pure_file_is_pure_in_what_it_imports() -> None:
    [sentence] = breaches(
        {**SMALL, "flynn/router/table.py": "from . import fields", "flynn/router/fields.py": "import random"}
    )
    assert sentence.startswith("flynn/router/table.py -> flynn/router/fields.py:1 imports random")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("flynn/core/brick.py", "import asyncio\nfrom flynn.core.store import Store"),
        ("flynn/core/store.py", "if TYPE_CHECKING:\n    from flynn.core.brick import Brick"),
        (
            "flynn/plugins/host/agent.py",
            "from flynn import __version__\nfrom flynn.core.brick import Context\nimport os",
        ),
        ("flynn/plugins/__init__.py", "from flynn.plugins.shelf.disk import Disk\nimport flynn.router.table"),
        ("flynn/router/table.py", "import logging\nfrom flynn.core.model import Route"),
        ("flynn/cli/__init__.py", "from flynn.core.daemon import run\nfrom flynn.client import Client\nimport time"),
    ],
)
def test_what_may_be_imported(path: str, line: str) -> None:
    assert breaches({**SMALL, path: line}) == []


def test_the_calendar_does_not_ask_what_time_it_is() -> None:
    tree = ast.parse((ROOT / CALENDAR).read_text())
    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not asked & {"now", "utcnow", "today", "time"}
    assert "fromtimestamp" in asked
