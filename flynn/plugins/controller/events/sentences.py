"""What an event says: a word, and a sentence, from how a thing was and how it is. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from flynn.plugins.controller.events.views import View

Said = tuple[str, str]
"""What happened in one word, and in one sentence."""


def said(kind: str, name: str, app: str, was: View | None, now: View | None) -> Said | None:
    """None: that is nothing to tell. Neither `was` nor `now` is there without the other being so."""
    return _SENTENCES[kind](name, app, was, now)


def _app(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    if now is None:
        return "deleted", f"the app {name} is deleted"
    if was is None:
        return "created", f"the app {name} is created"
    if now["release"] != was["release"]:
        return "release", f"release v{now['release']} of {name} serves"
    changed = sorted(set(now["variables"]) ^ set(was["variables"]))
    return "config", f"the config of {name} has other variables: {_some(changed)}"


def _release(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    """The releases of a deleted app go with it, which is told as such."""
    if was is not None or now is None:
        return None
    words = f": {now['description']}" if now["description"] else ""
    return "made", f"release v{now['version']} of {app} is made{words}"


def _formation(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    if now is None:
        return None
    if was and was["counts"] == now["counts"]:
        return "placed", f"{name} shall run {_places(now['placement']) or 'on any host'}"
    before = f" (before: {_counts(was['counts'])})" if was else ""
    return "scaled", f"{name} shall run {_counts(now['counts'])}{before}"


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{type}={count}" for type, count in counts.items()) or "nothing"


def _places(placement: Mapping[str, Mapping[str, Any]]) -> str:
    """`web on hosts with disk=ssd, one on each; clock on all hosts`."""
    return "; ".join(f"{type} on {_place(where)}" for type, where in placement.items())


def _place(where: Mapping[str, Any]) -> str:
    hosts = "all hosts" if where["omni"] else "hosts"
    tags = " with " + " ".join(f"{key}={value}" for key, value in where["tags"].items()) if where["tags"] else ""
    return hosts + tags + (", one on each at most" if where["one_per_host"] else "")


def _deploy(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    if now is None:
        return None
    way = f"v{now['old']} to v{now['new']}" if now["old"] else f"v{now['new']}"
    why = f": {now['reason']}" if now["reason"] else ""
    still = f"; v{now['old']} still serves" if now["old"] else ""
    match now["state"]:
        case "running" if was and was["state"] == "running" and was["new"] == now["new"]:
            return (
                "step",
                f"the deploy of {name} to v{now['new']} takes step {now['step']}: {_counts(now['target'])}",
            )
        case "running":
            return "started", f"the deploy of {name} from {way} begins" if now["old"] else f"{name} is deployed: {way}"
        case "complete":
            return "complete", f"the deploy of {name} to v{now['new']} is complete"
        case "failed":
            return "failed", f"the deploy of {name} to v{now['new']} has failed{why}{still}"
        case state:
            return str(state), f"the deploy of {name} to v{now['new']} is {state}{why}{still}"


def _build(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    if now is None:
        return None
    match now["state"]:
        case "building":
            return "started", f"{app} is built by {now['job']}"
        case "complete":
            return "complete", f"the build {now['job']} became v{now['release']} of {app}"
        case state:
            ended = "was cancelled" if state == "cancelled" else f"has {state}"
            return str(state), f"the build {now['job']} of {app} {ended}" + (
                f": {now['reason']}" if now["reason"] else ""
            )


def _job(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    before = was["state"] if was else ""
    if now is None:
        if before == "queued":
            return "cancelled", f"job {name} was taken out of its queue"
        host = was["host"] if was else ""
        return None if before in ("down", "lost") else ("lost", f"job {name} is lost with {host}")
    why = f": {now['reason']}" if now["reason"] else ""
    match now["state"]:
        case "queued":
            back = " again" if before else ""
            return "queued", f"job {name}{_of(now)} is queued{back}"
        case "starting" if now["restarts"] > (was["restarts"] if was else 0):
            return "restarted", f"job {name} is started again on {now['host']} ({_times(now['restarts'])}){why}"
        case "starting":
            return "starting", f"job {name} starts on {now['host']}"
        case "up":
            return "up", f"job {name} is up on {now['host']}{_after(was, now)}"
        case "stopping":
            return "stopping", f"job {name} is being stopped on {now['host']}"
        case "lost":
            return "lost", f"job {name} is lost with {now['host']}"
        case _:
            code = "" if now["exit_code"] is None else f" with code {now['exit_code']}"
            return "down", f"job {name} has ended{code} on {now['host']}{why}"


def _of(view: View) -> str:
    return f" of v{view['release']}" if view["release"] else ""


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _after(was: View | None, now: View) -> str:
    """How long its start took; of what was restarted nobody says that."""
    if now["restarts"] or (was and was["state"] not in ("queued", "starting")):
        return ""
    took = now["since"] - (was["since"] if was else now["created"])
    return f" after {took:.1f} s" if took >= 0 else ""


def _host(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    if now is None:
        return "left", f"{name} has left"
    if was is None:
        return "joined", f"{name} joins, with {now['memory']} MiB and {now['cpus']} CPUs for jobs ({now['backend']})"
    if now["started"] != was["started"]:
        return "restarted", f"the daemon of {name} has been started again ({now['version']})"
    if now["full"] and not was["full"]:
        return "full", f"{name} takes no new job: {now['full']}"
    if was["full"] and not now["full"]:
        return "free", f"{name} takes new jobs again"
    changed = _some(sorted(key for key in now if now[key] != was.get(key)))
    return "changed", f"{name} is not what it was: {changed}"


def _wish(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    """What its operator wants of a host; that nothing is wanted is as good as no wish."""
    before, after = ((view or {}).get("drained") or 0.0 for view in (was, now))
    if bool(before) != bool(after):
        return ("drained", f"{name} is to be drained") if after else ("undrained", f"{name} is not drained any more")
    if (was or {}).get("tags") != (now or {}).get("tags"):
        tags = " ".join(
            f"{key}={value}" if value else f"no {key}" for key, value in ((now or {}).get("tags") or {}).items()
        )
        return "tagged", f"the tags of {name} are set: {tags or 'only its own'}"
    return ("changed", f"the drain of {name} is told otherwise") if was and now else None


def _route(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    view = now or was or {}
    place = f"port {view['port']}" if view["kind"] == "tcp" else f"{view['domain']}{view['path']}".rstrip("/")
    if now is None:
        return "removed", f"the route {place} of {app or 'the grid'} is removed"
    if was is None:
        return "added", f"{place} is routed to {now['service']}"
    changed = _some(sorted(key for key in now if now[key] != was.get(key)))
    return "changed", f"the route {place} of {app or 'the grid'} has another {changed}"


def _cron(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    own = f"cron {name.rpartition('/')[2]} of {app}"
    if now is None:
        return "removed", f"{own} is no more"
    if was is None:
        return "added", f"{own} runs at {now['schedule']}"
    if now["schedule"] != was["schedule"]:
        return "changed", f"{own} runs at {now['schedule']} (before: {was['schedule']})"
    if now["paused"] != was["paused"]:
        return ("paused", f"{own} is paused") if now["paused"] else ("resumed", f"{own} is resumed")
    for word in ("missed", "skipped"):
        if now[word] and now[word] != was[word]:
            return word, f"{own} has {word} {_times_due(now[word]['count'])}: {now[word]['reason']}"
    return None


def _times_due(count: int) -> str:
    return f"{count} runs" if count > 1 else "a run"


def _volume(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    own = name.rpartition("/")[2]
    if now is None:
        return "deleted", f"the volume {own} of {app} is gone"
    if was is None or now["id"] != was["id"]:
        return "created", f"the volume {own} of {app} is made"
    if now["deleting"] and not was["deleting"]:
        return "deleting", f"the volume {own} of {app} is being deleted"
    if now["host"] != was["host"]:
        return "placed", f"the volume {own} of {app} is on {now['host'] or 'no host'} now"
    return "changed", f"the volume {own} of {app} is changed"


def _sink(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    whose = f"of {app}" if app else "of all apps"
    if now is None:
        return "removed", f"the log {whose} is not sent to {(was or {}).get('url')} any more"
    return "added", f"the log {whose} is sent to {now['url']} as well"


def _leader(name: str, app: str, was: View | None, now: View | None) -> Said | None:
    if now is None:
        return "none", f"nobody leads the {name}"
    return "leads", f"{now['host']} leads the {name}"


def _some(names: list[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


_SENTENCES: Mapping[str, Callable[[str, str, Any, Any], Said | None]] = {
    "app": _app, "release": _release, "formation": _formation, "deploy": _deploy, "build": _build, "job": _job,
    "host": _host, "wish": _wish, "route": _route, "cron": _cron, "volume": _volume, "sink": _sink, "leader": _leader,
}  # fmt: skip
