"""`far PORT DIRECTORY`: the repositories in DIRECTORY over HTTP, by git's own `git http-backend` (a CGI program)."""

import asyncio
import os
import sys

from aiohttp import web


async def serve(request: web.Request) -> web.Response:
    """One request, as RFC 3875 hands it to a program."""
    environ = os.environ | {
        "GIT_PROJECT_ROOT": sys.argv[2],
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": "bench",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
    }
    body = await request.read()
    pipe = asyncio.subprocess.PIPE
    backend = await asyncio.create_subprocess_exec(
        "git", "http-backend", env={**environ, "CONTENT_LENGTH": str(len(body))}, stdin=pipe, stdout=pipe
    )
    out, _ = await backend.communicate(body)
    head, _, answer = out.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    status = int(headers.pop("Status", "200 OK").split()[0])
    return web.Response(status=status, headers=headers, body=answer)


def main() -> None:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", serve)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
