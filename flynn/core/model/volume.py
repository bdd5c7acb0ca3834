"""Data that outlives the jobs that use it."""

from flynn.core.model.record import Record


class Volume(Record, frozen=True, kw_only=True):
    """Data of an app that outlives its jobs, and the app itself.

    `id` is of this volume alone, whatever others had its name. `host` has it on its disk ("": none yet, the first job
    that mounts it decides). One job at a time may write to it, any number if it is `shared`. One that is `scratch` is a
    fresh directory for each job, gone with it, on any host. `deleting`: its host shall remove the data.
    """

    app: str
    name: str
    id: str
    created: float
    host: str = ""
    shared: bool = False
    scratch: bool = False
    deleting: bool = False


class Stored(Record, frozen=True, kw_only=True):
    """The data of a volume, on the disk of `host` at `path`, since `since`."""

    app: str
    name: str
    id: str
    host: str
    path: str
    since: float
