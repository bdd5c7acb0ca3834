"""Submodules: which may be fetched, and what is said of the others."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core.errors import Invalid
from flynn.plugins.builder.git.modules import Submodule, checked, described, public, submodules, urls

COMMIT = "a" * 40


def config(**modules: str) -> bytes:
    """What git prints of a .gitmodules with these URLs by path."""
    return b"".join(
        f"submodule.{path}.path\n{path}\0submodule.{path}.url\n{url}\0".encode() for path, url in modules.items()
    )


def test_submodules_are_named_with_their_commits() -> None:
    found = submodules({"lib": COMMIT}, config(lib="https://example.com/lib.git", other="ext::sh -c x"))
    assert found == (Submodule("lib", "https://example.com/lib.git", COMMIT),)
    assert msgspec.json.decode(described(found)) == [
        {"path": "lib", "url": "https://example.com/lib.git", "commit": COMMIT}
    ]


def test_names_with_dots_are_names() -> None:
    assert urls(b"submodule.a.b/c.path\nvendor/c\0submodule.a.b/c.url\nhttps://x.org/c\0core.x\n1\0bad\0") == {
        "vendor/c": "https://x.org/c"
    }


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/lib.git",
        "https://user:secret@example.com:8443/lib",
        "https://93.184.216.34/lib.git",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/lib",
    ],
)
def test_what_may_be_fetched(url: str) -> None:
    assert checked("lib", url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc", "file:// is not taken"),
        ("/srv/git/lib", "relative"),
        ("../lib.git", "relative"),
        ("./lib.git", "relative"),
        ("ext::sh -c touch% /tmp/x", "no good"),
        ("ext::sh", "ext: is not taken"),
        ("ssh://git@example.com/lib", "ssh:// is not taken"),
        ("git@example.com:lib.git", "is not taken"),
        ("git://example.com/lib", "git:// is not taken"),
        ("http://example.com/lib", "http:// is not taken"),
        ("https://localhost/lib", "not on the public internet"),
        ("https://git.flynn.localhost/lib", "not on the public internet"),
        ("https://127.0.0.1/lib", "not on the public internet"),
        ("https://127.1/lib", "not on the public internet"),
        ("https://2130706433/lib", "not on the public internet"),
        ("https://0x7f.1/lib", "not on the public internet"),
        ("https://10.0.0.1/lib", "not on the public internet"),
        ("https://169.254.169.254/latest", "not on the public internet"),
        ("https://[::1]/lib", "not on the public internet"),
        ("https://[::ffff:10.0.0.1]/lib", "not on the public internet"),
        ("https://etcd/lib", "not on the public internet"),
        ("https://db.internal/lib", "not on the public internet"),
        ("https:///lib", "not on the public internet"),
        ("https://exämple.com/lib", "not on the public internet"),
        ("https://example.com:99999/lib", "no good"),
        ("https://example.com/a\nb", "no good"),
    ],
)
def test_what_may_not_be_fetched(url: str, why: str) -> None:
    with pytest.raises(Invalid, match="'lib' cannot be fetched") as error:
        checked("lib", url)
    assert why in str(error.value)
    assert "secret" not in str(error.value)


def test_a_link_that_nobody_explains_is_refused() -> None:
    with pytest.raises(Invalid, match="does not say where it comes from"):
        submodules({"lib": COMMIT}, b"")
    with pytest.raises(Invalid, match="200 at most"):
        submodules({str(number): COMMIT for number in range(201)}, b"")


@given(st.ip_addresses())
def test_an_address_is_public_only_if_it_is_global(address: object) -> None:
    assert public(str(address)) == address.is_global  # type: ignore[attr-defined]


@given(st.text(), st.binary())
def test_nothing_that_is_written_breaks_it(url: str, raw: bytes) -> None:
    urls(raw)
    with contextlib.suppress(Invalid):
        assert checked("lib", url).startswith("https://")
