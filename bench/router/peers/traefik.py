"""Traefik: GOMAXPROCS 1, a router for each name in a file that it watches.

It tries one router after the other: the one that is asked for goes first, so that what is compared is not the length
of its list.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.common import machine, web
from bench.common.binaries import binary
from bench.common.ports import free_ports
from bench.common.processes import running
from bench.router.peers.peer import Peer
from bench.router.peers.prometheus import total
from bench.router.site import ASKED, Site

CANNOT = frozenset({"X-Request-Id", "X-Request-Start", "X-Forwarded-Port"})
"""It makes no such fields, and takes the port from the Host: it does less than the others."""


def routing(site: Site) -> str:
    """The file of the names; JSON is YAML too."""
    routers: dict[str, Any] = {
        f"r{n}": {"rule": f"Host(`{host}`)", "service": "s", "entryPoints": ["web"]}
        for n, host in enumerate(site.hosts)
    }
    for router in routers.values():
        router["priority"] = 2 if router["rule"] == f"Host(`{ASKED}`)" else 1
    servers = [{"url": f"http://127.0.0.1:{backend}"} for backend in site.ports]
    return json.dumps({"http": {"routers": routers, "services": {"s": {"loadBalancer": {"servers": servers}}}}})


def write(dir: Path, site: Site) -> None:
    """The file, not where it is looked for yet."""
    (dir / "routing.part").write_text(routing(site))


def publish(dir: Path) -> None:
    """Put the file that was written in its place, as a whole."""
    (dir / "routing.part").rename(dir / "routing" / "routing.yml")


def command(dir: Path, port: int, metrics: int) -> list[str]:
    """Metrics on, access log off."""
    return [
        *(binary("traefik"), "--log.level=ERROR", "--global.checknewversion=false"),
        *("--global.sendanonymoususage=false", f"--entrypoints.web.address=127.0.0.1:{port}"),
        *(f"--entrypoints.metrics.address=127.0.0.1:{metrics}", "--metrics.prometheus.entrypoint=metrics"),
        *("--metrics.prometheus=true", f"--providers.file.directory={dir / 'routing'}", "--providers.file.watch=true"),
        *("--serverstransport.maxidleconnsperhost=128", "--entrypoints.web.transport.respondingtimeouts.readtimeout=0"),
    ]


@asynccontextmanager
async def open_traefik(work: Path, site: Site) -> AsyncIterator[tuple[Peer, Path]]:
    """Traefik for the length of a block, and the directory to `write` to and `publish`; its files in `work/traefik`."""
    dir = work / "traefik"
    (dir / "routing").mkdir(parents=True)
    write(dir, site)
    publish(dir)
    port, metrics = free_ports(2)
    environ = {**os.environ, "GOMAXPROCS": "1"}

    async def served() -> int:
        text = (await web.ask(f"http://127.0.0.1:{metrics}/metrics")).decode()
        return total(text, "traefik_service_requests_total")

    async with running("traefik", command(dir, port, metrics), dir / "log", machine.cores()[0], environ) as process:
        await process.listens(port)
        yield Peer("traefik", port, process, served, CANNOT), dir
