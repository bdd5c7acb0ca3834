"""`git push`: read `api.py` (who asks), `hook.py` (the talk with git's hook), `push.py` (what a push comes to),
`archive.py` (the source that it brings), then `repositories.py` (what is kept between two pushes, and where)."""
