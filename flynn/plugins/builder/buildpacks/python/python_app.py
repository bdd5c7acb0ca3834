"""The buildpack python: a virtual environment in `.venv` that may be moved, filled by uv. Run by `bin/compile`."""

from __future__ import annotations

import os
import sys

from ..lib.pack import Build, Kept, begin, certificates, digest, fail, run, say, tell
from .runtime import Python, find_python, have

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

VERSION = "1"
"""Of what is made here: another one makes all of it anew."""

INCLUDED = r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)"
EDITABLE = r"-e\b|--editable\b"
SEARCHED = r"(?:-f|--find-links)[ =]*"
NAMED = r"[\w.\[\],-]+ *@ *"
"""Options and names in requirements.txt. Most have none of them: `re`, which takes long to load, is loaded for them."""
ARCHIVES = (".whl", ".tar.gz", ".zip")

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
    forget_bytecode(build.dir)
    hook(build, "pre_compile")
    python = find_python(build, uv)
    say(f"Using Python {python.version}")
    install(build, uv, python)
    build.profile("python.sh", (OWN_PROFILE if python.home else "") + PROFILE)
    if collects(build):
        say("Collecting static files: manage.py collectstatic")
        words = [build.path(".venv", "bin", "python"), "manage.py", "collectstatic", "--noinput"]
        run(words, "set DISABLE_COLLECTSTATIC=1 in the config to go without (flynn env set)")
    hook(build, "post_compile")
    if not build.has("Procfile") and (command := guess(build)):
        build.web(command)


def collects(build: Build) -> bool:
    """Whether this is a project of Django that says where its static files are to be put."""
    if not build.has("manage.py") or os.environ.get("DISABLE_COLLECTSTATIC", "0") != "0":
        return False
    import glob
    import re

    settings = [*glob.glob("*/settings.py"), *glob.glob("*/settings/*.py"), *glob.glob("settings.py")]
    return any(re.search(r"^ *STATIC_ROOT *=", build.read(path), re.MULTILINE) for path in settings)


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


def forget_bytecode(top: str) -> None:
    """Remove the bytecode that came with the source. Python believes it by the second in which a file was changed, and
    all files of a commit are of one second: it may be that of the file as it was before."""
    for folder, folders, _ in os.walk(top):
        if "__pycache__" in folders:
            import shutil

            shutil.rmtree(os.path.join(folder, "__pycache__"), ignore_errors=True)
        folders[:] = [name for name in folders if name[0] != "." and name not in ("__pycache__", "node_modules")]


def hook(build: Build, name: str) -> None:
    """A program of the app itself, run as Heroku runs it."""
    if build.has("bin", name):
        say(f"Running bin/{name}")
        path = f"{build.path('.venv', 'bin')}:{os.environ['PATH']}"
        run([f"./bin/{name}"], env={"PATH": path, "PYTHONPATH": build.dir})


def install(build: Build, uv: str, python: Python) -> None:
    """Fill the environment as the files of the source say, or take it from the last build where they say the same."""
    kept = Kept(build, "python", ".venv")
    key = "" if local(build) else key_of(build, uv, python)
    # The guess of what is started looks into it, where there is no Procfile.
    needed = build.has("bin", "post_compile") or collects(build) or not build.has("Procfile")
    have(build, python, needed=needed or not kept.known(key))
    if not key:
        kept.restore(kept.newest())
        fill(build, uv, python.path)
        kept.keep("local")
    elif kept.install(
        key, lambda: fill(build, uv, python.path), needed=needed, layer=not build.has("bin", "post_compile")
    ):
        tell("Nothing has changed in what it needs: installed as before")


def key_of(build: Build, uv: str, python: Python) -> str:
    """All that says what is installed; empty: it cannot be found out, or none but the files of the source say it."""
    texts = [*told(build)]
    moving: list[str] = []
    if any("git+" in text for text in texts):
        from .moving import Unknown, commits

        try:
            moving = commits("\n".join(texts))
        except Unknown:
            return ""
    return digest(VERSION, python.version, python.path, uv_of(uv), *texts, *moving)


def fill(build: Build, uv: str, python: str) -> None:
    """Have in the environment what is asked for, and nothing else."""
    if not same_python(build, python):
        import shutil

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
        found = _matched(INCLUDED, line.strip())
        inner = os.path.normpath(os.path.join(os.path.dirname(name), found[1])) if found else ""
        if inner and inner not in seen:
            seen.add(inner)
            yield inner, build.read(inner)
            yield from included(build, inner, seen)


def local(build: Build) -> bool:
    """Whether something of the source itself is installed, so that its files do not say all."""
    if build.has("requirements.txt"):
        texts = [build.read("requirements.txt"), *(text for _, text in included(build, "requirements.txt", set()))]
        return any(names_local(line.strip()) for text in texts for line in text.splitlines())
    import re

    if build.has("uv.lock"):
        return project(build) or bool(
            re.search(r"source = \{ (?:editable|directory|path) = \"(?!\.\" )", build.read("uv.lock"))
        )
    if re.search(r"\bpath *= *[\"']|file:", build.read("pyproject.toml")):
        return True
    return not build.has("poetry.lock") and (project(build) or names_repository(build))


def names_local(line: str) -> bool:
    """Whether a line of requirements.txt names something of this source: it may change and the file stay."""
    searched = _matched(SEARCHED, line)
    if _matched(EDITABLE, line):
        return True
    if not searched and line.startswith(("-", "#")):
        return False
    what = (line[searched.end() :] if searched else _without_name(line)).partition(" ")[0]
    if "://" in what or not what:
        return what.startswith("file:")
    return bool(searched) or "/" in what or what.startswith((".", "file:")) or what.endswith(ARCHIVES)


def _matched(option: str, line: str) -> re.Match[str] | None:
    """What of a line is this option; None: the line is another, or none."""
    if not line.startswith("-"):
        return None
    import re

    return re.match(option, line)


def _without_name(line: str) -> str:
    """`NAME @ PLACE` without the name."""
    if "@" not in line:
        return line
    import re

    return re.sub(NAMED, "", line, count=1)


def names_repository(build: Build) -> bool:
    """Whether pyproject.toml names one in a table, as uv and poetry write it: it may change and the file stay."""
    import re

    return bool(re.search(r"\bgit *= *[\"']", build.read("pyproject.toml")))


def project(build: Build) -> bool:
    """Whether pyproject.toml tells of a project that is to be installed itself."""
    import re

    return bool(re.search(r"^\[build-system\]", build.read("pyproject.toml"), re.MULTILINE))


def guess(build: Build) -> str:
    """How an app without a Procfile is started, where its server is installed and the file and its name are the usual
    ones; else empty."""
    served = ""
    if os.access(build.path(".venv", "bin", "gunicorn"), os.X_OK):
        served = named(build, ("app", "main", "wsgi"), ("app", "application")) or django(build)
    if served:
        return f"gunicorn {served} --bind 0.0.0.0:$PORT"
    if os.access(build.path(".venv", "bin", "uvicorn"), os.X_OK):
        served = named(build, ("main", "app"), ("app",))
    return f"uvicorn {served} --host 0.0.0.0 --port $PORT" if served else ""


def named(build: Build, modules: tuple[str, ...], names: tuple[str, ...]) -> str:
    """The first name that one of the modules gives to something, as `module:name`."""
    import re

    for module in modules:
        text = build.read(f"{module}.py")
        for name in names:
            if re.search(rf"^{name} *=", text, re.MULTILINE):
                return f"{module}:{name}"
    return ""


def django(build: Build) -> str:
    """The module that a project of Django is served by."""
    folders = sorted(os.listdir(build.dir)) if build.has("manage.py") else []
    return next((f"{name}.wsgi" for name in folders if name[0] != "." and build.has(name, "wsgi.py")), "")


def same_python(build: Build, python: str) -> bool:
    """Whether the environment that is there, if one is, is of this Python."""
    link = build.path(".venv", "bin", "python")
    return os.path.exists(link) and os.path.realpath(link) == os.path.realpath(python)


def uv_of(uv: str) -> str:
    """What tells one uv from another, without starting it."""
    return str(os.path.getsize(uv)) if os.path.exists(uv) else fail(f"uv is not at {uv}: TOOLS_DIR names flynn's tools")


if __name__ == "__main__":
    main(sys.argv[1:])
