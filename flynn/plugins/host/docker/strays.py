"""Images that the engine's builder has made of one that is let go, and of which nobody heard: a build that is broken
off between two steps may make one image more. They have no name, and the engine lets go of no image that another is
made of."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

AFTER = 60.0
"""Seconds after a build has ended in which the builder may still make an image of it."""

SHORT = 12
"""Digits of an image's id that the builder says."""


class Image(NamedTuple):
    """`id` and `parent` ("": none, or not known) are as short as the builder's; `created`: UNIX seconds, whole ones."""

    id: str
    parent: str
    is_named: bool
    created: float


def image(found: Any) -> Image:
    """One of the engine's (Docker Engine API, "ImageList"); older ones say `<none>` where there is no name."""
    names = [*(found.get("RepoTags") or ()), *(found.get("RepoDigests") or ())]
    parent, is_named = found.get("ParentId") or "", any("<none>" not in name for name in names)
    return Image(short(found["Id"]), short(parent), is_named, found["Created"])


def short(id: str) -> str:
    return id.removeprefix("sha256:")[:SHORT]


def strays(
    head: str, images: Sequence[Image], kept: Collection[str], spans: Iterable[tuple[float, float]]
) -> list[str]:
    """Those that are made of `head`, however far: each before what it is made of. Left out is what has a name, what is
    kept, what was made when none of the builds was (`spans`: from when to when they were), and all that these stand on.
    """
    made = [(begun - 1, ended + AFTER) for begun, ended in spans]
    parents, needed = {one.id: one.parent for one in images}, set[str]()
    for one in images:
        is_ours = any(begun <= one.created <= ended for begun, ended in made)
        at = one.id if one.is_named or one.id in kept or not is_ours else ""
        while at and at not in needed:
            needed.add(at)
            at = parents.get(at, "")
    found = [head]
    for above in found:  # It grows meanwhile.
        found += [one.id for one in images if one.parent == above]
    return [id for id in found[:0:-1] if id not in needed]
