"""aetcd, with the gRPC under it kept quiet: import it from here, so that gRPC finds these settings when it starts.

They are taken away again at once, so that no process started later inherits them.
"""

import os

QUIET = {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"}

_added = {name: value for name, value in QUIET.items() if name not in os.environ}
os.environ.update(_added)

from aetcd import Client, rpc  # noqa: E402

for _name in _added:
    del os.environ[_name]

__all__ = ["Client", "rpc"]
