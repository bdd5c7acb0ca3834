"""What a job is told by its environment. Pure."""

import re
from collections.abc import Mapping

from flynn.core.errors import Invalid
from flynn.core.model import Job
from flynn.plugins.host.sandbox.rootfs import RESERVED

LAYER = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
CACHE = re.compile(r"[a-z0-9][a-z0-9._-]{0,100}")

NETWORK = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "UV_INDEX_URL",
    "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY", "SSL_CERT_FILE",
)  # fmt: skip
"""What a build may know of the daemon's environment: how to reach the package indexes of this network."""


def environ(job: Job, port: int, daemon: Mapping[str, str]) -> dict[str, str]:
    """The variables of a job, but for its directories, which the backend adds. `port` 0: it has none.

    `daemon` is the environment of this process, of which only builds learn a little.
    """
    env = {name: daemon[name] for name in NETWORK if name in daemon} if job.queue == "builders" else {}
    env |= {name: value for name, value in job.env.items() if name != "PORT" and not name.startswith("FLYNN_")}
    env |= {"PORT": str(port)} if port else {}
    return env | {
        "FLYNN_APP": job.app,
        "FLYNN_RELEASE": f"v{job.release}",
        "FLYNN_PROCESS_TYPE": job.type,
        "FLYNN_JOB_ID": job.id,
    }


def check(job: Job) -> None:
    """Invalid: what in this job no backend could carry out."""
    for name, value in job.env.items():
        if not name or "=" in name or "\0" in name + value:
            raise Invalid(f"the variable {name[:60]!r} cannot be set; names have no '=', and nothing has a NUL byte")
    for name in job.layers:
        if name in RESERVED or not LAYER.fullmatch(name):
            raise Invalid(f"no layer can be called {name[:60]!r}; the place /{name[:60]} is taken or no good name")
    if job.cache and not CACHE.fullmatch(job.cache):
        raise Invalid(f"no cache can be called {job.cache[:60]!r}; use letters, digits, '.', '-' and '_'")
    if "\0" in job.command:
        raise Invalid("the command has a NUL byte; remove it")
