"""What a service counts never goes back, whatever becomes of its instances and in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.model import Instance, Record, Route
from flynn.router.orphans import KEPT
from flynn.router.registry import Registry
from flynn.router.service import Service
from flynn.router.target import Target

IDS = st.sampled_from("abc")
STEPS = st.lists(
    st.tuples(st.sampled_from(["come", "move", "drain", "go", "begin", "answer", "end", "wait"]), IDS), max_size=40
)


class Stage:
    """A service `s` under a route, and the requests that its instances have."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.records: dict[str, Record] = {keys.route("r"): Route(id="r", domain="a.test", service="s")}
        self.now = 0.0
        self.port = 1
        self.begun: list[Target] = []
        self.requests = self.answers = 0
        self.show()

    @property
    def service(self) -> Service:
        return self.registry.services["s"]

    def show(self) -> None:
        self.now += 1
        self.registry.swap(Facts.of(self.records, int(self.now)), self.now)

    def step(self, what: str, id: str) -> None:
        key = keys.instance("s", id)
        here = self.records.get(key)
        if what in ("come", "move") or (what == "drain" and here):
            self.port += what == "move"
            address = here.address if isinstance(here, Instance) and what == "drain" else f"h:{self.port}"
            self.records[key] = Instance(id=id, service="s", address=address, host="h", draining=what == "drain")
            self.show()
        elif what == "go" and here:
            del self.records[key]
            self.show()
        elif what == "wait":
            self.now += KEPT
            self.registry.tick(self.now)
        elif what == "begin" and self.service.asked:
            self.begin(self.service.asked[0])
        elif self.begun:
            self.end(self.begun.pop(0), what == "answer")

    def begin(self, target: Target) -> None:
        target.in_flight += 1
        target.opened += 1
        self.requests += 1
        self.begun.append(target)

    def end(self, target: Target, answered: bool) -> None:
        target.answers[2] += answered
        self.answers += answered
        target.ended()


@given(STEPS)
def test_nothing_is_forgotten(steps: list[tuple[str, str]]) -> None:
    stage = Stage()
    for what, id in steps:
        stage.step(what, id)
        totals = stage.service.totals()
        assert (totals.opened, totals.reused, totals.answers[2]) == (stage.requests, 0, stage.answers)
        assert stage.service.in_flight() == len(stage.begun)
        assert stage.service.used == (stage.requests > 0)


def test_those_that_are_gone_are_not_kept_for_what_they_counted() -> None:
    stage = Stage()
    for _ in range(100):
        for what in ("move", "begin", "answer"):
            stage.step(what, "a")
    assert stage.service.totals().answers[2] == 100
    assert len(stage.service._left) <= 1
