"""The looks of queues and drains."""

from flynn.cli import show_drain, show_queues
from flynn.core.records import Forecast, Going, QueueDetail, QueueInfo, Staying, Waiting
from tests.cli.fake import T0

HEAD = Waiting(id="hello-run-1", app="hello", type="run", created=T0, reason="no host is up")


def test_queues_in_a_line_each_and_why_the_next_job_waits() -> None:
    limits = {"bound": 20_000.0, "starting_per_host": 2.0, "running": 0.0, "retry": 0.5}
    rows = [
        QueueInfo(name="services", running=3),
        QueueInfo(name="ephemeral", depth=4, oldest=T0, starting=1, running=2, head=HEAD, limits=limits),
    ]
    assert show_queues.queues(rows, T0 + 30) == [
        "QUEUE      WAITING  OLDEST  STARTING  RUNNING  LIMITS",
        "services   0                0         3",
        "ephemeral  4        30 s    1         2        20000 wait, 2 start on a host",
        "",
        "ephemeral: hello-run-1 waits: no host is up",
    ]


def test_one_queue() -> None:
    found = QueueDetail(name="ephemeral", depth=3, jobs=(HEAD,))
    assert show_queues.queue(found, T0 + 2) == [
        "=== ephemeral (3)",
        "JOB          APP    WAITS  WHY",
        "hello-run-1  hello  2 s    no host is up",
        "and 2 more jobs; -n shows them",
    ]
    assert show_queues.queue(QueueDetail(name="builders"), T0) == ["=== builders (0)"]


def test_a_forecast_of_a_drain() -> None:
    found = Forecast(
        host="a",
        moves=(Going("hello-web-1", "hello", "web", "b"),),
        unplaced=(Staying("big-web-1", "big", "web", "no host has room for 900 MiB: b has 3 MiB of 9 free"),),
        ends=(Staying("hello-run-1", "hello", "run", "a one-off job, is let end"),),
        stays=(Staying("db-1", "db", "db", "has its volume data there", True),),
    )
    assert show_drain.forecast(found) == [
        "=== would move (1)",
        "hello-web-1  ->  b",
        "",
        "=== would find no place, and stay until there is one (1)",
        "big-web-1  no host has room for 900 MiB: b has 3 MiB of 9 free",
        "",
        "=== would be let end (1)",
        "hello-run-1  a one-off job, is let end",
        "",
        "=== would stay (--force stops them) (1)",
        "db-1  has its volume data there",
        "",
        "2 jobs would keep a from being empty",
    ]
    assert show_drain.forecast(Forecast(host="a")) == ["a has no job: it can be drained at once"]
    easy = Forecast(host="a", moves=(Going("hello-web-1", "hello", "web", "b"),))
    assert show_drain.forecast(easy)[-1] == "a would be empty"
