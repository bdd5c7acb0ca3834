"""What stands between containers on networks of their own and this machine: rules of iptables(8), in a chain of ours.

The chain hangs in the table `mangle`, where packets come before any address is translated. So a port that an engine
publishes is not reached either, whatever address of this machine is asked for it; and what engines and firewalls do
with their own rules, in other tables, does not matter. It takes all that comes from a bridge whose name begins as ours
do. Of IPv6 such containers have nothing.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from flynn.core.errors import FlynnError
from flynn.plugins.host.docker.chains import Chains, chains_of, is_first

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
WAIT = ("-w", "5")
"""Seconds that iptables waits for another one to be done."""

LIMIT = 20.0
"""Seconds that one call of it may take."""

DNS = 53
HOOK = "PREROUTING"
RESOLV = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


class Unwalled(FlynnError):
    """There are no walls; the text says why."""

    code = "network"


@dataclass(frozen=True)
class Walls:
    """`mark`: eight letters that all is named after. `within`: the bridges with their networks, from `pool`.

    `resolvers` (addresses) may be asked for names by all; `refused` (networks) is reached by none.
    """

    mark: str
    pool: IPv4Network
    within: tuple[tuple[str, IPv4Network], ...]
    resolvers: tuple[str, ...]
    refused: tuple[str, ...]


def bridge_of(mark: str, number: int, build: bool = False) -> str:
    """15 characters at most (IFNAMSIZ, netdevice(7)). Those of builds are known by their names."""
    return f"fl{mark}{'x' if build else ''}{number:x}"


def chain_of(mark: str) -> str:
    return f"FLYNN-{mark}"


def rules(walls: Walls) -> list[str]:
    """Of IPv4, the first that fits counts. Answers go where they were asked from (nobody asks a step of a build, which
    could make them up: it may send packets in any name); names may be asked for; else only the app's own network and
    the world are reached: no address of this machine, now or later, and none for many."""
    said = [f"! -i {_any(bridge_of(walls.mark, 0, build=True))} -m conntrack --ctdir REPLY -j RETURN"]
    for address in walls.resolvers:
        said += [f"-d {address}/32 -p {kind} --dport {DNS} -j RETURN" for kind in ("udp", "tcp")]
    said += ["-m addrtype ! --dst-type UNICAST -j DROP"]
    said += [f"-i {bridge} -d {network} -j RETURN" for bridge, network in walls.within]
    others = [network for network in map(IPv4Network, _of_ipv4(walls.refused)) if not network.subnet_of(walls.pool)]
    said += [f"-d {network} -j DROP" for network in (walls.pool, *others)]
    return [f"-A {chain_of(walls.mark)} {rule}" for rule in said]


def programs() -> dict[str, str]:
    """What keeps the rules, by family of addresses. Unwalled: that cannot be done here."""
    if os.geteuid():
        raise Unwalled("only root can keep containers from this machine; run the daemon as root")
    found = {name: shutil.which(name, path=PATH) or "" for name in ("iptables", "ip6tables")}
    if not Path("/proc/net/if_inet6").exists():
        del found["ip6tables"]
    if lacks := [name for name, path in found.items() if not path]:
        raise Unwalled(f"there is no {lacks[0]} to keep containers from this machine; install it")
    return found


def put(walls: Walls) -> None:
    """Make the rules these, at once, whatever was there, and before all others of the table. Blocks. Unwalled."""
    for name, program in programs().items():
        chain, jump = chain_of(walls.mark), " ".join(_jump(walls.mark))
        hangs = _run([program, *WAIT, "-t", "mangle", "-C", *_jump(walls.mark)]).returncode == 0
        first = [*([f"-D {jump}"] if hangs else []), f"-I {jump}"]
        text = "\n".join(["*mangle", f":{chain} - [0:0]", *_said(name, walls), *first, "COMMIT", ""])
        _done([f"{program}-restore", *WAIT, "--noflush"], text)


def stand(walls: Walls) -> bool:
    """Whether they are as they were put, and nothing before them lets pass what they are for. Blocks. Unwalled: nobody
    can tell."""
    cards = bridge_of(walls.mark, 0)[:-1]
    for name, program in programs().items():
        chains = _chains(program)
        is_whole = len(chains.get(chain_of(walls.mark), ())) == len(_said(name, walls))
        if not is_whole or not is_first(chains, HOOK, _jump(walls.mark)[1:], cards):
            return False
    return True


def pull_down(mark: str) -> None:
    """Leave none of the rules. Blocks. Unwalled: some may be left."""
    for program in programs().values():
        table = [program, *WAIT, "-t", "mangle"]
        while _run([*table, "-D", *_jump(mark)]).returncode == 0:
            pass
        if f"-N {chain_of(mark)}" in _done([*table, "-S"]).splitlines():
            _done([*table, "-F", chain_of(mark)])
            _done([*table, "-X", chain_of(mark)])


def is_masked(network: IPv4Network) -> bool:
    """Whether what comes from there may go to the world in this machine's name, as an engine does it. Blocks."""
    lines = _done([programs()["iptables"], *WAIT, "-t", "nat", "-S", "POSTROUTING"]).splitlines()
    return any(f" -s {network} " in line and "MASQUERADE" in line for line in lines)


def resolvers(files: Iterable[Path] = RESOLV) -> list[str]:
    """Whom an engine asks for names on behalf of containers, of IPv4. Those on loopback it asks as this machine."""
    found = [line.split() for file in files for line in _lines(file)]
    said = [words[1] for words in found if words[:1] == ["nameserver"] and len(words) > 1]
    return [one for one in dict.fromkeys(said) if _is_ipv4(one) and not one.startswith("127.")]


def _is_ipv4(word: str) -> bool:
    """Else it is passed over, as resolv.conf(5) is read; iptables would ask for it as for a name."""
    try:
        IPv4Address(word)
    except ValueError:
        return False
    return True


def _of_ipv4(networks: Iterable[str]) -> list[str]:
    return [network for network in networks if ":" not in network]


def _said(name: str, walls: Walls) -> list[str]:
    return rules(walls) if name == "iptables" else [f"-A {chain_of(walls.mark)} -j DROP"]


def _jump(mark: str) -> tuple[str, ...]:
    return (HOOK, "-i", _any(bridge_of(mark, 0)), "-j", chain_of(mark))


def _any(bridge: str) -> str:
    """All whose names begin as this one does, but for its number."""
    return f"{bridge[:-1]}+"


def _chains(program: str) -> Chains:
    """Of the table, whoever has made them. Unwalled: what it says of them cannot be read."""
    text = _done([program, *WAIT, "-t", "mangle", "-S"])
    try:
        return chains_of(text)
    except ValueError as error:
        why = f"what {os.path.basename(program)} says of the table mangle cannot be read: {error}"
        raise Unwalled(f"{why}; look for an odd rule with {program} -t mangle -S") from None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _done(words: Sequence[str], text: str = "") -> str:
    """What it prints. Unwalled: it fails."""
    found = _run(words, text)
    if found.returncode:
        why = found.stderr.strip().splitlines()
        raise Unwalled(f"{os.path.basename(words[0])} says: {why[-1][:200] if why else f'code {found.returncode}'}")
    return found.stdout


def _run(words: Sequence[str], text: str = "") -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            words, input=text, capture_output=True, text=True, errors="replace", timeout=LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unwalled(f"{os.path.basename(words[0])} cannot be run: {error}") from None
