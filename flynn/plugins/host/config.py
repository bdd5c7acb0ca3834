"""What a user can set of the host agent: `[host]` in flynn.toml."""

import msgspec

from flynn.plugins.host.docker.networks import POOL


class HostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times in seconds, sizes in MiB.

    `backend`: `auto` is `sandbox` where bubblewrap works, else `docker` where there is an engine, else `process`.
    `boot_timeout` is for what does not say itself how long its start may take, `stop_timeout` for what does not say how
    long its end may. `starts`: how many jobs may start at a time, the others wait.
    `stack`: the image that slugs run on in the backend `docker`; none is the machine's own system. `image_network`: the
    engine's network that the steps of Dockerfiles have; none is one for each build alone, where that can be, and `own`
    that or no build. `log_size` is for
    one app's log, `logs_size` for all logs of the host, `log_days` how long lines are kept, `layers_size` for all
    unpacked layers that no job uses. `disk_budget` is for all that the agent keeps in its directory (layers, builds'
    caches, logs); 0: 12 GiB, or half of a smaller disk. With less than `disk_reserve` free no new job starts; 0: 1 GiB,
    or a tenth of a smaller disk. `memory` 0: all that the machine has. `mounts`: directories that
    jobs may be given, with what is below them; `/srv/photos:ro` only to read. `refused`: what jobs with a
    network of their own do not reach, beside all hosts of the grid: `10.0.0.0/8`. `app_networks`: what the networks are
    taken from that containers have of their own, one for each app. `tags` say what the machine has, and
    where it is, for the scheduler: `zone=eu-1`.
    """

    backend: str = "auto"
    stack: str = ""
    image_network: str = ""
    boot_timeout: float = 60.0
    stop_timeout: float = 30.0
    drain_timeout: float = 30.0
    starts: int = 4
    ports: str = "20000-29999"
    log_size: int = 100
    logs_size: int = 4096
    log_days: int = 30
    layers_size: int = 4096
    disk_budget: int = 0
    disk_reserve: int = 0
    memory: int = 0
    mounts: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    app_networks: str = POOL
    tags: tuple[str, ...] = ()
