"""Deadlines of beats, and what a registration may say. Times are numbers."""

import pytest

from flynn.core.errors import Full, Invalid
from flynn.plugins.discovery import registry
from flynn.plugins.discovery.registry import Registration, Registry, check


def test_silence_ends_it_after_the_ttl_and_not_before() -> None:
    known = Registry()
    known.beat("a", ttl=10, now=100)
    known.beat("b", ttl=5, now=100)
    assert known.expire(104.9) == []
    assert known.expire(105) == ["b"]
    known.beat("a", ttl=10, now=109)
    assert known.expire(118.9) == []
    assert known.expire(119) == ["a"]
    assert "a" not in known


def test_nobody_is_blamed_for_what_this_node_missed() -> None:
    known = Registry()
    known.beat("a", ttl=10, now=100)
    known.extend(30)
    assert known.expire(139) == []
    assert known.expire(140) == ["a"]


def test_what_is_forgotten_does_not_expire() -> None:
    known = Registry()
    known.beat("a", ttl=1, now=0)
    known.forget("a")
    known.forget("never was")
    assert known.expire(100) == []


def test_there_is_a_limit() -> None:
    known = Registry()
    for number in range(registry.LIMIT):
        known.check_room()
        known.beat(str(number), ttl=10, now=0)
    with pytest.raises(Full, match="4096"):
        known.check_room()


@pytest.mark.parametrize(
    "address", ["10.0.0.7:8080", "localhost:1", "a.b-c.example:65535", "[::1]:80", "[2001:db8::7]:443"]
)
def test_good_addresses(address: str) -> None:
    assert check(Registration(address=address)).address == address


@pytest.mark.parametrize(
    "address",
    ["", "host", "host:", ":80", "host:0", "host:65536", "host:123456", "host:8a", "ho st:80", "-host:80", "::1:80",
     "[::g]:80", "[::1]", "http://host:80", "host:80/", "host:80\n", "höst:80", "host:٣", "x" * 254 + ":80", "a..b:80",
     "x" * 64 + ".test:80"],
)  # fmt: skip
def test_bad_addresses(address: str) -> None:
    with pytest.raises(Invalid, match="give host:port"):
        check(Registration(address=address))


def test_meta_has_a_limit() -> None:
    check(Registration(address="a:1", meta={"k": "v" * 4095}))
    with pytest.raises(Invalid, match="4097 characters"):
        check(Registration(address="a:1", meta={"k": "v" * 4096}))
