"""Where the ledger is when the configuration does not say: with the dataset it knows, where that is a folder."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

_SQLITE_FILE = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<path>[^?]+)")


def local_folder(url: str) -> str | None:
    """Give the folder that a dataset's URL names; None for a dataset that is reached through a client."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    return rest if scheme in ("file", "local") else None


def sqlite_url(file: Path) -> str:
    """Give the URL of a SQLite file, of whatever characters its path is made."""
    return "sqlite:///" + str(file).replace("%", "%25").replace("?", "%3F")


def sqlite_file(url: str) -> Path | None:
    """Give the file that a database's URL names, `%XX` in it being the character that it stands for; None: a server."""
    found = _SQLITE_FILE.match(url)
    return Path(unquote(found["path"])) if found else None


def ledger_place(dataset_url: str) -> Path | None:
    """Give the folder where a dataset in a folder has its ledger; None for one that has no such place."""
    folder = local_folder(dataset_url)
    return Path(folder).expanduser() / "_stemline" if folder is not None and folder.strip() else None


def default_ledger(name: str, dataset_url: str) -> Path:
    """Give the file of a ledger that no `ledger.url` names: the same one from every working directory.

    One that stands where earlier versions wrote it is kept to while the dataset has none. A dataset on a remote store
    has its ledger in `.stemline/` of the working directory, too: a database needs a disk.
    """
    old, place = Path(".stemline") / f"{name}.db", ledger_place(dataset_url)
    if place is None:
        return old
    beside = place / f"{name}.db"
    if _has_content(beside):
        return beside
    return next(filter(_has_content, [*_mistaken_for(beside), old]), beside)


def _mistaken_for(beside: Path) -> list[Path]:
    """Give the file that `%XX` in a dataset's path led to before, the path having been taken for a part of a URL.

    Not where that folder is a dataset itself, and this one only a name so far.
    """
    meant = Path(unquote(str(beside)))
    dataset, other = beside.parent.parent, meant.parent.parent
    if meant == beside or ((other / "tracks").exists() and not dataset.exists()):
        return []
    return [meant]


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except OSError:
        return False
