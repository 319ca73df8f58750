"""A local file that a row names, found under the spelling the disk has it by.

A name may be written in composed letters (NFC) where the disk has decomposed ones (NFD), as macOS writes them, with
its odd characters percent-encoded, as in a `file:` URI, or with backslashes, as on Windows. Each is one and the same
file; a name that only looks like another one is not, and is told.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import unquote

from stemline.errors import TrackRefused
from stemline.manifest.location import has_controls
from stemline.records import Code

_FOLDERS_KEPT = 64
_LOOK_ALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bc\u00b4`\u2032", "'"),  # quotation marks, accents, a prime
        **dict.fromkeys("\u201c\u201d\u201e\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),  # hyphens, dashes, a minus
    }
)
_HERE = ("", "localhost")


def path_of_uri(location: str) -> str:
    """Give the path that a `file:` URI names, still percent-encoded; anything else is given back.

    Raises TrackRefused (`bad_location`) for a file of another machine.
    """
    if not location.lower().startswith("file:/"):
        return location
    rest = location[5:]
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest[2:].partition("/")
    if host.lower() not in _HERE:
        raise TrackRefused(
            f'The location "{location}" names a file of the machine "{host}".',
            code=Code.BAD_LOCATION,
            fix="Write file:///path, with three slashes, for a file of this machine.",
        )
    return slash + path


def find_file(path: str, *, is_uri: bool = False) -> tuple[str, int]:
    """Give the path of a local file as the disk has it, and its size in bytes.

    Raises TrackRefused: `missing_file`, or `bad_location` for what is no regular file.
    """
    missing: OSError | None = None
    for candidate in _spellings(path, is_uri=is_uri):
        try:
            facts = os.stat(candidate)  # noqa: PTH116 - a Path a row costs as much as the call itself
        except (OSError, ValueError) as error:
            missing = missing or (error if isinstance(error, OSError) else OSError(0, str(error)))
            continue
        _check_regular(candidate, facts.st_mode)
        return candidate, facts.st_size
    raise _missing(path, missing)


def _spellings(path: str, *, is_uri: bool) -> Iterator[str]:
    """Give the ways in which the disk may have the path, likeliest first; each once."""
    decoded = unquote(path, errors="surrogateescape") if "%" in path else path
    seen = {""}
    for spelling in (decoded, path) if is_uri else (path, decoded):
        if spelling not in seen:
            seen.add(spelling)
            yield spelling
    for spelling in (path, decoded, decoded.replace("\\", "/")):
        found = spelling if spelling.isascii() else _as_the_disk_has_it(spelling)
        if found and found not in seen:
            seen.add(found)
            yield found


def _as_the_disk_has_it(path: str) -> str | None:
    """Give a path whose folders and file are the same letters, composed or decomposed; None: there is none."""
    found = "/" if path.startswith("/") else "."
    for name in path.split("/"):
        if not name:
            continue
        there = os.path.join(found, name)  # noqa: PTH118 - names that are not UTF-8 stay texts
        if not os.path.lexists(there):
            other = _names_in(found, _composed).get(_composed(name))
            if other is None:
                return None
            there = os.path.join(found, other)  # noqa: PTH118
        found = there
    return found


def _names_in(folder: str, spell: Callable[[str], str]) -> dict[str, str]:
    """Give the names in a folder, each by a spelling of its."""
    try:
        return _listed(folder, os.stat(folder).st_mtime_ns, spell)  # noqa: PTH116
    except OSError:
        return {}


@lru_cache(maxsize=_FOLDERS_KEPT)
def _listed(folder: str, _: int, spell: Callable[[str], str]) -> dict[str, str]:
    # The time a folder was changed tells an old list.
    return {spell(name): name for name in os.listdir(folder)}  # noqa: PTH208


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check_regular(path: str, mode: int) -> None:
    if has_controls(path):
        raise TrackRefused(
            f"the file {path!r} has control characters in its name.",
            code=Code.BAD_LOCATION,
            fix="Rename the file.",
        )
    if not path.isascii():
        try:
            path.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode(errors="backslashreplace")
            raise TrackRefused(
                f'the file "{shown}" has a name that is not UTF-8.',
                code=Code.BAD_LOCATION,
                fix="Rename the file.",
            ) from None
    if stat.S_ISREG(mode):
        return
    what = "a folder" if stat.S_ISDIR(mode) else "no regular file (a pipe, a socket or a device)"
    raise TrackRefused(
        f'the location "{path}" is {what}.', code=Code.BAD_LOCATION, fix="Give one row an audio file."
    )


def _missing(path: str, error: OSError | None) -> TrackRefused:
    if os.path.islink(path):  # noqa: PTH114
        message = f'the file "{path}" is a link to "{os.readlink(path)}", which is not there.'  # noqa: PTH115
        return TrackRefused(message, code=Code.MISSING_FILE, fix="Mend or remove the link.")
    reason = error.strerror if error is not None else "No such file or directory"
    alike = _look_alike(path)
    return TrackRefused(
        f'the file "{path}" cannot be found ({reason}).',
        code=Code.MISSING_FILE,
        fix=f'Its folder has "{alike}", which looks much the same.'
        if alike
        else "Relative paths are relative to the manifest's folder.",
    )


def _look_alike(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    alike = _names_in(folder or "/", _shape).get(_shape(name))
    return None if alike is None else alike.encode(errors="backslashreplace").decode()


def _shape(name: str) -> str:
    """Give what a name looks like: without case, kinds of spaces, quotes and dashes."""
    plain = unicodedata.normalize("NFKC", name).translate(_LOOK_ALIKES).casefold()
    return " ".join(plain.split())
