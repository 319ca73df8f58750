"""The storage over HTTP: PUT an upload and GET an output through presigned links, with no API key.

Errors are the XML of S3, whose protocol the vendors' storage speaks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from xml.sax.saxutils import escape

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from stemline_local.files.file_storage import FileStorage, check_size
from stemline_local.files.presigned_link import LinkRefused, LinkSigner
from stemline_local.refusal import Refusal

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


def storage_routes(storage: FileStorage, signer: LinkSigner) -> list[Route]:
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
        Route("/storage/{name:path}", _with_storage_errors(put), methods=["PUT"]),
        Route("/storage/{name:path}", _with_storage_errors(get), methods=["GET"]),
    ]


StorageHandler = Callable[[Request], Awaitable[Response]]


def _with_storage_errors(handler: StorageHandler) -> StorageHandler:
    """Give the handler with its exceptions turned into the errors of an object store."""

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
