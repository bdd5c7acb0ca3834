"""The jobs of this host: look at the facts, decide (`plan.py`), begin and stop jobs, say one sentence.

Each job then lives by itself (`life.py`).
"""

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec.structs import replace

from flynn.core import keys
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY
from flynn.core.model import Assignment, Job, JobState
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.lacking import is_lack
from flynn.plugins.host.life.kept import Kept, save
from flynn.plugins.host.life.life import AGAIN, Life
from flynn.plugins.host.plan import Ended, decide, mine, sentence
from flynn.plugins.host.trees import remove_tree

SAID = 0.02
"""Seconds after which is said what was done: what begins, or has come up, need not wait for that."""

JOB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


class Jobs:
    """`lives`: the jobs that are not down yet; `ended`: those that are, and are not forgotten yet; `known`: both.

    `closed()` says why no new job starts here, `trouble()` what is wrong with the engine ("": nothing).
    """

    def __init__(self, ground: Ground, closed: Callable[[], str], trouble: Callable[[], str]) -> None:
        self.ground, self.ctx, self.closed, self.trouble = ground, ground.ctx, closed, trouble
        self.lives: dict[str, Life] = {}
        self.ended: dict[str, Kept] = {}
        self.known: dict[str, Job] = {}
        self._looks_again = False
        self._began: list[str] = []
        self._stopped: list[str] = []
        self._saying: asyncio.TimerHandle | None = None

    def take_over(self, kept: Iterable[Kept], facts: Facts) -> None:
        """Adopt what runs, tell again what ended, clear the store of what is true no more."""
        assigned = mine(facts.jobs_by_host.get(self.ctx.host, EMPTY), self.ctx.host)
        for one in sorted(kept, key=lambda kept: kept.state.since):
            self.known[one.job.id] = one.job
            if one.state.state == "down":
                self.ended[one.job.id] = one
                if facts.states.get(f"{self.ctx.host}/{one.job.id}") != one.state:
                    self.ground.tell(one.state)
                continue
            life = Life(self.ground, one)
            if one.job.id not in assigned or assigned[one.job.id].stop:
                life.stop(_why_stopped(assigned.get(one.job.id)))
            self._let_live(life)
        for key in self._stale(facts, assigned):
            self.ground.later(self.ctx.lease.delete(key), f"clear {key}")

    def look(self, facts: Facts) -> None:
        """One look, and what follows from it."""
        ended = [Ended(kept.job.id, kept.job.app) for kept in self.ended.values()]
        fresh = self.ctx.mirror.stale_since is None
        assigned = mine(facts.jobs_by_host.get(self.ctx.host, EMPTY), self.ctx.host)
        plan = decide(assigned, self.lives.keys(), ended, fresh)
        closed = self.closed()
        began = [a.job.id for a in plan.begin if (a.stop or not closed) and self._begin(a)]
        stopped = [id for id in plan.stop if not self.lives[id].stopping]
        for id in stopped:
            self.lives[id].stop(_why_stopped(assigned.get(id)))
        for id in plan.forget:
            self._forget(id)
        self.ground.volumes.look(facts)
        self.say(began, stopped)

    def say(self, began: Collection[str] = (), stopped: Collection[str] = ()) -> None:
        """What was done, how the jobs fare, and what is in the way: in a moment, for all that comes by then."""
        self._began += began
        self._stopped += stopped
        if not self.ctx.sentence:
            self._say()
        elif self._saying is None:
            self._saying = asyncio.get_running_loop().call_later(SAID, self._say)

    def _say(self) -> None:
        began, stopped = self._began, self._stopped
        self._began, self._stopped, self._saying = [], [], None
        up = sum(1 for life in self.lives.values() if life.state.state == "up")
        closed = f"no new job starts: {closed}" if (closed := self.closed()) else ""
        self.ctx.say("; ".join(filter(None, [sentence(up, len(self.lives), began, stopped), self.trouble(), closed])))

    def begun(self) -> list[JobState]:
        """The states of all that were begun here and are not forgotten."""
        return [*(life.state for life in self.lives.values()), *(kept.state for kept in self.ended.values())]

    def live(self) -> list[Job]:
        """Those of `lives`."""
        return [life.job for life in self.lives.values()]

    def layers(self) -> set[str]:
        """Those that jobs use now."""
        return {sha256 for job in self.live() for sha256 in (*job.layers.values(), *job.under)}

    def _stale(self, facts: Facts, assigned: Mapping[str, Assignment]) -> list[str]:
        """Keys of this host that no job of it stands behind: instances that died, states without a directory."""
        host = self.ctx.host
        alive = {id for id, life in self.lives.items() if life.running and life.running.alive()}
        known = {*self.lives, *self.ended, *assigned}
        dead = [keys.instance(i.service, i.id) for i in facts.services.values() if i.host == host and i.job]
        lost = [s.id for key, s in facts.states.items() if key.startswith(f"{host}/") and s.id not in known]
        return [*(k for k in dead if k.rpartition("/")[2] not in alive), *(keys.state(host, id) for id in lost)]

    def _begin(self, assignment: Assignment) -> bool:
        job, now = assignment.job, self.ctx.clock()
        if not JOB_ID.fullmatch(job.id):
            self.ctx.log.error("the job %r has no good id and is passed over", job.id[:120])
            return False
        state = JobState(
            id=job.id, app=job.app, type=job.type, queue=job.queue, release=job.release, host=self.ctx.host,
            state="starting", since=now, created=now, meta=job.meta,
        )  # fmt: skip
        kept = Kept(job=job, state=state)
        self.known[job.id] = job
        try:
            (self.ground.jobs / job.id).mkdir(mode=0o700, exist_ok=True)
            save(self.ground.jobs / job.id, kept)
        except OSError as error:
            if is_lack(error):  # Of open files, say: that is for a while.
                self._look_again()
                return False
            self._refuse(kept, f"the disk of {self.ctx.host} cannot take the job: {error.strerror}")
            return False
        life = Life(self.ground, kept)
        if assignment.stop:
            life.stop(_why_stopped(assignment))
        self._let_live(life)
        return True

    def _look_again(self) -> None:
        """In a while; once, however many jobs there are that could not be begun."""
        if not self._looks_again:
            self._looks_again = True
            self.ground.later(self._later_pass(), "look again at what could not be begun")

    async def _later_pass(self) -> None:
        await asyncio.sleep(AGAIN)
        self._looks_again = False
        self.look(self.ctx.mirror.facts)

    def _refuse(self, kept: Kept, reason: str) -> None:
        """A job that cannot even be written down is down at once."""
        down = replace(kept.state, state="down", failure="start", reason=reason)
        self.ended[kept.job.id] = replace(kept, state=down)
        self.ground.tell(down)

    def _let_live(self, life: Life) -> None:
        self.lives[life.job.id] = life
        self.ground.later(self._run(life), f"job {life.job.id}")

    async def _run(self, life: Life) -> None:
        await life.run()
        del self.lives[life.job.id]
        self.ended[life.job.id] = life.kept
        self.look(self.ctx.mirror.facts)

    def _forget(self, id: str) -> None:
        del self.ended[id], self.known[id]
        self.ground.later(asyncio.to_thread(remove_tree, self.ground.jobs / id), f"forget {id}")
        self.ground.later(self.ctx.lease.delete(keys.state(self.ctx.host, id)), f"forget {id}")


def _why_stopped(assignment: Assignment | None) -> str:
    return (assignment and assignment.reason) or "stopped"
