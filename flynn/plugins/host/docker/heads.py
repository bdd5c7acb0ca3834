"""What builds of Dockerfiles leave in the engine: the image that each stage has ended with, which has no name, and what
the engine has pulled for them to begin with.

Both make the next build of the app quick, so those of its last build are kept; those of builds before are removed, else
each deploy would take disk for good. The engine removes with one what nothing else stands on. An image that it had
before is somebody else's.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from aiodocker import Docker, DockerError
from msgspec.structs import replace

from flynn.plugins.host.docker.strays import Image, image, strays

log = logging.getLogger(__name__)

STAGE = re.compile(r"Step \d+/\d+ : FROM (?:--\S+ )*(\S+)?", re.IGNORECASE)
PULLED = re.compile(r"Status: Downloaded newer image for (\S+)")
SPANS = 20
"""Builds of which it is known when they were, for each image that they have ended with."""

MADE = re.compile(r" --->(?: ([0-9a-f]{12})$)?")
"""How the engine begins a line that tells of an image, or of what it does to make one."""


class Stages:
    """Reads what the engine says while it builds. `heads`: an image a stage, but for those that it begins with;
    `named`: what it calls these; `pulled`: those that the engine did not have."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._is_based = False
        self.named: set[str] = set()
        self.pulled: set[str] = set()

    def take(self, line: str) -> None:
        """What the builder says, or a step prints."""
        if stage := STAGE.match(line):
            self._found.append("")
            self._is_based = False
            self.named.add(whole(stage[1] or ""))
        elif (made := MADE.match(line)) and self._found:
            if self._is_based and made[1]:
                self._found[-1] = made[1]
            self._is_based = True

    def pull(self, line: str) -> None:
        """What is said of a pull, which no step can: what it names is let go one day, and is not to be somebody's."""
        if pulled := PULLED.match(line):
            self.pulled.add(whole(pulled[1]))

    @property
    def heads(self) -> set[str]:
        return {head for head in self._found if head}


def whole(name: str) -> str:
    """The name of an image with its tag."""
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


Span = tuple[float, float]


class Told(msgspec.Struct, frozen=True):
    """`kept`: of the last build of each app; `old`: to be removed; `over`: of these, those of builds that wrote too
    much, and from when to when such builds were (UNIX seconds, the last ones).
    `bases`: what the last build of each app began with, if the engine has it by us; `unused`: what others did, to be
    removed."""

    kept: dict[str, list[str]] = {}
    old: list[str] = []
    # Files of before have a mere list by the name of `over`.
    over: dict[str, list[Span]] = msgspec.field(default={}, name="wrote_too_much")
    bases: dict[str, list[str]] = {}
    unused: list[str] = []


class Heads:
    """Kept in the file `path`. All of it is quick but `remove`."""

    def __init__(self, path: Path) -> None:
        self.path, self._building = path, 0
        try:
            self.told = msgspec.json.decode(path.read_bytes(), type=Told)
        except (OSError, msgspec.DecodeError):
            self.told = Told()

    @contextmanager
    def building(self, app: str, is_kept: Callable[[], bool] = lambda: True) -> Iterator[Stages]:
        """For the length of a build, in which nothing is removed that it may stand on. `is_kept`: whether what it has
        made shall make the next one quick."""
        self._building, stages, begun = self._building + 1, Stages(), time.time()
        try:
            yield stages
        finally:
            self._building -= 1
            if stages.heads and is_kept():
                self._keep({**self.told.kept, app: sorted(stages.heads)})
            elif stages.heads:
                self._exceed(stages.heads, (begun, time.time()))
            self._base(app, stages)

    async def remove(self, client: Docker, apps: Collection[str]) -> None:
        """Let go of those of earlier builds, and of apps that are not among these. Not while something is built."""
        self._keep({app: heads for app, heads in self.told.kept.items() if app in apps})
        self._stand({app: names for app, names in self.told.bases.items() if app in apps})
        images = _Images(client)
        for head in () if self._building else self.told.old:
            if not self._building and (await _gone(client, head) or await self._bared(client, head, images)):
                self._set(replace(self.told, old=[old for old in self.told.old if old != head]))
        for name in () if self._building else self.told.unused:
            if not self._building and await _let_go(client, name):
                self._set(replace(self.told, unused=[one for one in self.told.unused if one != name]))

    async def _bared(self, client: Docker, head: str, images: "_Images") -> bool:
        """Whether it goes once what is made of it has, which nobody told of. Only where a build wrote too much: what
        is made of another one may be somebody's."""
        if not (spans := self.told.over.get(head)):
            return False
        for stray in strays(head, await images.all(), _all(self.told.kept), spans):
            if self._building or not await _gone(client, stray, prunes=False):  # What it stands on may be kept.
                return False
        return not self._building and await _gone(client, head)

    def _keep(self, kept: dict[str, list[str]]) -> None:
        old = sorted(({*self.told.old} | _all(self.told.kept)) - _all(kept))
        self._set(replace(self.told, kept=kept, old=old))

    def _exceed(self, heads: set[str], span: Span) -> None:
        """A build that ended so wrote too much. One of an earlier build is kept, but more may have been made of it."""
        old = {*self.told.old} | (heads - _all(self.told.kept))
        over = {head: [*self.told.over.get(head, ()), span][-SPANS:] for head in heads}
        self._set(replace(self.told, old=sorted(old), over={**self.told.over, **over}))

    def _base(self, app: str, stages: Stages) -> None:
        """What a build of the app began with, as far as the engine has it only by us. A stage that begins with what is
        in a variable does not say what that is: then none of those of before goes."""
        ours = _all(self.told.bases) | {*self.told.unused} | stages.pulled
        named = (stages.named & ours) | stages.pulled
        if not stages.named or any("$" in name for name in stages.named):
            named |= {*self.told.bases.get(app, ())}
        if named or app in self.told.bases:
            self._stand({**self.told.bases, app: sorted(named)})

    def _stand(self, bases: dict[str, list[str]]) -> None:
        unused = sorted(({*self.told.unused} | _all(self.told.bases)) - _all(bases))
        self._set(replace(self.told, bases=bases, unused=unused))

    def _set(self, told: Told) -> None:
        known = {*told.old} | _all(told.kept)
        told = replace(told, over={head: spans for head, spans in told.over.items() if head in known})
        if told == self.told:
            return
        self.told, partial = told, self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(told))
            os.replace(partial, self.path)
        except OSError as error:
            log.warning("what builds left in the engine cannot be written to %s: %s", self.path, error.strerror)


class _Images:
    """All that the engine has, looked up once, and only if somebody asks."""

    def __init__(self, client: Docker) -> None:
        self._client = client
        self._found: list[Image] | None = None

    async def all(self) -> list[Image]:
        if self._found is None:
            self._found = [image(found) for found in await self._client.images.list(all=1)]
        return self._found


def _all(kept: dict[str, list[str]]) -> set[str]:
    return {head for heads in kept.values() for head in heads}


async def _let_go(client: Docker, name: str) -> bool:
    """Whether the engine has it no more by this name. It refuses as long as a container is of it."""
    try:
        await client.images.delete(name)
    except DockerError as error:
        return error.status == 404
    return True


async def _gone(client: Docker, head: str, prunes: bool = True) -> bool:
    """Whether the engine need not be asked again. An image that somebody has named is theirs. `prunes`: what it is made
    of goes too, as far as nothing else stands on it."""
    try:
        if not (await client.images.inspect(head)).get("RepoTags"):
            await client.images.delete(head, noprune=not prunes)
    except DockerError as error:
        return error.status == 404
    return True
