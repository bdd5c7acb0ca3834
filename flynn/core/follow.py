"""Telling a client live what its change causes, until it is done: the lines of `docs/api.md`. Only looks at facts.

A stream that breaks changes nothing: what was asked for goes on without a listener.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from flynn.core import keys, model
from flynn.core.app_changes import AppChanges, app_changes
from flynn.core.facts import Facts
from flynn.core.matching import wanted
from flynn.core.output import job_state, output
from flynn.core.web import Writer, send_line

if TYPE_CHECKING:
    from flynn.core.brick import Context

LIMIT = 900.0
"""Seconds that a stream follows at most."""

HAND_OVER = 2.0
"""Seconds that the end of a deploy waits for routers to leave what served before."""

LAST_LINES = 20
"""Lines of the log of a failed job that are shown."""

Done = dict[str, Any]


async def follow_deploy(ctx: "Context", app: str, version: int, response: Writer, before: Facts | None = None) -> None:
    """From the `release` line of `version` to the `done` line of its deploy; what changed since `before` is told."""
    started = _now()
    release = ctx.mirror.facts.releases.get(f"{app}/{version}")
    description = release.description if release else ""
    with app_changes(ctx.mirror, app, before) as changes:
        await send_line(response, {"kind": "release", "version": version, "description": description})
        await _follow_phase(ctx, changes, version, response)
        done = await _follow(ctx, changes, response, lambda facts: deploy_done(facts, app, version, ctx.domain))
    if done["ok"]:
        await _handed_over(ctx, app, version)
    deploy = ctx.mirror.facts.deploys.get(app)
    if deploy and deploy.new == version and deploy.job not in ("", deploy.phase):
        await send_last_lines(ctx, deploy.job, response)
    await send_line(response, done | {"seconds": round(_now() - started, 3)})


async def _handed_over(ctx: "Context", app: str, version: int) -> None:
    """Wait until no router begins a request on what served before, HAND_OVER seconds at most: who is told that a
    release is up finds it at the next request."""
    found = ctx.mirror.facts.releases.get(f"{app}/{version}")
    if found is None:
        return
    with contextlib.suppress(TimeoutError):
        facts = await ctx.mirror.until(
            lambda facts: all(facts.services[key].draining for key in earlier(facts, found)), HAND_OVER
        )
        revision = facts.revision
        await ctx.mirror.until(
            lambda facts: all(
                router.revision >= revision or key in router.draining
                for key in earlier(facts, found)
                for router in facts.routers.values()
            ),
            HAND_OVER,
        )


def earlier(facts: Facts, release: model.Release) -> list[str]:
    """The instances, by `SERVICE/INSTANCE`, of the app that are not of this release, nor taken over by it."""
    services = {keys.service(release.app, type) for type in release.processes}
    return [
        f"{instance.service}/{instance.id}"
        for service in services
        for instance in facts.instances(service)
        if instance.meta.get("release") != f"v{release.made.get(instance.meta.get('type', ''), release.version)}"
    ]


async def _follow_phase(ctx: "Context", changes: AppChanges, version: int, response: Writer) -> None:
    """What the release command prints, if there is one, until it has ended."""
    deadline = _now() + LIMIT
    while _now() < deadline:
        facts = await _tell(changes, response)
        deploy = facts.deploys.get(changes.app)
        if deploy is None or deploy.new != version or deploy.state != "running" or deploy.step:
            return
        if deploy.phase and job_state(facts, deploy.phase):
            async for line in output(ctx, deploy.phase):
                await send_line(response, line)
            return
        await ctx.mirror.catch_up(facts, 5.0)


async def follow_scale(ctx: "Context", app: str, limit: float, response: Writer, before: Facts) -> None:
    """Job lines until the app has as many jobs up as its formation asks for, and none too many."""
    started = _now()
    with app_changes(ctx.mirror, app, before) as changes:
        done = await _follow(ctx, changes, response, lambda facts: scale_done(facts, app), limit)
    await send_line(response, done | {"seconds": round(_now() - started, 3)})


async def follow_delete(ctx: "Context", app: str, response: Writer, before: Facts) -> None:
    """Job lines until the last job of a deleted app has ended, and its releases are cleared away."""
    started = _now()

    def gone(facts: Facts) -> Done | None:
        left = any(facts.queued_of(app, queue) or facts.jobs_of(app, queue) for queue in model.QUEUES)
        return (
            None
            if left or facts.releases_of(app)
            else {"kind": "done", "ok": True, "message": f"{app} is deleted{kept(facts, app)}"}
        )

    with app_changes(ctx.mirror, app, before) as changes:
        done = await _follow(ctx, changes, response, gone, 120)
    await send_line(response, done | {"seconds": round(_now() - started, 3)})


def kept(facts: Facts, app: str) -> str:
    """What is left of a deleted app's data, and how it can go too; empty: nothing."""
    left = sorted((v for v in facts.volumes_of(app).values() if not v.deleting), key=lambda v: v.name)
    if not left:
        return ""
    named = ", ".join(f"{v.name} on {v.host}" if v.host else v.name for v in left)
    return (
        f"; its data is kept ({named}): an app of the same name finds it again, "
        f"`flynn volume delete NAME -a {app}` deletes it"
    )


def _still(facts: Facts, app: str, version: int) -> str:
    """What serves after a deploy that failed. What holds a volume had to make way, and is started again."""
    release = facts.releases.get(f"{app}/{version}")
    if release is None:
        return "nothing serves yet"
    held = [type for type, process in sorted(release.processes.items()) if any(m.one_writer for m in process.mounts)]
    return f"v{version} still serves" + (f", {' and '.join(held)} started again" if held else "")


def ended_badly(facts: Facts, deploy: model.Deploy) -> str:
    """That a deploy failed or was cancelled, why, and what serves now."""
    still = _still(facts, deploy.app, deploy.old)
    return f"v{deploy.new} of {deploy.app} was not put in service: {deploy.reason}; {still}"


def deploy_done(facts: Facts, app: str, version: int, domain: str) -> Done | None:
    """The `done` line of a deploy, once it is over."""
    deploy = facts.deploys.get(app)
    if app not in facts.apps or deploy is None:
        return {"kind": "done", "ok": False, "message": f"{app} was deleted while v{version} was deployed"}
    if deploy.new != version and version != deploy.old and (message := _past(facts, deploy, version)):
        return {"kind": "done", "ok": False, "version": version, "message": message}
    if deploy.new != version or deploy.state == "complete":
        url = app_url(facts, app, domain)
        release = facts.releases.get(f"{app}/{version}") or facts.releases.get(f"{app}/{deploy.new}")
        serves = release is not None and any(process.serves for process in release.processes.values())
        message = f"v{version} of {app} is up" + (f" at {url}" if serves else "")
        return {"kind": "done", "ok": True, "version": version, "url": url if serves else "", "message": message}
    if deploy.state in ("failed", "cancelled"):
        return {"kind": "done", "ok": False, "version": version, "message": ended_badly(facts, deploy)}
    return None


def _past(facts: Facts, deploy: model.Deploy, version: int) -> str:
    """Why it cannot be said of an earlier release that its deploy went well; empty: it did."""
    app, receipt = deploy.app, facts.receipts.get(f"{deploy.app}/{version}")
    if receipt and receipt.state == "complete":
        return ""
    if receipt and receipt.state != "running":
        return f"v{version} of {app} was not put in service: {receipt.reason}"
    if deploy.new > version > deploy.old:  # Another deploy began before its failure was seen here.
        return f"v{version} of {app} was not put in service; v{deploy.new} is tried now"
    return f"what became of v{version} of {app} is not known any more; `flynn release -a {app}` shows what serves"


def scale_done(facts: Facts, app: str) -> Done | None:
    """The `done` line of a scale, once the counts are met."""
    if app not in facts.apps:
        return {"kind": "done", "ok": False, "message": f"{app} was deleted meanwhile"}
    release = facts.releases.get(f"{app}/{facts.apps[app].release}")
    types = [type for type in (release.processes if release else ()) if type != "release"]
    counts = {type: wanted(facts, app, type) for type in types}
    jobs = facts.jobs_of(app, "services")
    up = [a.job.type for key, a in jobs.items() if (state := facts.states.get(key)) and state.state == "up"]
    queued = facts.queued_of(app, "services")
    if queued or len(jobs) != len(up) or any(up.count(type) != count for type, count in counts.items()):
        return None
    words = ", ".join(f"{type}={count}" for type, count in counts.items())
    return {"kind": "done", "ok": True, "message": f"{app} runs {words}"}


def app_url(facts: Facts, app: str, domain: str) -> str:
    """Where an app is reached: by its oldest HTTP route, through the port of a router."""
    named = (r for r in facts.routes_of(app) if r.kind == "http" and "*" not in r.domain)
    routes = sorted((r.created, r.domain, r.path) for r in named)
    port = next((router.port for router in facts.routers.values() if router.port), 80)
    host, path = (routes[0][1], routes[0][2]) if routes else (f"{app}.{domain}", "/")
    return f"http://{host}" + (f":{port}" if port != 80 else "") + path.rstrip("/")


async def _follow(
    ctx: "Context",
    changes: AppChanges,
    response: Writer,
    done: Callable[[Facts], Done | None],
    limit: float = LIMIT,
) -> Done:
    """Send what changes until `done` gives the last line, or the limit passes; the last line, not yet sent."""
    deadline = _now() + limit
    while True:
        facts = await _tell(changes, response)
        if last := done(facts):
            return last
        left = deadline - _now()
        if left <= 0:
            return {"kind": "done", "ok": False, "message": _late(facts, changes.app, limit)}
        await ctx.mirror.catch_up(facts, min(left, 5.0))


async def _tell(changes: AppChanges, response: Writer) -> Facts:
    """Send what has changed; the photo that this was told of."""
    facts, lines = changes.take()
    for line in lines:
        await send_line(response, line)
    return facts


def _now() -> float:
    """Seconds on a clock that nobody sets."""
    return asyncio.get_running_loop().time()


def _late(facts: Facts, app: str, limit: float) -> str:
    reasons = [q.reason for queue in model.QUEUES for q in facts.queued_of(app, queue).values() if q.reason]
    states = [state for queue in model.QUEUES for state in facts.states_of(app, queue).values()]
    reasons += [s.reason for s in states if s.state == "starting" and s.reason]
    failed = [s for s in states if s.state == "down" and s.failure == "start"]
    reasons += [s.reason for s in sorted(failed, key=lambda s: -s.since)]
    why = f": {reasons[0]}" if reasons else ""
    return f"still under way after {limit:g} s{why}; `flynn ps -a {app}` shows how it goes on"


async def send_last_lines(ctx: "Context", job: str, response: Writer) -> None:
    """The last lines of a job's log, from the host that ran it; none if that cannot be had within 5 s."""
    facts = ctx.mirror.facts
    state = next((s for s in facts.states.values() if s.id == job), None)
    if state is None or state.host not in facts.hosts:
        return
    url = f"{facts.hosts[state.host].url}/v1/hosts/{state.host}/log"
    try:
        async with asyncio.timeout(5), ctx.http.get(url, params={"job": job, "n": str(LAST_LINES)}) as answer:
            async for line in answer.content:
                await send_line(response, msgspec.json.decode(line))
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        ctx.log.warning("the log of %s could not be read: %s", job, error)
