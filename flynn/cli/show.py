"""All the looks: records in, lines out. Pure; `now` is an argument."""

from collections.abc import Mapping, Sequence
from typing import Any

from flynn.cli import show_usage
from flynn.cli.show_receipt import receipt
from flynn.cli.show_routes import place
from flynn.cli.show_usage import MIB
from flynn.cli.words import clock, count, day, moment, printable, size, span, table
from flynn.core import model, records
from flynn.core.frozen import EMPTY


def short_job(job: str, type: str) -> str:
    """What a job is called in a log: `web.3f2a9c1e` for `hello-web-3f2a9c1e`."""
    return f"{type}.{job.rpartition('-')[2]}"


def log_line(line: Mapping[str, Any]) -> str:
    """`2026-11-23T10:00:00.123+00:00 app[web.3f2a9c1e]: text`; what flynn itself says has `flynn[...]`."""
    source = "flynn" if line.get("stream") == "flynn" else "app"
    job = f"[{short_job(str(line['job']), str(line.get('type', '')))}]" if line.get("job") else ""
    return f"{moment(float(line.get('time') or 0))} {source}{job}: {printable(str(line.get('line', '')))}"


def event_line(line: Mapping[str, Any]) -> str:
    """`02:28:34.333 ==> web hello-web-3f2a9c1e up`, and the reason if there is one."""
    reason = f": {printable(str(line['reason']))}" if line.get("reason") else ""
    return f"{clock(float(line.get('time') or 0))} ==> {line.get('type')} {line.get('id')} {line.get('state')}{reason}"


def apps(rows: Sequence[records.AppInfo]) -> list[str]:
    shown = [(a.name, f"v{a.release}" if a.release else "-", processes(a), a.url) for a in rows]
    return table(shown, ("NAME", "RELEASE", "PROCESSES", "URL")) or ["no apps yet: 'flynn create' makes one"]


def processes(app: records.AppInfo) -> str:
    """`web 2/3 worker 1/1`: how many are up of those wanted."""
    return " ".join(f"{t} {c.up}/{c.wanted}" for t, c in sorted(app.processes.items())) or "-"


def app(info: records.AppInfo) -> list[str]:
    rows = [("url", info.url), ("created", day(info.created) + " UTC")]
    rows.append(("release", f"v{info.release}" if info.release else "none yet: 'flynn deploy' makes the first"))
    rows.append(("processes", processes(info)))
    rows += [("mount", f"{type} {mount.text}") for type, mounts in sorted(info.mounts.items()) for mount in mounts]
    rows += [("route", f"{place(r)} -> {r.service}") for r in info.routes]
    if info.build:
        rows.append(("last build", _outcome(info.build.state, info.build.reason)))
    if info.deploy:
        way = f"v{info.deploy.old} -> v{info.deploy.new}" if info.deploy.old else f"v{info.deploy.new}"
        rows.append(("last deploy", f"{way} " + _outcome(info.deploy.state, info.deploy.reason)))
    return [f"=== {info.name}", *table(rows)]


def _outcome(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else state


def jobs(
    rows: Sequence[records.JobInfo], commands: Mapping[str, str], now: float, lacks: Mapping[str, str] = EMPTY
) -> list[str]:
    """`ps`: the jobs by process type. `commands`: the command line of each type, as far as it is known; `lacks`: why
    some have fewer than are wanted."""
    lines: list[str] = []
    used = dict(zip([job.id for job in rows], show_usage.columns([job.usage for job in rows]), strict=True))
    for type in sorted({job.type for job in rows} | lacks.keys()):
        same = sorted((job for job in rows if job.type == type), key=lambda job: (job.created, job.id))
        head = f"=== {type} ({len(same)})" + (f": {commands[type]}" if commands.get(type) else "")
        lines += ["", head, *table([_job(job, used[job.id], now) for job in same])]
        lines += [printable(lacks[type])] if type in lacks else []
    return lines[1:] or ["no jobs"]


def _job(job: records.JobInfo, used: tuple[str, ...], now: float) -> tuple[str, ...]:
    if job.waiting:
        return (job.id, job.state, "", "", "", *used, why(job) or "waits to be placed")
    began = f"{span(now - job.since)}" if job.since else ""
    return (job.id, job.state, began, f"v{job.release}" if job.release else "", job.host, *used, why(job))


def why(job: records.JobInfo) -> str:
    """Why a job is as it is, and what befell it; "": nothing is to be said."""
    parts = [told for told in (job.reason, job.moving) if told]
    if job.state == "down" and job.exit_code is not None and "exit" not in job.reason:
        parts.append(f"exit code {job.exit_code}")
    if job.restarts:
        parts.append(f"restarted {count(job.restarts, 'time')}")
    return ", ".join(parts)


def hosts(rows: Sequence[records.HostInfo], now: float) -> list[str]:
    head = (
        "NAME", "ADDRESS", "UP", "JOBS", "RESERVED", "CPUS", "LOAD", "FREE", "FREE DISK", "BACKEND", "VERSION", "TAGS"
    )  # fmt: skip
    lacks = [f"{host.name} ({host.backend}): {host.lacks}" for host in rows if host.lacks]
    lacks += [f"{host.name} takes no new job: {host.full}" for host in rows if host.full]
    lacks += [
        f"{host.name} is drained since {span(now - host.drained)}, {_left_there(host)}" for host in rows if host.drained
    ]
    return [*table([_host(host, now) for host in rows], head), *([""] if lacks else []), *lacks] or ["no host is up"]


def _left_there(host: records.HostInfo) -> str:
    return f"{count(host.jobs, 'job')} still there" if host.jobs else "no job is left there"


def _host(host: records.HostInfo, now: float) -> tuple[object, ...]:
    memory = f"{host.reserved} of {host.memory} MiB"
    tags = " ".join(f"{key}={value}" for key, value in sorted(host.tags.items()))
    up = span(now - host.started)
    left = _left(host.load) if host.load else ("", "", "")
    return (host.name, host.address, up, host.jobs, memory, host.cpus, *left, host.backend, host.version, tags)


def _left(load: model.Load) -> tuple[str, str, str]:
    disk = f"{size(load.disk_free * MIB)} of {size(load.disk * MIB)}"
    return f"{load.load:.1f}", f"{load.memory_free} MiB", disk


def status(grid: records.Status, now: float) -> list[str]:
    leader = f"led by {grid.leader}" if grid.leader else "WITHOUT a leader: nothing is placed until there is one"
    lines = [f"=== grid of {count(len(grid.nodes), 'node')}, domain {grid.domain}, {leader}"]
    for node in grid.nodes:
        lines += ["", *_node(node, now)]
    return lines


def _node(node: records.NodeInfo, now: float) -> list[str]:
    if node.error:
        return [f"{node.name}  does not answer: {node.error}"]
    lag = f", loop lag {node.loop_lag_ms['worst']:g} ms at worst" if "worst" in node.loop_lag_ms else ""
    lines = [f"{node.name}  {node.version}, {node.store}, revision {node.revision}{lag}"]
    if node.stale_since is not None:
        lines.append(f"  the store has not answered for {span(now - node.stale_since)}: facts are as of then")
    return lines + ["  " + line for line in table([_brick(name, brick) for name, brick in node.bricks.items()])]


def _brick(name: str, brick: records.BrickInfo) -> tuple[str, ...]:
    state = "ready" if brick.ready else "NOT READY"
    restarts = f" (restarted {count(brick.restarts, 'time')})" if brick.restarts else ""
    return (name, state, brick.sentence + restarts)


def releases(rows: Sequence[model.Release], current: int) -> list[str]:
    head = f"=== {rows[0].app} releases, current: v{current}" if rows else "no releases yet: 'flynn deploy' makes one"
    shown = [
        (f"v{r.version}" + ("*" if r.version == current else ""), day(r.created), r.description or "-") for r in rows
    ]
    return [head, *table(shown)]


def release(made: records.ReleaseInfo) -> list[str]:
    rows = [("created", day(made.created) + " UTC"), ("description", made.description or "-")]
    found = made.artifact
    rows.append((found.kind, found.image or f"{found.sha256} ({size(found.size)})"))
    rows += [("layer", f"{sha256} ({key})") for key, sha256 in found.layers.items()]
    rows += [("commit", made.commit)] if made.commit else []
    rows += [(type, process.command or "as the image says") for type, process in sorted(made.processes.items())]
    rows += [("env", f"{key}={value}") for key, value in sorted(made.env.items())]
    return [f"=== {made.app} v{made.version}", *table(rows), *(receipt(made.receipt) if made.receipt else [])]


def services(found: Mapping[str, int]) -> list[str]:
    return table(sorted(found.items()), ("SERVICE", "INSTANCES")) or ["no services are registered"]


def service(found: records.ServiceInfo) -> list[str]:
    rows = [
        (i.id, i.address, i.host, "leader" if i.id == found.leader else "", "draining" if i.draining else "")
        for i in found.instances
    ]
    return [f"=== {found.service} ({len(rows)})", *table(rows)]


def blobs(rows: Sequence[records.BlobInfo]) -> list[str]:
    shown = [(blob.sha256, size(blob.size), day(blob.created)) for blob in rows]
    return table(shown, ("SHA256", "SIZE", "CREATED")) or ["the shelf is empty"]


def env(values: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in sorted(values.items())]
