"""What a process type sees of data: words of users made records, and these part of its processes. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.errors import Invalid, NotFound
from flynn.core.facts import Facts

Mounts = Mapping[str, tuple[model.Mount, ...]]
"""By process type."""

MOST = 20
"""Mounts of a process type."""

LENGTH = 200
"""Characters of a path."""

PART = re.compile(r"[A-Za-z0-9._-]+")
TAKEN = frozenset("bin boot cache dev lib lib32 lib64 libx32 out proc run sbin sys tmp".split())
"""Directories at the root that are flynn's or the system's, with all below them."""

WHOLE = frozenset({"/app", "/etc", "/usr", "/var", "/var/run", "/var/tmp"})
"""Places that cannot be covered as a whole, though something below them can."""


def parse(facts: Facts, app: str, text: str) -> model.Mount:
    """The mount that `NAME:/PATH` or `/DIRECTORY:/PATH` says, with `:ro` to read only.

    Invalid: that says none. NotFound: there is no such volume.
    """
    source, colon, rest = text.partition(":")
    path, _, mode = rest.partition(":")
    if not (source and colon and path) or mode not in ("", "ro", "rw"):
        raise Invalid(f"{text[:80]!r} is no mount; write VOLUME:/PATH or /DIRECTORY:/PATH, with :ro to read only")
    place = check_path(path)
    if source.startswith("/"):
        return _of_host(facts, check_directory(source), place, mode == "ro")
    volume = facts.volumes.get(f"{app}/{source}")
    if volume is None or volume.deleting:
        raise NotFound(
            f"{app} has no volume {source[:60]!r}; `flynn volume create` makes one, `flynn volume` lists them"
        )
    return model.Mount(
        path=place,
        volume=volume.name,
        id=volume.id,
        read_only=mode == "ro",
        shared=volume.shared,
        scratch=volume.scratch,
    )


def _of_host(facts: Facts, source: str, path: str, read_only: bool) -> model.Mount:
    mount, hosts = model.Mount(path=path, source=source, read_only=read_only), facts.hosts.values()
    if any(permits(host.mounts, mount) for host in hosts):
        return mount
    if any(permits(host.mounts, replace(mount, read_only=True)) for host in hosts):
        raise Invalid(f"hosts let jobs only read {source}; mount it as {source}:{path}:ro")
    raise Invalid(f"no host lets jobs have {source}: its operator does, by host.mounts in flynn.toml; or use a volume")


def permits(permitted: Iterable[str], mount: model.Mount) -> bool:
    """Whether a host that permits these says that jobs may have the directory, as it is written; the host itself looks
    at links too."""
    for one in permitted:
        root, _, mode = one.partition(":")
        if f"{mount.source}/".startswith(f"{root.rstrip('/')}/") and (mount.read_only or mode != "ro"):
            return True
    return False


def check_path(path: str) -> str:
    """`path` itself without a slash at its end, when something may be mounted there. Invalid, with the rule."""
    place = check_directory(path)
    if place.split("/")[1] in TAKEN or place in WHOLE or place.startswith(("/var/run/", "/var/tmp/")):
        raise Invalid(f"nothing can be mounted at {place}, which is the system's; take another place, as /data")
    return place


def check_directory(path: str) -> str:
    """`path` itself without a slash at its end, when it names a directory plainly. Invalid, with the rule."""
    parts = path.rstrip("/").split("/")[1:]
    plain = parts and all(PART.fullmatch(part) and part not in (".", "..") for part in parts)
    if not path.startswith("/") or not plain or len(path) > LENGTH:
        raise Invalid(
            f"{path[:80]!r} is no path for a mount: it begins with /, its parts have letters, digits, '.', '_' and '-' "
            f"and none is '.' or '..', {LENGTH} characters at most"
        )
    return "/" + "/".join(parts)


def check_together(what: str, facts: Facts, app: str, mounts: Sequence[model.Mount]) -> None:
    """Invalid: one process cannot have all of these. `what` is it."""
    if len(mounts) > MOST:
        raise Invalid(f"{what} would have {len(mounts)} mounts; {MOST} at most")
    for one, other in combinations(sorted(mounts, key=lambda mount: mount.path), 2):
        if f"{other.path}/".startswith(f"{one.path}/"):
            raise Invalid(f"{what} cannot have {other.path} within {one.path}; choose places beside each other")
        if one.volume and one.volume == other.volume:
            raise Invalid(f"{what} has the volume {one.volume} already, at {one.path}")
        if one.variable == other.variable:
            raise Invalid(f"{what} would have two mounts that {one.variable} tells of; change a place or a name")
    volumes = [facts.volumes.get(f"{app}/{mount.volume}") for mount in mounts if mount.volume]
    hosts = {volume.name: volume.host for volume in volumes if volume and volume.host}
    if len(set(hosts.values())) > 1:
        told = ", ".join(f"{name} on {host}" for name, host in sorted(hosts.items()))
        raise Invalid(f"the volumes of {what} are on different hosts ({told}), and a process runs on one")


def mounted(processes: Mapping[str, model.ProcessType], mounts: Mounts) -> dict[str, model.ProcessType]:
    """The process types with these mounts, and none where there are none."""
    return {type: replace(process, mounts=mounts.get(type, ())) for type, process in processes.items()}


def check_type(release: model.Release | None, type: str, one_off: str) -> None:
    """Invalid: it is no process type of the release that serves."""
    keys.check_name("process type", type)
    if release and type != one_off and type not in release.processes:
        raise Invalid(
            f"{release.app} has no process type {type}; v{release.version} has: {', '.join(release.processes)}; "
            f"one-off jobs are {one_off}"
        )


def without(mounts: Iterable[model.Mount], names: Iterable[str], what: str) -> tuple[model.Mount, ...]:
    """The mounts but for those that are named, by volume or by path. NotFound: there is none of that name."""
    left = list(mounts)
    for name in names:
        gone = [mount for mount in left if name in (mount.volume, mount.path, mount.source) and name]
        if not gone:
            known = ", ".join(mount.text for mount in left) or "none"
            raise NotFound(f"{what} mounts no {name[:80]!r}; its mounts are: {known}")
        left = [mount for mount in left if mount not in gone]
    return tuple(left)
