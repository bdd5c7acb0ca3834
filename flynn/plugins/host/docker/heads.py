"""What builds of Dockerfiles leave in the engine without a name: the image that each stage has ended with.

What these stand on makes the next build of the app quick, so those of its last build are kept; those of builds before
are removed, else each deploy would take disk for good. The engine removes with one what nothing else stands on.
"""

import logging
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from aiodocker import Docker, DockerError

log = logging.getLogger(__name__)

STAGE = re.compile(r"Step \d+/\d+ : FROM ", re.IGNORECASE)
MADE = re.compile(r" --->(?: ([0-9a-f]{12})$)?")
"""How the engine begins a line that tells of an image, or of what it does to make one."""


class Stages:
    """Reads what the engine says while it builds. `heads`: an image a stage, but for those that it begins with."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._is_based = False

    def take(self, line: str) -> None:
        if STAGE.match(line):
            self._found.append("")
            self._is_based = False
        elif (made := MADE.match(line)) and self._found:
            if self._is_based and made[1]:
                self._found[-1] = made[1]
            self._is_based = True

    @property
    def heads(self) -> set[str]:
        return {head for head in self._found if head}


class Told(msgspec.Struct, frozen=True):
    """`kept`: of the last build of each app; `old`: to be removed."""

    kept: dict[str, list[str]] = {}
    old: list[str] = []


class Heads:
    """Kept in the file `path`. All of it is quick but `remove`."""

    def __init__(self, path: Path) -> None:
        self.path, self._building = path, 0
        try:
            self.told = msgspec.json.decode(path.read_bytes(), type=Told)
        except (OSError, msgspec.DecodeError):
            self.told = Told()

    @contextmanager
    def building(self, app: str) -> Iterator[Stages]:
        """For the length of a build, in which nothing is removed that it may stand on."""
        self._building, stages = self._building + 1, Stages()
        try:
            yield stages
        finally:
            self._building -= 1
            if stages.heads:
                self._keep({**self.told.kept, app: sorted(stages.heads)})

    async def remove(self, client: Docker, apps: Collection[str]) -> None:
        """Let go of those of earlier builds, and of apps that are not among these. Not while something is built."""
        self._keep({app: heads for app, heads in self.told.kept.items() if app in apps})
        for head in () if self._building else self.told.old:
            if not self._building and await _gone(client, head):
                self._set(Told(self.told.kept, [old for old in self.told.old if old != head]))

    def _keep(self, kept: dict[str, list[str]]) -> None:
        there = _all(kept)
        self._set(Told(kept, sorted(({*self.told.old} | _all(self.told.kept)) - there)))

    def _set(self, told: Told) -> None:
        if told == self.told:
            return
        self.told, partial = told, self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(told))
            os.replace(partial, self.path)
        except OSError as error:
            log.warning("what builds left in the engine cannot be written to %s: %s", self.path, error.strerror)


def _all(kept: dict[str, list[str]]) -> set[str]:
    return {head for heads in kept.values() for head in heads}


async def _gone(client: Docker, head: str) -> bool:
    """Whether the engine need not be asked again. An image that somebody has named is theirs."""
    try:
        if not (await client.images.inspect(head)).get("RepoTags"):
            await client.images.delete(head, noprune=False)
    except DockerError as error:
        return error.status == 404
    return True
