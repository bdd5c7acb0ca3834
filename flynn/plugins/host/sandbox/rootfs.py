"""What a sandbox shows of the machine: the programs and libraries, next to nothing of its settings, nothing else."""

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

ETC = (
    "ssl", "ca-certificates", "ca-certificates.conf", "pki", "crypto-policies", "resolv.conf", "host.conf", "gai.conf",
    "protocols", "services", "localtime", "timezone", "mime.types", "alternatives", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "fonts", "terminfo", "inputrc", "os-release", "apt", "php", "maven", "java",
    *(f"java-{version}-openjdk" for version in (8, 11, 17, 21, 25)),
)  # fmt: skip
"""The last ones are settings without which a language does not start, as distributions pack it; by those of apt, and by
INSTALLED, a buildpack finds and downloads packages that go with this system."""

SECRET = (
    "/etc/ssl/private", "/etc/pki/tls/private", "/etc/pki/CA/private", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d",
)  # fmt: skip
"""Private keys and passwords below those of ETC, directories and files: nobody sees them."""

INSTALLED = "/var/lib/dpkg/status"
"""Which packages there are."""

SOURCES = "apt/sources.list"
"""A file that buildpacks read, in /etc; newer systems have none, which is as much as an empty one."""

HOSTS = "/var/hosts"
"""Where /etc/hosts leads to: each sandbox has its own, and its /etc is one for all."""

TMP_LIMIT, RUN_LIMIT = 1024 * 1024 * 1024, 64 * 1024 * 1024
"""Bytes (of memory) that a job can put into /tmp and /dev/shm (each), and into /run, at most."""

RESERVED = frozenset(
    {"boot", "cache", "dev", "etc", "home", "out", "proc", "root", "run", "sys", "tmp", "var", *(p[1:] for p in SYSTEM)}
)
"""Names at the root of a sandbox that no layer can have."""

PASSWD = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\napp:x:{user}:{group}:app:/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:{group}:\n"
NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"
"""Names are looked up in files and by DNS: what else the machine asks (a directory, systemd) is not seen in there."""


def base(etc: Path, memory: int = 0) -> Iterator[str]:
    """The arguments of bubblewrap that make the root of a sandbox. `etc` is its /etc (`etc.py`).

    `memory`: MiB that the job may take (0: no limit); files in /tmp count among them.
    """
    yield from _system()
    yield from ("--ro-bind", str(etc), "/etc")
    for path in python_homes():
        yield from ("--ro-bind", path, path)
    # A job of root's daemon is root's to the kernel, though without capabilities: it could write to /proc/sys.
    yield from ("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev")
    tmp, run = sizes(memory)
    yield from ("--size", str(tmp), "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev")
    yield from ("--size", str(tmp), "--perms", "1777", "--tmpfs", "/tmp")
    yield from ("--size", str(run), "--tmpfs", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp")
    yield from ("--symlink", "/run", "/var/run", "--ro-bind-try", INSTALLED, INSTALLED)


@cache
def _system() -> list[str]:
    """For the directories of programs and libraries, looked up once. One that goes meanwhile is left out."""
    links = [word for path in SYSTEM if os.path.islink(path) for word in ("--symlink", os.readlink(path), path)]
    dirs = [path for path in SYSTEM if os.path.isdir(path) and not os.path.islink(path)]
    return [*(word for path in dirs for word in ("--ro-bind-try", path, path)), *links]


def sizes(memory: int) -> tuple[int, int]:
    """Bytes of /tmp (and of /dev/shm), and of /run, for a job that may take so many MiB (0: no limit).

    A disk that is full shall be told so (ENOSPC) before the job is killed for its memory, where its files are.
    """
    limit = memory * 1024 * 1024 or 4 * TMP_LIMIT
    return min(TMP_LIMIT, limit // 4), min(RUN_LIMIT, limit // 8)


def hosts(name: str) -> str:
    """The machine's own file, and the job's name in it: programs look for the address of the host they are on."""
    try:
        with open("/etc/hosts", encoding="utf-8", errors="replace") as file:
            known = file.read().rstrip("\n")
    except OSError:
        known = "127.0.0.1 localhost\n::1 localhost"
    return f"{known}\n127.0.0.1 {name}\n"


@cache
def python_homes() -> list[str]:
    """Where the daemon's own Python lives, when that is not seen with the system; apps' virtualenvs point there."""
    found = dict.fromkeys([sys.base_prefix, os.path.realpath(sys.base_prefix)])
    return [path for path in found if not f"{path}/".startswith(tuple(f"{system}/" for system in SYSTEM))]


def write_users(etc: Path, user: int = 1000, group: int = 1000) -> None:
    """The users that a sandbox knows: root, and `app`, who has these numbers."""
    etc.mkdir(parents=True, exist_ok=True)
    for name, text in (("passwd", PASSWD), ("group", GROUP), ("nsswitch.conf", NSSWITCH)):
        told = text.format(user=user, group=group)
        if not _is(etc / name, told):
            partial = etc / f"{name}.part"
            partial.write_text(told)
            partial.chmod(0o644)
            os.replace(partial, etc / name)


def _is(path: Path, text: str) -> bool:
    """Whether that is in the file: then it is not written again, for which there might be no room."""
    try:
        return path.read_text() == text
    except OSError:
        return False
