"""What flynn's own buildpacks share: how they speak, run programs, take the config, and keep what they installed.

Each is a module of the tools, whose `main` does what `bin/compile` is for, with its arguments; Python 3.9 and its
library are all there is. What takes long to load is loaded where it is used: mostly nothing has to be installed.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

NOT_TAKEN = frozenset({
    "PATH", "HOME", "TMPDIR", "PORT", "IFS", "ENV", "BASH_ENV", "STACK", "VIRTUAL_ENV", "NODE_PATH"
})  # fmt: skip
NONE_OF = "LD_", "DYLD_", "PYTHON"
"""Variables of an app's config that would break its build, and how others of them begin; so would all that end with
`_DIR`."""

TOOLS = "PIP", "UV", "NPM", "YARN", "PNPM", "BUNDLE", "COMPOSER", "npm_config", "GO"
SOURCES = "INDEX", "REGISTRY", "MIRROR", "PROXY", "URL"
"""How variables begin, and what is in their names, that say where packages come from."""

KEPT = 2
"""Versions of what was installed that are kept for each buildpack of an app: to go back to one is quick too."""

CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


os.environ.pop("PYTHONPATH", None)  # It is for these files alone, and not for what they run.


class Build:
    """The arguments of `bin/compile`. `app` is where the slug will be when it runs; `pack` is a directory of the
    buildpack's own, for what its other programs are to know."""

    def __init__(self, dir: str, cache: str, app: str, pack: str) -> None:
        self.dir, self.cache, self.app, self.pack = dir, cache, app, pack

    def path(self, *parts: str) -> str:
        return os.path.join(self.dir, *parts)

    def has(self, *parts: str) -> bool:
        return os.path.exists(self.path(*parts))

    def read(self, *parts: str) -> str:
        """The text of a file of the source; empty: it is not there."""
        try:
            with open(self.path(*parts), encoding="utf-8", errors="replace") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def web(self, command: str) -> None:
        """Tell `bin/release`, which comes next, how the app is started if no Procfile says so."""
        with open(os.path.join(self.pack, "web"), "w", encoding="utf-8") as file:
            file.write(f"  web: {command}\n")

    def profile(self, name: str, text: str) -> None:
        """Leave what is sourced before each process; `$APP` in it is where the slug is then."""
        os.makedirs(self.path(".profile.d"), exist_ok=True)
        with open(self.path(".profile.d", name), "w", encoding="utf-8") as file:
            file.write(text.replace("$APP", "${APP_DIR:-$PWD}"))


def begin(arguments: Sequence[str]) -> Build:
    """What `bin/compile BUILD_DIR CACHE_DIR ENV_DIR` begins with: the app's config is there while it is built (the
    address of an API, an index of the company)."""
    build, cache, config = arguments
    for name in os.listdir(config):
        if is_taken(name):
            with open(os.path.join(config, name), encoding="utf-8", errors="surrogateescape", newline="") as file:
                os.environ[name] = file.read()
    pack = os.path.abspath(os.environ.pop("PACK"))
    os.chdir(build)
    return Build(build, cache, os.environ.get("APP_DIR") or build, pack)


def is_taken(name: str) -> bool:
    """Whether a variable of the app's config is there while it is built. `re`, which would tell too, takes long to
    load."""
    is_variable = name.isascii() and name.isidentifier()
    return is_variable and name not in NOT_TAKEN and not name.startswith(NONE_OF) and not name[1:].endswith("_DIR")


def own(module: str, name: str) -> str:
    """The path of a file that lies beside a module of a buildpack, by the module's `__file__`."""
    return os.path.join(os.path.dirname(module), name)


def say(sentence: str) -> None:
    print(f"-----> {sentence}", flush=True)


def tell(sentence: str) -> None:
    print(f"       {sentence}", flush=True)


def warn(sentence: str) -> None:
    print(f" !     {sentence}", flush=True)


def fail(sentence: str) -> NoReturn:
    """Why this cannot be built, and what to do about it: the last line of the build."""
    warn(sentence)
    sys.exit(1)


def run(words: Sequence[str], otherwise: str = "", env: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; `otherwise` is what to say when that is no good one."""
    import subprocess

    try:
        code = subprocess.run(words, env={**os.environ, **(env or {})}, check=False).returncode
    except OSError as error:
        fail(f"{words[0]} cannot be run: {error.strerror}")
    if code:
        shown = " ".join(os.path.basename(word) if word is words[0] else word for word in words[:3])
        fail(f"{shown} ended with code {code}; {otherwise or 'its lines above say why'}")


def output(words: Sequence[str]) -> str:
    """What a program prints; empty: it failed."""
    import subprocess

    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def needed(program: str, debian: str, other: str) -> str:
    """The path of a program of this host. Fails with what to install, or which buildpack brings its own."""
    import shutil

    return shutil.which(program) or fail(
        f"this host has no {program}; install it on all hosts (Debian: apt install {debian}), or choose a buildpack "
        f"that brings its own: flynn buildpack set {other}"
    )


def certificates() -> str:
    """The file of this machine's certificates, also a company's own; empty: there is none in a usual place."""
    return next((path for path in CERTIFICATES if os.path.exists(path)), "")


def digest(*parts: object) -> str:
    """A name for what was installed, made of all that it depends on: also the machine, and what the config says of
    where packages come from."""
    told = [os.uname().machine, os.confstr("CS_GNU_LIBC_VERSION") if hasattr(os, "confstr") else ""]
    told += [f"{name}={os.environ[name]}" for name in sorted(os.environ) if says_source(name)]
    return _sha256("\0".join(map(str, [*told, *parts])).encode("utf-8", "surrogateescape"))[:32]


def says_source(name: str) -> bool:
    """Whether a variable says where packages come from."""
    rests = [name[len(tool) :] for tool in TOOLS if name.startswith(tool)]
    return any(word in rest for rest in rests for word in SOURCES)


def _sha256(data: bytes) -> str:
    """By Python's own code, where it is there: that of OpenSSL takes longer to load than such a text to be read."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found]  # Since Python 3.12.
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256
    return str(sha256(data).hexdigest())


class Kept:
    """A directory of the slug that was installed, by what it depends on: a layer that releases share (`LAYERS_DIR`,
    docs/plugins.md), and kept in the cache."""

    def __init__(self, build: Build, name: str, folder: str) -> None:
        self.build, self.name, self.folder = build, name, folder
        self.root = os.path.join(build.cache, "kept", name)

    def install(
        self,
        key: str,
        make: Callable[[], None],
        *,
        anew: bool = False,
        needed: bool = False,
        layer: bool = True,
        keep: bool = True,
    ) -> bool:
        """Have it there, as `make` makes it; whether it was made before.

        Unless it begins `anew`, `make` finds it as it was last: a small change is quicker. What an earlier release has
        as a `layer` is not even put there, unless it is `needed` by this build itself. `keep`: in the cache.
        """
        if layer and not needed and self.known(key):
            self._use(key)
            return True
        made = keep and self.restore(key)
        if not made:
            if keep and not anew:
                self.restore(self.newest())
            make()
        if keep and not made:
            self.keep(key)
        if layer and os.environ.get("LAYERS_DIR") and os.path.isdir(self.build.path(self.folder)):
            self._use(key)
        return made

    def known(self, key: str) -> bool:
        """Whether an earlier release has it, and nothing but the release needs it."""
        told = os.environ.get("LAYERS_DIR")
        return bool(told and key and not os.environ.get("LAYERS_NEEDED")) and os.path.exists(
            os.path.join(told or "", "known", f"{self.name}-{key}")
        )

    def restore(self, key: str) -> bool:
        """Put it there as it is kept; whether it is."""
        home = os.path.join(self.root, key)
        if not key or not os.path.isdir(home):
            return False
        os.utime(home)
        if os.path.isdir(os.path.join(home, self.folder)):
            copy(os.path.join(home, self.folder), self.build.path(self.folder))
        return True

    def keep(self, key: str) -> None:
        """Keep it as it is now. Who is killed in between leaves nothing that looks whole."""
        import shutil

        home, partial = os.path.join(self.root, key), os.path.join(self.root, f"{key}.part")
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        if os.path.isdir(self.build.path(self.folder)):
            copy(self.build.path(self.folder), os.path.join(partial, self.folder))
        shutil.rmtree(home, ignore_errors=True)
        os.rename(partial, home)
        for old in self._by_age()[KEPT:]:
            shutil.rmtree(os.path.join(self.root, old), ignore_errors=True)

    def newest(self) -> str:
        """The one used last; empty: there is none."""
        return next((name for name in self._by_age() if not name.endswith(".part")), "")

    def _use(self, key: str) -> None:
        path = os.path.join(os.environ["LAYERS_DIR"], "used", f"{self.name}-{key}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.folder)

    def _by_age(self) -> list[str]:
        names = os.listdir(self.root) if os.path.isdir(self.root) else []
        return sorted(names, key=lambda name: os.stat(os.path.join(self.root, name)).st_mtime, reverse=True)


def copy(tree: str, to: str) -> None:
    """A tree as it is, with times and links, in place of what is there: blocks are shared where the disk can."""
    import shutil
    import subprocess

    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    words = ["cp", "-a", "--reflink=auto", tree, to]
    if not shutil.which("cp") or subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode:
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(tree, to, symlinks=True)
