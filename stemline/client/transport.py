"""One request over HTTP, once: to the provider with the key, or a file to its storage."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from stemline import __version__
from stemline.clock import loop_time
from stemline.errors import NoAnswer, ProviderDown, RetryableError, TransferFailed
from stemline.file_place import file_place
from stemline.library_words import reason_of
from stemline.protocol import HttpAnswer, HttpRequest
from stemline.telemetry.request_durations import UPLOAD, RequestOutcome

BLOCK_BYTES = 1 << 20
_TIMEOUT = httpx.Timeout(connect=10, read=150, write=60, pool=None)
"""A submit by URL may have the vendor probe the source first, hence the long read."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is reached."""

    base_url: str
    api_key: str = field(repr=False)
    storage_options: dict[str, Any] = field(repr=False)
    """For reading the catalogue's files."""
    is_one_of_several: bool = False
    """Whether its key is another account at another address."""

    @property
    def address(self) -> str:
        """Where it is, as a sentence says it: host and port."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    def tell_apart(self, sentence: str) -> str:
        """Give a sentence that says which of several services it is about."""
        is_told = not self.is_one_of_several or self.address in sentence
        return sentence if is_told else f"{self.address}: {sentence}"


@dataclass(slots=True)
class Traffic:
    """How many requests were sent to the provider, and how many of them it refused for their pace."""

    sent: int = 0
    rejected: int = 0
    transfers: int = 0
    on_request: Callable[[RequestOutcome], object] = lambda _: None
    """Is told of every request, uploads included, once it has come back or broken off."""


class HttpTransport:
    """Sends requests to the provider, and files to its storage, for one API key."""

    def __init__(self, access: Access, transport: httpx.AsyncBaseTransport | None) -> None:
        """Open nothing yet; `transport` carries the requests in place of the network."""
        self.traffic = Traffic()
        self._access = access
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            headers={"User-Agent": f"stemline/{__version__}"},
            limits=httpx.Limits(max_connections=64),
            transport=transport,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Give what a request is answered with, be it a refusal.

        Raises ProviderDown, or TransferFailed, when nothing was asked; NoAnswer when a paid request got none.
        """
        body = UploadBody(request.body, self._access.storage_options) if request.body is not None else None
        try:
            message = await self._build(request, body)
            response = await self._send_timed(request, message)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
            raise _unreachable(request, error) from error
        except httpx.HTTPError as error:
            self._count(request)
            raise _broken_off(request, error) from error
        self._count(request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = HttpAnswer(response.status_code, headers, response.content)
        return replace(answer, sent_sha256=body.sha256()) if body else answer

    async def _send_timed(self, request: HttpRequest, message: httpx.Request) -> httpx.Response:
        began = loop_time()
        try:
            response = await self._http.send(message)
        except httpx.HTTPError as error:
            self._tell(request, message, loop_time() - began, error=type(error).__name__)
            raise
        self._tell(request, message, loop_time() - began, status=response.status_code)
        return response

    def _tell(
        self,
        request: HttpRequest,
        message: httpx.Request,
        seconds: float,
        *,
        status: int | None = None,
        error: str | None = None,
    ) -> None:
        url, template = message.url, UPLOAD if request.is_transfer else request.template or request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
        self.traffic.on_request(
            RequestOutcome(request.method, template, url.host, port, status, error, seconds)
        )

    async def _build(self, request: HttpRequest, body: UploadBody | None) -> httpx.Request:
        headers = dict(request.headers)
        if body is not None:
            # Presigned storage wants the length up front and refuses a chunked body.
            headers["Content-Length"] = str(await body.size())
        if request.is_transfer:
            return self._http.build_request(
                request.method, request.url, headers=headers, content=body.blocks() if body else None
            )
        headers["Authorization"] = f"Bearer {self._access.api_key}"
        url = self._access.base_url.rstrip("/") + request.url
        return self._http.build_request(
            request.method, url, headers=headers, params=dict(request.params) or None, json=request.json
        )

    def _count(self, request: HttpRequest) -> None:
        if request.is_transfer:
            self.traffic.transfers += 1
        else:
            self.traffic.sent += 1


class UploadBody:
    """A file streamed from wherever the catalogue keeps it, hashed on the way."""

    def __init__(self, location: str, storage_options: dict[str, Any]) -> None:
        """Open nothing yet."""
        self._location, self._options = location, storage_options
        self._digest = hashlib.sha256()

    async def size(self) -> int:
        """Give the file's size in bytes; raises OSError when it cannot be told."""
        file_system, path = await self._place()
        return int(await self._read(lambda: file_system.size(path)))

    async def blocks(self) -> AsyncIterator[bytes]:
        """Give the file block by block, from its start; raises OSError when it cannot be read."""
        self._digest = hashlib.sha256()
        file_system, path = await self._place()
        source = await self._read(lambda: file_system.open(path, "rb"))
        try:
            while block := await self._read(lambda: source.read(BLOCK_BYTES)):
                self._digest.update(block)
                yield block
        finally:
            await self._read(source.close)

    def sha256(self) -> str:
        """Give the digest of the blocks that were given."""
        return self._digest.hexdigest()

    async def _place(self) -> tuple[Any, str]:
        is_url = not self._location.startswith("/")
        place: tuple[Any, str] = await self._read(
            lambda: file_place(self._location, self._options, is_url=is_url)
        )
        return place

    async def _read(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - fsspec ships no types
        try:
            return await asyncio.to_thread(call)
        except OSError:
            raise
        except Exception as error:  # every store fails in its own way
            raise OSError(f"{self._location} cannot be read: {reason_of(error)}") from error


def _unreachable(request: HttpRequest, error: httpx.HTTPError | httpx.InvalidURL) -> RetryableError:
    """The connection was never made: nothing was asked, so anything may be repeated."""
    where = "The provider" if isinstance(error, httpx.InvalidURL) else error.request.url.netloc.decode()
    kind = TransferFailed if request.is_transfer else ProviderDown
    return kind(f"{where} cannot be reached: {_reason(error)}.")


def _broken_off(request: HttpRequest, error: httpx.HTTPError) -> RetryableError:
    """The connection broke with the request under way: only a paid one must not be repeated."""
    sentence = f"{request.method} {request.url.split('?')[0]} broke off: {_reason(error)}."
    if request.is_transfer:
        return TransferFailed(sentence)
    return NoAnswer(sentence) if request.is_paid else ProviderDown(sentence)


def _reason(error: Exception) -> str:
    """Give what went wrong, to stand within a sentence."""
    return reason_of(error).rstrip(".")
