"""Which buildpacks an app is built with, in which order, and where they come from."""

from __future__ import annotations

import os

from . import BuildFailed
from .buildpack import Buildpack, check, known
from .places import Places
from .plain import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FILE = ".buildpacks"

LOOKS_FOR = (
    "Gemfile (ruby), requirements.txt, pyproject.toml, uv.lock or poetry.lock (python), go.mod (go), pom.xml (java), "
    "composer.json or index.php (php), package.json (nodejs), index.html or static.json (static), Procfile (procfile)"
)

SHELF = "shelf:"
"""How a buildpack is named that was put on the shelf, by its digest; it comes as a layer of the build's job."""


def named(given: Mapping[str, str], config: Mapping[str, str], build: str) -> tuple[list[str], str]:
    """The buildpacks that somebody has said, and where; none: they are to be found out.

    What was set for the app goes over BUILDPACK_URL in its config, and that over the file in its source.
    """
    said: list[str] = loads(given.get("BUILD_PACKS") or "[]")
    if said:
        return said, "flynn buildpack"
    if url := config.get("BUILDPACK_URL", "").strip():
        return [url], "BUILDPACK_URL"
    try:
        with open(os.path.join(build, FILE), encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except FileNotFoundError:
        return [], ""
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailed(f"{FILE} cannot be read: {error}") from None
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise BuildFailed(f"{FILE} names no buildpack; write one in each line, or remove the file")
    return found, FILE


def chosen(
    places: Places, given: Mapping[str, str], config: Mapping[str, str], env: Mapping[str, str]
) -> Iterator[tuple[Buildpack, str, bool]]:
    """Each buildpack in its turn, in a place where it may write, what it calls the app, and whether it is the last.

    One that somebody has named must fit, once those before it are done. BuildFailed.
    """
    folder = os.path.join(places.out, f"packs-{os.urandom(4).hex()}")
    os.mkdir(folder)
    said, where = named(given, config, places.build)
    if not said:
        found, title = detected(os.path.join(places.tools, "buildpacks"), places.build, env)
        yield found.copied(os.path.join(folder, found.name)), title, True
        return
    for number, name in enumerate(said):
        pack = brought(name, where, os.path.join(folder, f"{number}"), places, given, env)
        title = pack.detect(places.build, env)
        if not title:
            raise BuildFailed(
                f"the buildpack {pack.name} (from {where}) does not fit: its bin/detect did not take the app"
            )
        yield pack, title, number == len(said) - 1


def detected(folder: str, build: str, env: Mapping[str, str]) -> tuple[Buildpack, str]:
    """The first buildpack of the tools that fits the app, and what it calls it. BuildFailed: none does."""
    for name in own(folder):
        pack = known(folder, name)
        if title := pack.detect(build, env):
            return pack, title
    if os.path.exists(os.path.join(build, "Dockerfile")):
        raise BuildFailed("there is a Dockerfile, which no host of this grid can build: none has Docker Engine")
    raise BuildFailed(f"no buildpack fits; they look for: {LOOKS_FOR}. `flynn buildpack set` names another one")


def own(folder: str) -> Sequence[str]:
    """The names of the buildpacks of the tools, in the order they are tried."""
    with open(os.path.join(folder, "order"), encoding="utf-8") as file:
        return file.read().split()


def brought(
    name: str, where: str, to: str, places: Places, given: Mapping[str, str], env: Mapping[str, str]
) -> Buildpack:
    """The buildpack that is called so, copied or fetched to `to`. BuildFailed: there is none."""
    folder = os.path.join(places.tools, "buildpacks")
    if name in own(folder):
        return known(folder, name).copied(to)
    if name.startswith(SHELF):
        layer = given.get(f"PACK_{name[len(SHELF) :][:12].upper()}_DIR", "")
        if not os.path.isdir(layer):
            raise BuildFailed(f"{name} (from {where}) is not there; name what is on the shelf by: flynn buildpack set")
        return check(inner(Buildpack(layer, name).copied(to).path), name)
    if name.startswith("https://"):
        from .fetch import fetch, shown

        fetch(name, to, places.cache, env)
        return check(inner(to), shown(name))
    raise BuildFailed(
        f"{name!r} (from {where}) names no buildpack: give one of {', '.join(own(folder))}, or the address of a git "
        "repository or of a .tgz (https://HOST/PATH#REF)"
    )


def inner(path: str) -> str:
    """Where a buildpack begins that was packed together with its directory."""
    names = os.listdir(path)
    if "bin" not in names and len(names) == 1 and os.path.isdir(os.path.join(path, names[0], "bin")):
        return os.path.join(path, names[0])
    return path
