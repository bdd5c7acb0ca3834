"""Blobs for jobs to have as their layers."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def slug(work: Path, files: Mapping[str, bytes], tree: Path | None = None) -> Path:
    """A blob of these files, and all that is below `tree`."""
    path = work / "slug.tgz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        if tree:
            tar.add(tree, ".")
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return path
