"""What a location is: a local file, an object in a store, an http(s) URL or a YouTube URL."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache, lru_cache
from urllib.parse import urlsplit

from stemline.errors import TrackRefused
from stemline.records import Code


class LocationKind(StrEnum):
    """Where a location leads."""

    FILE = "file"
    STORE = "store"
    HTTP = "http"
    YOUTUBE = "youtube"


URL_PATTERN = r"^[A-Za-z][A-Za-z0-9+.-]*(::[A-Za-z][A-Za-z0-9+.-]*)*://"
_URL = re.compile(URL_PATTERN)
_ALMOST_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+-]*)(:/{0,1}|/)/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_WEB = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9.-]+)(?:[/?#][^\x00-\x1f\x7f]*)?")
"""A web URL of which the host alone says what it is: it needs no parsing, and most of a catalogue is of one host."""
_YOUTUBE_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")

_REMEMBERED = 20_000
"""How many kinds are kept: scan, survey and plan each ask about every row of a batch."""


@lru_cache(maxsize=_REMEMBERED)
def location_kind(location: str) -> LocationKind:
    """Give the kind of a location as the manifest writes it; nothing is opened.

    Raises `TrackRefused` (`bad_location`) for what is neither a path nor a URL we can read.
    """
    plain = _PLAIN_WEB.fullmatch(location)
    if plain:
        return _kind_of_host(plain[1])
    if has_controls(location):
        raise _bad(
            f"The location {location!r} holds control characters.",
            "Rename the file, or write it without them.",
        )
    if location.startswith("/"):
        return LocationKind.FILE
    if location[:6].lower() == "file:/":  # RFC 8089 knows it with one slash, two and three
        return LocationKind.FILE
    if _URL.match(location):
        return _kind_of_url(location)
    almost = _ALMOST_URL.match(location)
    if almost and almost[1].lower() in _schemes():
        raise _bad(f'The location "{location}" looks like a broken URL.', f"Write {almost[1]}://… instead.")
    if location.lower().startswith("www."):
        raise _bad(f'The location "{location}" has no scheme.', "Put https:// before it.")
    if "/" not in location and "." not in location:
        raise _bad(f'The location "{location}" is neither a path nor a URL.', "Give the file's path or URL.")
    return LocationKind.FILE


def has_controls(text: str) -> bool:
    """Tell whether text holds control characters, which no location may."""
    return _CONTROL.search(text) is not None


def _kind_of_url(location: str) -> LocationKind:
    schemes = location.split("://", 1)[0].lower()
    if unknown := _unknown_schemes(schemes):
        raise _bad(
            f'The location "{location}" has the unknown scheme "{unknown[0]}".',
            "Use a path, an http(s) URL or a store such as s3://, gs:// or az://.",
        )
    last = schemes.rsplit("::", 1)[-1]
    if last in ("file", "local"):
        return LocationKind.FILE
    if last in ("http", "https"):
        return _kind_of_web(location)
    return LocationKind.STORE


@lru_cache(maxsize=1_000)
def _unknown_schemes(schemes: str) -> list[str]:
    return [scheme for scheme in schemes.split("::") if scheme not in _schemes()]


def _kind_of_web(location: str) -> LocationKind:
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    if not host or " " in host:
        raise _bad(f'The URL "{location}" names no host.', "Write it as https://host/path.")
    return _kind_of_host(host)


@lru_cache(maxsize=1_000)
def _kind_of_host(host: str) -> LocationKind:
    host = host.lower()
    is_youtube = any(host == own or host.endswith(f".{own}") for own in _YOUTUBE_HOSTS)
    return LocationKind.YOUTUBE if is_youtube else LocationKind.HTTP


@cache
def _schemes() -> frozenset[str]:
    # Imported here: fsspec loads asyncio, and a manifest of plain paths needs neither.
    import fsspec  # noqa: PLC0415

    return frozenset(fsspec.available_protocols())


def _bad(message: str, fix: str) -> TrackRefused:
    return TrackRefused(message, code=Code.BAD_LOCATION, fix=fix)
