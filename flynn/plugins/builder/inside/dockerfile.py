"""A Dockerfile: the engine of this build's host makes an image of the source, asked over a socket (IMAGE_BUILD)."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from . import BuildFailed
from .run import BUDGET, MARKS

NAME, IGNORE = "Dockerfile", ".dockerignore"

STEP = re.compile(r"Step \d+/\d+ : ")
"""How the engine begins a line that names a step."""


def build_image(build: str, place: str, out: str) -> int:
    """Have the source at `build` built by the engine behind the socket in `place`; the packed image's size in bytes.
    What it prints is printed. In `out` there is room for the source once more, which /tmp may not have. BuildFailed:
    why there is no image."""
    with tempfile.TemporaryFile(dir=out) as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in kept(build):
                tar.add(path, os.path.relpath(path, build), recursive=False)
        size = file.tell()
        file.seek(0)
        return _asked(place, file, size)


def kept(top: str) -> Iterator[str]:
    """The paths of the source that the engine gets: all but what .dockerignore names. A directory may be left out of
    which something is kept."""
    rules = read_ignored(top)
    for folder, folders, files in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(set(folders) - set(links))
        for name in sorted([*folders, *files, *links]):
            path = os.path.join(folder, name)
            inner = os.path.relpath(path, top)
            if inner in (NAME, IGNORE) or not ignored(inner, rules):
                yield path


def read_ignored(top: str) -> list[tuple[bool, re.Pattern[str]]]:
    """The rules of .dockerignore in their order: whether what one names is left out, and the pattern."""
    try:
        with open(os.path.join(top, IGNORE), encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
    except FileNotFoundError:
        return []
    found = [(not line.startswith("!"), line.lstrip("!").strip()) for line in lines if line and line[0] != "#"]
    return [(out, pattern(text)) for out, text in found if text]


def pattern(text: str) -> re.Pattern[str]:
    """One pattern over paths from the top: `*` and `?` stay within a name, `**` does not; what is below counts too."""
    core = os.path.normpath(text).strip("/")
    parts = re.split(r"(\*\*/|/\*\*|\*\*|\*|\?)", core)
    meaning = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part) or re.escape(part) for part in parts) + "(?:/.*)?")


def ignored(path: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    """Whether the last rule that fits leaves it out."""
    fitting = [out for out, rule in rules if rule.fullmatch(path)]
    return bool(fitting) and fitting[-1]


def _asked(place: str, file: IO[bytes], size: int) -> int:
    os.chdir(place)  # A path of a socket is short.
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.connect("socket")
            engine.sendall(json.dumps({"dockerfile": NAME, "size": size}).encode() + b"\n")
            engine.sendfile(file)
            with engine.makefile("rb") as answers:
                for line in answers:
                    answer = json.loads(line)
                    if "line" in answer:
                        show(answer["line"])
                    elif "error" in answer:
                        raise BuildFailed(f"the Dockerfile cannot be built: {answer['error']}")
                    else:
                        return int(answer["size"])
    except OSError as error:
        raise BuildFailed(f"the engine broke off ({error.strerror or error}); deploy again") from None
    raise BuildFailed("the host stopped before the image was there; deploy again")


def show(text: str) -> None:
    """What the build prints, its steps as ours."""
    for line in text.splitlines():
        data = line.encode("utf-8", "replace")
        mark = b"-----> " if STEP.match(line) else b"" if data.startswith(MARKS) else b"       "
        sys.stdout.buffer.write(BUDGET.cut(mark + data + b"\n"))
    sys.stdout.buffer.flush()
