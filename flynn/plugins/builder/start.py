"""The start of a build: the record and the job, decided together. Pure."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import cache_of, known_layers, latest, too_old, under_way
from flynn.core.change import Change
from flynn.core.errors import Conflict, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.plugins.builder import packs
from flynn.plugins.builder.dockerfile import by_engine

GRACE = 1.0
"""Seconds that a build has to end once it is told to."""

PROGRAM = "import os, sys; sys.path[0] = os.getcwd(); from inside.__main__ import end; end()"
COMMAND = f"""cd "$TOOLS_DIR" && exec python3 -B -E -S -c '{PROGRAM}'"""
"""As `python3 -m inside`, which has to find out first what that is."""

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

RESERVE = 512
"""MiB of memory that a build reserves, if it may take as much."""

Some = Annotated[int, msgspec.Meta(ge=0)]


class Rules(msgspec.Struct, frozen=True):
    """What any build may take, unless `flynn limit set build` says otherwise: `timeout` in seconds; MiB of `memory` at
    most; `cpu` in thousandths of a core (0: any number); processes and threads; MiB of `disk` for all that it writes;
    `env`: variables of all builds, as mirrors of what buildpacks download; their `network` ("": one of their own,
    where a host gives that)."""

    timeout: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 900.0
    memory: Some = 2048
    cpu: Some = 0
    pids: Some = 2048
    disk: Some = 6144
    env: dict[str, str] = {}
    network: Literal["", "own", "host"] = ""


class Source(msgspec.Struct, frozen=True):
    """What is built: the tar `blob`, with `names` at its top, of those that tell how (`dockerfile.py`). `version`: the
    commit that it is, if it is one. `description`: what its build and its release are called."""

    blob: str
    names: Collection[str] = ()
    version: str = ""
    description: str = ""


class Supplies(msgspec.Struct, frozen=True):
    """What it is built with: the blob of the `tools`. `gone`: blobs of layers that no shelf has, to be made anew."""

    tools: str
    rules: Rules = Rules()
    gone: Collection[str] = ()


def begin(
    facts: Facts, app: str, id: str, source: Source, supplies: Supplies, now: float, how: model.Deploying = AS_SET
) -> Change:
    """A build of the app as job `id`, with its record. By an engine, where its Dockerfile can be built by one.

    NotFound: there is no such app. Conflict: it is being built. Invalid: its config is too large.
    """
    found, before = check_app(facts, app), latest(facts, app)
    number = before.number + 1 if before else 1
    build = model.Build(
        app=app, number=number, job=id, source=source.blob, started=now, description=source.description, how=how,
        commit=source.version,
    )  # fmt: skip
    job = job_of(facts, found, build, supplies, by_engine(facts, app, source.names))
    puts: dict[str, model.Record] = {keys.build(app, number): build, keys.queued("builders", id): model.Queued(job=job)}
    old = tuple(keys.build(app, number) for number in too_old(facts, app))
    return Change(puts=puts, deletes=old, seen=(keys.app(app),), why=f"build {id}")


def job_of(facts: Facts, app: model.App, build: model.Build, supplies: Supplies, dockerfile: bool) -> model.Job:
    """The job that makes a build. `dockerfile`: an engine builds it. Invalid: the app's config is too large."""
    job = model.Job(
        id=build.job,
        app=app.name,
        type="build",
        queue="builders",
        command=COMMAND,
        created=build.started,
        env=_told(facts, app, build.commit, supplies) | in_pieces(_config(app)),
        layers={"build": build.source, "tools": supplies.tools, **packs.layers(app)},
        cache=cache_of(app),
        stop_timeout=GRACE,
        output=True,
        dockerfile=dockerfile,
        network=network_of(facts, supplies.rules, dockerfile),
    )
    return held(job, supplies.rules, app.limits.get("build", {}))


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
        memory=limits.get("reserve", min(RESERVE, memory)),
        memory_limit=memory,
        cpu=limits.get("cpu", rules.cpu),
        cpu_reserve=limits.get("cpu_reserve", 0),
        pids=limits.get("pids", rules.pids),
        files=limits.get("files", job.files),
        time_limit=rules.timeout + TIDY,
        disk=rules.disk,
    )


def _told(facts: Facts, app: model.App, version: str, supplies: Supplies) -> dict[str, str]:
    """What the job is told but for the app's config."""
    rules = supplies.rules
    told = packs.told(app, rules.env) | {"BUILD_TIMEOUT": f"{rules.timeout:g}"}
    told |= {"SOURCE_VERSION": version} if version else {}
    layers = sorted(key for key, sha256 in known_layers(facts, app.name).items() if sha256 not in supplies.gone)
    return told | ({"BUILD_LAYERS": msgspec.json.encode(layers).decode()} if layers else {})


def _config(app: model.App) -> str:
    """The app's config as JSON. Invalid: it is too large."""
    config = msgspec.json.encode(app.env)
    if len(config) > CONFIG_LIMIT:
        raise Invalid(
            f"the config of {app.name} is too large for a build: {CONFIG_LIMIT} bytes of JSON at most; unset some of it"
        )
    return config.decode()


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
