"""Which versions of all programs are measured."""

from bench.common.binaries import binary
from bench.common.etcd import etcd
from bench.common.versions import own, version_of


def versions() -> list[str]:
    """flynn, and its peers; NotMeasured: one is not there."""
    asked = {
        "nginx": (binary("nginx"), "-v"),
        "HAProxy": (binary("haproxy"), "-v"),
        "Caddy": (binary("caddy"), "version"),
        "Traefik": (binary("traefik"), "version"),
        "etcd": (etcd(), "--version"),
    }
    return [own(), *(f"{name} {version_of(command)}" for name, command in asked.items())]
