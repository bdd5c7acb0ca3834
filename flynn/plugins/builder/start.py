"""The start of a build: the record and the job, decided together. Pure."""

import re
from collections.abc import Collection, Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import known_layers, latest, too_old, under_way
from flynn.core.change import Change
from flynn.core.errors import Conflict, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.plugins.builder import packs

GRACE = 1.0
"""Seconds that a build has to end once it is told to."""

COMMAND = 'cd "$TOOLS_DIR" && exec python3 -u -B -E -S -m inside'

CONFIG_LIMIT = 600_000
"""Bytes of an app's config as JSON: more than this only a config of odd characters comes to."""

PIECE = 30_000
"""Characters of the config in one variable of the build's environment: Linux takes 128 KiB in each."""

DESCRIPTION_LIMIT = 200

VERSION = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?|")
"""The full name of a commit, as SHA-1 or SHA-256; or none."""

AS_SET = model.Deploying()
"""A deploy of which nothing is said: it goes as its app is set to."""

TIDY = 15.0
"""Seconds after its time limit at which a build is ended from outside that has not said so itself by then."""

BATCH = 1000
"""Processes that a step of a deploy replaces at most."""


class Rules(msgspec.Struct, frozen=True):
    """What any build may take, unless `flynn limit set build` says otherwise: `timeout` in seconds; MiB of `memory` at
    most, and how many of them it reserves; `cpu` in thousandths of a core (0: any number); processes and threads; MiB
    of `disk` for all that it writes; `env`: variables of all builds; their `network` ("": one of their own, where a
    host gives that)."""

    timeout: float = 900.0
    memory: int = 2048
    reserve: int = 512
    cpu: int = 0
    pids: int = 2048
    disk: int = 6144
    env: dict[str, str] = {}
    network: Literal["", "own", "host"] = ""


def begin(
    facts: Facts,
    app: str,
    id: str,
    source: str,
    tools: str,
    rules: Rules,
    now: float,
    description: str = "",
    how: model.Deploying = AS_SET,
    version: str = "",
    dockerfile: bool = False,
    gone: Collection[str] = (),
) -> Change:
    """A build of the blob `source` with the tools of the blob `tools`, as job `id`, with its record.

    `version` names the source, as git does: the build finds it as SOURCE_VERSION.
    `dockerfile`: an engine builds it. `gone`: blobs that no shelf has; layers that are among them are made anew.
    NotFound: there is no such app. Conflict: it is being built. Invalid: its config is too large.
    """
    found, before = check_app(facts, app), latest(facts, app)
    config = msgspec.json.encode(found.env).decode()
    if len(config.encode()) > CONFIG_LIMIT:
        raise Invalid(
            f"the config of {app} is too large for a build: {CONFIG_LIMIT} bytes of JSON at most; unset some of it"
        )
    job = model.Job(
        id=id,
        app=app,
        type="build",
        queue="builders",
        command=COMMAND,
        created=now,
        env=_told(facts, found, rules, version, gone) | in_pieces(config),
        layers={"build": source, "tools": tools, **packs.layers(found)},
        cache=f"build-{app}",
        stop_timeout=GRACE,
        output=True,
        dockerfile=dockerfile,
        network=network_of(facts, rules, dockerfile),
    )
    job = held(job, rules, found.limits.get("build", {}))
    number = before.number + 1 if before else 1
    build = model.Build(
        app=app,
        number=number,
        job=id,
        source=source,
        started=now,
        description=description,
        how=how,
        commit=version,
    )
    puts: dict[str, model.Record] = {keys.build(app, number): build, keys.queued("builders", id): model.Queued(job=job)}
    old = tuple(keys.build(app, number) for number in too_old(facts, app))
    return Change(puts=puts, deletes=old, seen=(keys.app(app),), why=f"build {id}")


def network_of(facts: Facts, rules: Rules, dockerfile: bool) -> model.Network:
    """What a build has of network: not that of its host, where others talk to each other, if it can be helped. What
    builds a Dockerfile has only to reach the engine, which gives its steps a network of theirs."""
    if dockerfile or rules.network:
        return "host" if dockerfile or rules.network == "host" else "own"
    return "own" if any("own" in host.networks for host in facts.hosts.values()) else "host"


def held(job: model.Job, rules: Rules, limits: Mapping[str, int]) -> model.Job:
    """The job with its limits. `limits`: the app's own."""
    memory = limits.get("memory", rules.memory)
    return replace(
        job,
        memory=limits.get("reserve", min(rules.reserve, memory)),
        memory_limit=memory,
        cpu=limits.get("cpu", rules.cpu),
        cpu_reserve=limits.get("cpu_reserve", 0),
        pids=limits.get("pids", rules.pids),
        files=limits.get("files", job.files),
        time_limit=rules.timeout + TIDY,
        disk=rules.disk,
    )


def _told(facts: Facts, app: model.App, rules: Rules, version: str, gone: Collection[str]) -> dict[str, str]:
    """What the job is told but for the app's config."""
    told = packs.told(app, rules.env) | {"BUILD_TIMEOUT": f"{rules.timeout:g}"}
    told |= {"SOURCE_VERSION": version} if version else {}
    layers = sorted(key for key, sha256 in known_layers(facts, app.name).items() if sha256 not in gone)
    return told | ({"BUILD_LAYERS": msgspec.json.encode(layers).decode()} if layers else {})


def in_pieces(config: str) -> dict[str, str]:
    """The text as variables BUILD_ENV, BUILD_ENV_1, BUILD_ENV_2, ..., to be joined in this order."""
    pieces = [config[at : at + PIECE] for at in range(0, len(config), PIECE)]
    return {f"BUILD_ENV_{number}" if number else "BUILD_ENV": piece for number, piece in enumerate(pieces)}


def check_app(facts: Facts, app: str) -> model.App:
    """The app, if it may be built now. NotFound: there is none. Conflict: it is being built."""
    found = facts.apps.get(app)
    if found is None:
        raise NotFound(f"there is no app {app[:60]}; create it with: flynn create {app[:60]}")
    if running := under_way(facts, app):
        raise Conflict(
            f"build {running.number} of {app} is under way ({running.job}); wait for it (--wait), "
            f"or end it with `flynn build cancel -a {app}`"
        )
    return found


def check_description(text: str) -> str:
    """What a developer says of a build, in one line. Invalid: it is too long, or not one line."""
    if len(text) > DESCRIPTION_LIMIT or not text.isprintable():
        raise Invalid(f"a description is one line of {DESCRIPTION_LIMIT} characters at most")
    return text


def check_version(text: str) -> str:
    """The commit that a source is said to be. Invalid: it is the name of none."""
    if not VERSION.fullmatch(text):
        raise Invalid(f"{text[:60]!r} names no commit; give all of its 40 (or 64) hexadecimal digits, in lower case")
    return text


def check_deploying(strategy: str, batch: int, strategies: Collection[str]) -> model.Deploying:
    """What is said of the deploy of what is built. Invalid: there is no such strategy."""
    if strategy and strategy not in strategies:
        raise Invalid(f"there is no strategy {strategy[:40]!r}; there are: {', '.join(sorted(strategies))}")
    return model.Deploying(strategy=strategy, batch=batch)
