"""One push, from what git's hook asks to the answer it gets: judged, built, deployed, and then kept."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flynn.core import blobs, model
from flynn.core.change import persist
from flynn.core.election import Claim
from flynn.core.errors import Conflict, FlynnError, Invalid
from flynn.core.previews import previews_of
from flynn.plugins.builder.follow import LIMIT, follow_build
from flynn.plugins.builder.git import building, previews
from flynn.plugins.builder.git.archive import Made, making
from flynn.plugins.builder.git.beside import beside
from flynn.plugins.builder.git.building import Begin, Supply, Told
from flynn.plugins.builder.git.commit import Objects
from flynn.plugins.builder.git.hook import Asked, Talk
from flynn.plugins.builder.git.packs import Packs
from flynn.plugins.builder.git.program import Git
from flynn.plugins.builder.git.record import recorded
from flynn.plugins.builder.git.repositories import Local, Repositories
from flynn.plugins.builder.git.rules import Verdict, judge, refusal
from flynn.plugins.builder.git.turn import is_taken, turn
from flynn.plugins.builder.git.words import INDENT, done
from flynn.plugins.builder.start import Source, Supplies

if TYPE_CHECKING:
    from flynn.core.brick import Context

SHALLOW = 10_000
"""Commits without parents that a repository may have."""

ENDED = "it is ended with this push; push again later"
"""What comes after a build that takes too long: nobody else would see to it."""

ENDS = 60.0
"""Seconds that git has to end once its hook has its answer."""


@dataclass(frozen=True)
class Means:
    """What all pushes of this node share."""

    ctx: "Context"
    git: Git
    repositories: Repositories
    packs: Packs
    supply: Supply
    begin: Begin
    scratch: Path
    reserve: int
    """Bytes of this node's disk that stay free."""


class Push:
    """A push of `local`'s app. `released`: it is being deployed, and goes on if the pusher leaves."""

    def __init__(self, means: Means, local: Local, talk: Talk) -> None:
        self._means, self._local, self._talk = means, local, talk
        self._app, self._ctx = local.app, means.ctx
        self._target = local.app
        """The app that is built and deployed: a preview of the other, perhaps."""
        self._told = Told(talk.say)
        self.git_ended = asyncio.Event()
        """To be set when the process of git has ended."""

    @property
    def released(self) -> bool:
        return self._told.released

    async def run(self) -> None:
        """From the first question of a hook to the last. Never raises: what is wrong is told to the pusher."""
        try:
            async with self._means.repositories.using(self._local):
                if asked := await self._talk.asked():
                    await self._answer(asked)
        except FlynnError as error:
            await self._refuse(str(error))
        except asyncio.CancelledError:
            goes_on = f"its deploy goes on (flynn info -a {self._target})"
            still = building.still(self._ctx.mirror.facts, self._target)
            await self._refuse(f"the push broke off; {goes_on if self.released else still}. Push again")
            raise
        except Exception:
            self._ctx.log.exception("a push of %s failed", self._app)
            await self._refuse("flynn made a mistake here; its log on this node says more")

    async def _answer(self, asked: Asked) -> None:
        """The source is made while the turn is taken, and put on the shelf: what is in a commit depends on nobody else.
        Where others have the turn it is made after them, so that those who wait take no room. What it is built with is
        found out as well."""
        verdict = self._judged(asked)
        if verdict.command.deletes:
            await self._remove(asked, verdict)
            return
        if verdict.preview and (there := previews_of(self._ctx.mirror.facts, self._app).get(verdict.branch)):
            self._target = there.name
        shallow = await asyncio.to_thread(_shallow, asked.shallow) if asked.shallow else None
        mine = asyncio.Event()
        if not is_taken(self._ctx, self._local):
            mine.set()
        async with (
            self._making(asked, verdict, mine) as making,
            beside(self._means.supply(self._target), "supplies of a build") as supplying,
            turn(self._ctx, self._local, self._talk) as claim,
        ):
            mine.set()
            await self._bring_again(asked, verdict)
            job = await self._begun(await making, await supplying, verdict)
            folder = Path(asked.quarantine) / "pack"
            async with self._means.packs.keeping(
                folder, partial(building.runs, self._ctx, self._target, job)
            ) as keeping:
                if not await self._deployed(job, keeping):
                    return
                async with self._local.lock:  # Until git has changed its ref to what is kept.
                    commits = self._local.known.shallow if shallow is None else shallow
                    await self._keep(claim, verdict, folder, keeping, commits)
                    await self._says_last()
                    await self._end(verdict)

    def _judged(self, asked: Asked) -> Verdict:
        return judge(self._local.known, asked.commands, previews.known(self._ctx.mirror.facts, self._app))

    async def _bring_again(self, asked: Asked, verdict: Verdict) -> None:
        """Once it is this push's turn. Conflict: it is to be judged otherwise now."""
        async with self._local.lock:
            await self._means.repositories.bring(self._local)
        if self._judged(asked) != verdict:
            raise Conflict(f"{self._local.known.branch} is the branch that deploys now; push again")

    async def _remove(self, asked: Asked, verdict: Verdict) -> None:
        """Have the preview of a branch deleted, and then forget the branch."""
        async with turn(self._ctx, self._local, self._talk) as claim:
            await self._bring_again(asked, verdict)
            async with self._local.lock:
                gone = await previews.removed(self._ctx, self._app, verdict.branch)
                await self._persist(claim, verdict, (), self._local.known.shallow)
                await self._talk.say(f"=====> {gone.app} is deleted, with its routes, its builds and its data")
                await self._end(verdict)

    async def _end(self, verdict: Verdict) -> None:
        """The push is done: git changes its refs."""
        await self._talk.end(0)
        await self._others(verdict)
        async with asyncio.timeout(ENDS):
            await self.git_ended.wait()

    def _making(
        self, asked: Asked, verdict: Verdict, go: asyncio.Event
    ) -> "AbstractAsyncContextManager[asyncio.Task[Made]]":
        means, command = self._means, verdict.command
        objects = Objects(means.git, self._local.place, asked.environ(self._local.place))
        old = "" if command.creates else command.old
        path = self._scratch(command.new)

        async def keep(made: model.Artifact) -> None:
            await blobs.store(self._ctx, path, made)

        return making(objects, command.new, old, path, means.reserve, keep, go)

    def _scratch(self, commit: str) -> Path:
        return self._means.scratch / f"{self._app}-{commit[:12]}-{id(self):x}"

    async def _begun(self, made: Made, supplies: Supplies, verdict: Verdict) -> str:
        """The job of the build of a source, which is on the shelf."""
        if verdict.preview:
            self._target = (await previews.made(self._ctx, self._app, verdict.branch)).app
        await self._note(made, verdict)
        new = made.looked.new
        source = Source(made.blob.sha256, made.names, new.id, new.subject)
        begin = partial(self._means.begin, supplies)
        return await building.begun(self._ctx, begin, self._target, source, self._talk.say)

    async def _deployed(self, job: str, keeping: "asyncio.Task[tuple[model.Pack, ...]]") -> bool:
        """Whether the release of a build serves in the end; if not, the pusher knows. What was pushed is put on the
        shelf meanwhile. FlynnError: that fails before anything is released."""
        app, why = self._target, "who pushed it left"
        try:
            async with beside(follow_build(self._ctx, app, job, self._told, LIMIT, ENDED), f"build {job}") as following:
                await asyncio.wait([following, keeping], return_when=asyncio.FIRST_COMPLETED)
                if keeping.done() and not self.released and (error := keeping.exception()):
                    why = f"what was pushed cannot be kept: {error}"
                    raise error
                await following
        finally:
            if not self.released:
                await building.cancel(self._ctx, app, job, why)
        if self._told.last and self._told.last.get("ok"):
            return True
        await self._says_last()
        await self._talk.end(1)
        return False

    async def _note(self, made: Made, verdict: Verdict) -> None:
        told = []
        if self._local.lost:
            told.append("What was pushed before is lost with a shelf; it is kept anew from this push on")
        if verdict.preview:
            told.append(f"{verdict.branch} is deployed as {self._target}, a preview of {self._app}")
        elif not self._local.known.branch and verdict.branch != "main":
            told.append(f"{verdict.branch} is the branch that deploys from now on")
        for text in (*told, *made.said):
            await self._talk.say(INDENT + text)

    async def _keep(
        self,
        claim: Claim,
        verdict: Verdict,
        folder: Path,
        keeping: "asyncio.Task[tuple[model.Pack, ...]]",
        shallow: tuple[str, ...],
    ) -> None:
        """Have the grid know what was pushed, whose packs are in `folder`. FlynnError: it does not, though the release
        serves."""

        try:
            new = await keeping
            self._local.grown = True
            await self._means.packs.again(folder, new)
            await self._persist(claim, verdict, new, shallow)
        except FlynnError as error:
            serves = str((self._told.last or {}).get("message", ""))
            raise type(error)(f"{serves}, but what was pushed could not be kept: {error}; push again") from None

    async def _persist(
        self, claim: Claim, verdict: Verdict, new: tuple[model.Pack, ...], shallow: tuple[str, ...]
    ) -> None:
        """Have the grid know of the push, which brought the packs `new`."""
        local, now = self._local, self._ctx.clock()
        await persist(
            self._ctx.store,
            self._ctx.mirror,
            lambda facts: recorded(facts, local.known, verdict, new, shallow, now, local.lost),
            claim.fence,
        )

    async def _others(self, verdict: Verdict) -> None:
        """Answer for each ref whether it changes: only the one that was deployed does."""
        while asked := await self._talk.asked():
            [command] = asked.commands
            if command != verdict.command:
                await self._talk.say(INDENT + refusal(command, verdict.branch))
            await self._talk.end(0 if command == verdict.command else 1)

    async def _says_last(self) -> None:
        last = self._told.last or {}
        ok, message = bool(last.get("ok")), str(last.get("message", ""))
        if not ok and not self.released:
            message += f"; {building.still(self._ctx.mirror.facts, self._target)}"
        for text in done(ok, message):
            await self._talk.say(text)

    async def _refuse(self, why: str) -> None:
        for text in done(False, why):
            await self._talk.say(text)
        await self._talk.end(1)


def _shallow(path: str) -> tuple[str, ...]:
    """The commits without parents that git notes in a file. Invalid: they are too many."""
    found = tuple(sorted(set(Path(path).read_text().split())))
    if len(found) > SHALLOW:
        raise Invalid(f"the history is cut off in {len(found)} places; push from a whole clone (git fetch --unshallow)")
    return found
