"""What a build leaves behind: `/out/slug.tgz` goes to the shelf, `/out/result.json` into the job's state, which also
says why there is no slug."""

import asyncio
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import structs

from flynn.core import blobs
from flynn.core.brick import Context
from flynn.core.errors import FlynnError, Unavailable
from flynn.core.facts import Facts
from flynn.core.model import Artifact, Job
from flynn.core.room import words
from flynn.plugins.host.docker.image_build import SAVED, tag_of
from flynn.plugins.host.ground import Ground

Offer = Callable[[str, Path], None]
"""Is told the digest of a blob, and a file that is it."""

RESULT_LIMIT = 64 * 1024

PACKED = 2 << 30
"""Bytes of a slug, or of a layer, at most: no host unpacks more. A file of holes takes no disk, but is long to read."""

LAYERS = 8
"""Layers that a build may leave."""

KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

PATIENCE = 30.0
"""Seconds for which a shelf that does not answer is tried again."""


@dataclass(frozen=True)
class Output:
    """`problem` says why there is no artifact."""

    artifact: Artifact | None = None
    result: str = ""
    problem: str = ""


async def left_by(ground: Ground, job: Job, dir: Path) -> Output:
    """What a job has left whose processes have all ended: a slug, or the image that the engine has built for it.

    A slug is unpacked meanwhile where it will most likely run here."""
    if not job.dockerfile:
        near = runs_here(ground.ctx.mirror.facts, job.app, ground.ctx.host)
        offer = ground.layers.offer if near else lambda sha256, packed: None
        return await collect(ground.ctx, dir / "out", dir / "out" / "slug.tgz", offer)
    image, tag = dir / SAVED, tag_of(job)
    if not image.is_file():
        return Output(problem="had no image built")
    output = await collect(ground.ctx, dir / "out", image)  # It stays until the job is down (`kept.sweep`).
    if output.artifact is None:
        return output
    return replace(output, artifact=structs.replace(output.artifact, kind="image", image=tag))


def runs_here(facts: Facts, app: str, host: str) -> bool:
    """Whether a new release of the app will most likely run on this host, too: it does now, or there is no other."""
    running = facts.jobs_of(app, "services").values()
    return facts.hosts.keys() <= {host} or any(assignment.host == host for assignment in running)


async def collect(ctx: Context, out: Path, artifact: Path, offer: Offer = lambda sha256, packed: None) -> Output:
    """Put what a build has left on the shelf, and read what it says of that. None of it is trusted: links are not
    followed. `offer` is told of each blob and its file before it is put there."""
    try:
        found = await asyncio.to_thread(_found, out, artifact)
        for path, named in found.named.items():
            offer(named.sha256, path)
        for path, named in found.named.items():
            await _store(ctx, path, named)
    except (FlynnError, OSError) as error:
        return Output(None, told(out).result, f"left {artifact.name}, which could not be put on the shelf: {error}")
    if not found.named:
        return Output(problem=found.problem)
    layers = {key: found.named[path].sha256 for key, path in found.layers.items()}
    return Output(structs.replace(found.named[artifact], layers=layers), found.result)


@dataclass(frozen=True)
class Found:
    """What a build has left: `named`, its files as blobs; `layers`, those that are one, by their keys. `problem` says
    why there are none."""

    named: dict[Path, Artifact] = field(default_factory=dict)
    layers: dict[str, Path] = field(default_factory=dict)
    result: str = ""
    problem: str = ""


def _found(out: Path, artifact: Path) -> Found:
    """Blocks. OSError: the disk fails."""
    said = told(out)
    if not _is_file(artifact):
        return Found(problem=f"left no /out/{artifact.name}")
    if said.problem:
        return Found(problem=said.problem)
    packed = _layers(out)
    paths = (artifact, *packed.values())
    for path in paths:
        if path.is_relative_to(out) and (size := path.lstat().st_size) > PACKED:
            problem = f"left /{path.relative_to(out.parent)} of {words(size)}; {words(PACKED)} at most"
            return Found(problem=problem)
    named = {path: blobs.named(path) for path in paths}
    return Found(named, packed, said.result)


def _layers(out: Path) -> dict[str, Path]:
    """The layers that were packed, by their keys."""
    folder = out / "layers"
    if folder.is_symlink() or not folder.is_dir():
        return {}
    found = {path.name.removesuffix(".tgz"): path for path in sorted(folder.iterdir()) if _is_file(path)}
    return {key: path for key, path in list(found.items())[:LAYERS] if len(key) <= 100 and KEY.fullmatch(key)}


def told(out: Path) -> Output:
    """What the job says of itself alone."""
    result = out / "result.json"
    if not _is_file(result):
        return Output()
    if result.stat().st_size > RESULT_LIMIT:
        return Output(problem=f"left a /out/result.json of {result.stat().st_size} bytes; {RESULT_LIMIT} at most")
    return Output(result=result.read_text(errors="replace"))


async def _store(ctx: Context, path: Path, named: Artifact) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await blobs.store(ctx, path, named)
            return
        except Unavailable:
            if time.monotonic() >= deadline:
                raise
            await asyncio.sleep(0.5)


def _is_file(path: Path) -> bool:
    """Whether it is a file, itself and not by a link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
