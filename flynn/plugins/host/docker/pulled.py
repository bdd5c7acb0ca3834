"""The names of images that the engine has only because this host pulled them: in the agent's `docker/pulled`."""

import logging
import os
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class Pulled:
    """Kept in the file `path`. All of it is quick."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.names = msgspec.json.decode(path.read_bytes(), type=set[str])
        except (OSError, msgspec.DecodeError):
            self.names = set()

    def add(self, name: str) -> None:
        self._set(self.names | {name})

    def remove(self, name: str) -> None:
        self._set(self.names - {name})

    def _set(self, names: set[str]) -> None:
        if names == self.names:
            return
        self.names, partial = names, self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(sorted(names)))
            os.replace(partial, self.path)
        except OSError as error:
            log.warning("which images were pulled cannot be written to %s: %s", self.path, error.strerror)
