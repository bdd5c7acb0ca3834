"""The changes that move deploys on: a step begins when the one before is done, until all is taken over. Pure.

Each is one guarded commit of the deploy's record, and the last one swaps the app's release in it. So a deploy is whole
whenever its leader dies: the next one reads from the record where it stands.
"""

import dataclasses
from collections.abc import Mapping

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.deploy.judge import Verdict, judge
from flynn.plugins.controller.deploy.phase import phase, stop_commands
from flynn.plugins.controller.deploy.stage import Under, stage, under_way
from flynn.plugins.controller.deploy.strategies import USUAL
from flynn.plugins.controller.deploy.strategy import Stage, Step, Strategy
from flynn.plugins.controller.moment import Moment


def move_deploy(facts: Facts, app: str, moment: Moment) -> tuple[list[Change], list[float]]:
    """What can be done now for the deploy of an app, if one is under way; the moments to look again at the latest."""
    deploy = facts.deploys.get(app)
    if deploy is None:
        return [], []
    stopped = stop_commands(facts, deploy)
    if deploy.state != "running":
        return stopped, []
    change, wake = _move(facts, deploy, moment)
    return [*([change] if change else []), *stopped], [] if wake is None else [wake]


def _move(facts: Facts, deploy: model.Deploy, moment: Moment) -> tuple[Change | None, float | None]:
    under = under_way(facts, deploy.app)
    if under is None:
        return _failed(deploy, Verdict("failed", f"release v{deploy.new} is gone"), moment.now), None
    if not deploy.step and not deploy.phased and (waits := phase(facts, under, moment)):
        return waits
    if not deploy.step:
        return _on(facts, under, moment), None
    verdict = judge(facts, under, moment)
    if verdict.state == "failed":
        return _failed(deploy, verdict, moment.now), None
    if verdict.state == "done":
        return _on(facts, under, moment), None
    held = deploy.held or (moment.now if verdict.up else 0.0)
    if verdict.reason and (verdict.reason, held) != (deploy.reason, deploy.held):
        told = replace(deploy, reason=verdict.reason, held=held)
        return Change(puts={keys.deploy(deploy.app): told}, why=f"{deploy.app} v{deploy.new}: {verdict.reason}"), None
    return None, verdict.wake


def _failed(deploy: model.Deploy, verdict: Verdict, now: float) -> Change:
    """The deploy has ended; the plan makes the old release whole again."""
    ended = replace(deploy, state="failed", reason=verdict.reason, job=verdict.job, ended=now)
    return Change(puts={keys.deploy(deploy.app): ended}, why=f"{deploy.app} v{deploy.new} failed: {verdict.reason}")


def _on(facts: Facts, under: Under, moment: Moment) -> Change:
    """The step under way is done: the next one, or the end."""
    before = under.deploy
    moved = {type: target for type in under.new if (target := under.target(type))}
    whole = {type for type, count in moved.items() if count >= under.counts[type]}
    deploy = replace(
        before,
        moved=moved,
        whole=tuple(sorted({*before.whole, *whole})),
        promoted=before.promoted or (before.hold >= 0 and before.step > 0),
    )
    under = dataclasses.replace(under, deploy=deploy)
    step = _step(under, stage(under), moment.limits.strategies)
    return _begin(under, step, moment.now) if step else _complete(facts, deploy, moment.now)


def _step(under: Under, at: Stage, strategies: Mapping[str, Strategy]) -> Step | None:
    """The next step; None: the new release has all. What a volume is handed over to comes last."""
    if at.parts:
        strategy = strategies.get(at.how.strategy or USUAL, strategies[USUAL])
        step = strategy(at) if any(part.replaces for part in at.parts) else Step()
        if any(step.new.get(part.type, 0) > part.moved for part in at.parts):
            return step
        return Step({part.type: part.count for part in at.parts})
    if left := {type: under.counts[type] for type in under.ways.new if under.counts[type] > under.moved(type)}:
        return Step(left, old_first=True)
    return None


def _begin(under: Under, step: Step, now: float) -> Change:
    deploy = under.deploy
    target = deploy.moved | {type: count for type, count in step.new.items() if type in under.new}
    begun = replace(
        deploy,
        step=deploy.step + 1,
        stepped=now,
        target=target,
        old_first=step.old_first,
        hold=-1.0 if step.hold is None else step.hold,
        held=0.0,
    )
    begun = replace(begun, reason=dataclasses.replace(under, deploy=begun).words)
    return Change(
        puts={keys.deploy(deploy.app): begun},
        seen=(keys.app(deploy.app), keys.formation(deploy.app)),
        why=f"{deploy.app} {begun.reason}",
    )


def _complete(facts: Facts, deploy: model.Deploy, now: float) -> Change:
    return Change(
        puts={
            keys.app(deploy.app): replace(facts.apps[deploy.app], release=deploy.new),
            keys.deploy(deploy.app): replace(deploy, state="complete", reason="", ended=now),
        },
        seen=(keys.formation(deploy.app),),
        why=f"{deploy.app} v{deploy.new} serves",
    )
