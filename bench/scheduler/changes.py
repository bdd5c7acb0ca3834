"""P4: requests that fail while an app that is asked all the time is deployed, rolled back and scaled."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from bench.common.daemon import Daemon, running
from bench.common.errors import NotMeasured
from bench.common.etcd import etcd
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.processes import expecting
from bench.common.run import Run
from bench.host.slugs import slug
from bench.scheduler.clients import Clients
from flynn.client import Client, open_client
from flynn.core import model
from flynn.core.change import Change, carry_out
from flynn.core.etcd import open_etcd
from flynn.core.facts import Facts
from flynn.core.mirror import open_mirror
from flynn.core.records import Lines
from flynn.plugins.controller.releases import Draft, begin_deploy, process_types
from tests.etcd import running_etcd

APP = "hello"
CHANGES = 100
CLIENTS = 8
SETTLE = 0.5
"""Seconds that new processes must be up: short, as it is not what is measured."""

LIMIT = 120.0
"""Seconds that a change may take."""

SERVER = b"""\
import asyncio, os

ANSWER = "{} of {}".format(os.environ.get("GREETING", "hello"), os.environ["FLYNN_RELEASE"]).encode()
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(ANSWER)

async def serve(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\\r\\n\\r\\n")
            writer.write(HEAD + ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", int(os.environ["PORT"]), backlog=128)
    await server.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Served:
    """A grid with an app that serves."""

    client: Client
    port: int


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    async with _served(work) as served, Clients(served.port, f"{APP}.flynn.localhost", CLIENTS).running() as clients:
        begun = time.perf_counter()
        for number, kind in enumerate(islice(cycle(["config", "scale up", "rollback", "scale down"]), CHANGES)):
            await _change(served.client, kind, number)
        taken = time.perf_counter() - begun
    asked = sum(clients.answers.values())
    run.say(f"   {CHANGES} changes in {taken:.0f} s: {len(clients.failures)} of {asked} requests failed")
    for failure in clients.failures[:5]:
        run.say(f"   {failure}")
    releases = {answer.rpartition(" ")[2] for answer in clients.answers}
    if len(releases) < CHANGES // 2:
        raise NotMeasured(f"only {len(releases)} releases answered, of {CHANGES // 2 + 1}")
    what = f"requests failed over {CHANGES} deploys, rollbacks and scale changes, of {asked}"
    return [Figure("P4", len(clients.failures), "<=", 0, what)]


async def _change(client: Client, kind: str, number: int) -> None:
    match kind:
        case "config":
            await _followed(client.change_env(APP, {"GREETING": f"hello {number}"}))
        case "rollback":
            await _followed(client.rollback(APP))
        case "scale up":
            await _followed(client.scale(APP, {"web": 3}))
        case _:
            await _followed(client.scale(APP, {"web": 2}))


async def _followed(lines: Lines) -> None:
    """Wait until it is done. NotMeasured: it failed."""
    last: list[dict[str, object]] = []
    with expecting("a change is done", LIMIT):
        async with asyncio.timeout(LIMIT), aclosing(lines):
            last = [line async for line in lines][-1:]
    if not (last and last[0].get("ok")):
        raise NotMeasured(f"a change failed: {last[0].get('message') if last else 'its stream was cut off'}")


@asynccontextmanager
async def _served(work: Path) -> AsyncIterator[Served]:
    api, http = free_ports(2)
    told = ["--backend", "sandbox", "--http-port", str(http), "--set", f"controller.settle={SETTLE}"]
    async with running_etcd(etcd(), work / "etcd") as cluster, open_etcd(cluster.urls) as store:
        daemon = Daemon(work / "flynn", ",".join(cluster.urls), api, told)
        async with running(daemon), open_client(daemon.url, daemon.token) as client, open_mirror(store) as mirror:
            await client.create(APP)
            blob = await client.put_blob(slug(work, {"server.py": SERVER}))
            artifact = model.Artifact(sha256=blob.sha256, size=blob.size)
            types = process_types({"web": "exec python3 server.py"})

            def deployed(facts: Facts) -> Change:
                return begin_deploy(facts, APP, Draft(artifact, types, {}, ""), time.time())[0]

            with expecting("the app is there", LIMIT):
                await mirror.until(lambda facts: APP in facts.apps, LIMIT)
            await carry_out(store, mirror, deployed)
            with expecting("the app serves", LIMIT):
                async with asyncio.timeout(LIMIT):
                    while not (await client.app(APP)).release:  # The daemon may learn it after us.
                        await asyncio.sleep(0.05)
            await _followed(client.scale(APP, {"web": 2}))
            yield Served(client, http)
