"""The upload endpoint of AIStemSplitter: POST one file to a reserved place, with the headers of the reservation.

It has an error shape of its own, `{"success": false, "error": CODE, "message": …}`, and asks for no API key.
Everything a reservation fixes is in its signed token: none is kept on disk.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stemline_local.api.request_reading import address_of, bad_request
from stemline_local.api.storage_endpoint import MIME_TYPE
from stemline_local.files.file_storage import FileStorage, check_size
from stemline_local.files.presigned_link import LinkSigner
from stemline_local.job_intake import suffix_of
from stemline_local.refusal import Refusal, RefusalReason

RESERVED_SECONDS = 300
FILE_URL_SECONDS = 86_400
MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class UploadReservation:
    """A place for one file."""

    id: str
    target: str
    """Path and query, to be put behind the service's address."""
    headers: dict[str, str]
    expires_at: int


@dataclass(frozen=True, slots=True)
class FinishedUpload:
    """A file that has arrived: its name in the storage, and the one its owner gave it."""

    name: str
    file_name: str


class UploadRefusal(Exception):
    """A transfer that is not taken."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Keep what the answer is made of."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class UploadEndpoint:
    """Reserves places, takes files, and finds them again."""

    storage: FileStorage
    signer: LinkSigner

    def route(self) -> Route:
        """Give the one route."""
        return Route("/worker/{key:path}", self._answer, methods=["POST"])

    def reserve(self, account: str, file_name: str, content_type: str, length: int) -> UploadReservation:
        """Give the place for a file of this name, type and length in bytes.

        Raises:
            Refusal: BAD_REQUEST or FILE_TOO_LARGE.
        """
        check_size(length)
        if not re.fullmatch(MIME_TYPE, content_type, re.ASCII):
            raise bad_request("contentType must be a MIME type such as audio/mpeg.")
        upload_id = "upl_" + secrets.token_hex(12)
        folder = f"audio/api/{account}/{upload_id}"
        key = f"{folder}/{_plain(file_name)}"
        expires_at = int(self.signer.clock() + RESERVED_SECONDS)
        token = self.signer.sign("POST", key, str(expires_at), content_type, str(length))
        target = f"/worker/{quote(key)}?expires={expires_at}"
        return UploadReservation(upload_id, target, {"X-Upload-Token": token, "X-Folder": folder}, expires_at)

    def find(self, account: str, upload_id: str, key: str) -> FinishedUpload:
        """Give the file of a finished transfer.

        Raises:
            Refusal: UNKNOWN_UPLOAD, for another account's file too.
        """
        folder = f"audio/api/{account}/{upload_id}"
        path = PurePosixPath(key)
        if str(path.parent) != folder or not re.fullmatch("upl_[a-z0-9]+", upload_id):
            raise Refusal(RefusalReason.UNKNOWN_UPLOAD, "storageKey does not belong to uploadId.")
        return FinishedUpload(_stored(key), path.name)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._receive(request)
        except UploadRefusal as refusal:
            status, code, message = refusal.status, refusal.code, refusal.message
        except Refusal as refusal:
            status, code, message = 413, "FILE_TOO_LARGE", refusal.message
        except (ClientDisconnect, FileNotFoundError):
            status, code, message = 400, "UPLOAD_FAILED", "The upload broke off."
        return JSONResponse({"success": False, "error": code, "message": message}, status)

    async def _receive(self, request: Request) -> Response:
        key = request.path_params["key"]
        length = self._check(request, key)
        name = _stored(key)
        size_bytes = await self.storage.receive(name, request.stream())
        if size_bytes != length:
            self.storage.remove_file(name)
            raise UploadRefusal(400, "LENGTH_MISMATCH", f"{length} bytes were reserved, {size_bytes} came.")
        url = address_of(request) + self.signer.link("GET", name, FILE_URL_SECONDS).target
        return JSONResponse({"success": True, "data": {"url": url, "key": key}})

    def _check(self, request: Request, key: str) -> int:
        """Give the length of what will come; everything about it is what was reserved."""
        headers = request.headers
        expires, length = request.query_params.get("expires", ""), headers.get("content-length", "")
        facts = ("POST", key, expires, headers.get("content-type", ""), length)
        if headers.get("x-folder") != str(PurePosixPath(key).parent):
            raise UploadRefusal(403, "INVALID_FOLDER", "X-Folder is not the one of the reservation.")
        if not self.signer.is_signature(headers.get("x-upload-token", ""), *facts):
            raise UploadRefusal(
                401, "INVALID_TOKEN", "Token, type or length are not those of the reservation."
            )
        if self.signer.clock() >= int(expires):
            raise UploadRefusal(410, "UPLOAD_EXPIRED", "The reservation has expired.")
        return int(length)


def _stored(key: str) -> str:
    """Give the name in the storage of a key `audio/api/<account>/<upload>/<file name>`."""
    path = PurePosixPath(key)
    account, upload_id = path.parts[-3:-1] if len(path.parts) >= 3 else ("", "")
    return f"uploads/{account}/{upload_id}/input{suffix_of(path.name)}"


def _plain(file_name: str) -> str:
    """Give the last part of a file name, without what has a meaning in paths."""
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", file_name.replace("\\", "/").rsplit("/", 1)[-1])
    return name[-MOST_NAME:] if name.strip(". ") else "input"
