"""A build from beginning to end: source in APP_DIR, slug and result in OUT_DIR.

From the environment: APP_DIR (the source, writable), TOOLS_DIR (this and the buildpacks), CACHE_DIR (kept between the
builds of an app), OUT_DIR, BUILD_ENV (the app's config, JSON, in pieces), BUILD_TIMEOUT (seconds). Leaves
OUT_DIR/slug.tgz and OUT_DIR/result.json (`{"buildpack", "processes": {type: command}, "file", "described"}`, which are
the name of its flynn.toml or flynn.json and what that says) and ends with code 0, or says in its last line why not and
ends with code 1.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from . import BuildFailed
from .buildpack import Buildpack, choose
from .described import read_described
from .ignore import remove_ignored
from .procfile import check_name, parse_procfile, profile_of
from .slug import human, size_of, write_slug

CACHE_LIMIT = 1 << 30
"""Bytes that a build may leave in its cache; past it the cache is emptied."""

NO_TYPES = "no process type: a Procfile names none, and nothing else tells how to start it; add one, for example: "
EXAMPLES = {
    "python": "web: gunicorn app:app --bind 0.0.0.0:$PORT",
    "nodejs": "web: node server.js",
}


@dataclass(frozen=True)
class Places:
    """The directories of a build."""

    app: str
    tools: str
    cache: str
    out: str

    @staticmethod
    def from_environ() -> Places:
        named = {name: os.environ.get(name, "") for name in ("APP_DIR", "TOOLS_DIR", "CACHE_DIR", "OUT_DIR")}
        for name, path in named.items():
            if not os.path.isdir(path):
                raise BuildFailed(f"{name} is not a directory: {path!r}; a build is to be started by flynn")
        return Places(*(os.path.abspath(path) for path in named.values()))


def main() -> int:
    """Build, and tell about it on standard output. The exit code."""
    limit_time()
    started = time.monotonic()
    try:
        places = Places.from_environ()
        size = build(places)
        say(f"Built a slug of {human(size)} in {time.monotonic() - started:.1f} s")
        keep_small(places.cache)
    except BuildFailed as error:
        return fail(f"{error}")
    except OSError as error:
        return fail(f"{error.strerror or error}: {error.filename or 'in the build'}")
    return 0


def build(places: Places) -> int:
    """All steps in turn; the size of the slug in bytes."""
    if removed := remove_ignored(places.app):
        say(f"Left out {removed} {'path' if removed == 1 else 'paths'} named by .slugignore")
    env = environ(places)
    folder = os.path.join(places.tools, "buildpacks")
    with open(os.path.join(folder, "order"), encoding="utf-8") as file:
        buildpack = choose(folder, file.read().split(), places.app, env)
    say(f"{buildpack.title} app detected")
    file_read, described = read_described(places.app)
    with tempfile.TemporaryDirectory(prefix="config-") as config:
        write_config(config)
        buildpack.compile(places.app, places.cache, config, env)
    processes = find_processes(places.app, buildpack, env)
    size = write_slug(places.app, os.path.join(places.out, "slug.tgz"))
    with open(os.path.join(places.out, "result.json"), "w", encoding="utf-8") as file:
        told = {"buildpack": buildpack.name, "processes": processes, "file": file_read, "described": described}
        json.dump(told, file)
    return size


def environ(places: Places) -> dict[str, str]:
    """What a buildpack is told. What it leaves at HOME is kept for the next build, and is not in the slug."""
    own = ("FLYNN_", "PYTHON", "BUILD_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    home = os.path.join(places.cache, "home")
    os.makedirs(home, exist_ok=True)
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **env, "HOME": home}


def write_config(folder: str) -> None:
    """The app's config as a buildpack reads it: a file for each variable."""
    for name, value in json.loads("".join(config_pieces()) or "{}").items():
        if name and "/" not in name and name not in (".", ".."):
            with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
                file.write(value)


def config_pieces() -> Iterator[str]:
    """BUILD_ENV, BUILD_ENV_1, BUILD_ENV_2, ...: one variable would be too small."""
    name = "BUILD_ENV"
    for number in itertools.count(1):
        if name not in os.environ:
            return
        yield os.environ[name]
        name = f"BUILD_ENV_{number}"


def find_processes(app: str, buildpack: Buildpack, env: dict[str, str]) -> dict[str, str]:
    """The command of each process type: all from the Procfile if there is one, else all from the buildpack."""
    released = buildpack.release(app, env)
    if script := profile_of(released.get("config_vars", {})):
        os.makedirs(os.path.join(app, ".profile.d"), exist_ok=True)
        with open(os.path.join(app, ".profile.d", "000_config_vars.sh"), "w", encoding="utf-8") as file:
            file.write(script)
    try:
        with open(os.path.join(app, "Procfile"), encoding="utf-8") as file:
            found = parse_procfile(file.read())
        source = "Procfile"
    except FileNotFoundError:
        found = released.get("default_process_types", {})
        source = f"the buildpack {buildpack.name}"
        for name in found:
            check_name(source, name)
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailed(f"the Procfile cannot be read: {error}") from None
    if not found:
        raise BuildFailed(NO_TYPES + EXAMPLES.get(buildpack.name, "web: ./server --port $PORT"))
    say(f"Process types from {source}: {', '.join(found)}")
    return found


def keep_small(cache: str) -> None:
    """Empty the cache when it has outgrown its limit."""
    size = size_of(cache)
    if size > CACHE_LIMIT:
        say(f"Emptied the build cache of {human(size)} (over {human(CACHE_LIMIT)})")
        for name in os.listdir(cache):
            shutil.rmtree(os.path.join(cache, name), ignore_errors=True)


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


def fail(sentence: str) -> int:
    """Say why there is no slug; the exit code."""
    print(f" !     {sentence}", flush=True)
    return 1


def say(sentence: str) -> None:
    print(f"-----> {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
