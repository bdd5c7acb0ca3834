"""Removing trees that nobody needs: gone by their names at once, then file by file."""

import os
from pathlib import Path

from flynn.plugins.host.trees import remove_tree

GONE = ".gone-"
"""Names that begin so are of trees that are being removed."""


def take_away(path: Path) -> Path | None:
    """Give it a name that nobody knows, at once: call it on the loop, where nobody can begin to use it meanwhile.

    None: it was not there, or cannot be taken away.
    """
    gone = path.with_name(f"{GONE}{path.name}-{os.urandom(4).hex()}")
    try:
        os.rename(path, gone)
    except OSError:
        return None
    return gone


def finish(root: Path) -> None:
    """Remove what an earlier daemon did not come to. Blocks."""
    for path in root.glob(f"{GONE}*"):
        remove_tree(path)
