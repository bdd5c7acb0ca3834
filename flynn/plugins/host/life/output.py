"""What a build leaves behind: `/out/slug.tgz` goes to the shelf, `/out/result.json` into the job's state, which also
says why there is no slug."""

import asyncio
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from flynn.core import blobs
from flynn.core.brick import Context
from flynn.core.errors import FlynnError, Unavailable
from flynn.core.model import Artifact

RESULT_LIMIT = 64 * 1024
PATIENCE = 30.0
"""Seconds for which a shelf that does not answer is tried again."""


@dataclass(frozen=True)
class Output:
    """`problem` says why there is no artifact."""

    artifact: Artifact | None = None
    result: str = ""
    problem: str = ""


async def collect(ctx: Context, out: Path) -> Output:
    """Take the output of a job whose processes have all ended. What it left is not trusted: links are not followed."""
    slug, said = out / "slug.tgz", told(out)
    if not _is_file(slug):
        return Output(problem="left no /out/slug.tgz")
    if said.problem:
        return said
    try:
        return Output(await _store(ctx, slug), said.result)
    except (FlynnError, OSError) as error:
        return Output(None, said.result, f"left a slug that could not be put on the shelf: {error}")


def told(out: Path) -> Output:
    """What the job says of itself alone."""
    result = out / "result.json"
    if not _is_file(result):
        return Output()
    if result.stat().st_size > RESULT_LIMIT:
        return Output(problem=f"left a /out/result.json of {result.stat().st_size} bytes; {RESULT_LIMIT} at most")
    return Output(result=result.read_text(errors="replace"))


async def _store(ctx: Context, slug: Path) -> Artifact:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await blobs.store(ctx, slug)
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
