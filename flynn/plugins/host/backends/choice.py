"""Which backend a host's jobs get: the one that is named, or the best that works, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import Backend

BEST = ("sandbox", "docker", "process")
"""The order in which `auto` looks: a sandbox starts in milliseconds and needs nobody; a process is not shut in."""

IMAGES = "docker"
"""The backend that runs images."""


@dataclass(frozen=True)
class Choice:
    """`backend`: what jobs get; `images`: what those get that are images (None: there is nothing). Both are open."""

    backend: Backend
    images: Backend | None
    why: str


async def choose(backends: Mapping[str, Backend], name: str) -> Choice:
    """Open what is named. StartError: that is unknown, or does not work here."""
    if name == "auto":
        return await _best(backends)
    if name not in backends:
        raise StartError(f"host.backend = {name!r} is unknown; known are: auto, {', '.join(sorted(backends))}")
    await backends[name].open()
    return Choice(backends[name], backends[name] if name == IMAGES else None, "as host.backend says")


async def _best(backends: Mapping[str, Backend]) -> Choice:
    """The first that works. What is an image has no choice: its backend is opened too, where it works."""
    lacks: dict[str, str] = {}
    works = [name for name in BEST if await _works(backends, name, lacks)]
    return Choice(backends[works[0]], backends[IMAGES] if IMAGES in works else None, why(works, lacks))


async def _works(backends: Mapping[str, Backend], name: str, lacks: dict[str, str]) -> bool:
    """Whether a backend can be opened; what it lacks otherwise is noted."""
    try:
        await backends[name].open()
    except StartError as error:
        lacks[name] = str(error)
    return name not in lacks


def why(works: Sequence[str], lacks: Mapping[str, str]) -> str:
    """The reason for the first that works, in words."""
    told = ["sandbox is the best of what works here"] if works[0] == BEST[0] else []
    told += [f"{name} does not work here: {reason}" for name, reason in lacks.items()]
    told += ["images run in docker"] if IMAGES in works else []
    return "; ".join([*told, "so jobs are plain processes, not shut in"] if works[0] == "process" else told)
