"""Which Python an app gets: the machine's, or one of its own, which uv downloads and which lies in `.python`."""

from __future__ import annotations

import os
import sys

from ..lib.pack import Build, Kept, copy, digest, fail, output, say, tell, warn

WANTED = r"\s*(?:python-)?(\d+(?:\.\d+){0,2})\s*(?:#.*)?"
FILES = (".python-version", "runtime.txt")

DOWNLOAD_LIMIT = 180.0
"""Seconds that a runtime may take to come."""

IMPATIENT = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1"}
"""Where the net is closed a build should not wait long to find that out."""


class Python:
    """`path` is its name when the app runs, and now; `home` the directory it was downloaded to, if it was."""

    def __init__(self, path: str, version: str, home: str = "") -> None:
        self.path, self.version, self.home = path, version, home


def find_python(build: Build, uv: str) -> Python:
    """The one of this machine, or one that is downloaded, as the source asks for."""
    version, source = wanted(build)
    if not version or fits(version, own_version()):
        return Python(sys.executable, own_version())
    if found := output([uv, "python", "find", "--no-project", version]) or download(uv, version):
        return told(build, found)
    minor = ".".join(version.split(".")[:2])
    near = sys.executable if fits(minor, own_version()) else output([uv, "python", "find", "--no-project", minor])
    if not near or minor.count(".") == 0:
        fail(
            f"{source} asks for Python {version}, but this machine has only {own_version()}, and no other could be "
            f"downloaded; change {source}, install it on all hosts, or name a mirror (builder.env)"
        )
    taken = told(build, near)
    warn(f"{source} asks for Python {version}; the machine's {taken.version} is taken instead")
    return taken


def wanted(build: Build) -> tuple[str, str]:
    """The version that the source asks for, and the file that does; empty: any will do."""
    for name in FILES:
        lines = [line for line in build.read(name).splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if not lines:
            continue
        import re

        if not (found := re.fullmatch(WANTED, lines[0])):
            fail(f"{name} does not say a version of Python: {lines[0][:60]!r}; write 3.12, for example")
        return found[1], name
    return "", ""


def fits(version: str, there: str) -> bool:
    """Whether a version is what was asked for: the same as far as that was said."""
    return f"{there}.".startswith(f"{version}.")


def own_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def told(build: Build, found: str) -> Python:
    """What uv has found; what it has downloaded goes into the slug, and is called as it will be there."""
    version = own_version() if found == sys.executable else output([found, "-V"]).rpartition(" ")[2]
    if not os.path.realpath(found).startswith(os.path.realpath(os.environ["UV_PYTHON_INSTALL_DIR"]) + os.sep):
        return Python(found, version)
    home = os.path.dirname(os.path.dirname(os.path.realpath(found)))
    return Python(os.path.join(build.app, ".python", "bin", "python3"), version, home)


def download(uv: str, version: str) -> str:
    """A runtime of the app's own, in the cache; empty: it is not to be had."""
    import subprocess

    say(f"Downloading Python {version}")
    env = {**IMPATIENT, **os.environ, "UV_PYTHON_DOWNLOADS": "manual"}
    words = [uv, "python", "install", "--no-bin", version]
    try:
        done = subprocess.run(
            words, env=env, timeout=DOWNLOAD_LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except subprocess.TimeoutExpired:
        tell(f"it has not come within {DOWNLOAD_LIMIT:g} s")
        return ""
    if done.returncode:
        for line in done.stdout.decode("utf-8", "replace").splitlines()[-3:]:
            tell(line.strip())
        return ""
    return output([uv, "python", "find", "--no-project", "--managed-python", version])


def have(build: Build, python: Python, needed: bool) -> None:
    """Have a runtime of the app's own in the slug, or in a layer under it; `needed`: in this build as well."""
    if not python.home:
        return
    Kept(build, "runtime", ".python").install(
        digest("1", python.version, os.path.basename(python.home)),
        lambda: copy(python.home, build.path(".python")),
        needed=needed,
        keep=False,
    )
    link = os.path.join(build.app, ".python")
    if build.app != build.dir and not os.path.lexists(link):
        os.symlink(build.path(".python"), link)
