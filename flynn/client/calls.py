"""What all calls stand on: the wire to a node, and paths that mean what they say."""

from urllib.parse import quote

from flynn.client.wire import Wire


class Calls:
    """Some of the calls of `Client`."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire


def of_app(name: str, rest: str = "") -> str:
    """The path of an app, or of what belongs to it."""
    return f"/v1/apps/{segment(name)}" + (f"/{rest}" if rest else "")


def segment(name: str) -> str:
    """A name made safe as one segment of a path. Dots are kept from meaning a parent."""
    return quote(name, safe="").replace(".", "%2E") or "%20"
