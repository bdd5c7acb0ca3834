"""Dockerfiles: when one is what builds an app, and what of the source the engine gets."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.plugins.builder.dockerfile import by_engine
from flynn.plugins.builder.inside.dockerfile import kept
from flynn.plugins.builder.inside.processes import image_processes
from tests.plugins.controller.world import World


def facts(images: bool = True, **env: str) -> Facts:
    world = World()
    world.host("host-a")
    world.put(keys.host("host-a"), replace(world.facts.hosts["host-a"], images=images))
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, env=env))
    return world.facts


def test_a_dockerfile_is_built_where_there_is_an_engine_and_no_buildpack_is_named() -> None:
    assert by_engine(facts(), "hello", {"Dockerfile"})
    assert not by_engine(facts(), "hello", set())
    assert not by_engine(facts(images=False), "hello", {"Dockerfile"})
    assert not by_engine(facts(), "hello", {"Dockerfile", ".buildpacks"})
    assert not by_engine(facts(BUILDPACK_URL="https://example.com/x.git"), "hello", {"Dockerfile"})


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (
            "",
            {
                "Dockerfile",
                "app.py",
                "docs",
                "docs/a.md",
                "docs/b.txt",
                "node",
                "node/x",
                "src",
                "src/node",
                "src/node/y",
            },
        ),
        ("docs\n/node\n", {"Dockerfile", "app.py", "src", "src/node", "src/node/y"}),
        ("**/node\n", {"Dockerfile", "app.py", "docs", "docs/a.md", "docs/b.txt", "src"}),
        ("docs/*\n!docs/a.md\n# no rule\nnode\nsrc", {"Dockerfile", "app.py", "docs", "docs/a.md"}),
        ("*\n", {"Dockerfile"}),
        ("d*cs/?.txt\nnode/**\nsrc/\n", {"Dockerfile", "app.py", "docs", "docs/a.md", "node"}),
    ],
    ids=["none", "from the top", "at any depth", "with an exception", "all", "with wild cards"],
)
def test_what_dockerignore_leaves(tmp_path: Path, rules: str, left: set[str]) -> None:
    for name in ("Dockerfile", "app.py", "docs/a.md", "docs/b.txt", "node/x", "src/node/y"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".dockerignore").write_text(rules)
    found = {str(Path(path).relative_to(tmp_path)) for path in kept(str(tmp_path))}
    assert found == left | {".dockerignore"}


def test_process_types_of_an_image(tmp_path: Path) -> None:
    assert image_processes(str(tmp_path)) == {"web": ""}
    (tmp_path / "Procfile").write_text("web: ./serve\nclock: ./tick\n")
    assert image_processes(str(tmp_path)) == {"web": "./serve", "clock": "./tick"}
