"""One run of small requests against one peer: what each costs, and the proof that it was the peer who served them."""

from dataclasses import dataclass, replace
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.router import wrk
from bench.router.backends import Backends
from bench.router.peers.peer import Peer
from bench.router.site import ASKED, CLIENTS


@dataclass(frozen=True, slots=True)
class Sample:
    """`cpu`: microseconds of the proxy's CPU a request."""

    name: str
    cpu: float
    load: wrk.Load


@dataclass(frozen=True, slots=True)
class Aim:
    """What is asked: `host` of `peer`, or what the Lua file `script` makes up. `name` is how it is shown."""

    peer: Peer
    name: str
    host: str = ASKED
    script: str = ""

    def scripted(self, script: Path) -> "Aim":
        return replace(self, script=str(script))


async def sample(aim: Aim, backends: Backends, seconds: float, clients: int = CLIENTS) -> Sample:
    """Let wrk ask for so long. NotMeasured: some request failed, or peer, apps and wrk do not count the same."""
    peer = aim.peer
    served, answered = await peer.served(), await backends.answered()
    before = peer.process.cpu_ns()
    load = await wrk.run(wrk.command(peer.port, aim.host, seconds, clients, aim.script), seconds)
    spent = peer.process.cpu_ns() - before
    if load.failed or not load.requests:
        raise NotMeasured(f"{aim.name}: {load.failed} requests failed, {load.requests} did not")
    served, answered = await peer.served() - served, await backends.answered() - answered
    agree(f"{aim.name} says that it", served, load.requests, clients)
    agree(f"the apps behind {aim.name} say that they", answered, load.requests, clients)
    return Sample(aim.name, spent / load.requests / 1000, load)


def agree(who: str, counted: int, asked: int, clients: int) -> None:
    """NotMeasured: `counted` is not what wrk counted, plus what was under way at the end, plus a few questions."""
    if not asked <= counted <= asked + clients + 5:
        raise NotMeasured(f"{who} answered {counted} requests, wrk counted {asked}")


def least(samples: list[Sample], name: str) -> Sample:
    """The cheapest of the samples of that name."""
    return min((s for s in samples if s.name == name), key=lambda s: s.cpu)
