"""What happens to an app is told commit by commit, however late it is read."""

from typing import NoReturn

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.app_changes import HELD, AppChanges, app_changes
from flynn.core.facts import Facts
from flynn.core.memory import MemoryStore
from flynn.core.mirror import Mirror


def state(id: str, state: model.State, release: int) -> model.JobState:
    return model.JobState(
        id=id, app="hello", type="web", queue="services", release=release, host="a", state=state, since=1.0, created=1.0
    )


def told(changes: AppChanges) -> list[str]:
    _, lines = changes.take()
    return [f"{line['id']} {line['state']}" if line["kind"] == "job" else line["reason"] for line in lines]


def test_each_state_is_told_in_its_order_though_all_is_over_when_it_is_read() -> None:
    mirror = Mirror(MemoryStore())
    before = mirror.facts.imagined({keys.state("a", id): state(id, "up", 1) for id in ("one", "two")}, ())
    mirror._show(before)
    steps: list[tuple[str, model.State]] = [
        ("three", "starting"), ("three", "up"), ("two", "stopping"), ("two", "down"), ("one", "stopping"),
    ]  # fmt: skip
    with app_changes(mirror, "hello", before) as changes:
        for id, now in steps:
            mirror._show(mirror.facts.imagined({keys.state("a", id): state(id, now, 2)}, ()))
        mirror._show(mirror.facts.imagined({}, [keys.state("a", "two")]))
        assert told(changes) == [f"{id} {now}" for id, now in steps]
        assert changes.take() == (mirror.facts, [])
    mirror._show(before)
    assert told(changes) == [], "it is over"


def test_what_came_between_the_photo_and_the_first_look_is_told() -> None:
    mirror = Mirror(MemoryStore())
    before = mirror.facts
    mirror._show(before.imagined({keys.state("a", "one"): state("one", "up", 1)}, ()))
    with app_changes(mirror, "hello", before) as changes:
        assert told(changes) == ["one up"]
    with app_changes(mirror, "hello", None) as changes:
        assert told(changes) == []


def test_what_a_deploy_waits_for_is_told_once() -> None:
    mirror = Mirror(MemoryStore())
    deploy = model.Deploy(app="hello", old=1, new=2, started=1.0, reason="the release command runs: true")
    mirror._show(mirror.facts.imagined({keys.deploy("hello"): deploy}, ()))
    with app_changes(mirror, "hello", None) as changes:
        mirror._show(mirror.facts.imagined({keys.deploy("hello"): replace(deploy, reason="0 of 2 are up")}, ()))
        mirror._show(mirror.facts.imagined({keys.deploy("other"): replace(deploy, app="other", reason="no")}, ()))
        assert told(changes) == ["the release command runs: true", "0 of 2 are up"]
        assert told(changes) == []


def test_what_cannot_be_told_is_passed_over_and_what_comes_then_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a photo other than the last one would look without end at one that is never taken."""
    mirror = Mirror(MemoryStore())

    def breaks(*photos: object) -> NoReturn:
        raise RuntimeError("a defect")

    with app_changes(mirror, "hello", None) as changes:
        with monkeypatch.context() as broken:
            broken.setattr("flynn.core.app_changes.job_lines", breaks)
            mirror._show(mirror.facts.imagined({keys.state("a", "one"): state("one", "up", 1)}, ()))
        assert changes.take() == (mirror.facts, [])
        mirror._show(mirror.facts.imagined({keys.state("a", "one"): state("one", "down", 1)}, ()))
        assert told(changes) == ["one down"]


def test_who_reads_nothing_costs_no_more_than_so_many_lines() -> None:
    changes = AppChanges("hello", Facts())
    for number in range(HELD + 3):
        changes.look(changes.facts.imagined({keys.state("a", f"job-{number}"): state(f"job-{number}", "up", 1)}, ()))
    found = told(changes)
    assert (len(found), found[0], found[-1]) == (HELD, "job-3 up", f"job-{HELD + 2} up")
