"""The one process of a node: it opens the store, then hosts the bricks until it is told to stop."""

import asyncio
import fcntl
import json
import logging
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from flynn import __version__
from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.config import Node, Settings
from flynn.core.errors import Conflict, StartError
from flynn.core.facts import encode
from flynn.core.lag import LoopLag
from flynn.core.lease import open_lease
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.model import Grid
from flynn.core.naming import own_name
from flynn.core.ports import port_problem
from flynn.core.store import Put, Store, Unchanged
from flynn.core.supervisor import Supervised, run_bricks
from flynn.core.web import Route, Web, answer, server_log

if TYPE_CHECKING:
    import pluggy

    from flynn.core.brick import Brick

log = logging.getLogger(__name__)


async def run_daemon(
    settings: Settings, hooks: "pluggy.PluginManager", classes: "list[type[Brick]]", on_up: Callable[[str], None]
) -> None:
    """Be one node of the grid until SIGTERM or SIGINT. `on_up` is called with a sentence when all bricks are ready.

    StartError: why it cannot start, or cannot go on.
    """
    node = settings.node
    stop, up = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(own_directory(node.data))
        store = await stack.enter_async_context(open_store(node))
        mirror = await stack.enter_async_context(open_mirror(store))
        lease = await stack.enter_async_context(open_lease(store))
        grid = await ensure_grid(node, store, mirror)
        if node.etcd:
            await own_name(node, store, mirror, lease)
        write_client_file(node, grid)
        server = Web(grid.token)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {grid.token}"}, auto_decompress=False)
        )
        await stack.enter_async_context(serve(server, node.address, node.port))
        lag = await stack.enter_async_context(LoopLag.measuring())

        def supervised(kind: "type[Brick]") -> Supervised:
            data = node.data / kind.name
            data.mkdir(parents=True, exist_ok=True)
            ctx = Context(
                kind.name, node, store, mirror, lease, server, http, hooks, time.time, data, grid.token, grid.domain,
                asyncio.Event(),
            )  # fmt: skip
            return Supervised(kind(settings.bricks[kind.name]), ctx)

        bricks = [supervised(kind) for kind in classes]
        stack.enter_context(server.serving(*_node_routes(node, mirror, bricks, lag)))
        telling = asyncio.create_task(_tell(up, on_up, node, store), name="tell when up")
        stack.callback(telling.cancel)
        await run_bricks(bricks, up, stop)


async def _tell(up: asyncio.Event, on_up: Callable[[str], None], node: Node, store: Store) -> None:
    await up.wait()
    on_up(f"flynn {__version__} is up on {node.name}: node API at {node.url}, store {store.name}")


def _node_routes(node: Node, mirror: Mirror, bricks: list[Supervised], lag: LoopLag) -> list[Route]:
    async def health(request: web.Request) -> web.Response:
        """200 when every brick is ready, 503 before."""
        waiting = [s.brick.name for s in bricks if not s.ready.is_set()]
        return answer({"status": "starting" if waiting else "ok", "waiting": waiting}, 503 if waiting else 200)

    async def node_status(request: web.Request) -> web.Response:
        """How this node fares, brick by brick."""
        shown = {
            s.brick.name: {"ready": s.ready.is_set(), "sentence": s.ctx.sentence, "restarts": s.restarts}
            for s in bricks
        }
        return answer(
            {
                "name": node.name,
                "version": __version__,
                "store": mirror.store.name,
                "stale_since": mirror.stale_since,
                "revision": mirror.facts.revision,
                "loop_lag_ms": lag.snapshot(),
                "bricks": shown,
            }
        )

    return [Route("GET", "/health", health, open=True), Route("GET", "/v1/node", node_status)]


@contextmanager
def own_directory(data: Path, remedy: str = "stop that one, or name another with --data DIR") -> Iterator[None]:
    """Make the data directory and hold it for this process alone. StartError: another one has it, and `remedy`."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"the data directory {data} cannot be used: {error.strerror}; name another with --data DIR"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(file, 20).decode("ascii", "replace").strip()
        os.close(file)
        raise StartError(f"another flynn daemon (pid {pid}) already uses {data}; {remedy}") from None
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())
    try:
        yield
    finally:
        os.close(file)


@asynccontextmanager
async def open_store(node: Node) -> AsyncIterator[Store]:
    """The store that the settings ask for. StartError or Unavailable: it does not answer."""
    moved = node.data / "moved-to-etcd"
    if node.etcd:
        from flynn.core.etcd import open_etcd

        async with open_etcd(node.etcd) as store:
            yield store
        return
    if moved.exists():
        raise StartError(
            f"this grid was moved to etcd: start with --etcd {moved.read_text().strip()} "
            f"(or remove {moved} to go back to what it was before the move)"
        )
    from flynn.core.sqlite import open_sqlite

    async with open_sqlite(node.data / "store.db") as store:
        yield store


async def ensure_grid(node: Node, store: Store, mirror: Mirror) -> Grid:
    """What all nodes share, made by the first one. StartError: this node was told otherwise."""
    if mirror.facts.grid is None:
        made = Grid(token=node.token or secrets.token_urlsafe(32), domain=node.domain)
        try:
            await mirror.reach(await store.commit([Put(keys.GRID, encode(made))], [Unchanged(keys.GRID, 0)]))
        except Conflict:
            await mirror.until(lambda facts: facts.grid is not None, 10)
    grid = mirror.facts.grid
    assert grid is not None
    if node.token and node.token != grid.token:
        raise StartError("the token given is not the one of this grid; leave it out, or give the right one")
    return grid


def write_client_file(node: Node, grid: Grid) -> None:
    """Leave the URL and the token where this user's `flynn` command finds them: `client.json`, mode 0600."""
    path = node.data / "client.json"
    partial = path.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"url": node.url, "token": grid.token}, file)
    os.replace(partial, path)


@asynccontextmanager
async def serve(server: Web, address: str, port: int) -> AsyncIterator[None]:
    """The node API on its address. StartError: the port is taken."""
    runner = web.AppRunner(
        server.application(), access_log=None, logger=server_log, shutdown_timeout=2, handler_cancellation=True
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
    except OSError as error:
        await runner.cleanup()
        raise StartError(port_problem("node API", address, port, error, "--port")) from None
    try:
        yield
    finally:
        await runner.cleanup()


def settings_types(classes: "list[type[Brick]]") -> dict[str, Any]:
    """Each brick's Config type by the brick's name."""
    return {kind.name: kind.Config for kind in classes}
