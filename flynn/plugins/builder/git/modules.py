"""Submodules, and where they may be fetched from: over https, from hosts of the public internet. Pure."""

import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import msgspec

from flynn.core.errors import Invalid

FILE = ".flynn/submodules.json"
"""Where in the source a build finds them."""

MOST = 200
"""Submodules of a commit."""


class Submodule(msgspec.Struct, frozen=True):
    """What belongs at `path`: `commit` of the repository at `url`."""

    path: str
    url: str
    commit: str


def submodules(links: Mapping[str, str], config: bytes) -> tuple[Submodule, ...]:
    """The submodules of a tree. `links`: its commits by path; `config`: what `git config -z --list` prints of its
    .gitmodules. Invalid names the one that cannot be, and the remedy."""
    if len(links) > MOST:
        raise Invalid(f"the commit has {len(links)} submodules; {MOST} at most")
    known = urls(config)
    found = []
    for path, commit in sorted(links.items()):
        url = known.get(path)
        if not url:
            raise Invalid(
                f"{path[:200]!r} is a submodule, but .gitmodules does not say where it comes from; "
                f"add it anew (git submodule add URL {path[:80]}), or remove it (git rm --cached {path[:80]})"
            )
        found.append(Submodule(path, checked(path, url), commit))
    return tuple(found)


def urls(config: bytes) -> dict[str, str]:
    """By path, the URL of each submodule that .gitmodules names."""
    told: dict[str, dict[str, str]] = {}
    for entry in config.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, _, field = rest.rpartition(".")
        if section == "submodule" and name:
            told.setdefault(name, {})[field] = value
    return {fields["path"]: fields.get("url", "") for fields in told.values() if "path" in fields}


def checked(path: str, url: str) -> str:
    """The URL itself, if it may be fetched from. Invalid says why not; no secret in it is shown."""
    refused = f"the submodule {path[:200]!r} cannot be fetched"
    remedy = "write an https:// URL of a public host into .gitmodules, or commit its files instead"
    if not url.isprintable() or " " in url:
        raise Invalid(f"{refused}: its URL is no good; {remedy}")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise Invalid(f"{refused}: its URL is no good; {remedy}") from None
    if url.startswith(("./", "../", "/")):
        raise Invalid(f"{refused}: its URL {url[:80]!r} is relative to where you push; {remedy}")
    if parts.scheme != "https" or "::" in url.partition("/")[0]:
        kind = f"{parts.scheme}://" if "://" in url else f"{url.partition(':')[0][:20]}:"
        raise Invalid(f"{refused}: {kind} is not taken; {remedy}")
    if not public(host) or port == 0:
        raise Invalid(f"{refused}: {host[:80] or 'no host'} is not on the public internet; {remedy}")
    return url


def public(host: str) -> bool:
    """Whether a host may be on the public internet, as far as its name tells."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    name = host.lower()
    if name.rpartition(".")[2].isdigit() or not name.isascii():  # 127.1 and its like, which resolvers understand.
        return False
    inside = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet", ".corp")
    return "." in name and not name.endswith(inside)


def described(found: Iterable[Submodule]) -> bytes:
    """What FILE has."""
    return msgspec.json.encode(tuple(found))
