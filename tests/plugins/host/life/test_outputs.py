"""Where what was built is unpacked before anybody asks for it."""

from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.model import Assignment, Host, Job, Record
from flynn.plugins.host.life.output import runs_here


def grid(*hosts: str, **runs: str) -> Facts:
    """Hosts, and an app by name that runs on one of them."""
    records: dict[str, Record] = {
        keys.host(name): Host(name=name, address="127.0.0.1", url="", started=1.0, version="1", memory=1, cpus=1)
        for name in hosts
    }
    for app, host in runs.items():
        job = Job(id=f"{app}-web-1", app=app, type="web", queue="services", command="true", created=1.0)
        records[keys.job(host, job.id)] = Assignment(job=job, host=host, assigned=1.0)
    return Facts.of(records)


def test_it_runs_where_it_ran_or_on_the_only_host() -> None:
    assert runs_here(grid("a"), "hello", "a")
    assert runs_here(grid("a", "b", hello="a"), "hello", "a")
    assert not runs_here(grid("a", "b", hello="b", other="a"), "hello", "a")
    assert not runs_here(grid("a", "b"), "hello", "a")
    assert not runs_here(grid("b"), "hello", "a")
