"""The name a job is stored under: with the attempt's token in it, and what it tells where the vendor lost that."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from stemline.records import Attempt


def is_web(location: str) -> bool:
    """Tell whether a location is a web address."""
    return location.lower().startswith(("http://", "https://"))


def file_name(attempt: Attempt) -> str:
    """Give the name a job is stored under: ASCII, at most 100 characters, the token before the extension."""
    stem, suffix = _slug(_path_of(attempt.track.location))
    return f"{stem}.{attempt.token}{suffix}"


def is_name_of(attempt: Attempt, name: str | None) -> bool | None:
    """Tell whether a job is called as an attempt's source is, which one with a token is not; None: it tells nothing."""
    upload = PurePosixPath(str((attempt.request or {}).get("uploadKey", ""))).name
    if name is None or name == upload:
        return None  # the vendor's own name for whatever was uploaded
    path = _path_of(attempt.track.location)
    stem, suffix = _slug(path)
    known = {_plain(each) for each in (stem, stem + suffix, path.stem, path.name)}
    return not known.isdisjoint({_plain(name), _plain(unquote(name))})


def _path_of(location: str) -> PurePosixPath:
    # A `?` or a `#` means something in a web address only; elsewhere it is part of a name.
    return PurePosixPath(unquote(urlsplit(location).path) if is_web(location) else location)


def _slug(path: PurePosixPath) -> tuple[str, str]:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.")[:48]
    return stem or "track", path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,5}", path.suffix) else ""


def _plain(name: str) -> str:
    """Give what is left of a name however its signs were replaced."""
    return re.sub(r"[\W_]+", "", name.casefold())
