"""Which backend `auto` takes, and why."""

from pathlib import Path
from typing import Any

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.backends.choice import choose


class Fake:
    """A backend that lacks something, or nothing."""

    def __init__(self, name: str, lack: str) -> None:
        self.name, self.lack, self.opened = name, lack, 0

    async def open(self) -> None:
        self.opened += 1
        if self.lack:
            raise StartError(self.lack)


def fakes(**lacks: str) -> dict[str, Any]:
    return {name: Fake(name, lacks.get(name, "")) for name in ("sandbox", "docker", "process")}


@pytest.mark.parametrize(
    ("lacks", "name", "images", "why"),
    [
        ({}, "sandbox", True, "sandbox is the best of what works here; images run in docker"),
        (
            {"docker": "no engine"}, "sandbox", False,
            "sandbox is the best of what works here; docker does not work here: no engine",
        ),
        ({"sandbox": "no bwrap"}, "docker", True, "sandbox does not work here: no bwrap; images run in docker"),
        (
            {"sandbox": "no bwrap", "docker": "no engine"}, "process", False,
            "sandbox does not work here: no bwrap; docker does not work here: no engine; "
            "so jobs are plain processes, not shut in",
        ),
    ],
)  # fmt: skip
async def test_auto_takes_the_best_and_says_why(lacks: dict[str, str], name: str, images: bool, why: str) -> None:
    choice = await choose(fakes(**lacks), "auto")
    assert (choice.backend.name, bool(choice.images), choice.why) == (name, images, why)


async def test_what_is_named_is_taken_alone(tmp_path: Path) -> None:
    for name, images in (("sandbox", False), ("docker", True), ("process", False)):
        found = fakes()
        choice = await choose(found, name)
        assert (choice.backend.name, bool(choice.images)) == (name, images)
        assert [other for other, fake in found.items() if fake.opened] == [name]
    with pytest.raises(StartError, match="no engine"):
        await choose(fakes(docker="no engine"), "docker")


def test_fakes_are_as_backends_are() -> None:
    assert {"name", "open"} <= set(dir(Backend)) | set(Backend.__annotations__)
