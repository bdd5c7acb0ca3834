"""What is asked in the query of a URL."""

from aiohttp import web

from flynn.core.errors import Invalid


def number(request: web.Request, name: str, default: int, most: int) -> int:
    """A whole number from the query string, from 0 to `most`; Invalid if it is none."""
    raw = request.query.get(name, str(default))
    if not (raw.isascii() and raw.isdigit()) or len(raw) > 15 or int(raw) > most:
        raise Invalid(f"{name}={raw[:40]} is no good; a whole number from 0 to {most}")
    return int(raw)
