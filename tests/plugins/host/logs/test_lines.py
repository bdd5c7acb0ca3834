"""Bytes into lines."""

from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.host.logs.lines import LIMIT, cut, whole_characters


def lines(data: bytes, ended: bool = False) -> list[bytes]:
    found = cut(data, ended)
    assert found.lines == found.data.count(b"\n")
    return found.data.split(b"\n")[:-1]


def test_lines() -> None:
    assert cut(b"a\n\nb\r\nc") == (b"a\n\nb\n", 3, 6)
    assert cut(b"a\nb", ended=True) == (b"a\nb\n", 2, 3)
    assert cut(b"", ended=True) == cut(b"") == cut(b"abc")._replace(data=b"") == (b"", 0, 0)
    assert lines(b"\xff\0\x1b[0m\n") == [b"\xff\0\x1b[0m"]
    exact, over = b"x" * LIMIT, b"x" * (LIMIT + 1)
    assert lines(exact) == lines(exact + b"\r") == []
    assert lines(exact + b"\r\n") == lines(exact + b"\n") == [exact]
    assert cut(over + b"\n") == (exact + b"\nx\n", 2, LIMIT + 2)
    assert cut(over + b"y") == (exact + b"\n", 1, LIMIT)
    torn = b"x" * (LIMIT - 1) + "é".encode() + b"\n"
    assert lines(torn) == [b"x" * (LIMIT - 1), "é".encode()]
    assert lines(b"\x80" * 3 * LIMIT, ended=True) == [b"\x80" * LIMIT] * 3


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"b", b"\n")), max_size=20), st.integers(1, 50))
def test_lines_are_the_same_however_the_bytes_come(parts: list[bytes], step: int) -> None:
    same_in_steps(b"".join(parts), step)


@given(
    st.lists(st.sampled_from([b"x" * LIMIT, "ä".encode() * 3000, b"\r", b"\n", b"y", b"\r\n", b"z" * 9998])),
    st.integers(1, 9),
)
def test_long_lines_are_the_same_however_the_bytes_come(parts: list[bytes], step: int) -> None:
    same_in_steps(b"".join(parts), step * 1777)


def same_in_steps(data: bytes, step: int) -> None:
    whole = cut(data, ended=True).data
    found, at = b"", 0
    for end in range(step, len(data) + step, step):
        piece = cut(data[at:end], ended=end >= len(data))
        found += piece.data
        at += piece.size
    assert found == whole
    assert max(map(len, whole.split(b"\n"))) <= LIMIT
    if data:
        assert at == len(data)


def test_characters_that_have_only_begun() -> None:
    for character in "aé€😀":
        data = b"x" + character.encode()
        assert whole_characters(data) == len(data)
        for size in range(2, len(data)):
            assert whole_characters(data[:size]) == 1
    assert whole_characters(b"") == 0
    assert whole_characters(b"\x80" * 5) == 5
