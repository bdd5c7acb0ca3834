"""Which pushes may be, by the refs that they would change. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import model
from flynn.core.errors import Conflict, Invalid

HEADS, TAGS = "refs/heads/", "refs/tags/"

USUAL = ("main", "master")
"""The branch that deploys where none was chosen: the first of these that is pushed first."""


@dataclass(frozen=True)
class Command:
    """A ref that shall go from one commit to another. A commit of zeros: it is not there before, or shall not be."""

    old: str
    new: str
    ref: str

    @property
    def deletes(self) -> bool:
        return not self.new.strip("0")

    @property
    def creates(self) -> bool:
        return not self.old.strip("0")


@dataclass(frozen=True)
class Verdict:
    """The command that is deployed, and the branch that it is of; `preview`: not of the app but of a preview of it,
    which one that deletes removes."""

    command: Command
    branch: str
    preview: bool = False


@dataclass(frozen=True)
class Previews:
    """Whether branches get previews, and those that have one."""

    on: bool = False
    there: Collection[str] = ()


NONE = Previews()


def parse(line: str) -> Command:
    """A line that git gives to its hook. ValueError."""
    old, new, ref = line.split(" ", 2)
    return Command(old, new, ref)


def deploy_branch(known: model.Repository, commands: Sequence[Command]) -> str:
    """The branch that deploys: the one that was chosen, or by the first push."""
    if known.branch:
        return known.branch
    pushed = {command.ref for command in commands}
    return next((name for name in USUAL if HEADS + name in pushed), USUAL[0])


def judge(known: model.Repository, commands: Sequence[Command], previews: Previews = NONE) -> Verdict:
    """What a push deploys. Invalid: nothing, or it may not be. Conflict: another one was faster."""
    branch = deploy_branch(known, commands)
    wanted = next((command for command in commands if command.ref == HEADS + branch), None)
    if wanted is None:
        return _preview(known, commands, branch, previews)
    if wanted.deletes:
        raise Invalid(f"{branch} is the branch that deploys and is not deleted; `flynn delete` deletes the app")
    _check_old(known, wanted, branch)
    return Verdict(wanted, branch)


def _preview(known: model.Repository, commands: Sequence[Command], deploys: str, previews: Previews) -> Verdict:
    """That one branch, if it gets a preview or loses it. `deploys`: the branch that does."""
    wanted = next((command for command in commands if _is_preview(command, previews)), None)
    if wanted is None:
        raise Invalid(" ".join(dict.fromkeys(refusal(command, deploys, previews.on) for command in commands[:3])))
    if len(commands) > 1:
        raise Invalid(f"each branch but {deploys} is a preview of its own: push one at a time")
    branch = wanted.ref.removeprefix(HEADS)
    if not branch.isprintable():
        raise Invalid(f"{shown(wanted.ref)} is no text that can be printed; push the branch by another name")
    refs = {**known.refs, HEADS + deploys: ""}
    if in_the_way := sorted(refs.keys() - beside(refs, wanted.ref).keys()):
        raise Invalid(f"{branch} cannot be beside {shown(in_the_way[0])}: to git, one is the directory of the other")
    _check_old(known, wanted, branch)
    return Verdict(wanted, branch, True)


def _is_preview(command: Command, previews: Previews) -> bool:
    if not command.ref.startswith(HEADS):
        return False
    return command.ref.removeprefix(HEADS) in previews.there if command.deletes else previews.on


def _check_old(known: model.Repository, wanted: Command, branch: str) -> None:
    """Conflict: the branch is not where the push begins."""
    there = known.refs.get(wanted.ref, "")
    if there == wanted.new:  # That of a pusher who left, say, and whose deploy went on.
        raise Conflict(f"{branch} is at {there[:10]} already, as you push it: another push of it has been deployed")
    if there != ("" if wanted.creates else wanted.old):
        now = f"is at {there[:10]} now" if there else "is not there any more"
        raise Conflict(f"{branch} {now}: another push was faster; fetch it (git fetch), and push again")


def kept(known: model.Repository, verdict: Verdict) -> dict[str, str]:
    """The refs after a push: of what deploys, that and those of previews."""
    command = verdict.command
    stay = (
        known.refs
        if verdict.preview
        else {ref: known.refs[ref] for ref in map(HEADS.__add__, known.previews) if ref in known.refs}
    )
    refs = {name: commit for name, commit in beside(stay, command.ref).items() if name != command.ref}
    return refs if command.deletes else {**refs, command.ref: command.new}


def standing(known: model.Repository, made: Mapping[str, float]) -> model.Repository:
    """Without the branches whose previews are gone; `made`: of those that are there, when it was."""
    gone = {branch for branch, created in known.previews.items() if made.get(branch) != created}
    if not gone:
        return known
    refs = {ref: commit for ref, commit in known.refs.items() if ref.removeprefix(HEADS) not in gone}
    left = {branch: created for branch, created in known.previews.items() if branch not in gone}
    return replace(known, refs=refs, previews=left)


def beside(refs: Mapping[str, str], ref: str) -> dict[str, str]:
    """Those of the refs that can be where `ref` is: to git no ref is the directory of another."""
    return {
        name: commit for name, commit in refs.items() if not (name.startswith(f"{ref}/") or ref.startswith(f"{name}/"))
    }


def refusal(command: Command, branch: str, previews: bool = False) -> str:
    """Why a ref is not taken that is none of the branch that deploys. `previews`: whether other branches get one."""
    name = shown(command.ref)
    if command.deletes and not command.creates:
        return f"{name} is not deleted by a push; it goes with the next push of {branch}, the branch that deploys now."
    if command.deletes:
        return f"{name} is not here, so there is nothing to delete: only {branch} is kept."
    if command.ref.startswith(TAGS):
        return f"{name} is a tag: only the branch {branch} is taken here and deployed. Push it: git push flynn {branch}"
    if command.ref.startswith(HEADS):
        if previews:
            return (
                f"{name} is not taken beside {branch}: it is a preview of its own. Push it alone: git push flynn {name}"
            )
        return (
            f"only {branch} is taken here and deployed, not {name}. Deploy {name} with: git push flynn {name}:{branch} "
            f"(or have it deploy from now on: flynn remote branch {name}; an app of its own: flynn preview on)"
        )
    return f"{name} is no branch: only {branch} is taken here and deployed. Push it: git push flynn {branch}"


def shown(ref: str) -> str:
    """The name of a ref for people."""
    name = ref.removeprefix(HEADS).removeprefix(TAGS)
    return "".join(c if c.isprintable() else "?" for c in name[:80])
