"""The plan, case by case, on a grid in memory."""

import msgspec
import pytest
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.store import VALUE_LIMIT
from flynn.plugins.builder.cancel import cancel_build
from flynn.plugins.controller import decide, wishes
from flynn.plugins.controller.deploy_image import deploy_image
from flynn.plugins.controller.place_site import Needs, site_of, unfit
from tests.plugins.controller.world import SLUG, World


def grid(*hosts: str) -> World:
    world = World()
    for host in hosts:
        world.host(host)
    return world


def test_a_first_deploy_runs_what_the_formation_asks_for() -> None:
    world = grid("a")
    world.app("hello", web=2, worker=1)
    world.run()
    assert world.up("hello") == {(1, "web"): 2, (1, "worker"): 1}
    assert world.facts.apps["hello"].release == 1
    assert world.facts.deploys["hello"].state == "complete"
    assert world.plan().sentence == "runs 3 jobs of 1 app on 1 host"


def test_an_image_waits_for_a_host_that_runs_images() -> None:
    world = grid("a", "b")
    world.put(keys.app("hello"), model.App(name="hello", created=world.now))
    world.write(deploy_image(world.facts, "hello", "shop/hello:1", {}, "", world.now))
    world.run()
    (waits,) = world.facts.queues.values()
    assert waits.reason == "; ".join(f"{host} runs no images, for want of a Docker Engine" for host in "ab")
    world.put(keys.host("b"), replace(world.facts.hosts["b"], images=True))
    world.run()
    assert world.up("hello") == {(1, "web"): 1}
    (job,) = [a.job for a in world.facts.jobs.values()]
    assert (job.image, job.command, job.layers, job.service) == ("shop/hello:1", "", {}, "hello-web")


def test_a_job_waits_for_a_host_that_can_give_it_its_network() -> None:
    world = grid("a", "b")
    lacks = {"a": "there is no pasta; install it (the package passt)", "b": ""}
    for name, why in lacks.items():
        world.put(keys.host(name), replace(world.facts.hosts[name], networks=("host", "none"), no_own=why))
    world.app("hello", web=1)
    release = world.facts.releases["hello/1"]
    web = replace(release.processes["web"], network="own")
    world.put(keys.release("hello", 1), replace(release, processes={**release.processes, "web": web}))
    world.run()
    (waits,) = world.facts.queues.values()
    assert waits.reason == (
        "a gives no job a network of its own: there is no pasta; install it (the package passt); "
        "b gives no job a network of its own"
    )
    world.put(keys.host("b"), replace(world.facts.hosts["b"], networks=("host", "own", "none")))
    world.run()
    assert [key.partition("/")[0] for key in world.facts.jobs] == ["b"]


def test_an_image_has_the_network_that_its_backend_gives() -> None:
    site = site_of(grid("a").facts, "a")
    assert site
    why = "there is no iptables; install it"
    site = site._replace(
        images=True, networks=("host", "own", "none"), image_networks=("host", "none"), image_no_own=why
    )
    assert (
        unfit(site, Needs(image=True, network="own", contained=True))
        == "gives no job a network of its own: there is no iptables; install it"
    )
    assert unfit(site, Needs(image=True, network="none", contained=True)) == ""
    assert unfit(site, Needs(image=True, network="own")) == ""  # An image is built for it.
    assert unfit(site, Needs(network="own")) == ""
    plain = site._replace(networks=("host",))
    assert unfit(plain, Needs(network="none")) == ("cannot keep a job from the network: its jobs are plain processes")


def test_a_job_goes_where_the_backend_is_that_it_asks_for() -> None:
    site = site_of(grid("a").facts, "a")
    assert site
    site = site._replace(backend="sandbox", images=False)
    assert unfit(site, Needs(backend="sandbox")) == ""
    assert unfit(site, Needs(backend="docker", contained=True)) == "does not offer the backend docker"
    assert unfit(site._replace(images=True), Needs(backend="docker", contained=True)) == ""
    assert unfit(site._replace(images=True), Needs(backend="process")) == "does not offer the backend process"
    assert unfit(site._replace(backend="docker", images=True), Needs(backend="sandbox")) == (
        "does not offer the backend sandbox"
    )
    world = grid("a")
    world.app("hello", web=1)
    release = world.facts.releases["hello/1"]
    web = replace(release.processes["web"], backend="docker")
    world.put(keys.release("hello", 1), replace(release, processes={**release.processes, "web": web}))
    world.run()
    assert [waits.reason for waits in world.facts.queues.values()] == ["a does not offer the backend docker"]
    world.put(keys.host("a"), replace(world.facts.hosts["a"], images=True))
    world.run()
    assert [found.job.backend for found in world.facts.jobs.values()] == ["docker"]


@pytest.mark.parametrize(
    "image",
    ["hello", "hello:1.2-x", "shop/hello", "ghcr.io/a_b/c.d:v1", "localhost:5000/x@sha256:" + "a" * 64],
)
def test_names_of_images(image: str) -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    world.write(deploy_image(world.facts, "hello", image, {"web": "./go", "clock": "tick"}, "words", 1.0))
    release = world.facts.releases["hello/1"]
    assert (release.artifact.image, release.artifact.kind, release.description) == (image, "image", "words")
    assert release.processes["clock"] == model.ProcessType(command="tick")


@pytest.mark.parametrize(
    ("image", "commands"),
    [
        *((image, {}) for image in ("", "Hello", "a b", "a:", "a;b", "http://a/b", "../a", "a@sha256:12", "a" * 256)),
        ("a", {"Web": "x"}),
        ("a", {"web": "x\0"}),
    ],
)
def test_what_is_no_image(image: str, commands: dict[str, str]) -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    with pytest.raises(Invalid):
        deploy_image(world.facts, "hello", image, commands, "", 1.0)


def test_jobs_of_a_kind_spread_over_the_hosts() -> None:
    world = grid("a", "b", "c")
    world.app("hello", web=6)
    world.run()
    per_host = [sum(1 for a in world.facts.jobs.values() if a.host == host) for host in "abc"]
    assert per_host == [2, 2, 2]


def test_the_old_release_stays_whole_until_the_new_one_has_settled() -> None:
    world = grid("a")
    world.app("hello", web=2)
    world.run()
    world.deploy("hello", "web")
    world.settle()
    assert world.up("hello") == {(1, "web"): 2}
    world.obey()
    world.step()
    assert world.up("hello") == {(1, "web"): 2, (2, "web"): 2}
    deploy = world.facts.deploys["hello"]
    assert (deploy.state, deploy.reason) == (
        "running",
        "all are up; v2 takes over once they have stayed so for 1 s",
    )
    assert world.plan().wake == world.now + 1.0
    world.now += 1.0
    world.run()
    assert world.up("hello") == {(2, "web"): 2}
    ended = world.facts.deploys["hello"]
    assert [ended.state, ended.reason] == ["complete", ""]


def test_a_new_release_that_never_listens_fails_and_the_old_one_stays() -> None:
    world = grid("a")
    world.app("hello", web=1)
    world.run()
    world.deploy("hello", "web")
    world.settle()
    new = next(a for a in world.facts.jobs.values() if a.job.release == 2)
    world.tell(new, "starting", failure="boot", restarts=1, reason="did not listen on port 20001 within 60 s")
    world.settle()
    deploy = world.facts.deploys["hello"]
    assert (deploy.state, deploy.reason, deploy.job) == (
        "failed",
        "web did not listen on port 20001 within 60 s",
        new.job.id,
    )
    world.run()
    assert world.up("hello") == {(1, "web"): 1}
    assert world.facts.apps["hello"].release == 1


def test_one_crash_is_forgiven_and_the_third_is_not() -> None:
    world = grid("a")
    world.app("hello", web=1)
    world.settle()
    job = next(iter(world.facts.jobs.values()))
    world.tell(job, "starting", failure="crash", restarts=1, reason="exited with code 1")
    world.settle()
    assert [d.state for d in world.facts.deploys.values()] == ["running"]
    world.tell(job, "starting", failure="crash", restarts=3, reason="exited with code 1; restart 4 now")
    world.settle()
    assert [d.state for d in world.facts.deploys.values()] == ["failed"]
    assert world.facts.apps["hello"].release == 0


def test_a_deploy_that_takes_too_long_says_what_is_missing() -> None:
    world = grid()
    world.app("hello", web=1)
    world.settle()
    world.now += 101
    world.settle()
    assert world.facts.deploys["hello"].reason == "0 of 1 web up (no host is up) after 100 s"


def test_waiting_has_a_reason() -> None:
    world = grid()
    world.host("small", memory=100)
    world.app("hello", web=1)
    world.settle()
    (queued,) = world.facts.queues.values()
    assert queued.reason == "no host has room for 128 MiB: small has 100 MiB of 100 free"
    assert world.plan().sentence.endswith("1 waits: no host has room for 128 MiB: small has 100 MiB of 100 free")
    world.host("large")
    world.run()
    assert world.up("hello") == {(1, "web"): 1}


FULL = "its disk is nearly full (1.2 GiB free of 80 GiB, reserve 2 GiB)"


def test_a_host_whose_disk_is_nearly_full_takes_no_new_job() -> None:
    """What runs there runs on; what waits says why, and starts by itself once there is room."""
    world = grid("a", "b")
    world.app("hello", web=2)
    world.run()
    for host in "ab":
        world.put(keys.host(host), replace(world.facts.hosts[host], full=FULL))
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 3}))
    world.run()
    (queued,) = world.facts.queues.values()
    assert queued.reason == f"a takes no new job: {FULL}; b takes no new job: {FULL}"
    assert world.up("hello") == {(1, "web"): 2}
    world.host("b")
    world.run()
    assert world.up("hello") == {(1, "web"): 3}
    assert [a.host for a in world.facts.jobs.values()].count("b") == 2


def test_a_full_disk_does_not_hide_who_lacks_memory() -> None:
    world = grid("a")
    world.put(keys.host("a"), replace(world.facts.hosts["a"], full=FULL))
    world.host("small", memory=100)
    world.app("hello", web=1)
    world.settle()
    (queued,) = world.facts.queues.values()
    assert queued.reason == (f"no host has room for 128 MiB: a takes no new job: {FULL}; small has 100 MiB of 100 free")


def test_what_a_full_host_has_not_begun_goes_back_to_its_queue() -> None:
    """Also builds and one-off jobs: they are lost nowhere, and start where there is room."""
    world = grid("a")
    world.app("hello", web=1)
    build = model.Job(id="b", app="hello", type="build", queue="builders", command="", created=1.0)
    world.put(keys.queued("builders", "b"), model.Queued(job=build))
    world.settle()
    assert {a.host for a in world.facts.jobs.values()} == {"a"}
    world.put(keys.host("a"), replace(world.facts.hosts["a"], full=FULL))
    world.run()
    assert not world.facts.jobs
    assert world.facts.queues["builders/b"] == model.Queued(job=build, reason=f"a takes no new job: {FULL}")
    assert len(world.facts.queues) == 2
    world.host("b")
    world.run()
    assert world.up("hello") == {(0, "build"): 1, (1, "web"): 1}


def test_scale_down_takes_the_newest_and_scale_to_zero_all() -> None:
    world = grid("a")
    world.app("hello", web=1)
    world.run()
    (first,) = [a.job.id for a in world.facts.jobs.values()]
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 3}))
    world.run()
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 1}))
    world.run()
    assert [a.job.id for a in world.facts.jobs.values()] == [first]
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 0}))
    world.run()
    assert not world.facts.jobs


def test_a_stopped_job_is_replaced() -> None:
    world = grid("a")
    world.app("hello", web=2)
    world.run()
    victim = next(iter(world.facts.jobs.values()))
    world.put(keys.job("a", victim.job.id), replace(victim, stop=True))
    world.run()
    assert world.up("hello") == {(1, "web"): 2}
    assert victim.job.id not in {a.job.id for a in world.facts.jobs.values()}


def test_a_job_that_cannot_be_started_is_tried_again_more_and_more_slowly() -> None:
    world = grid("a")
    world.app("hello", web=1)
    world.run()
    tries = 0
    start = world.now
    while world.now < start + 120:
        for a in list(world.facts.jobs.values()):
            world.tell(a, "down", failure="start", reason="blob aaaa is not on the shelf")
            tries += 1
        world.settle()
        world.now += 1
    assert 4 <= tries <= 10


def test_what_cannot_be_started_says_why() -> None:
    world = grid("a")
    world.app("hello", web=1)
    world.run()
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 2}))
    world.settle()
    (new,) = [a for key, a in world.facts.jobs.items() if key not in world.facts.states]
    world.tell(new, "down", failure="start", reason="blob 1 is not on the shelf")
    world.settle()
    why = "runs 1 job of 1 app on 1 host; 1 web of hello could not be started: blob 1 is not on the shelf"
    assert world.plan().sentence == why
    world.now += 3
    world.run()
    assert world.plan().sentence == "runs 2 jobs of 1 app on 1 host"


def test_jobs_of_a_lost_host_start_elsewhere_after_the_limit_only() -> None:
    world = grid("a", "b")
    world.app("hello", web=2)
    world.run()
    world.lose("a")
    world.settle()
    assert len(world.facts.jobs) == 2
    world.now += 31
    world.run()
    assert {a.host for a in world.facts.jobs.values()} == {"b"}
    assert world.up("hello") == {(1, "web"): 2}


def test_a_host_that_returns_in_time_keeps_its_jobs() -> None:
    world = grid("a")
    world.app("hello", web=2)
    world.run()
    before = set(world.facts.jobs)
    world.lose("a")
    world.settle()
    world.now += 20
    world.settle()
    world.host("a")
    world.now += 100
    world.run()
    assert set(world.facts.jobs) == before


def test_a_deleted_app_leaves_nothing_running() -> None:
    world = grid("a")
    world.app("hello", web=3)
    world.run()
    for _ in range(200):
        world.release("hello", "web")
    world.write(Change(deletes=(keys.app("hello"),)))
    world.run()
    for table in ("jobs", "queues", "releases", "formations", "deploys"):
        assert not world.facts.tables.get(table), table


def test_a_type_that_the_new_release_lacks_ends_with_the_old_one() -> None:
    world = grid("a")
    world.app("hello", web=1, worker=1)
    world.run()
    world.deploy("hello", "web")
    world.run()
    assert world.up("hello") == {(2, "web"): 1}


COMMIT = "1f3a" * 10


def build(world: World, app: str) -> model.Job:
    job = model.Job(id=f"{app}-build-1", app=app, type="build", queue="builders", command="x", created=world.now)
    world.put(keys.queued("builders", job.id), model.Queued(job=job))
    made = model.Build(app=app, number=1, job=job.id, source="b" * 64, started=world.now, commit=COMMIT)
    world.put(keys.build(app, 1), made)
    return job


def test_a_build_becomes_a_release_and_its_deploy() -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, env={"K": "V"}))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    result = '{"buildpack": "python", "processes": {"web": "serve", "worker": "work"}}'
    world.tell(a, "down", exit_code=0, output=SLUG, result=result)
    world.run()
    release = world.facts.releases["hello/1"]
    assert release.env == {"K": "V"}
    assert {type: p.serves for type, p in release.processes.items()} == {"web": True, "worker": False}
    assert (world.facts.builds["hello/1"].state, world.facts.builds["hello/1"].release) == ("complete", 1)
    assert release.commit == COMMIT
    world.write(decide.set_env(world.facts, "hello", {"K": "W"}, [], world.now))
    assert world.facts.releases["hello/2"].commit == COMMIT
    world.run()
    assert world.up("hello") == {(2, "web"): 1}


def test_a_build_ends_in_the_commit_that_starts_what_it_made() -> None:
    """One that has a place for all of it; else what has none waits in its queue, and the rest is done."""
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, limits={"big": {"memory": 100_000}}))
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 2, "big": 1}))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    world.tell(a, "down", exit_code=0, output=SLUG, result='{"processes": {"web": "serve", "big": "work"}}')
    (change,) = (change for change in world.plan().changes if change.puts)
    assert change.why.startswith("build hello-build-1 became v1 of hello; hello step 1: 1 big and 2 web of v1; queue")
    assert world.facts.unchanged(keys.build("hello", 1)) in change.guards(world.facts)
    assert not any("queues/services/hello-web" in key for key in (*change.puts, *change.deletes))
    world.step()
    assert (world.facts.builds["hello/1"].state, world.facts.deploys["hello"].step) == ("complete", 1)
    assert sorted(a.job.type for a in world.facts.jobs.values()) == ["web", "web"]
    assert [waits.reason for waits in world.facts.queues.values()] == [
        "no host has room for 100000 MiB: a has 8192 MiB of 8192 free"
    ]


def test_a_deploy_of_many_processes_begins_with_the_first_of_them() -> None:
    world = grid("a")
    world.app("hello", web=60)
    world.step()
    assert world.facts.deploys["hello"].step == 1
    assert 0 < len(world.facts.jobs) < 20
    world.run()
    assert world.up("hello") == {(1, "web"): 60}


def test_no_commit_is_larger_than_a_store_takes_however_large_a_config_is() -> None:
    """Each job has all of it: as many are begun with the end of the build as fit."""
    world = grid("a", "b", "c")
    env = {f"CERT_{number}": "x" * 60_000 for number in range(4)}
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, env=env))
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 12}))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    world.tell(a, "down", exit_code=0, output=SLUG, result='{"processes": {"web": "serve"}}')
    assert max(change.size for change in world.plan().changes) <= VALUE_LIMIT
    while world.step():
        assert max([change.size for change in world.plan().changes], default=0) <= VALUE_LIMIT
    world.run()
    assert world.up("hello") == {(1, "web"): 12}


def test_what_an_app_says_of_its_types_reaches_its_jobs() -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    said = '{"processes": {"web": {"check": {"path": "/up", "kill_after": 30}, "stop_signal": "SIGINT"}}}'
    world.tell(a, "down", exit_code=0, output=SLUG, result=f'{{"processes": {{"web": "serve"}}, "described": {said}}}')
    world.run()
    (job,) = (one.job for one in world.facts.jobs.values() if one.job.queue == "services")
    assert job.check == model.Check(kind="http", path="/up", kill_after=30)
    assert (job.stop_signal, job.stop_timeout) == ("SIGINT", 0.0)


def test_a_build_whose_app_says_what_cannot_be_fails() -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    result = '{"processes": {"web": "serve"}, "described": {"process": {}}}'
    world.tell(a, "down", exit_code=0, output=SLUG, result=result)
    world.run()
    assert (
        world.facts.builds["hello/1"].reason == "flynn.json: unknown key 'process'; known are: processes, deploy, cron"
    )
    assert not world.facts.releases


def test_a_build_that_fails_says_why() -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    world.tell(a, "down", exit_code=1, reason="exited with code 1")
    world.run()
    assert world.facts.builds["hello/1"].state == "failed"
    assert world.facts.builds["hello/1"].reason == "exited with code 1"
    assert not world.facts.releases


def test_a_build_that_says_itself_why_it_fails() -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    world.tell(a, "down", exit_code=1, reason="exited with code 1", result='{"failed": "no buildpack fits"}')
    world.run()
    ended = world.facts.builds["hello/1"]
    assert (ended.state, ended.reason, ended.host) == ("failed", "no buildpack fits", "a")


@pytest.mark.parametrize("result", ["", "{", '{"processes": {}}', '{"processes": 7}'])
def test_a_build_whose_result_is_no_good_fails(result: str) -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    build(world, "hello")
    world.settle()
    (a,) = world.facts.jobs.values()
    world.tell(a, "down", exit_code=0, output=SLUG, result=result)
    world.run()
    assert world.facts.builds["hello/1"].state == "failed"
    assert not world.facts.releases


def test_a_release_stands_on_layers_of_its_own_app_and_on_new_ones() -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    for number, (named, came) in enumerate([(["new"], {"new": "1" * 64}), (["new", "more"], {"more": "2" * 64})], 1):
        job = model.Job(
            id=f"b{number}", app="hello", type="build", queue="builders", command="x", created=world.now
        )  # fmt: skip
        world.put(keys.queued("builders", job.id), model.Queued(job=job))
        made = model.Build(app="hello", number=number, job=job.id, source="b" * 64, started=world.now)
        world.put(keys.build("hello", number), made)
        world.settle()
        (a,) = (a for a in world.facts.jobs.values() if a.job.id == job.id)
        result = msgspec.json.encode({"processes": {"web": "serve"}, "layers": named}).decode()
        world.tell(a, "down", exit_code=0, output=replace(SLUG, layers=came), result=result)
        world.run()
    assert world.facts.releases["hello/2"].artifact.layers == {"new": "1" * 64, "more": "2" * 64}
    (job,) = (a.job for a in world.facts.jobs.values() if a.job.queue == "services")
    assert (job.layers, job.under) == ({"app": SLUG.sha256}, ("1" * 64, "2" * 64))


def test_a_build_that_names_a_layer_of_another_app_fails() -> None:
    world = grid("a")
    other = replace(world.release("other", "web"), artifact=replace(SLUG, layers={"secret": "3" * 64}))
    world.put(keys.release("other", 1), other)
    world.put(keys.app("other"), model.App(name="other", created=1.0, release=1))
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    build(world, "hello")
    world.settle()
    (a,) = (a for a in world.facts.jobs.values() if a.job.queue == "builders")
    world.tell(a, "down", exit_code=0, output=SLUG, result='{"processes": {"web": "x"}, "layers": ["secret"]}')
    world.run()
    assert "names a layer that is not there" in world.facts.builds["hello/1"].reason
    assert not world.facts.releases_of("hello")


@pytest.mark.parametrize("after", ["queued", "assigned", "up", "done"])
def test_a_cancelled_build_ends_and_releases_nothing(after: str) -> None:
    """Wherever it is: in its queue, on a host that has not begun it, running, or over with a slug."""
    world = grid(*([] if after == "queued" else ["a"]))
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    build(world, "hello")
    world.settle()
    if after in ("up", "done"):
        world.obey()
    if after == "done":
        (a,) = world.facts.jobs.values()
        world.tell(a, "down", exit_code=0, output=SLUG, result='{"processes": {"web": "serve"}}')
    world.write(cancel_build(world.facts, "hello", 1, "a user asked for it"))
    world.run()
    ended = world.facts.builds["hello/1"]
    assert (ended.state, ended.reason) == ("cancelled", "a user asked for it")
    assert not any(world.facts.tables.get(table) for table in ("queues", "jobs", "releases", "deploys"))


def test_who_kills_the_job_of_a_build_cancels_it() -> None:
    world = grid("a")
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    job = build(world, "hello")
    world.settle()
    world.obey()
    world.write(decide.stop_job(world.facts, job.id, world.now))
    world.run()
    ended = world.facts.builds["hello/1"]
    assert (ended.state, ended.reason) == ("cancelled", "its job was killed")


def test_the_builds_of_a_deleted_app_are_forgotten() -> None:
    world = grid("a")
    world.app("hello", web=1)
    build(world, "hello")
    world.run()
    world.write(Change(deletes=(keys.app("hello"),)))
    world.run()
    assert not world.facts.builds
    assert not world.facts.jobs


def test_builds_take_turns_on_a_host() -> None:
    world = grid()
    world.host("a", cpus=2)
    for app in ("one", "two"):
        world.put(keys.app(app), model.App(name=app, created=1.0))
        build(world, app)
    world.settle()
    assert len(world.facts.jobs) == 1
    (queued,) = world.facts.queues.values()
    assert queued.reason == "a runs 1 build already, as many as it may at once"


def test_the_sentence_tells_of_crash_loops_and_of_drained_hosts() -> None:
    world = grid("a", "b")
    world.app("hello", web=2)
    world.run()
    (first, *_) = world.facts.jobs.values()
    reason = "crash loop: 7 restarts in 2 min, next try in 10 s: exited with code 1"
    world.tell(first, "starting", failure="crash", restarts=8, reason=reason)
    world.write(wishes.drain(world.facts, "b", False, 60.0, world.now))
    said = world.plan().sentence
    assert f"1 job crashes again and again: {first.job.id} ({reason})" in said
    assert said.endswith("b is drained of 1 job yet")
    world.tell(first, "up")
    world.run()
    assert world.plan().sentence == "runs 2 jobs of 1 app on 2 hosts; b is drained"
