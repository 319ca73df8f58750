"""The storage's side of presigned links: PUT an upload, GET an output, with no API key.

Errors are the XML of S3, whose protocol the vendors' storage speaks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from xml.sax.saxutils import escape

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from stemline_local.refusal import Refusal
from stemline_local.signing import LinkRefused, Signer
from stemline_local.storage import Storage, check_size

MIME_TYPE = r"[\w.+-]+/[\w.+-]+"
CONTENT_TYPES = {
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".webm": "audio/webm",
    ".wma": "audio/x-ms-wma",
}


def transfer_routes(storage: Storage, signer: Signer) -> list[Route]:
    """Give the routes under /storage."""

    async def put(request: Request) -> Response:
        name = request.path_params["name"]
        signer.check("PUT", name, request.query_params, request.headers.get("content-type", ""))
        length = request.headers.get("content-length")
        if length is None:
            return _error(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        check_size(int(length))
        await storage.receive(name, request.stream())
        return Response()

    async def get(request: Request) -> Response:
        name = request.path_params["name"]
        signer.check(request.method, name, request.query_params)
        path = storage.path(name)
        return FileResponse(path, stat_result=path.stat(), media_type=CONTENT_TYPES.get(path.suffix))

    return [
        Route("/storage/{name:path}", _answering(put), methods=["PUT"]),
        Route("/storage/{name:path}", _answering(get), methods=["GET"]),
    ]


Handler = Callable[[Request], Awaitable[Response]]


def _answering(handler: Handler) -> Handler:
    """Turn what a handler refuses into the storage's own errors."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except LinkRefused as refused:
            return _error(403, refused.code, refused.message)
        except Refusal as refused:
            return _error(400, "EntityTooLarge", refused.message)
        except FileNotFoundError:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        except ClientDisconnect:
            return _error(400, "IncompleteBody", "The upload broke off.")

    return answer


def _error(status: int, code: str, message: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>{body}', status, media_type="application/xml")
