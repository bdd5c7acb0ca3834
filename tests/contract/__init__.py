"""One contract for each protocol of flynn, that every implementation must pass."""

import pytest

pytest.register_assert_rewrite("tests.contract.backend", "tests.contract.blobstore", "tests.contract.store")
