"""Where frames of a WebSocket end, however the stream is cut."""

from hypothesis import given
from hypothesis import strategies as st

from flynn.router.frames import GOING_AWAY, Frames


def frame(size: int, masked: bool = False) -> bytes:
    """RFC 6455 section 5.2: a frame with a payload of so many bytes."""
    mask = 128 if masked else 0
    if size < 126:
        head = bytes([0x82, mask | size])
    elif size < 65536:
        head = bytes([0x82, mask | 126]) + size.to_bytes(2)
    else:
        head = bytes([0x82, mask | 127]) + size.to_bytes(8)
    return head + (b"mask" if masked else b"") + b"\xff" * size


SIZES = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65535, 65536, 70000]))


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=6), st.data())
def test_ends_are_found_however_the_stream_is_cut(shapes: list[tuple[int, bool]], data: st.DataObject) -> None:
    made = [frame(size, masked) for size, masked in shapes]
    stream = b"".join(made)
    ends = {sum(map(len, made[:count])) for count in range(len(made) + 1)}
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)) | ends)
    frames, before = Frames(), 0
    for cut in [*cuts, len(stream)]:
        frames.feed(stream[before:cut])
        before = cut
        assert frames.between == (cut in ends), cut


def test_each_byte_of_a_small_stream() -> None:
    made = [frame(0), frame(3), frame(200), frame(1, masked=True)]
    ends = {sum(map(len, made[:count])) for count in range(1, 5)}
    frames = Frames()
    for count, byte in enumerate(b"".join(made), 1):
        frames.feed(bytes([byte]))
        assert frames.between == (count in ends), count


def test_our_own_frame_is_one() -> None:
    frames = Frames()
    frames.feed(GOING_AWAY)
    assert frames.between
    assert int.from_bytes(GOING_AWAY[2:]) == 1001
