"""One who follows the log of an app on one host: the past as he asked for it, then what is new with all others.

Who reads too slowly for that gets what he lacks from the host, and then goes on with the others again.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from flynn.core.logframe import Block, Frame
from flynn.plugins.controller.host_log import Reader
from flynn.plugins.controller.log_feed import Feeds


async def followed(reader: Reader, feeds: Feeds) -> AsyncGenerator[list[Frame], None]:
    """As `Reader.frames` of one who follows, without end."""
    wanted = replace(reader.wanted, since=0.0)  # The past had to be told apart; what follows it is new.
    async with feeds.feed(reader.wanted.app, reader.host, reader.since) as feed:
        while True:
            async with aclosing(reader.frames()) as past:
                async for frames in past:
                    yield frames
                    if reader.level:
                        break
            async with aclosing(feed.after(reader.number)) as fresh:
                async for frames in fresh:
                    found: list[Frame] = []
                    for frame in frames:
                        if isinstance(frame, Block):
                            reader.number = frame.next
                            found += wanted.of(frame)
                        else:
                            found.append(frame)
                    if found:
                        yield found
