"""Where jobs go: spread over zones and hosts, packed among equals; and why one has no place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.plugins.controller.place import Ground, Places, choose, place_queued
from tests.plugins.controller.world import World


def a_host(name: str, memory: int = 4096, cpus: int = 4, **tags: str) -> model.Host:
    return model.Host(
        name=name, address="127.0.0.1", url="http://x", started=1.0, memory=memory, cpus=cpus, tags=tags
    )  # fmt: skip


def a_job(number: int, app: str = "hello", type: str = "web", memory: int = 128, cpu: int = 0) -> model.Job:
    return model.Job(
        id=f"{app}-{type}-{number}", app=app, type=type, queue="services", command="run", created=float(number),
        release=1, memory=memory, cpu_reserve=cpu,
    )  # fmt: skip


def photo(hosts: list[model.Host], jobs: list[model.Job]) -> Facts:
    apps: dict[str, model.Record] = {keys.app(job.app): model.App(name=job.app, created=1.0) for job in jobs}
    queued = {keys.queued(job.queue, job.id): model.Queued(job=job) for job in jobs}
    return Facts.of({keys.host(host.name): host for host in hosts} | apps | queued)


def placed(hosts: list[model.Host], jobs: list[model.Job]) -> dict[str, str]:
    """The host of each job that got one, placed in this order."""
    facts = photo(hosts, jobs)
    line = [model.Queued(job=job) for job in jobs]
    changes = place_queued(facts, Ground.of(facts), line, 5.0)
    given = [record for change in changes for record in change.puts.values() if isinstance(record, model.Assignment)]
    return {a.job.id: a.host for a in given}


def counts(places: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for host in places.values():
        found[host] = found.get(host, 0) + 1
    return found


def test_jobs_are_spread_over_zones_first_then_hosts() -> None:
    hosts = [a_host("a", zone="x"), *(a_host(name, zone="y") for name in "bcd")]
    assert counts(placed(hosts, [a_job(n) for n in range(6)])) == {"a": 3, "b": 1, "c": 1, "d": 1}


def test_a_zone_that_is_full_is_passed_over() -> None:
    hosts = [a_host("a", memory=200, zone="x"), a_host("b", zone="y"), a_host("c", zone="y")]
    assert counts(placed(hosts, [a_job(n) for n in range(5)])) == {"a": 1, "b": 2, "c": 2}


def test_other_apps_fill_the_host_that_runs_something_already() -> None:
    hosts = [a_host("a"), a_host("b"), a_host("c")]
    assert set(placed(hosts, [a_job(n, app=f"app{n}") for n in range(20)]).values()) == {"a"}


def test_what_needs_memory_goes_where_cpu_is_taken() -> None:
    hosts = [a_host("a"), a_host("b")]
    jobs = [a_job(1, "cpu", cpu=3000), a_job(2, "memory", memory=3900), a_job(3, "more", memory=64, cpu=900)]
    places = placed(hosts, jobs)
    assert places["cpu-web-1"] == places["memory-web-2"] == places["more-web-3"]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (a_job(1, memory=5000), "no host has room for 5000 MiB: a has 4096 MiB of 4096 free; b has 64 MiB of 64 free"),
        (
            a_job(1, cpu=4500),
            "no host has room for 128 MiB and 4.5 cores: a has 4 of 4 cores free; b has 64 MiB of",
        ),
    ],
)
def test_why_no_host_takes_it(job: model.Job, said: str) -> None:
    facts = photo([a_host("a"), a_host("b", memory=64)], [job])
    host, reason = choose(facts, Ground.of(facts), job)
    assert (host, reason[: len(said)]) == ("", said)


def test_a_move_holds_as_long_as_the_queue_has_the_job_and_the_host_is_what_it_was() -> None:
    """That the job has no host yet follows from its entry in the queue, and is not guarded besides."""
    facts = photo([a_host("a")], [a_job(1)])
    line = [model.Queued(job=a_job(1))]
    [change] = place_queued(facts, Ground.of(facts), line, 5.0)
    assert [guard.key for guard in change.guards(facts)] == ["queues/services/hello-web-1", "hosts/a", "wishes/a"]
    assert [*change.puts, *change.deletes] == ["jobs/a/hello-web-1", "queues/services/hello-web-1"]


def test_of_many_hosts_it_is_told_how_many_refuse_and_why() -> None:
    hosts = [*(a_host(f"small{n}", memory=64 + n) for n in range(8)), a_host("full")]
    hosts[-1] = model.Host(name="full", address="x", url="x", started=1.0, full="its disk is nearly full")
    facts = photo(hosts, [a_job(1)])
    assert choose(facts, Ground.of(facts), a_job(1)) == (
        "",
        "no host has room for 128 MiB: 8 of 9 hosts: at most has 71 MiB of 71 free; "
        "1 of 9 hosts: takes no new job: its disk is nearly full",
    )


def test_numbers_alone_are_told_anew_to_the_head_of_the_line_only() -> None:
    world = World()
    world.host("a", memory=100)
    jobs = [a_job(n) for n in range(30)]
    world.put(keys.app("hello"), model.App(name="hello", created=1.0))
    line = [model.Queued(job=job, reason="no host has room for 128 MiB: a has 50 MiB of 100 free") for job in jobs]
    for fresh, count in ((20, 20), (None, 30)):
        places = Places(world.facts, Ground.of(world.facts), 5.0, lambda reason: None, fresh)
        assert (len(list(places.of(line))), places.late) == (count, fresh is not None)


SIZES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 9), st.sampled_from((0, 250, 1000))), min_size=1, max_size=40
)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(1, 16), st.integers(1, 4), st.sampled_from("xyz")), max_size=5), SIZES)
def test_never_over_what_a_host_has_and_each_that_waits_has_a_reason(
    machines: list[tuple[int, int, str]], sizes: list[tuple[int, int, int]]
) -> None:
    hosts = [a_host(f"h{n}", memory * 100, cpus, zone=zone) for n, (memory, cpus, zone) in enumerate(machines)]
    jobs = [a_job(n, f"app{app}", memory=100 * size, cpu=cpu) for n, (app, size, cpu) in enumerate(sizes)]
    facts, ground = photo(hosts, jobs), Ground()
    ground.follow(Facts(), facts)
    changes = place_queued(facts, ground, [model.Queued(job=job) for job in jobs], 5.0)
    assert len(changes) == len(jobs)
    taken = {host.name: [0, 0] for host in hosts}
    for change in changes:
        for record in change.puts.values():
            if isinstance(record, model.Assignment):
                taken[record.host][0] += record.job.memory
                taken[record.host][1] += record.job.cpu_reserve
            else:
                assert isinstance(record, model.Queued)
                assert record.reason
    for host in hosts:
        assert taken[host.name][0] <= host.memory
        assert taken[host.name][1] <= host.cpus * 1000


@settings(max_examples=100)
@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=8), st.integers(1, 30))
def test_an_app_alone_is_spread_evenly(zones: list[str], count: int) -> None:
    """Over zones, and over the hosts of each zone: the most and the least differ by one at most."""
    hosts = [a_host(f"h{n}", zone=zone) for n, zone in enumerate(zones)]
    found = counts(placed(hosts, [a_job(n) for n in range(count)]))
    by_zone: dict[str, list[int]] = {}
    for host in hosts:
        by_zone.setdefault(host.tags["zone"], []).append(found.get(host.name, 0))
    totals = [sum(of) for of in by_zone.values()]
    assert max(totals) - min(totals) <= 1
    assert all(max(of) - min(of) <= 1 for of in by_zone.values())


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from(("ssd", "hdd", ""))), max_size=5),
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=12),
)
def test_never_on_a_host_that_is_full_drained_or_has_other_tags(
    machines: list[tuple[bool, bool, str]], jobs: list[tuple[int, bool]]
) -> None:
    """Where `app1` and `app2` need a disk of a kind, also when a host becomes so between two photos."""
    world = World()
    for number, (_, _, disk) in enumerate(machines):
        world.put(keys.host(f"h{number}"), a_host(f"h{number}", disk=disk))
    ground, seen = Ground.of(world.facts), world.facts
    for number, (full, drained, _) in enumerate(machines):
        host = world.facts.hosts[f"h{number}"]
        world.put(keys.host(host.name), replace(host, full="its disk is nearly full" if full else ""))
        world.put(keys.wish(host.name), model.Wish(host=host.name, drained=world.now * drained))
    needs = {"app0": {}, "app1": {"disk": "ssd"}, "app2": {"disk": "hdd"}}
    for app, tags in needs.items():
        world.put(keys.app(app), model.App(name=app, created=1.0))
        where = {"web": model.Placement(tags=tags)}
        world.put(keys.formation(app), model.Formation(app=app, counts={"web": 9}, placement=where))
    line = [
        model.Queued(job=replace(a_job(number, f"app{app}"), image="shop/hello:1" if image else ""))
        for number, (app, image) in enumerate(jobs)
    ]
    ground.follow(seen, world.facts)
    changes = place_queued(world.facts, ground, line, 5.0)
    assert changes == place_queued(world.facts, Ground.of(world.facts), line, 5.0)
    for change in changes:
        for record in change.puts.values():
            if isinstance(record, model.Queued):
                assert record.reason
            elif isinstance(record, model.Assignment):
                full, drained, disk = machines[int(record.host[1:])]
                assert not full
                assert not drained
                assert not record.job.image
                assert needs[record.job.app].get("disk", disk) == disk
