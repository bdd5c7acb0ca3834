"""Which versions of all programs are measured."""

from bench.common.etcd import etcd
from bench.common.versions import own, version_of
from bench.host.peers.bwrap import bwrap
from tests.docker import dockerd


def versions() -> list[str]:
    """flynn, and what it is measured beside; NotMeasured: one is not there."""
    asked = {
        "bubblewrap": (bwrap(), "--version"),
        "Docker": (dockerd() or "dockerd", "--version"),
        "etcd": (etcd(), "--version"),
    }
    return [own(), *(f"{name} {version_of(command)}" for name, command in asked.items())]
