"""`.slugignore`: paths of the source that the slug shall not hold. Patterns are those of a simple `.gitignore`."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

NAME = ".slugignore"


def remove_ignored(top: str) -> int:
    """Remove what the patterns of `top/.slugignore` name, before anything is built; how many paths were removed."""
    try:
        with open(os.path.join(top, NAME), encoding="utf-8", errors="replace") as file:
            patterns = [pattern for line in file if (pattern := parse(line))]
    except FileNotFoundError:
        return 0
    import shutil

    removed = 0
    for folder, folders, files in os.walk(top):
        inner = os.path.relpath(folder, top)
        for name in [*folders, *files]:
            path = name if inner == "." else f"{inner}/{name}"
            full = os.path.join(folder, name)
            is_folder = name in folders and not os.path.islink(full)
            if any(p.fullmatch(path + "/" if is_folder else path) for p in patterns):
                shutil.rmtree(full) if is_folder else os.unlink(full)
                removed += 1
        folders[:] = [name for name in folders if os.path.isdir(os.path.join(folder, name))]
    return removed


def parse(line: str) -> re.Pattern[str] | None:
    """One line as a pattern over paths from the top (a directory's ends in `/`); None: it says nothing.

    `*` and `?` stay within a name, `**` does not; a slash that is not the last character ties the pattern to the top;
    a slash at the end means directories only. `!` is not known and says nothing.
    """
    text = line.strip()
    if not text or text[0] in "#!":
        return None
    import re

    only_folders = text.endswith("/")
    core = text.strip("/")
    anchored = "/" in text.rstrip("/")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", core)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(meaning.get(part) or re.escape(part) for part in parts)
    return re.compile(("" if anchored else "(?:.*/)?") + body + ("/" if only_folders else "/?"))
