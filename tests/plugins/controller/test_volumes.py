"""Volumes: made, mounted and deleted as is right, and refused with the remedy where it is not."""

import re

import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Conflict, Exists, FlynnError, Invalid, NotFound
from flynn.plugins.controller import decide
from flynn.plugins.controller.mounts import permits
from flynn.plugins.controller.one_off import NewRun, run_job
from flynn.plugins.controller.volumes import create_volume, delete_volume, delete_with_app, listed, set_mounts
from tests.plugins.controller.world import World


def made(world: World, name: str, app: str = "hello", **more: object) -> model.Volume:
    """A volume, as the API makes it."""
    volume = replace(model.Volume(app=app, name=name, id=f"{name}-id", created=1.0), **more)
    world.write(create_volume(world.facts, volume))
    return volume


def served(**counts: int) -> World:
    """Hosts a and b, the second with directories for jobs; app `hello` in service, without volumes."""
    world = World()
    for host in "ab":
        world.host(host)
    world.put(keys.host("b"), replace(world.facts.hosts["b"], mounts=("/srv/photos", "/srv/music:ro")))
    world.app("hello", **(counts or {"web": 1, "worker": 0}))
    world.run()
    return world


def mount(world: World, type: str, *texts: str) -> None:
    world.write(set_mounts(world.facts, "hello", {type: texts}, {}, world.now))


def test_what_is_mounted_makes_a_release_and_stays_for_later_ones() -> None:
    world = served()
    made(world, "data")
    mount(world, "web", "data:/var/lib/data", "/srv/photos/2026/:/photos:ro")
    own = model.Mount(path="/var/lib/data", volume="data", id="data-id")
    photos = model.Mount(path="/photos", source="/srv/photos/2026", read_only=True)
    release = world.facts.releases["hello/2"]
    assert (release.processes["web"].mounts, release.processes["worker"].mounts) == ((own, photos), ())
    assert release.description == "Mount web"
    world.run()
    assert world.up("hello") == {(2, "web"): 1}
    (job,) = [a.job for a in world.facts.jobs.values()]
    assert job.mounts == (own, photos)
    world.write(decide.set_env(world.facts, "hello", {"A": "1"}, (), world.now))
    assert world.facts.releases["hello/3"].processes["web"].mounts == (own, photos)
    world.run()
    world.write(set_mounts(world.facts, "hello", {}, {"web": ["data", "/photos"]}, world.now))
    assert world.facts.releases["hello/4"].processes["web"].mounts == ()
    assert world.facts.apps["hello"].mounts == {}


def test_a_mount_without_a_release_is_kept_for_the_first() -> None:
    world = World()
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    made(world, "data")
    mount(world, "web", "data:/data")
    assert not world.facts.releases
    assert world.facts.apps["hello"].mounts["web"][0].path == "/data"


def test_a_mount_of_what_was_mounted_otherwise() -> None:
    world = served()
    made(world, "data")
    mount(world, "web", "data:/data")
    assert set_mounts(world.facts, "hello", {"web": ["data:/data"]}, {}, 2.0).puts == {}
    world.run()
    world.write(set_mounts(world.facts, "hello", {"web": ["data:/data:ro"]}, {"web": ["data"]}, world.now))
    assert [m.read_only for m in world.facts.apps["hello"].mounts["web"]] == [True]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["data"], "'data' is no mount; write VOLUME:/PATH or /DIRECTORY:/PATH"),
        (["data:/data:rx"], "is no mount"),
        (["data:/data:ro:x"], "is no mount"),
        (["more:/data"], "hello has no volume 'more'; `flynn volume create` makes one"),
        (["data:data"], "'data' is no path for a mount"),
        (["data:/data/../etc"], "is no path for a mount"),
        (["data:/a/./b"], "is no path for a mount"),
        (["data://a"], "is no path for a mount"),
        (["data:/a b"], "is no path for a mount"),
        (["data:/" + "a" * 200], "is no path for a mount"),
        (["data:/"], "is no path for a mount"),
        *(
            ([f"data:{place}"], "the system's")
            for place in ("/tmp", "/app", "/usr", "/proc/x", "/var/run/x", "/dev/shm")
        ),
        (["/etc:/data"], "no host lets jobs have /etc: its operator does, by host.mounts in flynn.toml"),
        (["/srv:/data"], "no host lets jobs have /srv"),
        (["/srv/photos2:/data"], "no host lets jobs have /srv/photos2"),
        (["/srv/photos/../x:/data"], "is no path for a mount"),
        (["/srv/music:/data"], "hosts let jobs only read /srv/music; mount it as /srv/music:/data:ro"),
        (["data:/data", "other:/data"], "web of hello cannot have /data within /data"),
        (["data:/data", "other:/data/x"], "web of hello cannot have /data/x within /data"),
        (["data:/data", "data:/more"], "web of hello has the volume data already, at /data"),
        (["a-b:/x", "/srv/photos:/a/b"], "two mounts that FLYNN_VOLUME_A_B tells of"),
        (["there:/x", "elsewhere:/y"], "are on different hosts (elsewhere on b, there on a)"),
        ([f"/srv/photos/{n}:/p/{n}" for n in range(21)], "would have 21 mounts; 20 at most"),
    ],
)
def test_what_cannot_be_mounted(texts: list[str], said: str) -> None:
    world = served()
    for name in ("data", "other", "a-b"):
        made(world, name)
    made(world, "there", host="a")
    made(world, "elsewhere", host="b")
    with pytest.raises(FlynnError, match=re.escape(said)):
        mount(world, "web", *texts)


def test_mounts_of_types_that_are_not_there() -> None:
    world = served()
    made(world, "data")
    with pytest.raises(Invalid, match="hello has no process type wbe; v1 has: web, worker; one-off jobs are run"):
        mount(world, "wbe", "data:/data")
    with pytest.raises(NotFound, match="web of hello mounts no 'data'; its mounts are: none"):
        set_mounts(world.facts, "hello", {}, {"web": ["data"]}, 1.0)


def test_a_type_with_one_writer_is_one_process() -> None:
    world = served(web=2, worker=1)
    made(world, "data")
    made(world, "all", shared=True)
    said = (
        "web=2 of hello cannot be: the volume data has one writer at a time; mount it read-only where it is only read "
    )
    with pytest.raises(Invalid, match=re.escape(said)):
        mount(world, "web", "data:/data")
    mount(world, "web", "data:/data:ro", "all:/all")
    world.run()
    mount(world, "worker", "data:/data")
    world.run()
    assert world.up("hello") == {(2, "web"): 2, (3, "worker"): 1}
    with pytest.raises(Invalid, match="worker=2 of hello cannot be: the volume data has one writer"):
        decide.scale(world.facts, "hello", {"worker": 2})
    world.write(decide.scale(world.facts, "hello", {"worker": 0}))
    world.run()
    with pytest.raises(Invalid, match="web=2 of hello"):
        set_mounts(world.facts, "hello", {"web": ["data:/data"]}, {"web": ["data"]}, world.now)


def test_two_types_that_write_are_never_up_together() -> None:
    world = served(web=1, worker=0)
    made(world, "data")
    mount(world, "web", "data:/data")
    world.run()
    mount(world, "worker", "data:/data")
    world.run()
    with pytest.raises(Invalid, match="web=1 and worker=1 of hello cannot be"):
        decide.scale(world.facts, "hello", {"worker": 1})
    world.write(decide.scale(world.facts, "hello", {"worker": 1, "web": 0}))
    world.run()
    assert world.up("hello") == {(3, "worker"): 1}


def test_one_off_commands_and_the_one_writer() -> None:
    world = served()
    made(world, "data")
    mount(world, "web", "data:/data")
    world.run()

    def run(number: int, mount: str) -> None:
        id = f"hello-run-{number}"
        world.write(run_job(world.facts, "hello", NewRun("ls", mounts=[mount]), id, world.now))

    (writer,) = [a.job.id for a in world.facts.jobs.values()]
    with pytest.raises(Conflict, match=f"has one writer at a time, which is {writer} now; mount it read-only"):
        run(1, "data:/data")
    run(2, "data:/data:ro")
    world.run()
    assert world.up("hello")[(2, "run")] == 1
    world.write(decide.stop_job(world.facts, "hello-run-2", world.now))
    world.write(decide.scale(world.facts, "hello", {"web": 0}))
    world.run()
    run(3, "data:/data")
    world.run()
    world.write(decide.scale(world.facts, "hello", {"web": 1}))
    world.settle()
    (waits,) = world.facts.queues.values()
    assert waits.reason == "its volume data has one writer, which is hello-run-3 until that has ended"


def test_a_volume_in_use_is_not_deleted() -> None:
    world = served()
    made(world, "data")
    mount(world, "web", "data:/data")
    with pytest.raises(Invalid, match="is in use: web mounts it, `flynn volume unmount web data -a hello` ends that"):
        delete_volume(world.facts, "hello", "data")
    world.run()
    world.write(set_mounts(world.facts, "hello", {}, {"web": ["data"]}, world.now))
    (job,) = [a.job.id for a in world.facts.jobs.values()]
    with pytest.raises(Invalid, match=f"is in use: the job {job} has it"):
        delete_volume(world.facts, "hello", "data")
    world.run()
    (host,) = [v.host for v in world.facts.volumes.values()]
    stored(world, "data", host)
    world.write(delete_volume(world.facts, "hello", "data"))
    world.settle()
    assert world.facts.volumes["hello/data"].deleting
    with pytest.raises(Conflict, match="still being deleted"):
        made(world, "data")
    world.write(Change(deletes=(keys.stored(host, "hello", "data"),)))
    world.settle()
    assert not world.facts.volumes
    made(world, "data")


def stored(world: World, name: str, host: str) -> None:
    """What a host tells once a volume's data is on its disk."""
    row = model.Stored(app="hello", name=name, id=f"{name}-id", host=host, path=f"/v/hello/{name}", since=1.0)
    world.put(keys.stored(host, "hello", name), row)


def test_what_its_host_will_never_give_back_can_be_forgotten() -> None:
    world = served()
    made(world, "data", host="b")
    stored(world, "data", "b")
    with pytest.raises(Invalid, match="b, which has the volume data, is up; leave out --lost"):
        delete_volume(world.facts, "hello", "data", lost=True)
    world.lose("b")
    world.write(delete_volume(world.facts, "hello", "data"))
    world.settle()
    assert listed(world.facts)[0]["deleting"]
    assert listed(world.facts)[0]["away"]
    world.write(delete_volume(world.facts, "hello", "data", lost=True))
    assert [(row["name"], row["forgotten"], row["path"]) for row in listed(world.facts)] == [
        ("data", True, "/v/hello/data")
    ]


def test_volumes_outlive_their_app_unless_they_are_to_go_with_it() -> None:
    world = served()
    made(world, "data", host="a")
    stored(world, "data", "a")
    world.write(decide.delete_app(world.facts, "hello"))
    world.run()
    [row] = listed(world.facts, "hello")
    assert (row["orphan"], row["host"], row["path"]) == (True, "a", "/v/hello/data")
    world.put(keys.app("hello"), model.App(name="hello", created=2.0))
    mount(world, "web", "data:/data")
    world.write(delete_with_app(world.facts, "hello"))
    world.run()
    assert world.facts.volumes["hello/data"].deleting
    assert not world.facts.apps


def test_volumes_that_cannot_be_made() -> None:
    world = served()
    made(world, "data")
    for name, more, kind, said in (
        ("data", {}, Exists, "has a volume data already"),
        ("Data", {}, Invalid, "is no good volume name"),
        ("../x", {}, Invalid, "is no good volume name"),
        ("x", {"host": "c"}, NotFound, "no host 'c' is up"),
        ("x", {"shared": True, "scratch": True}, Invalid, "leave out either"),
        ("x", {"host": "a", "scratch": True}, Invalid, "leave out the host"),
        ("x", {"app": "other"}, NotFound, "there is no app 'other'"),
    ):
        with pytest.raises(kind, match=re.escape(said)):
            made(world, name, **{"app": "hello", **more})  # type: ignore[arg-type]


def test_which_directories_a_host_permits() -> None:
    host = model.Host(
        name="a", address="", url="", started=0, mounts=("/srv/photos", "/srv/music:ro", "/data/")
    )  # fmt: skip
    for source, reading, writing in (
        ("/srv/photos", True, True), ("/srv/photos/a/b", True, True), ("/srv/photos2", False, False),
        ("/srv", False, False), ("/srv/music/x", True, False), ("/data/x", True, True), ("/", False, False),
    ):  # fmt: skip
        seen = model.Mount(path="/x", source=source)
        assert permits(host.mounts, seen) == writing, source
        assert permits(host.mounts, replace(seen, read_only=True)) == reading, source


def test_variables() -> None:
    assert model.Mount(path="/var/lib/data", volume="my-data").variable == "FLYNN_VOLUME_MY_DATA"
    assert model.Mount(path="/srv/x.y", source="/srv").variable == "FLYNN_VOLUME_SRV_X_Y"
