"""The one process of a node: it opens the store, then hosts the bricks until it is told to stop."""

import asyncio
import importlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from flynn import __version__
from flynn.core import keys
from flynn.core.blobs import NearShelf
from flynn.core.brick import Context
from flynn.core.config import Node, Settings
from flynn.core.directory import own_directory, write_client_file
from flynn.core.errors import Conflict, StartError
from flynn.core.facts import encode
from flynn.core.files import raise_limit
from flynn.core.lag import LoopLag
from flynn.core.lease import open_lease
from flynn.core.metrics import Metrics
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.model import Grid
from flynn.core.naming import own_name
from flynn.core.outgoing import open_http
from flynn.core.own_metrics import own
from flynn.core.records import Health, NodeInfo
from flynn.core.serve import serve
from flynn.core.store import Put, Store, Unchanged
from flynn.core.succession import Succession, open_succession
from flynn.core.supervisor import Supervised, run_bricks
from flynn.core.threads import workers
from flynn.core.web import Route, Web, answer

if TYPE_CHECKING:
    import pluggy

    from flynn.core.brick import Brick

log = logging.getLogger(__name__)


async def run_daemon(
    settings: Settings,
    hooks: "pluggy.PluginManager",
    classes: "list[type[Brick]]",
    on_up: Callable[[str], None],
    takeover: bool = False,
) -> None:
    """Be one node of the grid until SIGTERM or SIGINT, or until another process has taken over.

    `on_up` is called with a sentence when all bricks are ready. With `takeover` the daemon that runs on the same data
    directory hands over to this one. StartError: why it cannot start, or cannot go on.
    """
    raise_limit()
    asyncio.get_running_loop().set_default_executor(workers())
    _load(settings.node)
    async with open_succession(settings.node, takeover) as succession:
        await succession.run(lambda: _live(settings, hooks, classes, succession, on_up))


async def _live(
    settings: Settings,
    hooks: "pluggy.PluginManager",
    classes: "list[type[Brick]]",
    succession: Succession,
    on_up: Callable[[str], None],
) -> None:
    """Hold the data directory and the store, and host the bricks, until they shall stop."""
    node, estate = settings.node, succession.estate
    up = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(own_directory(node.data))
        store = await stack.enter_async_context(open_store(node))
        mirror = await stack.enter_async_context(open_mirror(store))
        lease = await stack.enter_async_context(open_lease(store, before=estate.lease))
        stack.callback(lambda: estate.inherit_lease(lease.id))
        grid = await ensure_grid(node, store, mirror)
        if node.etcd:
            await own_name(node, store, mirror, lease)
        write_client_file(node, grid)
        server = Web(grid.token, stale_since=lambda: mirror.stale_since, is_starting=lambda: not up.is_set())
        metrics = Metrics()
        http = await stack.enter_async_context(open_http(grid.token))
        await stack.enter_async_context(serve(server, node.address, node.port, estate))
        lag = await stack.enter_async_context(LoopLag.measuring())

        near: dict[str, NearShelf] = {}

        def supervised(kind: "type[Brick]") -> Supervised:
            data = node.data / kind.name
            data.mkdir(parents=True, exist_ok=True)
            ctx = Context(
                kind.name, node, store, mirror, lease, server, http, hooks, time.time, data, grid.token, grid.domain,
                asyncio.Event(), estate, up, metrics, near,
            )  # fmt: skip
            return Supervised(kind(settings.bricks[kind.name]), ctx)

        bricks = [supervised(kind) for kind in classes]
        stack.enter_context(metrics.offering("daemon", own(lag)))
        stack.enter_context(
            server.serving(*_node_routes(node, mirror, bricks, lag), metrics.route(), server.described())
        )
        telling = asyncio.create_task(_tell(up, succession, on_up, node, store), name="tell when up")
        stack.callback(telling.cancel)
        succession.judge = lambda: "the store does not answer now; wait until it does" if mirror.stale_since else ""
        await run_bricks(bricks, up, succession.leave)


def _load(node: Node) -> None:
    """Load now what would be loaded while nobody holds the store: a hand-over shall be quick."""
    importlib.import_module("flynn.core.etcd" if node.etcd else "flynn.core.sqlite")


async def _tell(
    up: asyncio.Event, succession: Succession, on_up: Callable[[str], None], node: Node, store: Store
) -> None:
    await up.wait()
    await succession.up()
    on_up(f"flynn {__version__} is up on {node.name}: node API at {node.url}, store {store.name}")


def _node_routes(node: Node, mirror: Mirror, bricks: list[Supervised], lag: LoopLag) -> list[Route]:
    async def health(request: web.Request) -> web.Response:
        """200 when every brick is ready, 503 before."""
        waiting = [s.brick.name for s in bricks if not s.ready.is_set()]
        return answer(Health("starting" if waiting else "ok", waiting), 503 if waiting else 200)

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

    return [
        Route("GET", "/health", health, "whether this node is up", Health, also=(503,), open=True),
        Route("GET", "/v1/node", node_status, "this daemon, brick by brick", NodeInfo),
    ]


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


def settings_types(classes: "list[type[Brick]]") -> dict[str, Any]:
    """Each brick's Config type by the brick's name."""
    return {kind.name: kind.Config for kind in classes}
