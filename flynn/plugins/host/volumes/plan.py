"""What a host shall do about the volumes on its disk. Pure."""

from collections.abc import Iterator

from flynn.core.facts import Facts
from flynn.core.model import Stored


def doomed(facts: Facts, host: str) -> Iterator[Stored]:
    """The data on this host that the grid says is to be deleted. What the grid only does not know is kept."""
    for key, stored in facts.stored.items():
        volume = facts.volumes.get(f"{stored.app}/{stored.name}")
        if key.startswith(f"{host}/") and volume and volume.deleting and volume.id == stored.id:
            yield stored
