"""What the agent does for a job with a network of its own (`own.py` is the other half, on pasta, passt(1))."""

import asyncio
import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psutil

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import Limits
from flynn.plugins.host.backends.beside import BARE
from flynn.plugins.host.backends.identity import Identity, alive, boot_id

OWN = Path(__file__).with_name("own.py")

DNS = "192.0.0.53"
"""Who answers for DNS in there: pasta, which asks the first resolver of this machine. Nobody else has the address: it
is among those that the IETF keeps for itself (RFC 6890, 192.0.0.0/24)."""

REFUSED = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32")
"""What is of this link alone, and where clouds tell machines their secrets (AWS, Alibaba Cloud, Azure)."""

MEMORY, PROCESSES = 40, 3
"""MiB, and processes, that stand around such a job beside those of any other: they do not count against its limits."""

RESOLVER = "--ro-bind-data"
"""The option of bubblewrap by which its /etc/resolv.conf is laid over that of all."""

RESOLV = Path("/etc/resolv.conf")
PATH = f"{os.environ.get('PATH', '')}:/usr/local/bin:/usr/bin"
TUN = Path("/dev/net/tun")

PATIENCE = 1.0
"""Seconds that pasta may take to be gone once it is killed."""

TRY = 10.0
"""Seconds that the trial may take."""


def pasta() -> str:
    """Where it is; empty: nowhere."""
    return shutil.which("pasta", path=PATH) or ""


async def lacking(dir: Path) -> str:
    """Why no job can have a network of its own here, and the remedy; empty: it can. `dir` is made, and gone."""
    if not pasta():
        return "there is no pasta; install it (the package passt)"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"{TUN} is not there, or not for this user; load the module tun"
    try:
        return await asyncio.to_thread(_tried, dir)
    finally:
        end(dir, boot_id())
        shutil.rmtree(dir, ignore_errors=True)


def _tried(dir: Path) -> str:
    try:
        dir.mkdir(parents=True, exist_ok=True)
        write(dir, let_in(0), refused(()))
        done = subprocess.run(
            [*words(dir), "/bin/true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=BARE,
            timeout=TRY,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"a trial of it failed: {error}"
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return (said[-1][:300] if said else f"a trial of it ended with code {done.returncode}") if done.returncode else ""


def words(dir: Path) -> list[str]:
    """The beginning of the command line of what shall have one."""
    return [sys.executable, "-I", "-S", str(OWN), str(dir)]


def write(dir: Path, port: str, networks: Iterable[str]) -> None:
    """Say in the job's directory what its network is to be. OSError: the disk is full or broken."""
    told = {"pasta": pasta(), "dns": DNS, "port": port, "refused": list(networks)}
    (dir / "pasta").unlink(missing_ok=True)
    (dir / "pasta").touch(0o600)
    (dir / "network").write_bytes(msgspec.json.encode(told))


def let_in(port: int, ipv6: bool = False) -> str:
    """The port (0: none), on every address of this machine: with one of them named, pasta does not begin where somebody
    else has it (without, it is content with IPv4 or IPv6)."""
    return f"{'::' if ipv6 else '0.0.0.0'}/{port}" if port else "none"


def around(limits: Limits) -> Limits:
    """The limits of a job with what stands around it."""
    memory = limits.memory + MEMORY if limits.memory else 0
    pids = limits.pids + PROCESSES if limits.pids else 0
    return replace(limits, memory=memory, pids=pids)


def refused(others: Iterable[str], machine: Path = Path("/")) -> list[str]:
    """What such a job does not reach: what no job shall, all addresses that this machine has now, the networks within
    it, and `others`: those of other hosts. Who has a name that nobody knows is passed over. May ask for names: call it
    in a thread."""
    cards = psutil.net_if_addrs()
    own = [found.address for all in cards.values() for found in all]
    own += [f"{one.address}/{one.netmask}" for name in inner(cards, machine) for one in cards[name] if _is_ipv4(one)]
    named = [address for other in others for address in _addresses(other)]
    return list(dict.fromkeys([*REFUSED, *_networks([*own, *named])]))


def inner(cards: Iterable[str], machine: Path) -> list[str]:
    """Which of these are bridges that lead to nobody but this machine's own containers, as those of Docker Engine do:
    a network that the machine itself reaches the world by is none."""
    try:
        routes = [line.split()[:2] for line in (machine / "proc/net/route").read_text().splitlines()]
    except OSError:
        return []
    outer = {route[0] for route in routes if route[1:] == ["00000000"]}
    return [name for name in cards if name not in outer and (machine / "sys/class/net" / name / "bridge").is_dir()]


def _is_ipv4(one: Any) -> bool:
    return bool(one.family == socket.AF_INET and one.netmask)


def _addresses(name: str) -> list[str]:
    """Itself, unless it is a host's name."""
    if _network(name):
        return [name]
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


def _networks(addresses: Iterable[str]) -> Iterator[str]:
    for address in addresses:
        found = _network(address)  # None: it is the address of a card.
        if found and not found.is_loopback and not found.is_link_local:
            yield str(found)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return None


def checked(networks: Sequence[str]) -> None:
    """The setting. StartError: one is no network."""
    if wrong := [text for text in networks if not _network(text)]:
        raise StartError(f"host.refused: {wrong[0][:60]!r} is no network; write 10.0.0.0/8, or an address")


def resolv(machine: Path = RESOLV) -> str:
    """What its /etc/resolv.conf says: who answers, and else what the machine's own says."""
    return "\n".join([f"nameserver {DNS}", *_said(machine, "search", "domain", "options"), ""])


def servers(machine: Path = RESOLV) -> tuple[str, ...]:
    """Whom the machine asks for names now. pasta reads that once, when it begins."""
    return tuple(_said(machine, "nameserver"))


def _said(machine: Path, *names: str) -> list[str]:
    try:
        lines = machine.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.split()[:1] and line.split()[0] in names]


def end(dir: Path, boot: str) -> None:
    """Leave nothing of it, though what should have ended it was killed. Blocks for a moment."""
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(OSError, ValueError):
        pid, started = (dir / "pasta").read_text().split()
        while alive(Identity(int(pid), float(started), boot)) and time.monotonic() < deadline:
            os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.005)
