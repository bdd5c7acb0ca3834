"""The machine's own system as an image: an empty root with places, where its programs and libraries are then mounted.

So a container sees what a sandbox sees (`rootfs.py`), and a slug runs in both alike. Nothing is copied or downloaded.
"""

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Iterator
from pathlib import Path

from flynn.plugins.host.sandbox.rootfs import ETC, INSTALLED, SECRET, SYSTEM, python_homes

PLACES = {"app": 0o755, "dev": 0o755, "etc": 0o755, "proc": 0o755, "run": 0o1777, "sbin": 0o755, "sys": 0o755,
          "tmp": 0o1777, "var": 0o755}  # fmt: skip
"""Directories with their modes, which what is mounted there takes over."""

PROGRAMS = tuple(path for path in SYSTEM if path != "/sbin")
"""An engine mounts its first process as `/sbin/docker-init`, so that is a directory of the image; programs for root,
on most systems, are in `/usr/sbin` as well."""

ENGINES = frozenset({"resolv.conf", "hosts"})
"""Files of /etc that an engine mounts by itself."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What an image calls them (OCI image specification, "platform")."""


def archive() -> tuple[str, bytes]:
    """The image's name, and the image as `docker load` takes it. Both are the same each time, on the same system."""
    layer = _tar(_root())
    digest = hashlib.sha256(layer).hexdigest()
    name = f"flynn-machine:{digest[:12]}"
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {"config.json": json.dumps(config), "manifest.json": json.dumps(manifest)}
    entries = [(_entry(path, tarfile.REGTYPE), text.encode()) for path, text in files.items()]
    return name, _tar([*entries, (_entry("layer.tar", tarfile.REGTYPE), layer)])


def mounts(etc: Path) -> Iterator[str]:
    """What of the machine is seen in a container of the image, as binds. `etc` holds `passwd` and `group` for it."""
    for path in PROGRAMS:
        if os.path.isdir(path) and not os.path.islink(path):
            yield f"{path}:{path}:ro"
    for name in ETC:
        if os.path.exists(f"/etc/{name}") and name not in ENGINES and not has_secret_file(f"/etc/{name}"):
            yield f"/etc/{name}:/etc/{name}:ro"
    if os.path.exists(INSTALLED):
        yield f"{INSTALLED}:{INSTALLED}:ro"
    for name in ("passwd", "group"):
        yield f"{etc / name}:/etc/{name}:ro"
    for path in python_homes():
        yield f"{path}:{path}:ro"


def has_secret_file(path: str) -> bool:
    """Whether something is in a directory that cannot be covered, so that nothing of it can be shown."""
    return any(secret.startswith(f"{path}/") and os.path.isfile(secret) for secret in SECRET)


def covered() -> list[str]:
    """Directories to cover with emptiness."""
    return [path for path in SECRET if os.path.isdir(path)]


def _root() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for name, mode in PLACES.items():
        yield _entry(name, tarfile.DIRTYPE, mode), b""
    for path in PROGRAMS:
        if os.path.islink(path):
            link = _entry(path[1:], tarfile.SYMTYPE)
            link.linkname = os.readlink(path)
            yield link, b""
        elif os.path.isdir(path):
            yield _entry(path[1:], tarfile.DIRTYPE), b""
    for name, target in (("var/tmp", "/tmp"), ("var/run", "/run")):
        link = _entry(name, tarfile.SYMTYPE)
        link.linkname = target
        yield link, b""


def _entry(name: str, kind: bytes, mode: int = 0o755) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _tar(entries: "Iterator[tuple[tarfile.TarInfo, bytes]] | list[tuple[tarfile.TarInfo, bytes]]") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry, data in entries:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
