"""What users order of a deploy under way, decided on a photo. Pure."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts

CANCELLED = "it was cancelled"


def cancel(facts: Facts, app: str, now: float) -> Change:
    """The deploy ends here, at whatever step; the plan makes the old release whole again. Invalid: there is none."""
    deploy = _under_way(facts, app)
    ended = replace(deploy, state="cancelled", reason=CANCELLED, ended=now)
    return Change(puts={keys.deploy(app): ended}, seen=(keys.app(app),), why=f"{app} v{deploy.new} is cancelled")


def promote(facts: Facts, app: str) -> Change:
    """A canary goes on now. Invalid: there is none that waits for it."""
    deploy = _under_way(facts, app)
    if deploy.hold < 0:
        raise Invalid(
            f"the deploy of {app} to v{deploy.new} goes on by itself: it is no canary, or one no longer",
            app=app,
            release=deploy.new,
        )
    if deploy.promoted:
        return Change()
    return Change(puts={keys.deploy(app): replace(deploy, promoted=True)}, why=f"{app} v{deploy.new} is promoted")


def _under_way(facts: Facts, app: str) -> model.Deploy:
    deploy = facts.deploys.get(app)
    if deploy is None or deploy.state != "running":
        raise Invalid(f"no deploy of {app} is under way", app=app)
    return deploy
