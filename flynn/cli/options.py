"""The options that many verbs share. They may stand before the verb or after it: both write to the Session."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import click

from flynn.cli.session import Session
from flynn.cli.verbs import Verbs

F = TypeVar("F", bound=Callable[..., Any])


def _keep(field: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
        if value:
            setattr(ctx.ensure_object(Session), field, value)
        return value

    return keep


def app_option(verb: F) -> F:
    """-a APP"""
    text = "The app; else FLYNN_APP, else the git remote 'flynn' of this directory."
    return click.option("-a", "--app", metavar="APP", expose_value=False, callback=_keep("named"), help=text)(verb)


def deploy_options(verb: F) -> F:
    """--strategy, --batch-size and --wait of what begins a deploy: as `query` of its call."""

    @click.option("--strategy", default="", metavar="NAME", help="How this deploy goes; else 'flynn deployment' says.")
    @click.option("--batch-size", type=int, metavar="N", help="How many of a type this one replaces at a time.")
    @click.option("--wait", is_flag=True, help="Wait for a deploy that is under way, instead of being refused.")
    @wraps(verb)
    def told(*words: Any, strategy: str, batch_size: int | None, wait: bool, **named: Any) -> Any:
        query = {"strategy": strategy} if strategy else {}
        query |= ({} if batch_size is None else {"batch": str(batch_size)}) | ({"wait": "true"} if wait else {})
        return verb(*words, query=query, **named)

    return cast(F, told)


def json_option(verb: F) -> F:
    """--json"""
    return click.option("--json", is_flag=True, expose_value=False, callback=_keep("json"), help="Answer in JSON.")(
        verb
    )


def grid_options(verb: F) -> F:
    """--url and --token"""
    token = click.option("--token", expose_value=False, callback=_keep("token"), help="Its token; else FLYNN_TOKEN.")
    url = click.option("--url", expose_value=False, callback=_keep("url"), help="A node's API; else FLYNN_URL.")
    return url(token(verb))


pass_session = click.make_pass_decorator(Session, ensure=True)


def app_verb(verb: F) -> F:
    """A verb about an app, which is given the Session and answers in JSON if it shall."""
    return app_option(grid_verb(verb))


def grid_verb(verb: F) -> F:
    """The same about the grid."""
    return json_option(cast(F, pass_session(verb)))


def app_group(shown: Callable[[Session], None]) -> click.Group:
    """Verbs about an app, called like `shown`, which is what they do without one of them."""
    return _group(shown, app_option, json_option)


def grid_group(shown: Callable[[Session], None]) -> click.Group:
    """The same about the grid."""
    return _group(shown, json_option)


def _group(shown: Callable[[Session], None], *options: Callable[[Any], Any]) -> click.Group:
    @click.pass_context
    @wraps(shown)
    def alone(ctx: click.Context) -> None:
        if ctx.invoked_subcommand is None:
            shown(ctx.ensure_object(Session))

    told: Any = alone
    for option in reversed(options):
        told = option(told)
    return click.group(cls=Verbs, invoke_without_command=True)(told)
