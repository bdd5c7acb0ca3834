"""The contract of a Store: for each engine a class that inherits `StoreContract`, and a fixture `store`.

The fixture gives an engine without keys; its revision may be any. Only the protocol is used, and no revision is
expected but those that the engine returned itself.

    class TestEtcd(StoreContract):
        @pytest.fixture
        async def store(self, etcd: str) -> AsyncIterator[Store]:
            async with open_etcd(...) as store:
                yield store
"""

from tests.contract.store_commits import Commits
from tests.contract.store_leases import Leases
from tests.contract.store_model import AsModel
from tests.contract.store_watches import Watches


class StoreContract(Commits, Leases, Watches, AsModel):
    """What any Store does. `ttl` and `late` (see Leases) may be set to what the engine keeps."""
