"""nginx: one worker, the names in one server block (the kindest way to tell it many)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.common import machine, web
from bench.common.binaries import binary
from bench.common.ports import free_ports
from bench.common.processes import running
from bench.router.backends import stub_status
from bench.router.peers.peer import Peer
from bench.router.site import Site

DUTIES = """
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Request-Id $id;
    proxy_set_header X-Request-Start $msec;
    proxy_set_header Keep-Alive "";
    proxy_set_header Proxy-Connection "";
    proxy_set_header TE "";
"""

PLAIN = 'proxy_set_header Connection "";'

UPGRADES = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $onwards;"

STREAMED = "proxy_max_temp_file_size 0; proxy_request_buffering off; client_max_body_size 0;"


def config(dir: Path, site: Site, port: int, status: int, *, more: str = PLAIN, reloads: bool = False) -> str:
    """`more`: what else the proxied location is told. `reloads`: with a master process, which reloading needs."""
    servers = "".join(f"server 127.0.0.1:{backend}; " for backend in site.ports)
    return f"""
worker_processes 1; daemon off; master_process {"on" if reloads else "off"}; pid {dir}/pid; error_log {dir}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 18000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server_names_hash_max_size 131072; server_names_hash_bucket_size 128;
  map $http_x_request_id $id {{ default $request_id; "~^[A-Za-z0-9+/=-]{{20,200}}$" $http_x_request_id; }}
  map $http_upgrade $onwards {{ default upgrade; "" ""; }}
  upstream s {{ {servers} keepalive 128; keepalive_requests 1000000000; keepalive_timeout 600s; }}
  server {{ listen 127.0.0.1:{port} default_server backlog=4096; return 404; }}
  server {{ listen 127.0.0.1:{port}; include {dir}/names;
    location / {{ proxy_pass http://s; proxy_read_timeout 600s; {DUTIES} {more} }} }}
  server {{ listen 127.0.0.1:{status}; location / {{ stub_status; }} }}
}}
"""


def server_names(site: Site) -> str:
    """The file of the names."""
    return "server_name " + "\n ".join(site.hosts) + ";\n"


@asynccontextmanager
async def open_nginx(
    work: Path, site: Site, *, name: str = "nginx", more: str = PLAIN, reloads: bool = False
) -> AsyncIterator[Peer]:
    """nginx for the length of a block; its files in `work/NAME`."""
    dir = work / name
    dir.mkdir()
    port, status = free_ports(2)
    (dir / "names").write_text(server_names(site))
    (dir / "nginx.conf").write_text(config(dir, site, port, status, more=more, reloads=reloads))
    command = [binary("nginx"), "-p", str(dir), "-e", str(dir / "error.log"), "-c", str(dir / "nginx.conf")]

    async def served() -> int:
        return stub_status((await web.ask(f"http://127.0.0.1:{status}/")).decode())

    async with running(name, command, dir / "log", machine.cores()[0]) as process:
        await process.listens(port)
        yield Peer(name, port, process, served)
