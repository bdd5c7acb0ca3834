"""Which versions of all programs are measured."""

import re
import subprocess
from collections.abc import Mapping, Sequence

from bench.router.peers.binaries import binary
from flynn import __version__

ASKED: Mapping[str, Sequence[str]] = {
    "nginx": ("nginx", "-v"),
    "HAProxy": ("haproxy", "-v"),
    "Caddy": ("caddy", "version"),
    "Traefik": ("traefik", "version"),
    "etcd": ("etcd", "--version"),
}


def versions() -> list[str]:
    """`flynn 0.1.0`, `nginx 1.22.1` and so on; NotMeasured: one is not there."""
    return [f"flynn {__version__}", *(f"{name} {_version(words)}" for name, words in ASKED.items())]


def _version(words: Sequence[str]) -> str:
    command = [binary(words[0]), *words[1:]]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", told)
    return found[0] if found else "?"
