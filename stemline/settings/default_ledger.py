"""Where the ledger is when the configuration does not say: with the dataset it knows, where that is a folder."""

from __future__ import annotations

from pathlib import Path


def local_folder(url: str) -> str | None:
    """Give the folder that a dataset's URL names; None for a dataset that is reached through a client."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    return rest if scheme in ("file", "local") else None


def default_ledger(name: str, dataset_url: str) -> Path:
    """Give the file of a ledger that no `ledger.url` names: the same one from every working directory.

    One that stands in `.stemline/` of the working directory, as ledgers did before, is kept to while the dataset has
    none. A dataset on a remote store has its ledger there, too: a database needs a disk.
    """
    old, folder = Path(".stemline") / f"{name}.db", local_folder(dataset_url)
    if folder is None or not folder.strip() or "?" in folder:  # `?` would begin the options of a database URL
        return old
    beside = Path(folder).expanduser() / "_stemline" / f"{name}.db"
    return old if _has_content(old) and not _has_content(beside) else beside


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except OSError:
        return False
