"""Caddy: GOMAXPROCS 1; the names in one matcher (which it searches by halves), or a route each."""

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
from bench.router.site import Site


def config(site: Site, port: int, admin: int, each: bool = False) -> dict[str, Any]:
    """`each`: a route for each name, in place of one for all."""
    hosts = [[host] for host in site.hosts] if each else [list(site.hosts)]
    routes: list[Any] = [route(names, site, port) for names in hosts]
    routes.append({"handle": [{"handler": "static_response", "status_code": 404}]})
    server = {"listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}, "routes": routes}
    return {
        "admin": {"listen": f"127.0.0.1:{admin}", "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "apps": {"http": {"metrics": {}, "servers": {"s": server}}},
    }


def route(hosts: list[str], site: Site, port: int) -> dict[str, Any]:
    """A route of these names to the apps."""
    told = {
        "X-Request-Id": ["{http.request.uuid}"],
        "X-Request-Start": ["{time.now.unix_ms}"],
        "X-Forwarded-Port": [str(port)],
    }
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{backend}"} for backend in site.ports],
        "load_balancing": {"selection_policy": {"policy": "least_conn"}},
        "transport": {"protocol": "http", "keep_alive": {"max_idle_conns_per_host": 128}},
        "headers": {"request": {"set": told}},
    }
    return {"match": [{"host": hosts}], "handle": [proxy], "terminal": True}


@asynccontextmanager
async def open_caddy(
    work: Path, site: Site, *, name: str = "caddy", each: bool = False
) -> AsyncIterator[tuple[Peer, int]]:
    """Caddy for the length of a block, and the port of its admin API; its files in `work/NAME`."""
    dir = work / name
    dir.mkdir()
    port, admin = free_ports(2)
    (dir / "caddy.json").write_text(json.dumps(config(site, port, admin, each)))
    command = [binary("caddy"), "run", "--config", str(dir / "caddy.json")]
    environ = {
        **os.environ,
        "GOMAXPROCS": "1",
        "HOME": str(dir),
        "XDG_DATA_HOME": str(dir),
        "XDG_CONFIG_HOME": str(dir),
    }

    async def served() -> int:
        text = (await web.ask(f"http://127.0.0.1:{admin}/metrics")).decode()
        return total(text, "caddy_http_requests_total", {"handler": "reverse_proxy"})

    async with running(name, command, dir / "log", machine.cores()[0], environ) as process:
        await process.listens(port)
        yield Peer(name, port, process, served), admin
