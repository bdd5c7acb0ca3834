"""What an app says of its cron entries."""

from typing import Any

import pytest

from flynn.core.errors import Invalid
from flynn.core.model import Cron, ProcessType
from flynn.plugins.controller.cron.described import entries

TYPES = {"web": ProcessType(command="serve", serves=True), "worker": ProcessType(command="work")}
GOOD = {"schedule": "0 3 * * *", "command": "bin/clean"}


def test_an_entry_says_little_or_all() -> None:
    told = {
        "schedule": "@daily", "command": "bin/report", "timezone": "Europe/Berlin", "missed": "once",
        "overlap": "queue", "timeout": 600, "type": "worker", "memory": 512, "reserve": 128,
    }  # fmt: skip
    assert entries({"clean": GOOD, "report": told}, TYPES) == {
        "clean": Cron(schedule="0 3 * * *", command="bin/clean"),
        "report": Cron(
            schedule="@daily", command="bin/report", timezone="Europe/Berlin", missed="once", overlap="queue",
            timeout=600.0, type="worker", limits={"memory": 512, "reserve": 128},
        ),
    }  # fmt: skip
    assert entries([{"name": "clean", **GOOD}], TYPES) == entries({"clean": GOOD}, TYPES)
    assert entries({}, TYPES) == {}


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("daily", "write a table for each entry"),
        ([GOOD], "has no name"),
        ([{"name": "a", **GOOD}, {"name": "a", **GOOD}], "two entries named 'a'"),
        ({"A b": GOOD}, "no good cron entry name"),
        ({"web": GOOD}, "a process type has this name"),
        ({"run": GOOD}, "a process type has this name"),
        ({"a": {**GOOD, "colour": 1}}, "unknown key 'colour'; known are: schedule, command"),
        ({"a": {"schedule": "@daily"}}, "cron a: Object missing required field `command`"),
        ({"a": {**GOOD, "schedule": "often"}}, "cron a: 'often' is no schedule"),
        ({"a": {**GOOD, "timezone": "Mars"}}, "is no time zone"),
        ({"a": {**GOOD, "command": " "}}, "no command is given"),
        ({"a": {**GOOD, "command": "a\0b"}}, "NUL byte"),
        ({"a": {**GOOD, "missed": "all"}}, "write skip or once"),
        ({"a": {**GOOD, "overlap": "kill"}}, "write skip, queue or allow"),
        ({"a": {**GOOD, "timeout": -1}}, "from 0"),
        ({"a": {**GOOD, "type": "clock"}}, "there are: web, worker"),
        ({"a": {**GOOD, "memory": 1}}, "memory cannot be 1"),
        ({"a": {**GOOD, "memory": 64, "reserve": 128}}, "cannot reserve 128"),
        ({"a": {**GOOD, "memory": "lots"}}, "cron a"),
        ({f"a{n}": GOOD for n in range(51)}, "50 at most"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(told: Any, word: str) -> None:
    with pytest.raises(Invalid) as refused:
        entries(told, TYPES)
    assert word in str(refused.value)
