"""The images of jobs: had once for each release on this host, and kept under a name that does not move.

A tag like `hello:latest` may name another image tomorrow. So what a release ran as first is kept as `flynn-ID/APP:vN`,
and all later jobs of that release on this host run just that. ID is of the data directory: others may use the engine.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiodocker import Docker, DockerError

from flynn.core.errors import FlynnError, NotFound
from flynn.core.facts import Facts
from flynn.core.model import Job
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.docker.engine import CALL, engine
from flynn.plugins.host.docker.heads import Heads
from flynn.plugins.host.docker.pulled import Pulled
from flynn.plugins.host.race import begun

log = logging.getLogger(__name__)

PULL = 900.0
"""Seconds that a pull may take."""

PATIENCE = 60.0
"""Seconds without a sign of progress after which a pull has failed."""

EVERY = 5.0
"""Seconds between two lines of a job's log on how far its image is."""

IMAGE = ".image"
"""How the name of a file ends that is on its way from the shelf into the engine."""

MIB = 1024 * 1024
LAST = 5
"""Images of an app that are kept: of its last releases, and of that which serves."""


Fetch = Callable[[str, Path], Awaitable[None]]
"""Writes a blob to a path. FlynnError: it cannot be had."""


@dataclass(eq=False)
class Pull:
    """One under way; of what the shelf has as `blob`, if that is said. `layers`: bytes that have come and bytes in all,
    by layer."""

    image: str
    blob: str = ""
    task: asyncio.Task[str] | None = None
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, item: dict[str, Any]) -> None:
        """A line of the engine's (Docker Engine API, "ImageCreate")."""
        detail = item.get("progressDetail") or {}
        if item.get("status") == "Downloading" and detail.get("total"):
            self.layers[item["id"]] = (detail["current"], detail["total"])
        elif item.get("status") in ("Download complete", "Pull complete") and item.get("id") in self.layers:
            total = self.layers[item["id"]][1]
            self.layers[item["id"]] = (total, total)

    def told(self) -> str:
        come = sum(come for come, _ in self.layers.values())
        total = sum(total for _, total in self.layers.values())
        if not total:
            return "takes it from the shelf" if self.blob else "waits for its registry"
        return f"{come // MIB} of {total // MIB} MiB have come"


class Images:
    """`data`: the agent's directory; `tasks`: where pulls live, which many jobs may wait for; `fetch` takes blobs from
    the shelf; `live`: the jobs that are not down, whose images are kept, be it of what release."""

    def __init__(
        self,
        data: Path,
        tasks: asyncio.TaskGroup,
        fetch: Fetch | None = None,
        live: Callable[[], Iterable[Job]] = tuple,
    ) -> None:
        self.tasks, self.fetch, self.live, self.data = tasks, fetch, live, data / "docker"
        self.own = f"flynn-{hashlib.sha256(str(data).encode()).hexdigest()[:8]}/"
        self.pulled = Pulled(data / "docker" / "pulled")
        self.heads = Heads(data / "docker" / "heads")
        self._pulls: dict[str, Pull] = {}

    def name(self, app: str, release: int) -> str:
        """What the engine calls the image of a release."""
        return f"{self.own}{app}:v{release}"

    async def get(self, job: Job, say: Callable[[str], Awaitable[None]]) -> str:
        """The image of a job, by the engine's name for it. NotStarted: it cannot be had, and why."""
        return await self._get(job.image, self.name(job.app, job.release), say, job.image_blob)

    async def stack(self, image: str, say: Callable[[str], Awaitable[None]]) -> str:
        """The same for an image under slugs, which is pulled if the engine has none of this name."""
        return await self._get(image, image, say)

    async def _get(self, image: str, name: str, say: Callable[[str], Awaitable[None]], blob: str = "") -> str:
        if name not in self._pulls and await _has(name):
            return name
        if name not in self._pulls:  # Another job may have come first while the engine was asked.
            pull = self._pulls[name] = Pull(image, blob)
            pull.task = begun(self.tasks, self._guarded(pull, image, name), f"pull {image}")
            pull.task.add_done_callback(lambda _: self._pulls.pop(name, None))
        pull = self._pulls[name]
        assert pull.task
        await say(f"fetches the image {image}" if blob else f"pulls the image {image}")
        while not (await asyncio.wait([pull.task], timeout=EVERY))[0]:
            await say(f"{'fetches' if blob else 'pulls'} the image {image}: {pull.told()}")
        if reason := pull.task.result():
            raise NotStarted(reason)
        return name

    async def _guarded(self, pull: Pull, image: str, name: str) -> str:
        """Why there is no image; empty if there is. An error shall not end the agent's other tasks."""
        try:
            is_new = image != name and not await _has(image)
            if not pull.blob:
                await _pull(pull, image)
            elif is_new:
                await self._load(pull.blob)
            if is_new:
                self.pulled.add(image)
        except (FlynnError, TimeoutError, OSError) as error:
            why = str(error) or f"nothing has come for {PATIENCE:g} s"
            if not await _has_guarded(image):
                return f"the image {image} cannot be {'had' if pull.blob else 'pulled'}: {why}"
            log.warning("the image %s cannot be pulled, so what the engine has by this name is used: %s", image, why)
        return await _name(image, name)

    async def _load(self, blob: str) -> None:
        """From the shelf into the engine. FlynnError, OSError: why not."""
        assert self.fetch
        path = self.data / f"{blob}{IMAGE}"
        await asyncio.to_thread(self.data.mkdir, parents=True, exist_ok=True)
        try:
            await self.fetch(blob, path)
            async with engine(PULL) as client:
                with path.open("rb") as file:
                    await client.images.import_image(file)
        finally:
            path.unlink(missing_ok=True)

    async def keep(
        self, wanted: Collection[tuple[str, int]], images: Collection[str] = (), apps: Collection[str] = ()
    ) -> None:
        """Let go of all images of releases but the `wanted` (app and version), and those that live jobs or containers
        have; also by the names that they were pulled by, but for `images`; and of what builds left but the last one of
        each of `apps`."""
        names = {self.name(app, release) for app, release in wanted}
        try:
            async with engine() as client:
                found = [tag for image in await client.images.list() for tag in image.get("RepoTags") or ()]
                for tag in found:
                    if tag.startswith(self.own) and tag not in names and tag not in self._in_use():
                        await _let_go(client, tag)
                for image in self.pulled.names - set(images):
                    if image not in self._in_use() and await _let_go(client, image):
                        self.pulled.remove(image)
                await self.heads.remove(client, apps)
        except FlynnError as error:
            log.info("images are not looked through now: %s", error)

    def _in_use(self) -> set[str]:
        """By all their names. A live job's image may have come a moment ago, and have no container yet."""
        names = {name for job in self.live() if job.image for name in (job.image, self.name(job.app, job.release))}
        return names.union(self._pulls, (pull.image for pull in self._pulls.values()))


def wanted(facts: Facts) -> set[tuple[str, int]]:
    """The releases whose images a host keeps, if it has them."""
    by_app: dict[str, list[int]] = {}
    for release in facts.releases.values():
        if release.artifact.image and release.app in facts.apps:
            by_app.setdefault(release.app, []).append(release.version)
    last = {(app, version) for app, versions in by_app.items() for version in sorted(versions)[-LAST:]}
    return last | {(app, facts.apps[app].release) for app in by_app}


def named(facts: Facts, wanted: Collection[tuple[str, int]]) -> set[str]:
    """What the images of these releases are pulled by."""
    found = [facts.releases.get(f"{app}/{version}") for app, version in wanted]
    return {release.artifact.image for release in found if release}


async def _let_go(client: Docker, tag: str) -> bool:
    """Whether the engine has it no more by this name."""
    try:
        await client.images.delete(tag)
    except DockerError as error:
        if error.status != 404:
            log.info("the image %s is kept: %s", tag, error.message)
            return False
    return True


async def _has(name: str) -> bool:
    """Unavailable, as `engine` says."""
    try:
        async with engine() as client:
            await client.images.inspect(name)
    except NotFound:
        return False
    return True


async def _has_guarded(name: str) -> bool:
    try:
        return await _has(name)
    except FlynnError:
        return False


async def _pull(pull: Pull, image: str) -> None:
    """Pull it. FlynnError says why it cannot be; TimeoutError: nothing has come for a while."""
    async with engine(PULL) as client:
        async with asyncio.timeout(PATIENCE) as patience:
            async for item in client.images.pull(image, stream=True):
                pull.take(item)
                patience.reschedule(asyncio.get_running_loop().time() + PATIENCE)


async def _name(image: str, name: str) -> str:
    """Give it the name that stays; why that could not be."""
    if image == name:
        return ""
    repository, _, tag = name.partition(":")
    try:
        async with engine(CALL) as client:
            await client.images.tag(image, repo=repository, tag=tag)
    except FlynnError as error:
        return f"the image {image} cannot be kept as {name}: {error}"
    return ""
