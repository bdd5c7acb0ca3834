"""What an app's processes are: its Procfile, or what `bin/release` of the buildpack says. Pure."""

from __future__ import annotations

from . import BuildFailed
from .plain import is_dashed, is_variable

NAME_LIMIT = 40

TAKEN = {"run": "one-off jobs", "build": "builds"}
"""What flynn's own jobs have for their type."""

PAIR = r"(?P<name>[^:\s]+)\s*:(?:\s+(?P<value>.*))?"


def parse_procfile(text: str) -> dict[str, str]:
    """The command of each process type, by the name that it has there. BuildFailed names the first line that is no
    good."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, colon, command = (part.strip() for part in stripped.partition(":"))
        where = f"line {number} of the Procfile"
        if not colon or not name or not command:
            raise BuildFailed(f"{where} is not `name: command`: {_shown(stripped)}")
        called(where, name)
        if "\0" in command:
            raise BuildFailed(f"{where}: the command of {name} has a NUL byte; remove it")
        if name in found:
            raise BuildFailed(f"{where}: the process type {name} is there already; give each one a line of its own")
        found[name] = command
    return found


def called(where: str, name: str) -> str:
    """What flynn calls a process type, whose name becomes a part of hosts' names: `My_Worker` is `my-worker`.
    BuildFailed with the rule, when it cannot be called anything like it."""
    theirs = name.isascii() and all(c.isalnum() or c in "_-" for c in name)  # What Heroku takes for one.
    plain = name.lower().replace("_", "-") if theirs else name
    if len(plain) > NAME_LIMIT or not is_dashed(plain) or not plain[0].isalpha():
        raise BuildFailed(
            f"{where}: {_shown(name)} is no good process type name: use letters, digits and single dashes, start with "
            f"a letter, {NAME_LIMIT} characters at most"
        )
    if plain in TAKEN:
        raise BuildFailed(f"{where}: no process type is called {plain}, the type of {TAKEN[plain]}; call it otherwise")
    return plain


def by_our_names(where: str, found: dict[str, str]) -> dict[str, str]:
    """The commands by what flynn calls their process types. BuildFailed: two would be called the same."""
    theirs: dict[str, str] = {}
    for name in found:
        other = theirs.setdefault(called(where, name), name)
        if other != name:
            raise BuildFailed(
                f"{where}: {other} and {name} are one process type to flynn, {called(where, name)}, as capitals and _ "
                "do not count; give one of them another name"
            )
    return {ours: found[name] for ours, name in theirs.items()}


def parse_release(text: str, buildpack: str) -> dict[str, dict[str, str]]:
    """What `bin/release` printed: a mapping of names to text for each top key, in the simple YAML that buildpacks use.

    A key that holds anything else (`addons: []`) is empty here. A value may go on in lines that are indented more, as
    Ruby writes long ones. BuildFailed shows the first line that is no YAML of this kind.
    """
    import re

    tables: dict[str, dict[str, list[str]]] = {}
    table: dict[str, list[str]] = {}
    deep, value = 0, [""]
    for line in text.splitlines():
        stripped, indent = line.strip(), len(line) - len(line.lstrip())
        if not stripped or stripped.startswith(("#", "---", "- ")):
            continue
        if deep and indent > deep:
            value.append(stripped)
            continue
        pair = re.fullmatch(PAIR, stripped)
        if pair is None:
            raise BuildFailed(
                f"bin/release of the buildpack {buildpack} printed what is not understood: {_shown(line)}"
            )
        deep, value = indent, [pair["value"] or ""]
        if indent:
            table[_plain(pair["name"])] = value
        else:
            table = tables.setdefault(pair["name"], {})
    return {key: {name: _text(lines) for name, lines in inner.items()} for key, inner in tables.items()}


def profile_of(variables: dict[str, str]) -> str:
    """A shell script that sets each variable that is not set yet. Names that no shell knows are left out."""
    lines = []
    for name, value in variables.items():
        if is_variable(name):
            quoted = value.replace("'", "'\\''")
            lines.append(f"[ -n \"${{{name}+x}}\" ] || export {name}='{quoted}'\n")
    return "".join(lines)


def _text(lines: list[str]) -> str:
    """A value of one line or several (`>`, `|`, or plain), without the quotes of YAML."""
    if lines[0][:1] in ("|", ">") and len(lines[0]) <= 2:
        return ("\n" if lines[0][0] == "|" else " ").join(lines[1:])
    return _plain(" ".join(lines))


def _plain(value: str) -> str:
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "'\"":
        return value
    import re

    return value[1:-1].replace("''", "'") if value[0] == "'" else re.sub(r"\\([\"\\])", r"\1", value[1:-1])


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
