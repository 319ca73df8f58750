"""Presigned links: whoever holds one may do one thing with one file until it expires.

The signature covers the method, the file, the expiry and - for an upload - the Content-Type, as on the
object stores the vendors use; a link needs no API key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from stemline.errors import StemlineError


@dataclass(frozen=True, slots=True)
class Link:
    """A path with its query, to be put behind the service's address, and the Unix second it dies."""

    target: str
    expires_at: int


class LinkRefused(StemlineError):
    """A link that is forged, changed, used for something else, or too old; `code` in the words of S3."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Signer:
    """Mints and checks links with one secret."""

    secret: bytes = field(repr=False)
    clock: Callable[[], float]

    def link(self, method: str, file: str, lifetime_seconds: float, content_type: str = "") -> Link:
        """Give a link that lets `method` through to `file`."""
        expires_at = int(self.clock() + lifetime_seconds)
        signature = self._signature(method, file, str(expires_at), content_type)
        query = urlencode({"expires": expires_at, "signature": signature})
        return Link(f"/storage/{quote(file)}?{query}", expires_at)

    def check(self, method: str, file: str, query: Mapping[str, str], content_type: str = "") -> None:
        """Let a link through.

        Raises:
            LinkRefused: SignatureDoesNotMatch or AccessDenied.
        """
        expires = query.get("expires", "")
        expected = self._signature(method, file, expires, content_type)
        if not hmac.compare_digest(expected.encode(), query.get("signature", "").encode()):
            raise LinkRefused("SignatureDoesNotMatch", "The signature does not match the request.")
        if self.clock() >= int(expires):
            raise LinkRefused("AccessDenied", "Request has expired")

    def _signature(self, method: str, file: str, expires: str, content_type: str) -> str:
        message = f"{method}\n{file}\n{expires}\n{content_type}"
        return hmac.new(self.secret, message.encode(), hashlib.sha256).hexdigest()
