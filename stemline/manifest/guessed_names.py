"""Title, artist and album of a file without tags, guessed from how it and its folders are called.

What is not clear is not guessed: a wrong artist is worse than none. `03 Title` below `Artist/Album` is clear, and so is
`Artist - Title`; a single folder may be an artist, an album or a wish.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DASHES = re.compile(r"\s+[-\u2013\u2014]\s+")
_PADDED = re.compile(r"0+\d{1,2}[\s._)-]+(?P<rest>.+)")
_MARKED = re.compile(r"\d{1,3}(\s+[-\u2013\u2014]|[.)])\s+(?P<rest>.+)")
_ON_DISC = re.compile(r"\d-\d\d[\s._)-]+(?P<rest>.+)")
_BARE = re.compile(r"[1-9]\d\s+(?P<rest>.+)")
"""A number and a title, or a title that begins with a number: the other files of the folder tell."""
_NUMBER = re.compile(r"\d{1,3}")
_LETTER = re.compile(r"[^\W\d_]")
_NO_NAME = re.compile(
    r"(track|titel|piste|audio|untitled|unknown|recording|new recording|file|img|vid|mixdown|bounce|master)[\s_-]*\d*"
    r"|([a-z]-)?[0-9a-f]{12,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
_DISC_FOLDER = re.compile(r"(cd|disc|disk|disque)[\s_-]*\d{1,2}", re.IGNORECASE)
_YEAR_BEFORE = re.compile(r"(\(\d{4}\)|\[\d{4}\]|\d{4}\s+[-\u2013\u2014])\s+(?P<rest>.+)")
_YEAR_BEHIND = re.compile(r"(?P<rest>.+?)\s+(\(\d{4}\)|\[\d{4}\])")
_GENERIC = frozenset(
    {"music", "musik", "musique", "audio", "songs", "tracks", "downloads", "unknown artist", "unknown album"}
    | {
        "various artists",
        "various",
        "va",
        "compilations",
        "compilation",
        "singles",
        "misc",
        "sampler",
        "media",
    }
    | {
        "itunes media",
        "itunes",
        "playlists",
        "new folder",
        "untitled",
        "wav",
        "mp3",
        "flac",
        "masters",
        "mixes",
    }
)
"""Folders that say nothing of who plays what."""
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class GuessedNames:
    """What a file seems to be; None: it is not clear."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None


def guess_names(path: str, numbered: frozenset[str] = frozenset()) -> GuessedNames:
    """Guess from the path of a file below the folder of all music; `numbered` is of `numbered_folders`."""
    folder, _, name = path.rpartition("/")
    artist, album = _of_folders([_clean(each) for each in folder.split("/") if each])
    stem = _clean(name.rpartition(".")[0] or name)
    if _NO_NAME.fullmatch(stem) or not _LETTER.search(stem):
        return GuessedNames(None, artist, album)
    return _of_name(_without_number(stem, is_numbered=folder in numbered), artist, album)


def numbered_folders(paths: Iterable[str]) -> frozenset[str]:
    """Name the folders in which files begin with the numbers of their tracks: one has a zero before it."""
    return frozenset(
        path.rpartition("/")[0] for path in paths if _PADDED.fullmatch(_clean(path.rpartition("/")[2]))
    )


def _of_folders(folders: Sequence[str]) -> tuple[str | None, str | None]:
    """Give artist and album of the folders a file lies in."""
    if folders and _DISC_FOLDER.fullmatch(folders[-1]):
        folders = folders[:-1]
    if not folders:
        return None, None
    artist = _named(folders[-2]) if len(folders) > 1 else None
    parts = _DASHES.split(_without_year(folders[-1]))
    if len(parts) == 2 and (len(folders) == 1 or _is_same(parts[0], artist)):
        return _named(parts[0]), _named(parts[1])
    return artist, _named(_without_year(folders[-1])) if len(folders) > 1 else None


def _of_name(text: str, artist: str | None, album: str | None) -> GuessedNames:
    """Give what a file's name says, without its number, in folders that say this much."""
    parts = _DASHES.split(text)
    if len(parts) > 2 and (numbered := _PADDED.fullmatch(parts[-1])) is not None:
        parts = [*parts[:-1], numbered[0].split()[0], numbered["rest"]]
    names = [_named(part) for part in parts if not _NUMBER.fullmatch(part)]
    has_number = len(names) < len(parts)
    if len(names) == 1:
        return GuessedNames(names[0], artist, album)
    is_known = artist is None or has_number or _is_same(names[0], artist)
    if len(names) == 2 and is_known:
        return GuessedNames(names[1], names[0], album)
    is_whole = has_number or (_is_same(names[0], artist) and _is_same(names[1], album))
    if len(names) == 3 and is_whole:
        return GuessedNames(names[2], names[0], names[1])
    return GuessedNames(_named(text), artist, album)


def _without_number(stem: str, *, is_numbered: bool) -> str:
    for form in (_ON_DISC, _PADDED, _MARKED, *((_BARE,) if is_numbered else ())):
        found = form.fullmatch(stem)
        if found is not None and _LETTER.search(found["rest"]):
            return str(found["rest"]).lstrip("- ")
    return stem


def _without_year(folder: str) -> str:
    for form in (_YEAR_BEFORE, _YEAR_BEHIND):
        if (found := form.fullmatch(folder)) is not None:
            return found["rest"]
    return folder


def _clean(name: str) -> str:
    """Give a name in composed letters, with spaces where it has underscores in their place."""
    name = unicodedata.normalize("NFC", name)
    if " " not in name:
        name = name.replace("_", " ")
    return " ".join(name.split())


def _named(text: str) -> str | None:
    text = text.strip(" -_.")
    is_name = 0 < len(text) <= _LONGEST and text.casefold() not in _GENERIC
    return text if is_name else None


def _is_same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.casefold() == other.casefold()
