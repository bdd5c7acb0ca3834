"""An app that judges what it gets: two readers that know nothing of the router must find the same requests in it."""

import asyncio
from dataclasses import dataclass, field

import h11

from tests.router.rig import PATIENCE, Rig
from tests.router.strict import Malformed, Message, read_request, read_response


@dataclass(eq=False)
class Judge:
    """Answers each request with its method and target. `streams` has the bytes of each connection, `requests` what was
    found in them, `broken` what is no request."""

    port: int = 0
    streams: list[bytes] = field(default_factory=list)
    requests: list[Message] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        number, at = len(self.streams), 0
        self.streams.append(b"")
        try:
            while data := await reader.read(65536):
                self.streams[number] += data
                while found := read_request(self.streams[number][at:]):
                    message, size = found
                    at += size
                    self.requests.append(message)
                    writer.write(reply_to(message))
        except Malformed as error:
            self.broken.append(str(error))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self.tasks.discard(task)

    def targets(self) -> list[bytes]:
        return [message.start[1] for message in self.requests]

    def check(self) -> None:
        """Both readers agree on every connection, and nothing of what they found was smuggled."""
        assert self.broken == []
        assert sorted(self.targets()) == sorted(t for stream in self.streams for t in found_by_h11(stream))
        for message in self.requests:
            assert b"evil" not in message.start[1], message
            assert b"evil" not in b"".join(message.values(b"host")), message
            for name in (b"connection", b"keep-alive", b"proxy-connection", b"te", b"http2-settings"):
                assert not message.values(name) or message.values(b"upgrade"), message


def reply_to(message: Message) -> bytes:
    text = message.start[0] + b" " + message.start[1]
    body = b"" if message.start[0] == b"HEAD" else text
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Was: %b\r\n\r\n%b" % (len(text), text, body)


def found_by_h11(stream: bytes) -> list[bytes]:
    """The targets of the complete requests in a stream. h11.RemoteProtocolError."""
    reader, found, target = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20), list[bytes](), b""
    reader.receive_data(stream)
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Request):
            target = event.target
        elif isinstance(event, h11.EndOfMessage):
            found.append(target)
            reader.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            reader.send(h11.EndOfMessage())
        elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
            return found
        elif event is h11.PAUSED:
            if reader.their_state is not h11.DONE:
                return found
            reader.start_next_cycle()


async def open_judge(rig: Rig) -> Judge:
    """A judge behind the router of this rig."""
    judge = Judge()
    server = await asyncio.start_server(judge.serve, "127.0.0.1", 0, limit=2**20)
    judge.port = server.sockets[0].getsockname()[1]

    async def stop() -> None:
        server.close()
        for task in tuple(judge.tasks):
            task.cancel()
        await asyncio.gather(*judge.tasks, return_exceptions=True)

    rig.stack.push_async_callback(stop)
    rig.show(f"127.0.0.1:{judge.port}")
    return judge


async def say_all(rig: Rig, data: bytes) -> bytes:
    """What the router answers to these bytes until it ends the connection."""
    async with asyncio.timeout(PATIENCE):
        talk = await rig.talk()
        talk.writer.write(data)
        answer = await talk.rest()
        await talk.close()
        return answer


def answers_in(stream: bytes, methods: list[bytes]) -> list[Message]:
    """The final answers in a stream that has ended, to requests of these methods in turn, then of GET. Malformed, or
    AssertionError for bytes that are no answer."""
    found = list[Message]()
    while stream:
        one = read_response(stream, methods[len(found)] if len(found) < len(methods) else b"GET", ended=True)
        assert one is not None, stream[:500]
        message, size = one
        stream = stream[size:]
        if not message.start[0].startswith(b"1"):
            found.append(message)
    return found
