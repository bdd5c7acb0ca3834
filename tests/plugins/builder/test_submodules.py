"""Submodules of a source that was pushed: fetched inside the build, over https, also those within others."""

import json
from pathlib import Path

import pytest

from flynn.plugins.builder.inside.submodules import inside
from tests.plugins.builder.building import build, write_app
from tests.plugins.builder.https import serving
from tests.plugins.builder.test_packs import git

WEB = {"Procfile": "web: sleep 1\n"}


def repository(folder: Path, root: Path, files: dict[str, str], links: tuple[str, ...] = ()) -> str:
    """A repository of these files, and `links` (`COMMIT,PATH`), served as `NAME.git`; its commit."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q", "-b", "main")
    write_app(folder, files)
    git(folder, "add", ".")
    for link in links:
        git(folder, "update-index", "--add", "--cacheinfo", f"160000,{link}")
    git(folder, "commit", "-qm", "More of it")
    publish(folder, root)
    return git(folder, "rev-parse", "HEAD")


def publish(folder: Path, root: Path) -> None:
    bare = root / f"{folder.name}.git"
    if not bare.exists():
        git(folder, "clone", "-q", "--bare", str(folder), str(bare))
    git(folder, "push", "-q", str(bare), "main")
    git(bare, "update-server-info")


def source(folder: Path, *found: dict[str, str]) -> Path:
    return write_app(folder, {**WEB, ".flynn/submodules.json": json.dumps(found)})


async def test_submodules_are_in_the_slug_and_their_like_is_kept(tmp_path: Path, kit: Path) -> None:
    root = tmp_path / "site"
    inner = repository(tmp_path / "inner", root, {"deep.txt": "deep"})
    first = repository(tmp_path / "lib", root, {"a.txt": "one", "gone.txt": "x"})
    with serving(root, tmp_path) as site:
        modules = f'[submodule "x"]\n\tpath = vendor/inner\n\turl = {site.url}/inner.git\n'
        (tmp_path / "lib" / ".gitmodules").write_text(modules)
        (tmp_path / "lib" / "gone.txt").unlink()
        second = repository(tmp_path / "lib", root, {"a.txt": "two"}, (f"{inner},vendor/inner",))
        for commit, names in (
            (first, ["a.txt", "gone.txt"]),
            (second, [".gitmodules", "a.txt", "vendor/inner/deep.txt"]),
        ):
            found = {"path": "libs/lib", "url": f"{site.url}/lib.git", "commit": commit}
            app = source(tmp_path / f"app-{commit[:4]}", found)
            built = await build(app, kit, tmp_path / "cache", given=site.trust)
            assert built.code == 0, built.text
            assert f"-----> Fetching submodule libs/lib ({commit[:8]})" in built.text
            files = [name for name in built.names() if name.startswith("libs/lib/")]
            assert [name.removeprefix("libs/lib/") for name in files if not name.endswith(("vendor", "inner"))] == names
            assert not any(".flynn" in name for name in built.names())
    for lock in ("index.lock", "shallow.lock", "refs/heads/main.lock"):
        for kept in (tmp_path / "cache" / "submodules").iterdir():
            (kept / lock).touch()  # As a build leaves them that is killed.
    found = {"path": "lib", "url": f"{site.url}/lib.git", "commit": first}
    built = await build(source(tmp_path / "again", found), kit, tmp_path / "cache", given=site.trust)
    assert (built.code, "lib/a.txt" in built.names()) == (0, True)  # The site is gone: it was kept.


REFUSED = {
    "away": ({"url": "https://localhost:1/x.git", "commit": "1" * 40}, "the submodule lib cannot be fetched: "),
    "file": ({"url": "file:///etc", "commit": "1" * 40}, "only commits, over https://, can"),
    "ext": ({"url": "ext::sh -c id", "commit": "1" * 40}, "only commits, over https://, can"),
    "branch": ({"url": "https://localhost:1/x.git", "commit": "main"}, "only commits, over https://, can"),
    "out": ({"url": "https://localhost:1/x.git", "commit": "1" * 40, "path": "../x"}, "leads out of the source"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_submodule_that_cannot_be_had_fails_the_build(name: str, tmp_path: Path, kit: Path) -> None:
    told, sentence = REFUSED[name]
    built = await build(source(tmp_path / "app", {"path": "lib", **told}), kit, tmp_path / "cache")
    assert (built.code, sentence in built.last) == (1, True), built.text


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '[{"path": "x"}]', "["])
async def test_what_tells_of_no_submodules(text: str, tmp_path: Path, kit: Path, cache: Path) -> None:
    app = write_app(tmp_path / "app", {**WEB, ".flynn/submodules.json": text})
    built = await build(app, kit, cache)
    assert built.code == 1
    assert built.last.startswith(" !     .flynn/submodules.json cannot be read: "), built.text


def test_no_link_leads_a_submodule_out_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "out").symlink_to("/tmp")
    assert inside(str(tmp_path / "app"), "in/side")
    for path in ("out/x", "", "/x", "a/../../x", ".git/hooks", "a/.GIT"):
        assert not inside(str(tmp_path / "app"), path), path
