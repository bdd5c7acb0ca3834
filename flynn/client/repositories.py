"""Git repositories of apps, as a client sees them."""

from urllib.parse import urlsplit

import aiohttp

from flynn.client.calls import Calls, of_app
from flynn.core.records import RepositoryInfo


class RepositoryCalls(Calls):
    """Part of `Client`."""

    @property
    def url(self) -> str:
        """The node that is asked."""
        return self.wire.url

    async def repository(self, app: str) -> RepositoryInfo:
        return await self.wire.call("GET", of_app(app, "repository"), RepositoryInfo)

    async def choose_branch(self, app: str, branch: str) -> RepositoryInfo:
        """Another branch deploys from now on."""
        return await self.wire.call("PATCH", of_app(app, "repository"), RepositoryInfo, {"branch": branch})

    async def answers_git(self, url: str, limit: float) -> bool:
        """Whether a flynn answers git at the URL of a repository, within `limit` seconds. It is shown no token."""
        host = urlsplit(url)
        # Not every resolver knows RFC 6761, section 6.3; git does.
        local = (host.hostname or "").endswith(".localhost")
        reached = host._replace(netloc=f"127.0.0.1:{host.port or 80}").geturl() if local else url
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=limit)) as session:
                there = f"{reached}/info/refs?service=git-receive-pack"
                async with session.get(there, headers={"Host": host.netloc}, allow_redirects=False) as response:
                    return response.status == 401 and "flynn" in response.headers.get("WWW-Authenticate", "")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
