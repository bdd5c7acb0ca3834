"""The engine's networks that apps have of their own here: one each, made when it is needed, gone with its last job; and
one for each build of a Dockerfile, as long as that lasts.

Each is a bridge of this machine with a piece of the pool (`host.app_networks`). The containers of one app, or of one
build, reach each other there. What else they do not reach is what `walls.py` holds back.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from ipaddress import IPv4Network, ip_network
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from aiodocker import Docker, DockerError

from flynn.core.errors import FlynnError, StartError
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.docker import walls
from flynn.plugins.host.docker.engine import WORK, engine
from flynn.plugins.host.docker.removal import discard
from flynn.plugins.host.docker.walls import Unwalled, Walls
from flynn.plugins.host.sandbox.network import refused

POOL = "10.213.0.0/16"
PIECE = 24
"""Bits of an app's network: 253 containers."""

BRIDGE = "com.docker.network.bridge.name"
BUILD = "flynn.build"
"""The label of a network that one build has for its steps alone: which."""

REST = 5.0
"""Seconds that the engine is given to remove what it has begun to remove already."""

TRIES = 8
"""Pieces of the pool that the engine may refuse, one after the other."""

log = logging.getLogger(__name__)

Found = dict[str, Any]
"""A network as the engine tells of it (Docker Engine API, "NetworkList")."""


class Networks:
    """Of the backend whose directory is `data`, which all is named after."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.mark = hashlib.sha256(str(data).encode()).hexdigest()[:8]
        self.pool = pool_of(POOL)
        self._lock, self._ruling = asyncio.Lock(), asyncio.Lock()  # The first may be held as long as an engine hangs.
        self._starting: Counter[str] = Counter()
        self._walls: Walls | None = None

    @contextlib.asynccontextmanager
    async def given(self, client: Docker, app: str, others: Iterable[str], build: str = "") -> AsyncIterator[str]:
        """The name of the app's network, which is there as long as the block lasts, walls and all; or of that which one
        `build` of it has for itself.

        `others`: whom nobody on such a network reaches. NotStarted: there is none to be had.
        """
        name = self.name_of(app, build)
        self._starting[name] += 1
        try:
            held_back = await asyncio.to_thread(refused, others)
            async with self._lock:
                await self._make(client, name, (app, build), held_back)
            yield name
        finally:
            self._starting[name] -= 1

    async def leave(self, name: str = "") -> None:
        """Remove the network if nobody has a use for it (all such: ""). What an engine that is away keeps, is removed
        later."""
        try:
            async with self._lock, engine(WORK) as client:
                found = await self._ours(client)
                gone = [one for one in found if name in ("", one["Name"]) and await self._is_gone(client, one)]
                if gone or not found or self._walls is None:
                    await self._wall([one for one in found if one not in gone])
        except FlynnError as error:
            log.info("networks are not looked through now: %s", error)

    async def keep(self) -> None:
        """Put the walls back up, should somebody have torn them down or led a way past them. Unwalled: that cannot be
        done."""
        async with self._ruling:
            if self._walls and not await asyncio.to_thread(walls.stand, self._walls):
                await asyncio.to_thread(walls.put, self._walls)
                log.warning("the rules that keep containers from this machine were gone or passed by, and are put back")

    async def unseen(self, client: Docker, name: str) -> str:
        """Why a network that is there is none that can be used from here, and the remedy; empty: it can."""
        found = next(one for one in await self._ours(client) if one["Name"] == name)
        bridge, network = _place(found)
        if bridge not in dict(socket.if_nameindex()).values():
            return "the engine's networks are not this daemon's machine's; run both in the network of the host"
        if not await asyncio.to_thread(walls.is_masked, network):
            return "the engine lets its networks not out by iptables; run it without --iptables=false"
        return ""

    def known(self) -> tuple[str, ...]:
        """Whom the containers that run on such networks do not reach, as was told last. Blocks."""
        return tuple(self._load())

    def name_of(self, app: str, build: str = "") -> str:
        whose = "\0".join([str(self.data), app, *([build] if build else [])])
        return f"flynn-{app[:40] or 'app'}-{hashlib.sha256(whose.encode()).hexdigest()[:8]}"

    async def _make(self, client: Docker, name: str, whose: tuple[str, str], held_back: list[str]) -> None:
        found = await self._ours(client)
        await asyncio.to_thread(self._save, held_back)
        try:
            if name not in {one["Name"] for one in found}:
                await self._wall(found, held_back)  # Before anything is behind them.
                found = [*found, await self._made(client, name, whose, found)]
            await self._wall(found, held_back)
        except Unwalled as error:
            raise NotStarted(f"no network of its own can be given: {error}") from None

    async def _made(self, client: Docker, name: str, whose: tuple[str, str], ours: list[Found]) -> Found:
        named = {_place(one)[0] for one in ours}  # Those of another pool, which the setting said before, have them too.
        taken = [network for one in await client.networks.list() for network in _networks(one)]
        taken += await asyncio.to_thread(routed)
        said = ""
        places = (
            (walls.bridge_of(self.mark, _number(self.pool, piece), bool(whose[1])), piece)
            for piece in pieces(self.pool, taken)
        )
        for bridge, piece in islice((place for place in places if place[0] not in named), TRIES):
            try:
                made = await client.networks.create(self._recipe(name, whose, bridge, piece))
            except DockerError as error:
                if error.status != 403 and "overlap" not in str(error.message):
                    raise
                said = f" ({error.message})"
                continue
            return dict(await made.show())
        raise NotStarted(
            f"no network of its own can be given: all of {self.pool} is taken on this host{said}; widen "
            "host.app_networks"
        )

    def _recipe(self, name: str, whose: tuple[str, str], bridge: str, piece: IPv4Network) -> Found:
        app, build = whose
        return {
            "Name": name,
            "CheckDuplicate": True,
            "Driver": "bridge",
            "EnableIPv6": False,
            "IPAM": {"Config": [{"Subnet": str(piece)}]},
            "Options": {BRIDGE: bridge},
            "Labels": {"flynn.data": str(self.data), "flynn.app": app, **({BUILD: build} if build else {})},
        }

    async def _ours(self, client: Docker) -> list[Found]:
        return await client.networks.list(filters={"label": [f"flynn.data={self.data}"]})

    async def _is_gone(self, client: Docker, one: Found) -> bool:
        """Whether nobody has a use for it, so that it is removed."""
        name = one["Name"]
        if self._starting[name] or await _inhabited(client, one):
            return False
        try:
            await (await client.networks.get(one["Id"])).delete()
        except DockerError as error:
            if error.status != 404:
                log.info("the network %s stays for now: %s", name, error.message)
                return False
        return True

    async def _wall(self, found: list[Found], held_back: list[str] | None = None) -> None:
        """The walls of these networks; none without one, if none is about to be made. Unwalled."""
        if not found and held_back is None:
            async with self._ruling:
                self._walls = None
                await asyncio.to_thread(self._pull_down)
            return
        told = await asyncio.to_thread(self._load) if held_back is None else held_back
        within = tuple(sorted(_place(one) for one in found))
        async with self._ruling:
            self._walls = Walls(self.mark, self.pool, within, tuple(walls.resolvers()), tuple(told))
            await asyncio.to_thread(walls.put, self._walls)

    def _pull_down(self) -> None:
        if (self.data / "refused").exists():
            walls.pull_down(self.mark)
            (self.data / "refused").unlink()

    def _save(self, held_back: list[str]) -> None:
        """For the next daemon. OSError: the disk cannot take it; what was there stays."""
        partial = self.data / "refused.part"
        partial.write_bytes(msgspec.json.encode(held_back))
        os.replace(partial, self.data / "refused")

    def _load(self) -> list[str]:
        try:
            return msgspec.json.decode((self.data / "refused").read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError):
            return refused(())


def pool_of(text: str) -> IPv4Network:
    """The setting. StartError: it is no network of IPv4, or has no room for one app."""
    try:
        found = ip_network(text)
    except ValueError:
        found = None
    if not isinstance(found, IPv4Network) or not 8 <= found.prefixlen <= PIECE:
        raise StartError(
            f"host.app_networks: {text[:60]!r} is no good; write a network of IPv4, of 8 to {PIECE} bits: {POOL}"
        )
    return found


def pieces(pool: IPv4Network, taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """Those that overlap with nothing that is taken."""
    near = [network for network in taken if network.overlaps(pool)]
    return (piece for piece in pool.subnets(new_prefix=PIECE) if not any(map(piece.overlaps, near)))


def routed(table: Path = Path("/proc/net/route")) -> list[IPv4Network]:
    """Where this machine has a way to, but for the one that leads everywhere (proc(5), /proc/net/route)."""
    found = []
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            _, address, _, _, _, _, _, mask, *_ = line.split()
            numbers = [int.from_bytes(bytes.fromhex(word), "little") for word in (address, mask)]
            found.append(IPv4Network((numbers[0], numbers[1].bit_count())))
    return [network for network in found if network.prefixlen]


async def _inhabited(client: Docker, one: Found) -> bool:
    """Whether containers are on it. Those that are left of a build which is over are removed: an engine forgets them
    that is killed in a step."""
    there = {"network": [one["Id"], one["Name"]]}
    found = await client.containers.list(all=True, filters=there)
    if BUILD not in (one["Labels"] or {}):
        return bool(found)
    deadline = time.monotonic() + REST
    while found and time.monotonic() < deadline:
        for left in found:
            try:
                await discard(client, left.id)
            except DockerError as error:
                if error.status != 409:
                    raise
                await asyncio.sleep(0.05)
        found = await client.containers.list(all=True, filters=there)
    return bool(found)


def _number(pool: IPv4Network, piece: IPv4Network) -> int:
    return (int(piece.network_address) - int(pool.network_address)) >> (32 - PIECE)


def _networks(one: Found) -> list[IPv4Network]:
    """Of IPv4."""
    told = (one.get("IPAM") or {}).get("Config") or ()
    return [IPv4Network(its["Subnet"]) for its in told if its.get("Subnet") and ":" not in its["Subnet"]]


def _place(one: Found) -> tuple[str, IPv4Network]:
    """Its bridge, and where it is."""
    return one["Options"][BRIDGE], _networks(one)[0]
