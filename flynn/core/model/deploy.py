"""How an app's releases take over from each other."""

from typing import Literal

from flynn.core.model.record import Record


class Deploying(Record, frozen=True, kw_only=True):
    """How deploys go. What is empty or 0 is as usual; `docs/guide.md` says what that is.

    `strategy` by name; `batch`: how many processes of a type are replaced at a time; `timeout`: seconds that one step
    may take; `share` of the processes that a canary is (0 to 1), and `hold`: seconds that it is watched (0: until it
    is promoted).
    """

    strategy: str = ""
    batch: int = 0
    timeout: float = 0.0
    share: float = 0.0
    hold: float = 0.0


class Deploy(Record, frozen=True, kw_only=True):
    """The way from release `old` (0: none) to release `new`.

    `reason`: why it failed, or what it waits for. `job` names the job that made it fail. `phase` is the job of its
    release command ("": it has none, or has not begun it), `phased`: that has ended well. `moved` has by type how
    many processes the new release has taken over for good, `whole` the types of which it has all.
    Step number `step` (0: none yet) began at `stepped`; after it the new release shall have `target` processes of each
    type. `old_first`: as many old ones end before. `hold`: all stay so many seconds from when all are up, at `held`
    (0: not yet); 0: until the deploy is `promoted`; -1: not at all.
    """

    app: str
    old: int
    new: int
    started: float
    state: Literal["running", "complete", "failed", "cancelled"] = "running"
    ended: float = 0.0
    reason: str = ""
    job: str = ""
    how: Deploying = Deploying()
    phase: str = ""
    phased: bool = False
    moved: dict[str, int] = {}
    whole: tuple[str, ...] = ()
    step: int = 0
    stepped: float = 0.0
    target: dict[str, int] = {}
    old_first: bool = False
    hold: float = -1.0
    held: float = 0.0
    promoted: bool = False
