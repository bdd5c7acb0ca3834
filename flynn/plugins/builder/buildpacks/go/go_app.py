"""The buildpack go: the programs of a module, built into `bin`. Run by `bin/compile`."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from ..lib.pack import Build, begin, fail, needed, output, run, say, tell, warn

OTHER = "https://github.com/heroku/heroku-buildpack-go"
MAIN = '{{if eq .Name "main"}}{{.ImportPath}}{{end}}'

NO_MAIN = "go.mod is there, but no package main: name what to build in go.mod, as // +heroku install ./cmd/..."


def main(arguments: list[str]) -> None:
    build = begin(arguments)
    go = needed("go", "golang-go", OTHER)
    settle(build)
    check_version(build, go)
    packages = chosen(build) or mains(go)
    say(f"Building {', '.join(packages)}")
    if build.has("vendor", "modules.txt"):
        tell("with the packages in vendor/")
    os.makedirs(build.path("bin"), exist_ok=True)
    before = set(os.listdir(build.path("bin")))
    run([go, "build", "-o", f"{build.path('bin')}{os.sep}", *packages])
    made = sorted(set(os.listdir(build.path("bin"))) - before) or fail(NO_MAIN)
    tell(f"made {', '.join(f'bin/{name}' for name in made)}")
    leave_type(build, made)
    build.profile("go.sh", 'export PATH="$APP/bin:$PATH"\n')


def settle(build: Build) -> None:
    """How go goes about it: with what is there, and nothing in the home directory."""
    told = {"GOMODCACHE": os.path.join(build.cache, "go", "mod"), "GOCACHE": os.path.join(build.cache, "go", "build"),
            "GOPATH": os.path.join(build.cache, "go"), "GOTOOLCHAIN": "local", "GOTELEMETRY": "off"}  # fmt: skip
    os.environ.update(told)
    flags = os.environ.get("GOFLAGS", "").split()
    os.environ["GOFLAGS"] = " ".join(["-buildvcs=false", "-modcacherw", *flags])


def check_version(build: Build, go: str) -> None:
    """An older go fails anyhow, but with words that say less."""
    asked = re.search(r"^go +(\d+)\.(\d+)", build.read("go.mod"), re.MULTILINE)
    there = re.search(r"go(\d+)\.(\d+)(\S*)", output([go, "version"]))
    if not there:
        fail(f"{go} does not tell its version")
    say(f"Using the machine's {there[0]}")
    if asked and (int(asked[1]), int(asked[2])) > (int(there[1]), int(there[2])):
        fail(
            f"go.mod asks for go {asked[1]}.{asked[2]}, but this host has {there[0]}; ask for less, install it on all "
            f"hosts, or choose a buildpack that brings its own: flynn buildpack set {OTHER}"
        )


def chosen(build: Build) -> list[str]:
    """The packages that go.mod names, as for Heroku's buildpack: `// +heroku install ./cmd/...`."""
    found = re.search(r"^// \+heroku install +(.+)$", build.read("go.mod"), re.MULTILINE)
    return found[1].split() if found else []


def mains(go: str) -> list[str]:
    """All packages of the module that are programs."""
    done = subprocess.run([go, "list", "-f", MAIN, "./..."], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        fail("go list ended with no list of packages; its lines above say why")
    return done.stdout.decode().split() or fail(NO_MAIN)


def leave_type(build: Build, made: list[str]) -> None:
    """Tell `bin/release` which of them serves: the one that there is, or the one of that name."""
    program = made[0] if len(made) == 1 else next((name for name in ("web", "server") if name in made), "")
    if program:
        build.web(f"bin/{program}")
    else:
        warn("several programs were made; a Procfile says which of them is the web process")


if __name__ == "__main__":
    main(sys.argv[1:])
