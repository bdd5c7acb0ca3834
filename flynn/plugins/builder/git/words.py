"""The lines of a build and its deploy as who pushes sees them, in the shape of Heroku's. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

STEP, INDENT, DONE, WRONG = "-----> ", "       ", "=====> ", " !     "

CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)")
"""What could steer a terminal, colours apart (ECMA-48, SGR); other control characters are not printable."""

Line = Mapping[str, Any]


def told(line: Line) -> Iterator[str]:
    """What a line of the stream (docs/api.md) is to people; some are nothing."""
    kind = line.get("kind")
    if kind == "log":
        before = INDENT if line.get("type") not in ("build", None) or line.get("stream") == "flynn" else ""
        yield before + plain(str(line.get("line", "")))
    elif kind == "job":
        yield from _job(line)
    elif kind == "deploy":
        yield INDENT + plain(str(line.get("reason", "")))
    elif kind == "release":
        why = f": {plain(str(line['description']))}" if line.get("description") else ""
        yield f"{STEP}Releasing v{line.get('version')}{why}"
    elif kind == "done":
        yield from done(bool(line.get("ok")), str(line.get("message", "")))


def done(ok: bool, message: str) -> Iterator[str]:
    """The last line: what serves now, or why not."""
    head, *rest = message.splitlines() or ["it failed, and did not say why"]
    yield (DONE if ok else WRONG) + plain(head)
    for line in rest:
        yield INDENT + plain(line)


def plain(text: str) -> str:
    return CONTROL.sub("?", text.rstrip("\r"))


def _job(line: Line) -> Iterator[str]:
    state, reason, type = line.get("state"), line.get("reason"), line.get("type")
    if type == "build":
        if state == "queued" and reason:
            yield f"{INDENT}The build waits: {plain(str(reason))}"
    elif state in ("up", "down") or reason:
        why = f": {plain(str(reason))}" if reason else ""
        yield f"{INDENT}{type} {line.get('id')} {state}{why}"
