"""What a deploy did to those who asked the app meanwhile."""

from flynn.core.model.record import Record


class Served(Record, frozen=True, kw_only=True):
    """Answers of the processes of a release, and how many of them had a status of 500 or above."""

    answers: int = 0
    failed: int = 0


class Counted(Record, frozen=True, kw_only=True):
    """What one router has counted for an app since it `started`. `failed`: requests answered with 500 or above, by the
    router itself too; `held`: those that one process did not take and another did; `durations` by class."""

    started: float
    releases: dict[str, Served] = {}
    failed: int = 0
    held: int = 0
    durations: tuple[int, ...] = ()


class Passage(Record, frozen=True, kw_only=True):
    """A moment of a deploy, and what began then."""

    at: float
    words: str


class Receipt(Record, frozen=True, kw_only=True):
    """A deploy from release `old` to `version`, and the requests for the app from its beginning until `ended` (0: not
    yet), when the last process that it replaced had ended.

    `served` by release (`v3`); `failed` and `held` as a router counts them; `slowest`: the longest that one of them
    took, in seconds, rounded up to a class of duration (3600: over a minute). `before`: what each router had counted
    at the beginning; `silent`: routers that did not answer, whose requests are not in it.
    """

    app: str
    version: int
    old: int
    started: float
    ended: float = 0.0
    state: str = "running"
    reason: str = ""
    steps: tuple[Passage, ...] = ()
    served: dict[str, Served] = {}
    failed: int = 0
    held: int = 0
    slowest: float = 0.0
    before: dict[str, Counted] = {}
    silent: tuple[str, ...] = ()
