"""Presigned links: whoever holds one may do one thing with one file until it expires.

The signature covers the method, the file, the expiry, a nonce and - for an upload - the Content-Type, as on the
object stores the vendors use; a link needs no API key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from stemline.errors import StemlineError


@dataclass(frozen=True, slots=True)
class PresignedLink:
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
class LinkSigner:
    """Makes and checks links with one secret."""

    secret: bytes = field(repr=False)
    clock: Callable[[], float]

    def link(self, method: str, file: str, lifetime_seconds: float, content_type: str = "") -> PresignedLink:
        """Give a link that allows `method` on `file`."""
        expires_at = int(self.clock() + lifetime_seconds)
        nonce = secrets.token_hex(4)  # two links are never the same, even within a second
        signature = self.sign(method, file, str(expires_at), nonce, content_type)
        query = urlencode({"expires": expires_at, "nonce": nonce, "signature": signature})
        return PresignedLink(f"/storage/{quote(file)}?{query}", expires_at)

    def check(self, method: str, file: str, query: Mapping[str, str], content_type: str = "") -> None:
        """Check a link.

        Raises:
            LinkRefused: SignatureDoesNotMatch or AccessDenied.
        """
        expires = query.get("expires", "")
        facts = (method, file, expires, query.get("nonce", ""), content_type)
        if not self.is_signature(query.get("signature", ""), *facts):
            raise LinkRefused("SignatureDoesNotMatch", "The signature does not match the request.")
        if self.clock() >= int(expires):
            raise LinkRefused("AccessDenied", "Request has expired")

    def sign(self, *facts: str) -> str:
        """Give the signature of some facts, in hexadecimal."""
        return hmac.new(self.secret, "\n".join(facts).encode(), hashlib.sha256).hexdigest()

    def is_signature(self, signature: str, *facts: str) -> bool:
        """Tell whether a signature is that of these facts, in constant time."""
        return hmac.compare_digest(self.sign(*facts).encode(), signature.encode())
