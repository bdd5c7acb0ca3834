"""The apps behind the proxies: one nginx that listens on many ports and UNIX sockets, and counts what it answers."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common import web
from bench.common.binaries import binary
from bench.common.ports import free_ports
from bench.common.processes import running
from bench.router.site import TOLD

INSTANCES = 10


def config(dir: Path, ports: Sequence[int], sockets: Sequence[Path], status: int) -> str:
    """Small answers on all of them, `/fields` tells what came; counters on port `status`."""
    listen = "".join(f"listen 127.0.0.1:{port} backlog=4096; " for port in ports)
    listen += "".join(f"listen unix:{path} backlog=4096; " for path in sockets)
    told = "".join(f"$http_{name.lower().replace('-', '_')}\\n" for name in TOLD)
    return f"""
worker_processes 1; daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 9000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{ {listen}
    location / {{ return 200 "hello world\\n"; }}
    location = /fields {{ return 200 "{told}"; }}
  }}
  server {{ listen 127.0.0.1:{status}; location / {{ stub_status; }} }}
}}
"""


@dataclass(frozen=True)
class Backends:
    """Where the apps listen."""

    ports: Sequence[int]
    sockets: Sequence[Path]
    status: int

    async def answered(self) -> int:
        """Requests answered by all of them until now."""
        return stub_status((await web.ask(f"http://127.0.0.1:{self.status}/")).decode())


def stub_status(text: str) -> int:
    """The requests of nginx's own page of counters."""
    counted = re.search(r"\n (\d+) (\d+) (\d+) ?\n", text)
    assert counted, text
    return int(counted[3])


@asynccontextmanager
async def open_backends(work: Path, instances: int = INSTANCES) -> AsyncIterator[Backends]:
    """Apps for the length of a block; their files under `work`."""
    dir = work / "backends"
    dir.mkdir()
    *ports, status = free_ports(instances + 1)
    sockets = [dir / f"{n}.sock" for n in range(instances)]
    (dir / "nginx.conf").write_text(config(dir, ports, sockets, status))
    command = [binary("nginx"), "-p", str(dir), "-e", str(dir / "error.log"), "-c", str(dir / "nginx.conf")]
    async with running("the backends' nginx", command, dir / "log") as process:
        await process.listens(status)
        yield Backends(ports, sockets, status)
