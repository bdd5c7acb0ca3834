"""Which versions of all programs are measured."""

import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version

from bench.router.grid import etcd
from bench.router.peers.binaries import binary
from flynn import __version__


def versions() -> list[str]:
    """`flynn 0.1.0 (Python 3.11.2, uvloop 0.22.1)`, `nginx 1.22.1` and so on; NotMeasured: one is not there."""
    asked = {
        "nginx": (binary("nginx"), "-v"),
        "HAProxy": (binary("haproxy"), "-v"),
        "Caddy": (binary("caddy"), "version"),
        "Traefik": (binary("traefik"), "version"),
        "etcd": (etcd(), "--version"),
    }
    own = f"flynn {__version__} (Python {platform.python_version()}, uvloop {version('uvloop')})"
    return [own, *(f"{name} {_version(command)}" for name, command in asked.items())]


def _version(command: Sequence[str]) -> str:
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", told)
    return found[0] if found else "?"
