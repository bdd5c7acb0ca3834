"""Layers of a slug: packed by themselves, known again by their keys, and never made twice."""

import json
import tarfile
from pathlib import Path

import pytest

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.plugins.builder.inside import BuildFailed
from flynn.plugins.builder.inside.layers import Layers
from flynn.plugins.builder.inside.slug import write_tar
from flynn.plugins.builder.start import Source, Supplies, begin
from tests.plugins.builder.building import write_app


def layers(folder: Path, known: list[str]) -> Layers:
    folder.mkdir(exist_ok=True)
    return Layers(str(folder), {"BUILD_LAYERS": json.dumps(known)} if known else {})


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def use(made: Layers, key: str, path: str) -> None:
    (Path(made.folder) / "used" / key).write_text(f"{path}\n")


def test_a_layer_is_packed_once_and_left_out_of_the_slug(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", {"a.py": "x", "lib/deep/b": "y", "lib/deep/c/d": "z", "lib/own": "w"})
    made = layers(tmp_path / "out", [])
    use(made, "python-1", "lib/deep")
    used = made.used()
    made.pack(str(app), used)
    assert used == {"python-1": "lib/deep"}
    assert names(tmp_path / "out" / "layers" / "python-1.tgz") == [
        "lib", "lib/deep", "lib/deep/b", "lib/deep/c", "lib/deep/c/d",
    ]  # fmt: skip
    write_tar(str(app), str(tmp_path / "slug.tgz"), without=used.values())
    assert names(tmp_path / "slug.tgz") == ["a.py", "lib", "lib/own"]
    again = layers(tmp_path / "again", ["python-1"])
    assert (Path(again.folder) / "known" / "python-1").exists()
    use(again, "python-1", "nowhere")
    again.pack(str(app), again.used())
    assert not (tmp_path / "again" / "layers").exists()


@pytest.mark.parametrize(
    ("key", "path"), [("K", "lib"), ("k", "../lib"), ("k", "/lib"), ("k", "."), ("k", ""), ("x" * 101, "lib")]
)
def test_what_is_no_layer(key: str, path: str, tmp_path: Path) -> None:
    made = layers(tmp_path / "out", [])
    use(made, key, path)
    with pytest.raises(BuildFailed, match="a buildpack has told of a layer that cannot be"):
        made.used()


def test_a_layer_is_a_directory_of_the_source_itself(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", {"a.py": "x"})
    (app / "lib").symlink_to("/usr")
    for path in ("lib", "none"):
        made = layers(tmp_path / f"out-{path}", [])
        use(made, "python-1", path)
        with pytest.raises(BuildFailed, match=f"there is no directory {path}"):
            made.pack(str(app), made.used())


def test_a_build_is_told_the_keys_of_its_own_apps_layers() -> None:
    slug = model.Artifact(sha256="a" * 64, layers={"python-1": "b" * 64})
    facts = Facts.of(
        {keys.app(app): model.App(name=app, created=1.0) for app in ("hello", "other")}
        | {keys.release("hello", 1): model.Release(app="hello", version=1, created=1.0, artifact=slug, processes={})}
    )
    for app, told in (("hello", '["python-1"]'), ("other", None)):
        change = begin(facts, app, f"{app}-build-1", Source("c" * 64), Supplies("d" * 64), 5.0)
        (job,) = (record.job for record in change.puts.values() if isinstance(record, model.Queued))
        assert job.env.get("BUILD_LAYERS") == told


def test_a_layer_whose_blob_is_lost_is_made_anew() -> None:
    slug = model.Artifact(sha256="a" * 64, layers={"python-1": "b" * 64, "node-1": "e" * 64})
    release = model.Release(app="hello", version=1, created=1.0, artifact=slug, processes={})
    facts = Facts.of({keys.app("hello"): model.App(name="hello", created=1.0), keys.release("hello", 1): release})
    supplies = Supplies("d" * 64, gone={"b" * 64})
    change = begin(facts, "hello", "hello-build-1", Source("c" * 64), supplies, 5.0)
    (job,) = (record.job for record in change.puts.values() if isinstance(record, model.Queued))
    assert job.env["BUILD_LAYERS"] == '["node-1"]'
