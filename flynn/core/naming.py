"""A host's name belongs to one daemon of the grid: two of one name would both run the jobs assigned to it."""

import asyncio
import logging

from flynn.core import keys
from flynn.core.config import Node
from flynn.core.election import Claim
from flynn.core.errors import StartError
from flynn.core.lease import NodeLease
from flynn.core.mirror import Mirror
from flynn.core.model import Leader
from flynn.core.store import Store

log = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds for which the name is waited for: longer than the lease of a daemon that died lives on."""


async def own_name(node: Node, store: Store, mirror: Mirror, lease: NodeLease, patience: float = PATIENCE) -> None:
    """Hold the name of this node from now on, as long as the lease is kept. A daemon is known by its URL, so one that
    starts again has its name at once. StartError: another daemon has it.
    """
    key = keys.lock(f"host-{node.name}")
    holder = mirror.facts.get(key)
    if isinstance(holder, Leader) and holder.host != node.url:
        log.info("waits for the daemon at %s, the last one with the name %s, to be gone", holder.host, node.name)
    try:
        async with asyncio.timeout(patience):
            await Claim(key, node.url, store, mirror, lease).hold()
    except TimeoutError:
        holder = mirror.facts.get(key)
        other = f"the daemon at {holder.host}" if isinstance(holder, Leader) else "another daemon"
        raise StartError(
            f"{other} has the name {node.name} in this grid; give this one another with --name, or stop that one"
        ) from None
    await lease.put(key, Leader(host=node.url))
