"""R1, R2, R10: what a small request costs, over TCP and a UNIX socket; how often connections are used again."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bench.common.daemon import Records
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.run import Run
from bench.router import site
from bench.router.backends import Backends, open_backends
from bench.router.peers import flynn
from bench.router.peers.caddy import open_caddy
from bench.router.peers.haproxy import open_haproxy
from bench.router.peers.nginx import open_nginx
from bench.router.peers.peer import Peer
from bench.router.peers.traefik import open_traefik
from bench.router.sampling import Aim, Sample, least, sample

BOUNDS = {"haproxy": ("R1a", 1.15), "nginx": ("R1b", 1.15), "traefik": ("R1c", 0.35), "caddy": ("R1d", 0.25)}

UNIX = "flynn, UNIX socket"
UNIX_HOST = "unix.test"

UNIX_LIMIT = 5.0
"""Seconds within which the router must reach an app over its UNIX socket."""

SECONDS = 3.0
"""Of one sample."""


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    hosts = site.names(site.ROUTES)
    async with AsyncExitStack() as stack:
        backends = await stack.enter_async_context(open_backends(work))
        told = site.Site(hosts, backends.ports)
        daemon, own = await stack.enter_async_context(flynn.open_daemon(work, _facts(told, backends)))
        aims = [Aim(own, "flynn")]
        aims += [Aim(peer, peer.name) for peer in await _peers(stack, run, work, told)]
        for aim in aims:
            await aim.peer.check_duties(aim.host)
        if run.wants("R2") and await _reaches_sockets(run, own):
            aims.insert(1, Aim(own, UNIX, UNIX_HOST))
        samples = [await sample(aim, backends, SECONDS) for aim in run.turns(aims)]
        _show(run, aims, samples)
        before = await daemon.statistics()
        await sample(aims[0], backends, 2 * run.rounds)
        after = await daemon.statistics()
        if run.wants("R1"):
            await _varied(run, work, aims, backends)
    return _figures(run, samples, aims, reuse(before, after))


async def _reaches_sockets(run: Run, own: Peer) -> bool:
    """Whether flynn serves the apps that answer on UNIX sockets alone; if not, that is said."""
    try:
        await own.check_duties(UNIX_HOST, UNIX_LIMIT)
    except NotMeasured as error:
        run.failed("R2", f"an app with a UNIX socket is not reached: {error}")
        return False
    return True


def _facts(told: site.Site, backends: Backends) -> list[Records]:
    """The site; and one more route, to apps that have UNIX sockets and a TCP port where nobody listens."""
    dead = free_ports(len(backends.sockets))
    places = {
        f"u{n}": {"address": f"127.0.0.1:{port}", "socket": str(path)}
        for n, (path, port) in enumerate(zip(backends.sockets, dead, strict=True))
    }
    return [flynn.records(told), flynn.records(site.Site([UNIX_HOST], ()), "u"), flynn.instances("u", places)]


async def _peers(stack: AsyncExitStack, run: Run, work: Path, told: site.Site) -> list[Peer]:
    """nginx for R1 and R2, the others for R1 alone."""
    peers = []
    if run.wants("R1", "R2"):
        peers.append(await stack.enter_async_context(open_nginx(work, told)))
    if run.wants("R1"):
        peers.append(await stack.enter_async_context(open_haproxy(work, told)))
        peers.append((await stack.enter_async_context(open_traefik(work, told)))[0])
        peers.append((await stack.enter_async_context(open_caddy(work, told)))[0])
    return peers


def reuse(before: dict[str, object], after: dict[str, object]) -> float:
    """Percent of the requests between the two that went over a connection used before."""
    (reused, opened), (reused_then, opened_then) = flynn.connections(after), flynn.connections(before)
    asked = reused + opened - reused_then - opened_then
    if not asked:
        raise NotMeasured("flynn counts no request")
    return 100 * (reused - reused_then) / asked


async def _varied(run: Run, work: Path, aims: Sequence[Aim], backends: Backends) -> None:
    """The same with heads that are all different, for information."""
    script = work / "varied.lua"
    script.write_text(VARIED % {"hosts": site.ROUTES})
    varied = [aim.scripted(script) for aim in aims if aim.name != UNIX]
    run.say("R1 for information: host (of 10 000), path and cookie of each request are others; one round")
    _show(run, varied, [await sample(aim, backends, SECONDS) for aim in varied])


VARIED = """
local made, at = {}, 0
function init(args)
  for n = 1, 20000 do
    local headers = {["Host"] = "app" .. (n * 7919 %% %(hosts)d) .. ".test"}
    headers["Cookie"] = string.format("session=%%08x%%08x", n * 2654435761 %% 4294967296, n * 40503 %% 65536)
    made[n] = wrk.format("GET", "/page/" .. n .. "?q=" .. n * 31 %% 1009, headers)
  end
end
function request()
  at = at %% #made + 1
  return made[at]
end
"""
"""The requests are made before the first is sent: making them costs the load's core nothing then."""


def _show(run: Run, aims: Sequence[Aim], samples: list[Sample]) -> None:
    own = least(samples, "flynn")
    rows = []
    for name in dict.fromkeys(aim.name for aim in aims):
        best = least(samples, name)
        rows.append(
            [f"{own.cpu / best.cpu:.2f}", name, f"{best.cpu:.1f}", f"{best.load.requests / best.load.seconds:.0f}"]
        )
    run.show(["flynn : it", "", "µs CPU a request", "requests a second"], rows)


def _figures(run: Run, samples: list[Sample], aims: Sequence[Aim], reused: float) -> list[Figure]:
    figures = []
    own, names = least(samples, "flynn").cpu, {aim.name for aim in aims}
    if run.wants("R1"):
        for peer, (id, bound) in BOUNDS.items():
            cpu = least(samples, peer).cpu
            figures.append(Figure(id, own / cpu, "<=", bound, f"CPU a small request, flynn : {peer}"))
    if UNIX in names:
        cpu = least(samples, UNIX).cpu / least(samples, "nginx").cpu
        figures.append(Figure("R2", cpu, "<=", 0.95, "CPU a small request, flynn over a UNIX socket : nginx over TCP"))
    if run.wants("R10"):
        figures.append(Figure("R10", reused, ">=", 99.9, "of the requests over a connection used before", "%"))
    return figures
