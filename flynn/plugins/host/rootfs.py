"""What a sandbox shows of the machine: the programs and libraries, next to nothing of its settings, nothing else."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

ETC = (
    "ssl", "ca-certificates", "ca-certificates.conf", "pki", "crypto-policies", "resolv.conf", "hosts", "nsswitch.conf",
    "host.conf", "gai.conf", "protocols", "services", "localtime", "timezone", "mime.types", "alternatives",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "fonts", "terminfo", "inputrc", "os-release",
)  # fmt: skip

SECRET = ("/etc/ssl/private", "/etc/pki/tls/private", "/etc/pki/CA/private")
"""Directories of private keys below those of ETC: covered with emptiness."""

TMP_LIMIT, RUN_LIMIT = 1024 * 1024 * 1024, 64 * 1024 * 1024
"""Bytes (of memory) that a job can put into /tmp and into /run."""

RESERVED = frozenset(
    {"boot", "cache", "dev", "etc", "home", "out", "proc", "root", "run", "sys", "tmp", "var", *(p[1:] for p in SYSTEM)}
)
"""Names at the root of a sandbox that no layer can have."""

PASSWD = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\napp:x:{user}:{group}:app:/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:{group}:\n"


def base(etc: Path) -> Iterator[str]:
    """The arguments of bubblewrap that make the root of a sandbox. `etc` holds its own `passwd` and `group`."""
    for path in SYSTEM:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif os.path.isdir(path):
            yield from ("--ro-bind", path, path)
    for name in ETC:
        if os.path.exists(f"/etc/{name}"):
            yield from ("--ro-bind", f"/etc/{name}", f"/etc/{name}")
    for name in ("passwd", "group"):
        yield from ("--ro-bind", str(etc / name), f"/etc/{name}")
    for path in SECRET:
        if os.path.isdir(path):
            yield from ("--tmpfs", path, "--remount-ro", path)
    for path in python_homes():
        yield from ("--ro-bind", path, path)
    # A job of root's daemon is root's to the kernel, though without capabilities: it could write to /proc/sys.
    yield from ("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev")
    yield from ("--size", str(TMP_LIMIT), "--perms", "1777", "--tmpfs", "/tmp")
    yield from ("--size", str(RUN_LIMIT), "--tmpfs", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp")
    yield from ("--symlink", "/run", "/var/run")


def python_homes() -> list[str]:
    """Where the daemon's own Python lives, when that is not seen with the system; apps' virtualenvs point there."""
    found = dict.fromkeys([sys.base_prefix, os.path.realpath(sys.base_prefix)])
    return [path for path in found if not f"{path}/".startswith(tuple(f"{system}/" for system in SYSTEM))]


def write_etc(etc: Path, user: int = 1000, group: int = 1000) -> None:
    """The users that a sandbox knows: root, and `app`, who has these numbers."""
    etc.mkdir(parents=True, exist_ok=True)
    for name, text in (("passwd", PASSWD), ("group", GROUP)):
        partial = etc / f"{name}.part"
        partial.write_text(text.format(user=user, group=group))
        partial.chmod(0o644)
        os.replace(partial, etc / name)
