"""What is swept: nothing that a record names, that somebody put by hand, or that was not unused for long."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Item
from flynn.plugins.shelf.blobs import Blob
from flynn.plugins.shelf.unused import AT_ONCE, STEADY, Look, named, swept
from tests.contract.blobstore import digest

DAY = 86400.0
NAMES = [digest(bytes([n])) for n in range(8)]
A, B, C, D, E, F, G, H = NAMES
GRID = {keys.GRID: model.Grid(token="t", domain="flynn.localhost")}


def items(records: dict[str, model.Record]) -> list[Item]:
    return [Item(key, encode(record), 1, 1) for key, record in (GRID | records).items()]


def job(**known: object) -> model.Job:
    told = {"id": "j", "app": "hello", "type": "web", "queue": "services", "command": "", "created": 1.0} | known
    return msgspec.convert(told, model.Job)


def state(id: str, output: str) -> model.JobState:
    return model.JobState(
        id=id, app="hello", type="build", queue="builders", release=0, host="a", state="down", since=1.0, created=1.0,
        output=model.Artifact(sha256=output),
    )  # fmt: skip


def test_what_records_name() -> None:
    artifact = model.Artifact(sha256=A, layers={"python-1": B})
    release = model.Release(app="hello", version=1, created=1.0, artifact=artifact, processes={})
    queued = model.Queued(job=job(layers={"build": C}, under=(D,)))
    assigned = model.Assignment(job=job(image_blob=E), host="a", assigned=1.0)
    app = model.App(name="hello", created=1.0, buildpacks=(f"shelf:{F}",))
    pack = model.Pack(name="x", pack=G, index=H, size=1)
    found = named(
        items(
            {
                keys.release("hello", 1): release,
                keys.queued("builders", "j"): queued,
                keys.job("a", "k"): assigned,
                keys.app("hello"): app,
                keys.repository("hello"): model.Repository(app="hello", packs=(pack,)),
            }
        )
    )
    assert found == {*NAMES}


def test_a_build_under_way_and_what_its_job_has_left_are_used_and_those_that_ended_are_not() -> None:
    build = model.Build(app="hello", job="one", source=A, started=1.0, number=2)
    ended = model.Build(app="hello", job="two", source=B, started=1.0, number=1, state="complete", release=1)
    records = {
        keys.build("hello", 2): build,
        keys.build("hello", 1): ended,
        keys.state("a", "one"): state("one", C),
        keys.state("a", "two"): state("two", D),
    }
    assert named(items(records)) == {A, C}


def test_what_this_version_cannot_read_is_used() -> None:
    strange = [Item("wonders/x", f'{{"of":["{A}"]}}'.encode(), 1, 1), Item("builds/x/1", f"{B}?".encode(), 1, 1)]
    assert named([*items({keys.state("a", "one"): state("one", C)}), *strange]) == {A, B, C}


@pytest.mark.parametrize("records", [[], [Item("apps/hello", b"{}", 1, 1)]])
def test_a_store_without_a_grid_says_nothing(records: list[Item]) -> None:
    assert named(records) is None


def test_a_blob_goes_once_it_was_unused_for_a_day_and_seen_so_for_an_hour() -> None:
    blob = Blob(A, 1, 0.0, 1000.0)
    first = swept([blob], (), {}, 1000 + DAY, 5.0, DAY)
    assert (first.gone, first.used, first.looks) == ([], [], {A: Look(1000.0, 5.0)})
    assert not swept([blob], (), first.looks, 1000 + DAY, 5 + STEADY - 1, DAY).gone
    assert swept([blob], (), first.looks, 1000 + DAY, 5 + STEADY, DAY).gone == [blob]
    assert not swept([blob], (), first.looks, 999 + DAY, 5 + STEADY, DAY).gone
    asked = Blob(A, 1, 0.0, 1001.0)
    assert swept([asked], (), first.looks, 9e9, 5 + STEADY, DAY).looks == {A: Look(1001.0, 5 + STEADY)}


def test_what_is_used_counts_as_asked_for_and_so_does_what_comes_from_the_future() -> None:
    old, new, future = Blob(A, 1, 0.0, 1000.0), Blob(B, 1, 0.0, 1000 + DAY), Blob(C, 1, 0.0, 9e9)
    assert swept([old, new, future], (A, B), {}, 1000 + DAY, 0.0, DAY).used == [A, C]


def test_a_pass_is_bounded_and_begins_with_the_oldest() -> None:
    many = [Blob(digest(str(n).encode()), 1, 0.0, 1.0 + n) for n in range(AT_ONCE + 5)]
    looks = swept(many, (), {}, 9e9, 0.0, 1.0).looks
    assert swept(many, (), looks, 9e9, 9.0, 1.0).gone == many[:AT_ONCE]


Blobs = st.lists(
    st.builds(Blob, st.sampled_from(NAMES), st.integers(0, 9), st.just(1.0), st.floats(0, 1e10)),
    unique_by=lambda blob: blob.sha256,
)
Looks = st.dictionaries(st.sampled_from(NAMES), st.builds(Look, st.floats(0, 1e10), st.floats(0, 1e6)))
Seconds = st.floats(0, 1e10)


@given(Blobs, st.sets(st.sampled_from(NAMES)), Looks, Seconds, Seconds, st.floats(0.1, 1e7))
def test_nothing_goes_that_is_used_or_put_by_hand_or_was_just_put(
    blobs: list[Blob], used: set[str], looks: dict[str, Look], clock: float, steady: float, unused: float
) -> None:
    sweep = swept(blobs, used, looks, clock, steady, unused)
    for blob in sweep.gone:
        assert blob.sha256 not in used
        assert 0 < blob.asked <= clock - unused + 1e-3
        assert blob.asked == looks[blob.sha256].asked, "it was asked for since the last look"
        assert steady - looks[blob.sha256].since >= min(unused, STEADY)
    assert not sweep.looks.keys() & used
    assert {blob.sha256 for blob in blobs if not blob.asked}.isdisjoint({*sweep.used, *sweep.looks})


@given(st.lists(st.tuples(st.floats(0.01, 900), st.floats(-1e9, 1e9))), st.floats(1, DAY))
def test_a_clock_that_jumps_takes_nothing_before_its_steady_time(
    jumps: list[tuple[float, float]], unused: float
) -> None:
    blob, looks, steady = Blob(A, 1, 1e9, 1e9), dict[str, Look](), 0.0
    for passed, jump in jumps:
        sweep = swept([blob], (), looks, 1e9 + jump, steady, unused)
        assert not sweep.gone or steady >= min(unused, STEADY)
        looks, steady = sweep.looks, steady + passed
