"""`git push`: read `api.py` (who asks), `receive.py` (git and its hook), `push.py` (what a push comes to), then
`repositories.py` (what is kept between two pushes, and where)."""
