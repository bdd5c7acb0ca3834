"""The caches of builds: an app finds its own, and no other one's."""

from pathlib import Path

from flynn.core.builds import cache_of
from flynn.core.model import App
from flynn.plugins.host.disk.caches import Caches


def test_an_app_that_is_made_anew_has_another_cache() -> None:
    first, second = (App(name="hello", created=created) for created in (1000.0, 1000.25))
    assert cache_of(first) == cache_of(App(name="hello", created=1000.0))
    assert len({cache_of(first), cache_of(second), cache_of(App(name="hello-1", created=1000.0))}) == 3


async def test_those_of_apps_that_are_gone_go(tmp_path: Path) -> None:
    old, new, used = (cache_of(App(name=name, created=made)) for name, made in (("a", 1.0), ("a", 2.0), ("b", 1.0)))
    for name in (old, new, used, "build-a", "other"):
        (tmp_path / name).mkdir()
    known: list[str] | None = None
    caches = Caches(tmp_path, lambda: {used}, lambda: known)
    assert {one.name for one in await caches.present()} == {old, new, used, "build-a", "other"}
    known = [new]
    assert {one.name for one in await caches.present()} == {new, used, "other"}
