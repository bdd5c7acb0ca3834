"""What bubblewrap is told (bwrap(1)): the walls of a sandbox, and what is to be seen within them."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from flynn.plugins.host.backends import bind
from flynn.plugins.host.backends.backend import Spec
from flynn.plugins.host.backends.process import directories, paths
from flynn.plugins.host.sandbox.rootfs import HOSTS, base

SOCKET_DIR = "/run/flynn"

HOSTNAME = 63
"""Characters that the kernel takes for a host's name (sethostname(2): HOST_NAME_MAX less one for safety)."""

WALLS = (
    "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--new-session", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL",
)  # fmt: skip


def walls(spec: Spec, mode: str, etc: Path, files: Mapping[str, int], binds: Iterable[str] = ()) -> Iterator[str]:
    """All but the environment. `etc` is the sandbox's /etc; `files` are open, by the option that takes them:
    `--json-status-fd`, `--seccomp`, `--file`, which becomes /etc/hosts, and `--ro-bind-data`, which is laid over
    /etc/resolv.conf. `binds`: words for those of the job.
    """
    yield from (*WALLS, "--hostname", hostname(spec), "--json-status-fd", str(files["--json-status-fd"]))
    if "--seccomp" in files:
        yield from ("--seccomp", str(files["--seccomp"]))
    if spec.network == "none":
        yield "--unshare-net"
    yield from base(etc, spec.limits.memory)
    if "--ro-bind-data" in files:
        yield from ("--perms", "0644", "--ro-bind-data", str(files["--ro-bind-data"]), "/etc/resolv.conf")
    yield from ("--perms", "0644", "--file", str(files["--file"]), HOSTS)
    yield from _over(spec, mode)
    for name, tree in spec.layers.items():
        if name != spec.over:
            yield from ("--ro-bind", str(tree), f"/{name}")
    for name, path in (("cache", spec.cache), ("out", spec.out)):
        if path:
            yield from ("--bind", str(path), f"/{name}")
    if spec.socket:
        yield from ("--bind", str(spec.socket.parent), SOCKET_DIR)
    yield from binds
    yield from ("--remount-ro", "/", "--chdir", "/app", "--clearenv")


def environ(spec: Spec) -> dict[str, str]:
    """The variables. They go through a file like all of this: they shall not be seen in `ps`."""
    names = {"app", *spec.layers}
    env = {**paths(spec, {name: Path("/") / name for name in names}), **spec.env}
    env |= directories(spec, {name: f"/{name}" for name in names})
    env |= bind.told(spec.binds, lambda given: given.path)
    env |= {"FLYNN_SOCKET": f"{SOCKET_DIR}/{spec.socket.name}"} if spec.socket else {}
    return env | ({"CACHE_DIR": "/cache"} if spec.cache else {}) | ({"OUT_DIR": "/out"} if spec.out else {})


def hostname(spec: Spec) -> str:
    """What the sandbox calls itself."""
    return spec.id[-HOSTNAME:].lstrip("-")


def _over(spec: Spec, mode: str) -> Iterator[str]:
    place, sources = f"/{spec.over}", [word for tree in spec.stack for word in ("--overlay-src", str(tree))]
    if spec.over != "app":
        yield from ("--bind", str(spec.dir / "home"), "/app")
    if not sources or mode == "copy":
        yield from ("--bind", str(spec.dir / "upper"), place)
    elif mode == "overlay":
        upper, work = str(spec.dir / "upper"), str(spec.dir / "work")
        yield from (*sources, "--overlay", upper, work, place)
    else:
        yield from (*sources, "--tmp-overlay", place)
