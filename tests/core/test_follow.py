"""What a client is told at the end: nothing but the truth."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.core.follow import _late, deploy_done, earlier


def facts(serves: int, deploy: model.Deploy) -> Facts:
    """App `hello` with releases 1 to 3, of which one serves, and its last deploy."""
    artifact = model.Artifact(sha256="0" * 64)
    releases = [model.Release(app="hello", version=n, created=n, artifact=artifact, processes={}) for n in range(1, 4)]
    return Facts.of(
        {
            keys.app("hello"): model.App(name="hello", created=0.0, release=serves),
            keys.deploy("hello"): deploy,
            **{keys.release("hello", release.version): release for release in releases},
        }
    )


def test_a_deploy_that_failed_unseen_is_not_called_up() -> None:
    done = deploy_done(facts(1, model.Deploy(app="hello", old=1, new=3, started=0.0)), "hello", 2, "x")
    assert done is not None
    assert not done["ok"]
    assert done["message"] == "v2 of hello was not put in service; v3 is tried now"


def test_a_deploy_that_was_complete_before_the_next_began_is_up() -> None:
    done = deploy_done(facts(2, model.Deploy(app="hello", old=2, new=3, started=0.0)), "hello", 2, "x")
    assert done is not None
    assert done["ok"]


def test_what_takes_too_long_says_why_jobs_could_not_be_started() -> None:
    state = model.JobState(
        id="hello-web-1", app="hello", type="web", queue="services", release=1, host="a", state="down", since=2.0,
        created=1.0, failure="start", reason="blob 0 is not on the shelf",
    )  # fmt: skip
    told = _late(Facts.of({keys.state("a", "hello-web-1"): state}), "hello", 150)
    assert "after 150 s: blob 0 is not on the shelf; `flynn ps -a hello`" in told


def test_what_became_of_an_earlier_release_is_what_its_receipt_says() -> None:
    """Not what the deploys after it came to."""
    now = facts(3, model.Deploy(app="hello", old=3, new=4, started=0.0))
    failed = model.Receipt(app="hello", version=2, old=1, started=0.0, state="failed", reason="web crashed")
    told = {key: replace(failed, state="complete") if key == "complete" else failed for key in ("failed", "complete")}
    for state, receipt in told.items():
        done = deploy_done(now.imagined({keys.receipt("hello", 2): receipt}, ()), "hello", 2, "x")
        assert done
        assert done["ok"] == (state == "complete")
    unknown = deploy_done(now, "hello", 2, "x")
    assert unknown
    assert (unknown["ok"], "is not known any more" in unknown["message"]) == (False, True)


def test_what_served_before_is_what_is_neither_of_the_release_nor_taken_over() -> None:
    process = model.ProcessType(command="x", serves=True)
    release = model.Release(
        app="hello", version=3, created=1.0, artifact=model.Artifact(sha256="0" * 64), made={"admin-web": 1},
        processes={"web": process, "admin-web": process},
    )  # fmt: skip

    def instance(type: str, id: str, version: int) -> tuple[str, model.Instance]:
        service = keys.service("hello", type)
        meta = {"app": "hello", "type": type, "release": f"v{version}"}
        made = model.Instance(id=id, service=service, address="127.0.0.1:1", host="a", meta=meta)
        return keys.instance(service, id), made

    found = Facts.of(dict([instance("web", "a", 2), instance("web", "b", 3), instance("admin-web", "c", 1)]))
    assert earlier(found, release) == ["hello-web/a"]
