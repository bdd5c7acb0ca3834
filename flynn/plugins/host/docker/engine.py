"""The Docker Engine of this machine, called through aiodocker; each call has a limit, and few ways to fail.

A client lives for one block, as an engine may be restarted at any moment: there is no connection that outlives it.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiodocker import Docker, DockerError

from flynn.core.errors import Conflict, FlynnError, NotFound, Unavailable

CALL = 10.0
"""Seconds in which an engine that is well answers a question."""

WORK = 60.0
"""Seconds that it may take to make, start or remove a container."""

NO_CONNECTION = 900
"""What aiodocker calls the status of an engine that it cannot connect to."""


class Refused(FlynnError):
    """The engine cannot do it; the text is its own."""

    code = "engine"


def place(environ: "os._Environ[str] | dict[str, str]" = os.environ) -> str:
    """Where the engine is: DOCKER_HOST, as for Docker's own command, or the usual socket of root or this user."""
    if told := environ.get("DOCKER_HOST"):
        return told
    own = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    found = (path for path in (Path("/run/docker.sock"), Path(own, "docker.sock")) if path.is_socket())
    return f"unix://{next(found, '/run/docker.sock')}"


@contextlib.asynccontextmanager
async def engine(limit: float = CALL) -> AsyncIterator[Docker]:
    """A client for the length of a block, `limit` seconds at most.

    Unavailable: the engine does not answer. NotFound, Conflict, Refused: it says no, and why.
    """
    url = place()
    try:
        async with asyncio.timeout(limit) as timeout, Docker(url) as client:
            yield client
    except TimeoutError:
        if not timeout.expired():
            raise
        raise Unavailable(f"the Docker Engine at {url} did not answer within {limit:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"the Docker Engine at {url} broke off: {error}") from None
    except json.JSONDecodeError as error:
        raise Unavailable(f"the Docker Engine at {url} did not end its answer: {error}") from None
    except ValueError as error:
        raise Unavailable(f"no Docker Engine can be at {url}: {error}; mend DOCKER_HOST") from None
    except (KeyError, TypeError) as error:
        raise Unavailable(f"what answers at {url} is no Docker Engine that is well ({error!r})") from None
    except DockerError as error:
        raise _told(error, url) from None


def _told(error: DockerError, url: str) -> FlynnError:
    text = str(error.message).strip()
    match error.status:
        case status if status == NO_CONNECTION:
            return Unavailable(f"the Docker Engine at {url} does not answer; start it, or tell DOCKER_HOST where it is")
        case 404:
            return NotFound(text)
        case 409 | 304:
            return Conflict(text)
        case _:
            return Refused(text)
