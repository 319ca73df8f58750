"""Presigned links to a catalogue's objects: a provider that can fetch them needs no upload."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import fsspec

LINK_SECONDS = 6 * 3600
"""How long a link works: a provider may fetch it only when it begins with the job."""


def presigned_link(location: str, storage_options: dict[str, Any], *, is_forced: bool) -> str | None:
    """Give a link to an object that works without our credentials; None where the store makes none.

    Unless `is_forced`, none either where the link leads to a private address, which no vendor can reach.
    Raises OSError when the store cannot be asked.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(location, **storage_options)
        link = str(filesystem.sign(path, expiration=LINK_SECONDS))
    except NotImplementedError:
        return None
    except OSError:
        raise
    except Exception as error:  # every store fails in its own way
        raise OSError(f"{location} cannot be linked to: {str(error) or type(error).__name__}") from error
    return link if is_forced or not _is_private(link) else None


def _is_private(link: str) -> bool:
    host = urlsplit(link).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host
