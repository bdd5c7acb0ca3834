"""The network that the steps of a Dockerfile have.

By default it is one for this build alone, behind the walls of apps' own (`walls.py`): from there the world is reached,
but neither this machine and the other hosts nor what runs in containers. Steps are root in theirs and may send packets
in anyone's name (CAP_NET_RAW), so not even two builds of one app share one.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from flynn.core.model import Job
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.docker.docker import DockerBackend
from flynn.plugins.host.docker.engine import WORK, engine
from flynn.plugins.host.race import whole

OWN = "own"
"""What the setting says for: one of its own, or no build."""

log = logging.getLogger(__name__)


class Given(NamedTuple):
    """The engine's name of a network ("": its usual one), and what a developer must know of it ("": nothing)."""

    name: str
    warning: str = ""


class BuildNetwork:
    """`told`: what `host.image_network` says; `others`: whom no step reaches where it has one of its own."""

    def __init__(self, backend: DockerBackend, told: str, others: Iterable[str]) -> None:
        self.backend, self.told, self.others = backend, told, tuple(others)

    @contextlib.asynccontextmanager
    async def given(self, job: Job) -> AsyncIterator[Given]:
        """What the steps of a build have until the end of the block, after which nothing is on it. NotStarted: there is
        none for them.

        Where walls never could be put up, they have the engine's usual one and it is said what is reached from there.
        Where they could be, nothing that goes wrong with them opens a way to this machine.
        """
        why = self.backend.no_own
        if self.told not in ("", OWN):
            yield Given(self.told)
        elif not why:
            async with self._own(job) as name:
                yield Given(name)
        elif self.told == OWN or self.backend.has_walled:
            raise NotStarted(f"this host cannot keep its steps from what else runs here: {why}")
        else:
            log.warning("the steps of %s reach what listens on this machine: %s", job.id, why)
            yield Given("", f"the steps of this build reach what listens on its host: {why}")

    @contextlib.asynccontextmanager
    async def _own(self, job: Job) -> AsyncIterator[str]:
        nets = self.backend.nets
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with engine(WORK) as client:
                    name = await stack.enter_async_context(nets.given(client, job.app, self.others, job.id))
                yield name
        finally:
            await whole(nets.leave(nets.name_of(job.app, job.id)))
