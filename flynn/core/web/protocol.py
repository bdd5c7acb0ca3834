"""One connection of the node API: aiohttp's, but that what is no good HTTP is answered as any other error."""

from typing import TYPE_CHECKING

from aiohttp import web

from flynn.core.web.problem import bad_http, problem

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest


class Connection(web.RequestHandler):
    """Made by `serve` for each connection it accepts."""

    def handle_error(
        self,
        request: "BaseRequest",
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp calls when no handler can be asked. The connection is closed thereafter."""
        if status >= 500:
            self.log_exception("a request went wrong", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        response = problem(bad_http(status, exc))
        response.force_close()
        return response
