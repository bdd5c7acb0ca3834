"""What an app is told of a request, asked through a proxy."""

import asyncio

from bench.common.errors import NotMeasured
from bench.common.web import LIMIT
from bench.router import site


async def fields(port: int, host: str) -> list[str]:
    """What an app gets of `site.TOLD` through the proxy on `port`, after a client's lies. NotMeasured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(site.PROBE.format(host=host, fields=site.LIES).encode())
        async with asyncio.timeout(LIMIT):
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise NotMeasured(f"port {port} answers {head[:100]!r} to {host}")
            return [(await reader.readline()).decode().strip() for _ in site.TOLD]
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        raise NotMeasured(f"port {port} does not answer for {host}: {error!r}") from None
    finally:
        writer.close()
