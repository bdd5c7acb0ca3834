"""What the engine is told to make of a job: the container's configuration (Docker Engine API, "ContainerCreate")."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flynn.plugins.host.backends import bind
from flynn.plugins.host.backends.backend import START, Limits, Spec
from flynn.plugins.host.backends.process import directories
from flynn.plugins.host.docker import binds, overlay
from flynn.plugins.host.docker.engine_log import LOG
from flynn.plugins.host.limits.cgroup import YIELDING
from flynn.plugins.host.sandbox.rootfs import sizes

STREAMS = "/run/flynn-streams"
SOCKET_DIR = "/run/flynn"

OUTPUTS = f"exec >>{STREAMS}/stdout 2>>{STREAMS}/stderr; "
INPUT = f"exec <{STREAMS}/stdin; "
"""A job writes straight to its raw files, which outlive the engine, and reads from a named pipe."""

ENGINE_LOG = {"Type": "json-file", "Config": {"max-size": "64k", "max-file": "1"}}
"""Only what goes wrong before a job has its own streams is printed there."""

HOSTNAME = 63
MIB = 1024 * 1024


@dataclass(frozen=True)
class Root:
    """What a container sees as its root: an image, what is mounted into it, and the directories to cover.

    `path`: where programs are ("": the image says it). `command`, `user` and `writable` are what the image says of
    itself: what it runs, as whom, and whether it writes to its own files. `shell`: there is a `/bin/sh` in it.
    """

    image: str
    binds: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    path: str = ""
    command: tuple[str, ...] = ()
    user: str = ""
    writable: bool = True
    shell: bool = True


def name_of(dir: Path) -> str:
    """The name of the container of the job of `dir`: one at a time, whoever made it."""
    return f"flynn-{dir.name[-40:]}-{hashlib.sha256(str(dir).encode()).hexdigest()[:8]}"


def labels(spec: Spec, data: Path) -> dict[str, str]:
    """By these a container is known to people (`docker ps --filter label=flynn.app=hello`), and to flynn again."""
    told = {"app": "FLYNN_APP", "release": "FLYNN_RELEASE", "type": "FLYNN_PROCESS_TYPE"}
    named = {f"flynn.{label}": spec.env[name] for label, name in told.items() if name in spec.env}
    return {"flynn.job": spec.id, "flynn.dir": str(spec.dir), "flynn.data": str(data), **named}


def recipe(spec: Spec, root: Root, data: Path, copied: bool, network: str = "") -> dict[str, Any]:
    """The whole of it. `data`: the backend's directory; `copied`: `/app` is no overlay but a copy; `network`: the
    engine's name of the app's own ("": the job has none)."""
    alone = is_alone(spec)
    writable = alone and root.writable
    tmp, run = sizes(spec.limits.memory)
    return {
        "Image": root.image,
        "Entrypoint": _command(spec, root),
        "Cmd": [],
        "Env": list(_environ(spec, root)),
        "User": root.user if alone and root.user else f"{overlay.owner()}:{overlay.group()}",
        "Hostname": spec.id[-HOSTNAME:].lstrip("-"),
        "Labels": labels(spec, data),
        **({} if alone else {"WorkingDir": "/app"}),
        **({"ExposedPorts": {f"{spec.port}/tcp": {}}} if network and spec.port else {}),
        "HostConfig": {
            "Binds": [*root.binds, *_binds(spec, copied), *(_streams(spec) if root.shell else ())],
            "Mounts": [
                *([] if copied or spec.over not in spec.layers else [_overlay(spec, data)]),
                *binds.mounts(spec.binds),
            ],
            "Tmpfs": {} if writable else _tmpfs(root, tmp, run),
            "ShmSize": tmp,
            "ReadonlyRootfs": not writable,
            **WALLS,
            "NetworkMode": network or spec.network,
            "PortBindings": {f"{spec.port}/tcp": [{"HostPort": str(spec.port)}]} if network and spec.port else {},
            "LogConfig": ENGINE_LOG if root.shell else LOG,
            **limits(spec.limits),
        },
    }


def is_alone(spec: Spec) -> bool:
    """Whether the application is the image itself, not something laid over it."""
    return bool(spec.image) and not spec.layers


def _command(spec: Spec, root: Root) -> list[str]:
    """The shell that opens the streams and then becomes the job's process; without one, that process itself."""
    if not root.shell:
        return list(root.command)
    streams = OUTPUTS + (INPUT if spec.stdin else "")
    if not is_alone(spec):
        return ["/bin/sh", "-c", streams + START, "sh", spec.command]
    return [
        "/bin/sh",
        "-c",
        f'{streams}exec "$@"',
        "sh",
        *(["/bin/sh", "-c", spec.command] if spec.command else root.command),
    ]


WALLS: Mapping[str, Any] = {
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges:true"],
    "Init": True,
    "OomScoreAdj": 500,
    "RestartPolicy": {"Name": "no"},
}
"""No privilege, and none to be won; a first process that reaps; no restart behind the agent's back."""


def limits(limits: Limits) -> dict[str, Any]:
    """Memory is memory: what is over the limit is not swapped out but ends the job."""
    memory = limits.memory * MIB
    told: dict[str, Any] = {"Memory": memory, "MemorySwap": memory} if memory else {}
    told |= {"NanoCpus": int(limits.cpus * 1e9)} if limits.cpus else {}
    told |= {"CpuShares": 1024 * YIELDING // 100} if limits.yields else {}
    told |= {"PidsLimit": limits.pids} if limits.pids else {}
    files = {"Name": "nofile", "Soft": limits.files, "Hard": limits.files}
    return told | ({"Ulimits": [files]} if limits.files else {})


def _binds(spec: Spec, copied: bool) -> Iterator[str]:
    if not is_alone(spec) and (copied or spec.over not in spec.layers):
        yield f"{spec.dir / 'upper'}:/{spec.over}"
    if spec.over != "app":
        yield f"{spec.dir / 'home'}:/app"
    for name, tree in spec.layers.items():
        if name != spec.over:
            yield f"{tree}:/{name}:ro"
    for name, path in (("cache", spec.cache), ("out", spec.out)):
        if path:
            yield f"{path}:/{name}"
    if spec.socket:
        yield f"{spec.socket.parent}:{SOCKET_DIR}"


def _streams(spec: Spec) -> Iterator[str]:
    for name in ("stdout", "stderr", *(["stdin"] if spec.stdin else [])):
        yield f"{spec.dir / name}:{STREAMS}/{name}"


def _overlay(spec: Spec, data: Path) -> dict[str, Any]:
    """A volume of this container alone, which goes with it; the tree below it is shared."""
    lower, upper, work = ":".join(map(str, reversed(spec.stack))), spec.dir / "upper", spec.dir / "work"
    options = {"type": "overlay", "device": "overlay", "o": f"lowerdir={lower},upperdir={upper},workdir={work}"}
    driver = {"Name": "local", "Options": options}
    told = {"NoCopy": True, "Labels": {"flynn.data": str(data)}, "DriverConfig": driver}
    return {"Type": "volume", "Target": f"/{spec.over}", "VolumeOptions": told}


def _tmpfs(root: Root, tmp: int, run: int) -> dict[str, str]:
    own = "rw,nosuid,nodev,exec"
    told = {"/tmp": f"{own},size={tmp},mode=1777", "/run": f"{own},size={run},mode=1777"}
    return told | dict.fromkeys(root.covered, "ro,size=4k,mode=000")


def _environ(spec: Spec, root: Root) -> Iterator[str]:
    """NAME=VALUE for what is set, NAME for what the engine would set and shall not."""
    places = [*spec.layers] if is_alone(spec) else ["app", *spec.layers]
    env = (
        {"LANG": "C.UTF-8"} | ({} if is_alone(spec) else {"HOME": "/app"}) | ({"PATH": root.path} if root.path else {})
    )
    env |= {**spec.env, **directories(spec, {name: f"/{name}" for name in places})}
    env |= bind.told(spec.binds, lambda given: given.path)
    env |= {"FLYNN_SOCKET": f"{SOCKET_DIR}/{spec.socket.name}"} if spec.socket else {}
    env |= ({"CACHE_DIR": "/cache"} if spec.cache else {}) | ({"OUT_DIR": "/out"} if spec.out else {})
    yield from (f"{name}={value}" for name, value in env.items())
    if "HOSTNAME" not in env:
        yield "HOSTNAME"
