"""The one message that is sent: 32 letters, in a text frame of RFC 6455 section 5.2. Pure.

A client's frame is masked by a key; the key is zero here, so that the letters are the same both ways.
"""

LETTERS = b"abcdefghijklmnopqrstuvwxyz012345"
FRAME = b"\x81\xa0\x00\x00\x00\x00" + LETTERS
ECHO = b"\x81\x20" + LETTERS


def echo(count: int) -> bytes:
    return ECHO * count


def whole(data: bytes, frame: bytes) -> tuple[int, bytes]:
    """How many times `frame` stands at the beginning of `data`, and what follows. ValueError: something else does."""
    count = len(data) // len(frame)
    size = count * len(frame)
    rest = data[size:]
    if data[:size] != frame * count or not frame.startswith(rest):
        raise ValueError(f"no frame that was sent: {data[:80]!r}")
    return count, rest
