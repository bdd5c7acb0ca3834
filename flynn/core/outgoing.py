"""The client by which a node asks the others, and itself."""

import aiohttp


def open_http(token: str) -> aiohttp.ClientSession:
    """A session that shows the grid's token; open it with `async with`.

    It has as many connections as are asked for: each log that is followed holds one, and shall not keep others waiting.
    """
    headers = {"Authorization": f"Bearer {token}"}
    return aiohttp.ClientSession(headers=headers, auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
