"""Which versions of all programs are measured."""

from bench.common.etcd import etcd
from bench.common.versions import own, version_of


def versions() -> list[str]:
    """flynn and its etcd; NotMeasured: there is none."""
    return [own(), f"etcd {version_of((etcd(), '--version'))}"]
