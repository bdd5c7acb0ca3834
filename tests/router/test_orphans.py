"""Which lost instances are kept, and how long."""

from flynn.router.orphans import KEPT, Orphans


def test_what_is_lost_is_kept_for_a_while() -> None:
    orphans = Orphans()
    orphans.add("s/a", 100.0)
    orphans.add("s/b", 101.0)
    assert orphans.expire(100.0 + KEPT - 0.5) == []
    assert orphans.expire(100.0 + KEPT) == ["s/a"]
    assert "s/a" not in orphans
    assert "s/b" in orphans
    assert orphans.expire(200.0) == ["s/b"]


def test_what_returns_is_no_orphan() -> None:
    orphans = Orphans()
    orphans.add("s/a", 100.0)
    assert orphans.discard("s/a")
    assert not orphans.discard("s/a")
    assert orphans.expire(200.0) == []


def test_what_is_lost_again_has_its_whole_time() -> None:
    orphans = Orphans()
    for key in ("s/a", "s/b"):
        orphans.add(key, 100.0)
    orphans.discard("s/a")
    orphans.add("s/a", 110.0)
    assert orphans.expire(100.0 + KEPT) == ["s/b"]
    assert orphans.expire(110.0 + KEPT) == ["s/a"]
