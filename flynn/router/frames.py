"""Where the frames of a WebSocket begin and end in what a server sends: so much must be known to add a frame. Pure."""

GOING_AWAY = b"\x88\x02\x03\xe9"
"""A whole close frame with the code 1001 (RFC 6455 sections 5.5.1 and 7.4.1), unmasked as a server's are (5.1)."""


def is_frame(data: bytes) -> bool:
    """Whether this piece is just one small whole frame of a server, as most are."""
    return len(data) > 1 and data[1] == len(data) - 2 < 126


class Frames:
    """Follows the stream piece by piece, however it is cut."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._left = 0
        """Bytes of a payload that are yet to come."""
        self._head = b""
        """A head that has come in part."""

    @property
    def between(self) -> bool:
        """Whether the last byte ended a frame."""
        return not self._left and not self._head

    def feed(self, data: bytes) -> None:
        """The next piece."""
        at = 0
        while at < len(data):
            if self._left:
                taken = min(self._left, len(data) - at)
                self._left -= taken
                at += taken
            else:
                at = self._begin(data, at)

    def _begin(self, data: bytes, at: int) -> int:
        """Take what there is of a head (RFC 6455 section 5.2); where it ends in `data`."""
        head = self._head + data[at : at + 14 - len(self._head)]
        short = head[1] & 127 if len(head) > 1 else 0
        masked = len(head) > 1 and head[1] & 128
        size = 2 + {126: 2, 127: 8}.get(short, 0) + (4 if masked else 0)
        if len(head) < size:
            self._head = head
            return len(data)
        at += size - len(self._head)
        self._head = b""
        self._left = short if short < 126 else int.from_bytes(head[2:4] if short == 126 else head[2:10])
        return at
