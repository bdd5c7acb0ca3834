"""HAProxy: one thread, the names in a map file."""

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.common import machine
from bench.common.binaries import binary
from bench.common.ports import free_ports
from bench.common.processes import running
from bench.router.peers.peer import Peer
from bench.router.site import Site

CONNECTIONS = 6000
"""HAProxy wants files for two sockets each, and for two pipes each where it splices."""


def config(dir: Path, site: Site, port: int, connections: int = CONNECTIONS, more: str = "") -> str:
    """`more`: what else its backend is told."""
    servers = "".join(f"  server s{n} 127.0.0.1:{backend}\n" for n, backend in enumerate(site.ports))
    return f"""
global
  nbthread 1
  maxconn {connections}
  stats socket {dir}/admin mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
  http-reuse always
frontend f
  bind 127.0.0.1:{port} backlog 4096
  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid
  http-request set-var(txn.pool) req.hdr(host),field(1,:),lower,map({dir}/names)
  http-request return status 404 unless {{ var(txn.pool) -m found }}
  acl has_id req.hdr(x-request-id) -m reg ^[A-Za-z0-9+/=-]{{20,200}}$
  http-request set-header X-Request-Id %[unique-id] unless has_id
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Request-Start %[date(0,ms)]
  http-request del-header Keep-Alive
  http-request del-header Proxy-Connection
  http-request del-header TE
  use_backend %[var(txn.pool)]
backend s
  balance leastconn
{more}{servers}"""


def name_map(site: Site) -> str:
    """The file of the names."""
    return "".join(f"{host} s\n" for host in site.hosts)


def requests(statistics: str) -> int:
    """The requests of frontend `f`, of the answer to `show stat`."""
    rows = csv.DictReader(statistics.removeprefix("# ").splitlines())
    return next(int(row["req_tot"]) for row in rows if (row["pxname"], row["svname"]) == ("f", "FRONTEND"))


@asynccontextmanager
async def open_haproxy(
    work: Path,
    site: Site,
    *,
    name: str = "haproxy",
    more: str = "",
    reloads: bool = False,
    connections: int = CONNECTIONS,
) -> AsyncIterator[Peer]:
    """HAProxy for the length of a block; its files in `work/NAME`. `reloads`: with a master process."""
    dir = work / name
    dir.mkdir()
    [port] = free_ports(1)
    (dir / "names").write_text(name_map(site))
    (dir / "haproxy.cfg").write_text(config(dir, site, port, connections, more))
    command = [binary("haproxy"), "-W" if reloads else "-db", "-f", str(dir / "haproxy.cfg")]

    async def served() -> int:
        reader, writer = await asyncio.open_unix_connection(str(dir / "admin"))
        writer.write(b"show stat\n")
        told = await asyncio.wait_for(reader.read(-1), 10)
        writer.close()
        return requests(told.decode())

    async with running(name, command, dir / "log", machine.cores()[0]) as process:
        await process.listens(port)
        yield Peer(name, port, process, served)
