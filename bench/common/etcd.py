"""The etcd that measurements use."""

from pathlib import Path

from bench.common.errors import NotMeasured
from tests.etcd import binaries


def etcd() -> str:
    """The newest etcd there is. NotMeasured: there is none."""
    found = next((path for path in reversed(binaries().values()) if path and Path(path).exists()), None)
    if found is None:
        raise NotMeasured("there is no etcd; tests/engines.sh installs one")
    return found
