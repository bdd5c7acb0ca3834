"""A build from beginning to end: source in BUILD_DIR, slug and result in OUT_DIR.

From the environment: BUILD_DIR (the source, writable), APP_DIR (where the slug will be, empty), TOOLS_DIR (this and the
buildpacks), CACHE_DIR (kept between the builds of an app), OUT_DIR, BUILD_ENV (the app's config, JSON, in pieces),
BUILD_PACKS (the buildpacks that it is set to, JSON), BUILD_TIMEOUT (seconds), and what buildpacks are told besides.
Leaves OUT_DIR/slug.tgz and OUT_DIR/result.json (`{"buildpack", "processes": {type: command}, "file", "described"}`,
which are the name of its flynn.toml or flynn.json and what that says) and ends with code 0, or says in its last line
why not, and in OUT_DIR/result.json too (`{"failed"}`), and ends with code 1.
"""

from __future__ import annotations

import os
import sys
import time

from . import SUBMODULES, BuildFailed
from .choose import chosen
from .described import read_described
from .ignore import remove_ignored
from .kept import Kept
from .layers import Layers
from .places import Config, Places, config, environ
from .plain import dumps
from .processes import Released, find_processes, has_profile, image_processes, write_profile
from .slug import human, newest, size_of, write_tar

TYPE_CHECKING = False  # What takes long to load is loaded where it is used: who deploys waits.
if TYPE_CHECKING:
    import signal
    from collections.abc import Collection
    from types import FrameType
    from typing import Any, NoReturn
else:
    import _signal as signal  # What is in it but the names of numbers.

CACHE_LIMIT = 1 << 30
"""Bytes that a build may leave in its cache."""


def main() -> int:
    """Build, and tell about it on standard output. The exit code."""
    limit_time()
    started = time.monotonic()
    try:
        places = Places.from_environ()
        made, size, is_new = build(places)
        say(f"Built {made} of {human(size)} in {time.monotonic() - started:.1f} s")
        if is_new:
            keep_small(places.cache)
    except BuildFailed as error:
        return fail(f"{error}", error.told)
    except OSError as error:
        return fail(f"{error.strerror or error}: {error.filename or 'in the build'}")
    except Exception as error:
        import traceback

        traceback.print_exc(file=sys.stdout)
        return fail(f"flynn made a mistake in the build, the lines above say where: {type(error).__name__}")
    return 0


def build(places: Places) -> tuple[str, int, bool]:
    """All steps in turn; what came of it, its size in bytes, and whether it took more than layers that there were."""
    if os.path.lexists(os.path.join(places.build, SUBMODULES)):
        from .submodules import bring_submodules

        bring_submodules(places.build, places.cache, environ(places, os.environ))
    if removed := remove_ignored(places.build):
        say(f"Left out {removed} {'path' if removed == 1 else 'paths'} named by .slugignore")
    file_read, described = read_described(places.build)
    if engine := os.environ.get("IMAGE_BUILD"):
        from .dockerfile import build_image

        processes = image_processes(places.build)
        size = build_image(places.build, engine, places.out)
        leave(places, "dockerfile", processes, file_read, described)
        return "an image", size, True
    with Kept(places.cache) as kept:
        made = build_slug(places, kept, file_read, described)
        kept.settle()
    return made


def build_slug(places: Places, kept: Kept, file_read: str, described: dict[str, Any]) -> tuple[str, int, bool]:
    """The steps for which there are buildpacks."""
    bash, time_of_source = has_profile(places.build), newest(places.build)
    layers = Layers(places.out, os.environ)
    released, names, foreign = compile_all(places, layers, kept)
    write_profile(places.build, released.variables, bash or foreign)
    processes = find_processes(places.build, released, names[-1])
    used = layers.unchanged(places.build)
    layers.pack(places.build, used)
    slug = os.path.join(places.out, "slug.tgz")
    size = write_tar(places.build, slug, without=used.values(), newest=time_of_source)
    leave(places, ", ".join(names), processes, file_read, described, used)
    return "a slug", size, not used or not layers.known.issuperset(used)


def leave(
    places: Places,
    buildpack: str,
    processes: dict[str, str],
    file_read: str,
    described: dict[str, Any],
    layers: Collection[str] = (),
) -> None:
    """Say of what was built what the grid must know."""
    told = {
        "buildpack": buildpack, "processes": processes, "layers": [*layers], "file": file_read, "described": described
    }  # fmt: skip
    with open(os.path.join(places.out, "result.json"), "w", encoding="utf-8") as file:
        file.write(dumps(told))


def compile_all(places: Places, layers: Layers, kept: Kept) -> tuple[Released, list[str], bool]:
    """Each buildpack in its turn; what they say of processes, their names, and whether one is not flynn's own."""
    env, found = environ(places, os.environ, layers.folder), config(os.environ)
    released, names, foreign = Released(), [], False
    with Config(found) as folder:
        for pack, title, is_last in chosen(places, os.environ, found, env):
            say(f"{title} app detected")
            needed = {} if is_last else {"LAYERS_NEEDED": "1"}
            cache = places.cache if pack.own else kept.copy()
            pack.compile(places.build, cache, folder, {**env, **needed, "CACHE_DIR": cache})
            if not is_last:
                layers.seal(places.build)
            released.add(pack.name, pack.release(places.build, env))
            env = pack.exported(places.build, env)
            names.append(pack.name)
            foreign = foreign or not pack.own
    return released, names, foreign


def keep_small(cache: str) -> None:
    """Take away what the cache holds over its limit: what can be had again most quickly, then all of it."""
    import shutil

    for folder, what in ((os.path.join(cache, "kept"), "of what was installed"), (cache, "of everything")):
        if (size := size_of(cache)) > CACHE_LIMIT and os.path.isdir(folder):
            say(f"Emptied the build cache {what}: it had {human(size)}, over {human(CACHE_LIMIT)}")
            for name in os.listdir(folder):
                shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def limit_time() -> None:
    """End the build when it takes too long, or when it is told to stop, with the sentence that says so."""
    seconds = float(os.environ.get("BUILD_TIMEOUT") or 900)

    def late(number: int, frame: FrameType | None) -> NoReturn:
        raise BuildFailed(f"build took over {seconds:g} s")

    def stopped(number: int, frame: FrameType | None) -> NoReturn:
        raise BuildFailed("the build was stopped")

    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, stopped)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def fail(sentence: str, told: bool = False) -> int:
    """Say why there is no slug, unless that was told; the exit code."""
    try:
        with open(os.path.join(os.environ.get("OUT_DIR", ""), "result.json"), "w", encoding="utf-8") as file:
            file.write(dumps({"failed": sentence}))
    except OSError:
        pass  # The line says it too.
    if not told:
        print(f" !     {sentence}", flush=True)
    return 1


def say(sentence: str) -> None:
    print(f"-----> {sentence}", flush=True)


def end() -> None:
    """What the job does: build, and end with the exit code. There is nothing to be tidied up, and who deploys waits."""
    code = main()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    end()
