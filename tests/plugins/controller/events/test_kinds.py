"""Which kinds of events there are: of every table, or it says here why there is none."""

from pathlib import Path

from flynn.core import keys
from flynn.plugins.controller.events import views
from flynn.plugins.controller.events.derive import JOBS
from flynn.plugins.controller.events.sentences import _SENTENCES

SILENT = {
    "grid": "it is written once, before anybody could tell of it",
    "services": "instances come and go with their jobs; discovery streams them",
    "repositories": "what was pushed becomes a build and a release, which are told of",
    "routers": "what a router has seen changes all the time",
    "receipts": "what a deploy left behind, which is told of",
    "stored": "a host's own note on data of a volume, which is told of",
    "idempotency": "requests that came with a key; what they changed is told of",
    "locks": "held for moments",
    "events": "the history itself",
}


def test_each_table_is_told_of_or_is_silent() -> None:
    assert {*views.KINDS, *JOBS, *SILENT} == set(keys.TABLES)
    assert not {*views.KINDS, *JOBS} & set(SILENT)


def test_each_kind_has_its_sentences_and_is_in_the_manual() -> None:
    assert set(_SENTENCES) == set(views.NAMES)
    manual = (Path(__file__).parents[4] / "docs" / "api.md").read_text()
    [row] = [line for line in manual.splitlines() if line.startswith("| `app` `kind` |")]
    assert set(row.split("`")[5].split()) == set(views.NAMES)
