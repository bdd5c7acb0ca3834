"""A layer of an earlier release is not believed where something may change it after it was installed."""

from pathlib import Path

from tests.plugins.builder.building import Built, build, write_app


def slug(done: Built) -> set[str]:
    return set(done.names())


async def test_what_post_compile_installs_is_in_the_slug(tmp_path: Path, kit: Path) -> None:
    cache = tmp_path / "cache"
    files = {"requirements.txt": "itsdangerous==2.2.0\n", "Procfile": "web: x\n"}
    first = await build(write_app(tmp_path / "a", files), kit, cache)
    assert first.code == 0, first.text
    (key,) = first.result["layers"]
    hook = "#!/bin/sh\necho made > .venv/made\n"
    second = await build(
        write_app(tmp_path / "b", {**files, "bin/post_compile": hook}), kit, cache, given={"BUILD_LAYERS": f'["{key}"]'}
    )
    assert second.code == 0, second.text
    assert ".venv/made" in slug(second), second.result


async def test_what_a_later_buildpack_changes_is_in_the_slug(tmp_path: Path, kit: Path) -> None:
    cache = tmp_path / "cache"
    files = {"requirements.txt": "itsdangerous==2.2.0\n", "package.json": "{}", "Procfile": "web: x\n"}
    first = await build(write_app(tmp_path / "a", {**files, ".buildpacks": "python\nprocfile\n"}), kit, cache)
    assert first.code == 0, first.text
    (key,) = first.result["layers"]
    more = {".buildpacks": "python\nnodejs\n", "package.json": '{"scripts": {"build": "echo made > .venv/made"}}'}
    second = await build(write_app(tmp_path / "b", {**files, **more}), kit, cache, given={"BUILD_LAYERS": f'["{key}"]'})
    assert second.code == 0, second.text
    assert ".venv/made" in slug(second), second.result


async def test_what_nobody_changes_stays_a_layer_also_before_another_buildpack(tmp_path: Path, kit: Path) -> None:
    files = {"requirements.txt": "itsdangerous==2.2.0\n", "package.json": "{}", "Procfile": "web: x\n"}
    done = await build(
        write_app(tmp_path / "a", {**files, ".buildpacks": "python\nprocfile\n"}), kit, tmp_path / "cache"
    )
    assert [key.partition("-")[0] for key in done.result["layers"]] == ["python"]
