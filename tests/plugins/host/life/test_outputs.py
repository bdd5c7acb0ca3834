"""Where what was built is unpacked before anybody asks for it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.model import Assignment, Host, Job, Record
from flynn.plugins.host.docker.image_build import SAVED
from flynn.plugins.host.life.kept import sweep
from flynn.plugins.host.life.output import left_by, runs_here
from tests.plugins.host.rig import open_rig


def grid(*hosts: str, **runs: str) -> Facts:
    """Hosts, and an app by name that runs on one of them."""
    records: dict[str, Record] = {
        keys.host(name): Host(name=name, address="127.0.0.1", url="", started=1.0, version="1", memory=1, cpus=1)
        for name in hosts
    }
    for app, host in runs.items():
        job = Job(id=f"{app}-web-1", app=app, type="web", queue="services", command="true", created=1.0)
        records[keys.job(host, job.id)] = Assignment(job=job, host=host, assigned=1.0)
    return Facts.of(records)


def test_it_runs_where_it_ran_or_on_the_only_host() -> None:
    assert runs_here(grid("a"), "hello", "a")
    assert runs_here(grid("a", "b", hello="a"), "hello", "a")
    assert not runs_here(grid("a", "b", hello="b", other="a"), "hello", "a")
    assert not runs_here(grid("a", "b"), "hello", "a")
    assert not runs_here(grid("b"), "hello", "a")


async def test_an_image_is_there_until_the_job_is_down(tmp_path: Path) -> None:
    """The agent may be killed once it is on the shelf, and before that is written down: the next one takes it again."""
    async with open_rig(tmp_path / "data") as rig:
        job = Job(id="b", app="a", type="build", queue="builders", command="x", created=1.0, dockerfile=True)
        (tmp_path / "b" / "out").mkdir(parents=True)
        (tmp_path / "b" / SAVED).write_bytes(b"an image")
        ground = cast(Any, SimpleNamespace(ctx=rig.node.context("host")))
        first, again = [await left_by(ground, job, tmp_path / "b") for _ in range(2)]
        assert first == again
        assert first.artifact
        assert rig.shelf.blobs[first.artifact.sha256] == b"an image"
        sweep(tmp_path / "b")
        assert not (tmp_path / "b" / SAVED).exists()
        assert (await left_by(ground, job, tmp_path / "b")).problem == "had no image built"
