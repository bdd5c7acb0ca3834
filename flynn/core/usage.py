"""What a host tells of how much its jobs and the machine itself take, at the moment it is asked. Bytes and seconds.

None is what nobody can tell there.
"""

from flynn.core.model import Record


class JobUsage(Record, frozen=True, kw_only=True):
    """A job's processes together, since the first of them began.

    `cpu`: seconds of CPU; `percent`: of one core, lately. `memory` is without what the kernel would drop for others
    (files that were read), `limit` what it is held to (0: nothing holds it). `read` and `written` went from and to
    disks. `killed`: processes killed for want of memory, since the job began.
    """

    cpu: float | None = None
    percent: float | None = None
    memory: int | None = None
    limit: int = 0
    read: int | None = None
    written: int | None = None
    files: int | None = None
    processes: int | None = None
    killed: int = 0


class Pressure(Record, frozen=True, kw_only=True):
    """How long work waited for a resource (Linux, accounting/psi): `some` of it, or `full`: all of it at once.

    Shares of the last minute, in percent, and seconds in all (`some_total`, `full_total`).
    """

    some: float
    full: float = 0.0
    some_total: float = 0.0
    full_total: float = 0.0


class HostUsage(Record, frozen=True, kw_only=True):
    """A machine. `cpu`: seconds for which its cores were busy; `percent`: of all of them, lately.

    `load`: of 1, 5 and 15 minutes. `memory_free` could be had by jobs. `disk`, `disk_free`: where the agent's data is.
    `pressure`: by `cpu`, `memory`, `io` (None: not told there).
    """

    cpus: int
    load: tuple[float, float, float]
    memory: int
    memory_free: int
    disk: int
    disk_free: int
    cpu: float = 0.0
    percent: float | None = None
    pressure: dict[str, Pressure] | None = None


class Told(Record, frozen=True, kw_only=True):
    """One host's answer: itself, and by id the jobs that were asked for."""

    host: HostUsage
    jobs: dict[str, JobUsage] = {}


class AppUsage(Record, frozen=True, kw_only=True):
    """The running jobs of an app by id. `silent`: hosts that do not answer, and why."""

    jobs: dict[str, JobUsage] = {}
    silent: dict[str, str] = {}
