"""The buildpack python: a virtual environment in `.venv` that may be moved, filled by uv. Run by `bin/compile`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

from ..lib.pack import Build, Kept, begin, certificates, copy, digest, fail, output, run, say, tell, warn

VERSION = "1"
"""Of what is made here: another one makes all of it anew."""

WANTED = re.compile(r"\s*(?:python-)?(\d+(?:\.\d+){0,2})\s*(?:#.*)?")
FILES = ("runtime.txt", ".python-version")
INCLUDED = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
LOCAL = re.compile(r"-e\b|--editable\b|\.|/|file:|[\w.\[\],-]+ *@ *(?:file:|\.)")
"""How a line of requirements.txt begins that names something of this source: it may change and the file stay."""

DOWNLOAD_LIMIT = 180.0
"""Seconds that a runtime may take to come."""

PROFILE = """\
export VIRTUAL_ENV="$APP/.venv"
export PATH="$VIRTUAL_ENV/bin:$PATH"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-1}"
"""
OWN_PROFILE = """\
if [ -d "$APP/.python" ] && ! grep -qx "home = $APP/.python/bin" "$APP/.venv/pyvenv.cfg"; then
  sed -i "s|^home = .*|home = $APP/.python/bin|" "$APP/.venv/pyvenv.cfg"
  ln -sfn ../../.python/bin/python3 "$APP/.venv/bin/python"
fi
"""
"""Where the slug is not at the place that was foreseen, the environment is told where its own Python is."""


def main(arguments: list[str]) -> None:
    build = begin(arguments)
    uv = os.path.join(os.environ.get("TOOLS_DIR", ""), "bin", "uv")
    settle(build)
    hook(build, "pre_compile")
    python = find_python(build, uv)
    say(f"Using Python {version_of(python)}")
    install(build, uv, python)
    build.profile("python.sh", (OWN_PROFILE if build.has(".python") else "") + PROFILE)
    hook(build, "post_compile")


def settle(build: Build) -> None:
    """How uv goes about it: with the certificates of the machine, also a company's own."""
    told = {"UV_CACHE_DIR": os.path.join(build.cache, "uv"), "UV_LINK_MODE": "copy", "UV_COMPILE_BYTECODE": "1",
            "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1",
            "UV_PROJECT_ENVIRONMENT": build.path(".venv"), "VIRTUAL_ENV": build.path(".venv"),
            "UV_PYTHON_INSTALL_DIR": os.path.join(build.cache, "pythons")}  # fmt: skip
    os.environ.update(told)
    if bundle := certificates():
        os.environ.setdefault("SSL_CERT_FILE", bundle)
    if index := os.environ.get("PIP_INDEX_URL"):
        os.environ.setdefault("UV_DEFAULT_INDEX", index)


def hook(build: Build, name: str) -> None:
    """A program of the app itself, run as Heroku runs it."""
    if build.has("bin", name):
        say(f"Running bin/{name}")
        path = f"{build.path('.venv', 'bin')}:{os.environ['PATH']}"
        run([f"./bin/{name}"], env={"PATH": path, "PYTHONPATH": build.dir})


def wanted(build: Build) -> tuple[str, str]:
    """The version that the source asks for, and the file that does; empty: any will do."""
    for name in reversed(FILES):
        lines = [line for line in build.read(name).splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if lines and not (found := WANTED.fullmatch(lines[0])):
            fail(f"{name} does not say a version of Python: {lines[0][:60]!r}; write 3.12, for example")
        elif lines and found:
            return found[1], name
    return "", ""


def find_python(build: Build, uv: str) -> str:
    """The Python of this machine, or one that is downloaded, as the source asks for."""
    version, source = wanted(build)
    if not version or fits(version, own_version()):
        return sys.executable
    if found := output([uv, "python", "find", "--no-project", version]):
        return found if "/pythons/" not in found else bring(build, found)
    if found := download(build, uv, version):
        return found
    minor = ".".join(version.split(".")[:2])
    near = sys.executable if fits(minor, own_version()) else output([uv, "python", "find", "--no-project", minor])
    if not near or minor.count(".") == 0:
        fail(
            f"{source} asks for Python {version}, but this machine has only {own_version()}, and no other could be "
            f"downloaded; change {source}, install it on all hosts, or name a mirror (builder.env)"
        )
    warn(f"{source} asks for Python {version}; the machine's {version_of(near)} is taken instead")
    return near


def download(build: Build, uv: str, version: str) -> str:
    """A runtime of its own for the app; empty: it is not to be had."""
    say(f"Downloading Python {version}")
    words, env = [uv, "python", "install", "--no-bin", version], {**os.environ, "UV_PYTHON_DOWNLOADS": "manual"}
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
    found = output([uv, "python", "find", "--no-project", "--managed-python", version])
    return bring(build, found) if found else ""


def bring(build: Build, python: str) -> str:
    """Put a runtime into the slug; where it will be when the app runs, by which name it is there now as well."""
    copy(os.path.dirname(os.path.dirname(os.path.realpath(python))), build.path(".python"))
    link = os.path.join(build.app, ".python")
    if build.app != build.dir and not os.path.lexists(link):
        os.symlink(build.path(".python"), link)
    return os.path.join(build.app, ".python", "bin", "python3")


def install(build: Build, uv: str, python: str) -> None:
    """Fill the environment as the files of the source say, or take it from the last build where they say the same."""
    kept = Kept(build, "python", ".venv")
    key = "" if local(build) else digest(VERSION, version_of(python), python, uv_of(uv), *told(build))
    if key:
        needed = build.has("bin", "post_compile") or not build.has(
            "Procfile"
        )  # Its release looks for servers in there.
        if kept.install(key, lambda: fill(build, uv, python), needed=needed):
            tell("Nothing has changed in what it needs: installed as before")
    else:
        kept.restore(kept.newest())
        fill(build, uv, python)
        kept.keep("local")


def fill(build: Build, uv: str, python: str) -> None:
    """Have in the environment what is asked for, and nothing else."""
    if not same_python(build, python):
        shutil.rmtree(build.path(".venv"), ignore_errors=True)
        run([uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", python, ".venv"])
    into = ["--python", build.path(".venv", "bin", "python")]
    if build.has("requirements.txt"):
        say("Installing requirements.txt with uv")
        run([uv, "pip", "install", "--exact", *into, "-r", "requirements.txt"])
    elif build.has("uv.lock"):
        say("Installing uv.lock")
        run([uv, "sync", "--frozen", "--no-dev", "--no-editable", *into])
    elif build.has("poetry.lock"):
        poetry(build, uv, into)
    elif project(build):
        say("Installing the project of pyproject.toml")
        run([uv, "pip", "install", "--exact", *into, "."])
    else:
        say("Installing the dependencies of pyproject.toml")
        run([uv, "pip", "install", "--exact", *into, "-r", "pyproject.toml"])


def poetry(build: Build, uv: str, into: list[str]) -> None:
    """What poetry.lock says, by poetry's own reading of it."""
    say("Installing poetry.lock")
    made = os.path.join(build.cache, "poetry.txt")
    words = "tool run --quiet --from poetry>=2,<3 --with poetry-plugin-export poetry export --quiet --without-hashes"
    env = {"POETRY_CACHE_DIR": os.path.join(build.cache, "poetry"), "UV_COMPILE_BYTECODE": "0"}
    run([uv, *words.split(), "--output", made], "poetry cannot read poetry.lock: run poetry lock, and commit it", env)
    run([uv, "pip", "install", "--exact", *into, "-r", made])


def told(build: Build) -> Iterator[str]:
    """All that says what is installed."""
    names = ["requirements.txt"] if build.has("requirements.txt") else ["uv.lock", "poetry.lock", "pyproject.toml"]
    yield from (f"{name}\n{build.read(name)}" for name in (*names, "uv.toml"))
    if build.has("requirements.txt"):
        yield from (f"{name}\n{text}" for name, text in included(build, "requirements.txt", set()))


def included(build: Build, name: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    """The files that requirements.txt takes in, with their text; each once."""
    text = build.read(name)
    for line in text.splitlines():
        found = INCLUDED.match(line.strip())
        inner = os.path.normpath(os.path.join(os.path.dirname(name), found[1])) if found else ""
        if inner and inner not in seen:
            seen.add(inner)
            yield inner, build.read(inner)
            yield from included(build, inner, seen)


def local(build: Build) -> bool:
    """Whether something of the source itself is installed, so that its files do not say all."""
    if build.has("requirements.txt"):
        texts = [build.read("requirements.txt"), *(text for _, text in included(build, "requirements.txt", set()))]
        return any(LOCAL.match(line.strip()) for text in texts for line in text.splitlines())
    if build.has("uv.lock"):
        return project(build) or bool(
            re.search(r"source = \{ (?:editable|directory|path) = \"(?!\.\" )", build.read("uv.lock"))
        )
    return bool(re.search(r"\bpath *= *[\"']|file:", build.read("pyproject.toml"))) or (
        project(build) and not build.has("poetry.lock")
    )


def project(build: Build) -> bool:
    """Whether pyproject.toml tells of a project that is to be installed itself."""
    return bool(re.search(r"^\[build-system\]", build.read("pyproject.toml"), re.MULTILINE))


def same_python(build: Build, python: str) -> bool:
    """Whether the environment that is there, if one is, is of this Python."""
    link = build.path(".venv", "bin", "python")
    return os.path.exists(link) and os.path.realpath(link) == os.path.realpath(python)


def fits(version: str, there: str) -> bool:
    """Whether a version is what was asked for: the same as far as that was said."""
    return f"{there}.".startswith(f"{version}.")


def own_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def version_of(python: str) -> str:
    return own_version() if python == sys.executable else output([python, "-V"]).rpartition(" ")[2]


def uv_of(uv: str) -> str:
    """What tells one uv from another, without starting it."""
    return str(os.path.getsize(uv)) if os.path.exists(uv) else fail(f"uv is not at {uv}: TOOLS_DIR names flynn's tools")


if __name__ == "__main__":
    main(sys.argv[1:])
