"""Jobs and their data, scheduled: on the host that has it, one writer at a time, and waiting with a reason."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.plugins.controller.volumes import create_volume, set_mounts
from tests.plugins.controller.world import SLUG, World


def keeping(*hosts: str, host: str = "", **mounts: str) -> World:
    """An app whose types mount the volume `data` as is said, each once, on its way."""
    world = World()
    for name in hosts:
        world.host(name)
    world.put(keys.app("hello"), model.App(name="hello", created=world.now))
    world.write(create_volume(world.facts, model.Volume(app="hello", name="data", id="1", created=1.0, host=host)))
    told = {type: [text] for type, text in mounts.items() if text}
    world.write(set_mounts(world.facts, "hello", told, {}, world.now))
    world.put(keys.formation("hello"), model.Formation(app="hello", counts=dict.fromkeys(mounts, 1)))
    deploy(world, *mounts)
    return world


def deploy(world: World, *types: str) -> None:
    """The next release of these types, with the app's mounts."""
    made = world.release("hello", *types)
    kept = world.facts.apps["hello"].mounts
    processes = {type: replace(process, mounts=kept.get(type, ())) for type, process in made.processes.items()}
    world.put(keys.release("hello", made.version), replace(made, processes=processes, artifact=SLUG))
    old = world.facts.apps["hello"].release
    world.put(keys.deploy("hello"), model.Deploy(app="hello", old=old, new=made.version, started=world.now))


def places(world: World) -> dict[str, str]:
    """The host of each job that lives."""
    found = {}
    for key, a in world.facts.jobs.items():
        state = world.facts.states.get(key)
        if not (state and state.state == "down"):
            found[a.job.type] = a.host
    return found


def waits(world: World) -> list[str]:
    return [queued.reason for queued in world.facts.queues.values()]


def test_the_first_job_decides_where_a_volume_is() -> None:
    world = keeping("a", "b", db="data:/data")
    world.run()
    host = world.facts.volumes["hello/data"].host
    assert places(world) == {"db": host}
    other = "b" if host == "a" else "a"
    world.host(other, memory=1 << 20)
    for _ in range(3):
        deploy(world, "db")
        world.run()
        assert places(world) == {"db": host}


def test_a_job_waits_for_the_host_that_has_its_volume() -> None:
    world = keeping("a", "b", host="b", db="data:/data")
    world.run()
    world.lose("b")
    world.settle()
    world.now += 40
    world.settle()
    assert waits(world) == ["its volume data is on b, which is away"]
    assert "1 waits: its volume data is on b, which is away" in world.plan().sentence
    world.host("b", memory=100)
    world.settle()
    assert waits(world) == ["its volume data is on b, which has 100 MiB of 100 free"]
    world.host("b")
    world.run()
    assert places(world) == {"db": "b"}


def test_jobs_that_share_a_host_by_their_volume() -> None:
    world = keeping("a", "b", "c", host="c", db="data:/data", web="data:/data:ro", clock="")
    world.run()
    found = places(world)
    assert (found["db"], found["web"]) == ("c", "c")


def test_a_deploy_stops_the_writer_before_the_next_one_starts() -> None:
    world = keeping("a", "b", db="data:/data", web="")
    world.run()
    (old,) = [a.job.id for a in world.facts.jobs.values() if a.job.type == "db"]
    deploy(world, "db", "web")
    world.settle()
    assert not waits(world)
    assert not any(a.stop for a in world.facts.jobs.values()), "web of the next release is not up yet"
    for a in list(world.facts.jobs.values()):
        if a.job.release == 2:
            world.tell(a, "up")
    world.settle()
    world.now += 1
    world.settle()
    assert {a.job.type: a.job.release for a in world.facts.jobs.values() if a.stop} == {"db": 1, "web": 1}
    assert waits(world) == [f"its volume data has one writer, which is {old} until that has ended"]
    world.run()
    assert world.up("hello") == {(2, "db"): 1, (2, "web"): 1}


def test_a_deploy_that_fails_gives_the_volume_back() -> None:
    world = keeping("a", db="data:/data")
    world.run()
    deploy(world, "db")
    world.settle()
    world.obey()
    world.settle()
    (new,) = [a for a in world.facts.jobs.values() if a.job.release == 2]
    world.tell(new, "down", failure="start", reason="no such blob")
    world.run()
    assert world.facts.deploys["hello"].state == "failed"
    assert world.up("hello") == {(1, "db"): 1}


def test_what_breaks_beside_it_stops_no_writer() -> None:
    world = keeping("a", db="data:/data", web="")
    world.run()
    deploy(world, "db", "web")
    world.settle()
    (web,) = [a for a in world.facts.jobs.values() if a.job.release == 2]
    world.tell(web, "down", failure="start", reason="no such blob")
    world.run()
    assert world.facts.deploys["hello"].state == "failed"
    assert not [word for word in world.history if word.startswith("stop hello-db")]


def test_what_mounts_a_volume_that_is_gone_says_so() -> None:
    world = keeping("a", db="data:/data")
    world.put(keys.volume("hello", "data"), model.Volume(app="hello", name="data", id="2", created=1.0))
    world.settle()
    assert waits(world) == ["its volume data was deleted; unmount it, or make and mount another"]


def test_a_directory_of_the_host_is_only_where_it_is_permitted() -> None:
    world = keeping("a", "b", clock="")
    world.put(keys.host("b"), replace(world.facts.hosts["b"], mounts=("/srv/photos",)))
    world.write(set_mounts(world.facts, "hello", {"clock": ["/srv/photos/x:/photos"]}, {}, world.now))
    deploy(world, "clock")
    world.run()
    assert places(world) == {"clock": "b"}
    world.put(keys.host("b"), replace(world.facts.hosts["b"], mounts=("/srv/photos:ro",)))
    deploy(world, "clock")
    world.settle()
    refused = "lets no job have /srv/photos/x to write to (host.mounts in its flynn.toml)"
    assert waits(world) == [f"a {refused}; b {refused}"]


ACTS = st.lists(
    st.tuples(st.sampled_from(["plan", "obey", "time", "deploy", "lose", "return", "kill"]), st.integers(0, 3))
)


@settings(max_examples=100)
@given(ACTS)
def test_there_is_never_a_second_writer_and_never_another_host(acts: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order; and once all is well again, there is one."""
    world = keeping("a", "b", db="data:/data", web="")
    world.run()
    for name, number in [*acts, ("return", 0), ("return", 1)]:
        act(world, name, number)
        writers = [
            key for key, a in world.facts.jobs.items()
            if a.job.type == "db" and not ((s := world.facts.states.get(key)) and s.state == "down")
        ]  # fmt: skip
        assert len(writers) <= 1
        bound = world.facts.volumes["hello/data"].host
        assert {key.partition("/")[0] for key in writers} <= {bound}
    world.run(60)
    assert world.up("hello").get((world.facts.apps["hello"].release, "db")) == 1


def act(world: World, name: str, number: int) -> None:
    if name == "plan":
        world.step()
    elif name == "obey":
        world.obey()
    elif name == "time":
        world.now += 15 * number
    elif name == "deploy" and world.facts.deploys["hello"].state != "running":
        deploy(world, "db", "web")
    elif name == "lose" and "ab"[number % 2] in world.facts.hosts:
        world.lose("ab"[number % 2])
    elif name == "return" and "ab"[number % 2] not in world.facts.hosts:
        world.host("ab"[number % 2])
    elif name == "kill" and world.facts.jobs:
        key = sorted(world.facts.jobs)[number % len(world.facts.jobs)]
        world.put(keys.job(*key.split("/")), replace(world.facts.jobs[key], stop=True))
