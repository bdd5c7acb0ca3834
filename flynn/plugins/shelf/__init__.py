"""The shelf: blobs by content, over HTTP. Read `brick.py`, then `api.py`, `blobs.py`, `disk.py`."""
