"""Discovery: services and their instances, over HTTP. Read `brick.py`, then `api.py`, `events.py`, `registry.py`."""
