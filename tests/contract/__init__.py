"""One contract for each protocol of flynn, that every implementation must pass."""

import pytest

for name in ("backend", "blobstore", "store_commits", "store_leases", "store_model", "store_watches"):
    pytest.register_assert_rewrite(f"tests.contract.{name}")
