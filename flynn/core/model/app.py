"""An app, what was built of it, and how it comes into service."""

from typing import Literal

from flynn.core.model.cron import Cron
from flynn.core.model.deploy import Deploying
from flynn.core.model.process import Mount, ProcessType
from flynn.core.model.record import Record


class Artifact(Record, frozen=True, kw_only=True):
    """An application, built: a blob on the shelf, named by its digest; or an image, by the name that engines pull; or
    with both, an image that is on the shelf.

    `layers` are blobs that lie under it, the lowest first, which other releases of the app have too: by a key that says
    what each depends on.
    """

    sha256: str = ""
    size: int = 0
    kind: Literal["slug", "image"] = "slug"
    image: str = ""
    layers: dict[str, str] = {}


class Previewing(Record, frozen=True, kw_only=True):
    """Whether each further branch that is pushed of an app gets an app of its own, which sleeps once it has had no
    request for `idle` seconds (0: it never does)."""

    on: bool = False
    idle: int = 1800


class Preview(Record, frozen=True, kw_only=True):
    """What makes an app a preview: it is the `branch` of the app `of`, of the one that was `born` then (0: not known),
    not of a later one of that name. While it sleeps, `asleep` says how many processes of each type it wakes with."""

    of: str
    branch: str
    born: float = 0.0
    asleep: dict[str, int] = {}


class App(Record, frozen=True, kw_only=True):
    """An application. `release` is the version that serves (0: none yet); `env` is the config of the next release,
    and `limits` by process type what was set of `memory`, `reserve` (MiB), `cpu`, `pids`, `files` for its jobs,
    and `mounts` of the data that they see. `deploying` is how its deploys go. `buildpacks`: what it is built with, in
    their order (none: the first that fits). `previewing`: what is done with its other branches; `preview`: what it is
    itself a preview of."""

    name: str
    created: float
    release: int = 0
    env: dict[str, str] = {}
    limits: dict[str, dict[str, int]] = {}
    mounts: dict[str, tuple[Mount, ...]] = {}
    deploying: Deploying = Deploying()
    previewing: Previewing = Previewing()
    preview: Preview | None = None
    buildpacks: tuple[str, ...] = ()


class Release(Record, frozen=True, kw_only=True):
    """Artifact + config + process types + what runs by the clock, never changed once made.

    `made`: types whose jobs would be the same, to the letter, as those of an earlier release: its version. They are
    taken over with it and carry its number. `commit` is what was built of a git repository ("": nobody said).
    """

    app: str
    version: int
    created: float
    artifact: Artifact
    processes: dict[str, ProcessType]
    env: dict[str, str] = {}
    description: str = ""
    made: dict[str, int] = {}
    cron: dict[str, Cron] = {}
    commit: str = ""


class Placement(Record, frozen=True, kw_only=True):
    """Where the jobs of a type may be: on hosts that have all these `tags`; with `one_per_host`, not two on one host;
    with `omni`, as many on every host as else there would be in all."""

    tags: dict[str, str] = {}
    one_per_host: bool = False
    omni: bool = False


class Formation(Record, frozen=True, kw_only=True):
    """How many processes of each type an app shall have, and where those may be that may not be anywhere."""

    app: str
    counts: dict[str, int]
    placement: dict[str, Placement] = {}
