"""The steps of a Dockerfile, followed by what the engine's builder says of them: each is held to its limits, and all of
them together to the disk that a build may take.

The builder can be told of no such limit. So the engine is asked now and then how much the container of a step has
written, and of each image how large its last layer is: those beyond what the Dockerfile begins with are this build's.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

from aiodocker import Docker, DockerError

from flynn.core.room import MIB, Room, words
from flynn.plugins.host.backends.backend import Limits, NotStarted
from flynn.plugins.host.docker import build_limits
from flynn.plugins.host.docker.heads import MADE
from flynn.plugins.host.life.spent import measure

LOOK, SHARE = 1.0, 10
"""Seconds between two looks at a step, at least; how many times as long as a look takes, at least: the engine counts
all files for it."""


class Steps:
    """Of one build, on `network`. `limits`: of each; `disk`: MiB that all layers and the step that runs may have (0:
    any number). `containers`: what they run in, or did."""

    def __init__(self, client: Docker, network: str, limits: Limits, disk: int) -> None:
        self._client, self.network, self._limits, self._disk = client, network, limits, disk * MIB
        self._layers: dict[str, int] = {}
        self._last = ""
        self.containers: set[str] = set()
        self.is_too_much = False
        """Whether the build ended by its disk."""

    async def take(self, line: str) -> None:
        """What the builder says, or a step prints. NotStarted: they have written too much."""
        if step := await build_limits.hold(self._client, line, self._limits, self.network):
            self.containers.add(step)
            self._last = step
        elif (made := MADE.match(line)) and made[1] and made[1] not in self._layers:
            self._layers[made[1]] = await self._layer(made[1])
            self._check(0)

    async def watch(self) -> None:
        """Look at the step that runs, without end. NotStarted: they have written too much."""
        pause = LOOK
        while self._disk:
            await asyncio.sleep(pause)
            begun = time.monotonic()
            self._check(await self._written())
            pause = max(LOOK, SHARE * (time.monotonic() - begun))
        await asyncio.Event().wait()

    def _check(self, written: int) -> None:
        if 0 < self._disk < sum(self._layers.values()) + written:
            self.is_too_much = True
            raise NotStarted(f"out of disk: limit {words(self._disk)} for all that its steps write (builder.disk)")

    async def _layer(self, image: str) -> int:
        """Bytes that it has beyond what it was made from; of one that was made elsewhere, and has a name: 0."""
        found = await self._asked(f"images/{image}/json")
        if not found.get("Parent") and (found.get("RepoTags") or found.get("RepoDigests")):
            return 0
        below = await self._asked(f"images/{found['Parent']}/json") if found.get("Parent") else {}
        return max(int(found.get("Size", 0)) - int(below.get("Size", 0)), 0)

    async def _written(self) -> int:
        """Bytes that the last step has in its container and in the volumes of that, while it runs: once it has ended,
        the builder makes an image of it, which is to be heard of."""
        found = await self._asked(f"containers/{self._last}/json", size="true") if self._last else {}
        if not found.get("State", {}).get("Running"):
            return 0
        volumes = [Path(mount["Source"]) for mount in found.get("Mounts") or () if mount.get("Type") == "volume"]
        within = await asyncio.to_thread(measure, volumes, self._disk, Room(0, 0)) if volumes else None
        return int(found.get("SizeRw") or 0) + (within.size if within else 0)

    async def _asked(self, what: str, **params: str) -> dict[str, Any]:
        """Nothing where there is no such thing, or not any more, or the engine has no time to say: it is asked on."""
        try:
            return dict(await self._client._query_json(what, params=params))
        except (DockerError, TimeoutError):
            return {}
