"""What a slug is started by: its process types, and what is sourced before each of them."""

from __future__ import annotations

import os

from . import BuildFailed
from .procfile import by_our_names, called, parse_procfile, profile_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NO_TYPES = "no process type: a Procfile names none, and nothing else tells how to start it; add one, for example: "
EXAMPLES = {
    "python": "web: gunicorn app:app --bind 0.0.0.0:$PORT",
    "nodejs": "web: node server.js",
    "go": "web: bin/server",
    "ruby": "web: bundle exec rackup --host 0.0.0.0 --port $PORT",
    "java": "web: java -jar target/app.jar --server.port=$PORT",
}


class Released:
    """What the buildpacks of a build have said, one after the other: of variables the last one counts, and of process
    types the last one that knows any."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.by = ""

    def add(self, buildpack: str, said: Mapping[str, Mapping[str, str]]) -> None:
        self.variables.update(said.get("config_vars", {}))
        if types := said.get("default_process_types"):
            self.types, self.by = dict(types), buildpack


def image_processes(build: str) -> dict[str, str]:
    """The process types of an image: those of its Procfile if there is one, else `web`, which runs what it says."""
    if not os.path.exists(os.path.join(build, "Procfile")):
        return {"web": ""}
    return find_processes(build, Released(), "dockerfile")


def find_processes(build: str, released: Released, buildpack: str) -> dict[str, str]:
    """The command of each process type: all from the Procfile if there is one, else all from a buildpack, of which
    `buildpack` is the last. BuildFailed: there is none, or one that cannot be."""
    try:
        with open(os.path.join(build, "Procfile"), encoding="utf-8") as file:
            found, source = parse_procfile(file.read()), "Procfile"
    except FileNotFoundError:
        found, source = released.types, f"the buildpack {released.by}"
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailed(f"the Procfile cannot be read: {error}") from None
    if not found:
        raise BuildFailed(NO_TYPES + EXAMPLES.get(buildpack, "web: ./server --port $PORT"))
    ours = by_our_names(f"the {source}" if source == "Procfile" else source, found)
    print(f"-----> Process types from {source}: {', '.join(ours)}", flush=True)
    for name in sorted(set(found).difference(ours)):
        our = called(source, name)
        print(f"       {name} is called {our} here, as in: flynn scale {our}=1", flush=True)
    return ours


def has_profile(build: str) -> bool:
    """Whether the app itself brings something to be sourced."""
    folder = os.path.join(build, ".profile.d")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    is_sourced = any(name.endswith(".sh") and name[0] != "." for name in names)
    return is_sourced or os.path.isfile(os.path.join(build, ".profile"))


def write_profile(build: str, variables: Mapping[str, str], bash: bool) -> None:
    """Leave what is sourced before each process: the variables that are not set by then. `bash`: it must be bash that
    does so, as it does at Heroku."""
    script = profile_of(dict(variables))
    if script or bash:
        os.makedirs(os.path.join(build, ".profile.d"), exist_ok=True)
    if script:
        with open(os.path.join(build, ".profile.d", "000_config_vars.sh"), "w", encoding="utf-8") as file:
            file.write(script)
    if bash:
        with open(os.path.join(build, ".profile.d", ".bash"), "w", encoding="utf-8"):
            pass
