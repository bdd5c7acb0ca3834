"""The buildpack static: puts a server for the files into the slug. Run by `bin/compile`."""

from __future__ import annotations

import os
import shutil
import sys

from ..lib.pack import begin, fail, own, tell
from .static_rules import Wrong, read

ROOTS = ("public_html", "public", "dist", "build", "_site", ".")
"""Where the pages are, if nothing says so."""


def main(arguments: list[str]) -> None:
    build = begin(arguments)
    text = build.read("static.json")
    try:
        root, rules = read(text) if text else ("", None)
    except Wrong as error:
        fail(f"{error}")
    found = root or next((name for name in ROOTS if build.has(name, "index.html")), "")
    if not found or not os.path.isdir(build.path(found)):
        missing = (
            f"the directory {root} of static.json" if root else f"index.html in {', '.join(ROOTS[:-1])} or at the top"
        )
        fail(f"{missing} is not there; static.json says by its root where the pages are")
    os.makedirs(build.path(".static"), exist_ok=True)
    shutil.copy2(own(__file__, "static_server.py"), build.path(".static", "server.py"))
    shutil.copy2(own(__file__, "static_rules.py"), build.path(".static", "static_rules.py"))
    if rules:
        shutil.copy2(build.path("static.json"), build.path(".static", "static.json"))
    build.web(f"python3 .static/server.py {found}")
    tell(f"Serving {'the top directory' if found == '.' else found + '/'}")


if __name__ == "__main__":
    main(sys.argv[1:])
