"""Each test of the core that asks for `store` runs over every engine."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from flynn.core.etcd import open_etcd
from flynn.core.etcd_rpc import rpc
from flynn.core.memory import MemoryStore
from flynn.core.sqlite import open_sqlite
from flynn.core.store import Store
from tests.etcd import running_etcd

Opener = Callable[[], AbstractAsyncContextManager[Store]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_etcd(any_etcd: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[str]]:
    """The endpoints of one etcd for all tests of a module."""
    async with running_etcd(any_etcd, tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster.urls


@pytest.fixture(params=["memory", "sqlite", "etcd"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opener(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """What opens an empty store of each engine."""
    if engine == "memory":
        return _memory
    if engine == "sqlite":
        return lambda: open_sqlite(tmp_path / "store.db")
    urls: list[str] = request.getfixturevalue("shared_etcd")
    return lambda: _emptied(urls)


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as store:
        yield store


@pytest.fixture
def ttl(engine: str) -> float:
    """Seconds of the shortest lease that the engine keeps, and that a slow machine can renew in time."""
    return 2.0 if engine == "etcd" else 1.5


@asynccontextmanager
async def _memory() -> AsyncIterator[Store]:
    yield MemoryStore()


@asynccontextmanager
async def _emptied(urls: list[str]) -> AsyncIterator[Store]:
    async with open_etcd(urls) as store:
        request = rpc.DeleteRangeRequest(key=b"\0", range_end=b"\0")
        await store.link.call(lambda e, t: e.kv.DeleteRange(request, timeout=t))
        yield store
