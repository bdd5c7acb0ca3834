"""The tags of this machine, as its operator writes them (`host.tags`): `zone=eu-1`. Pure."""

from collections.abc import Iterable

from flynn.core import keys
from flynn.core.errors import Invalid, StartError

LONGEST = 100
"""Characters of a tag's value."""


def parse(texts: Iterable[str]) -> dict[str, str]:
    """By name. StartError: one is no tag."""
    tags: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            keys.check_name("tag", name)
        except Invalid as error:
            raise StartError(f"host.tags: {error}; write zone=eu-1") from None
        if not value or len(value) > LONGEST or not value.isprintable() or value != value.strip():
            raise StartError(f"host.tags: {text[:60]!r} has no good value; write zone=eu-1, with {LONGEST} at most")
        if name in tags:
            raise StartError(f"host.tags: {name} is there twice; leave one")
        tags[name] = value
    return tags
