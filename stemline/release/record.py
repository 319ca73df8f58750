"""What a release says of itself in `release.json`, which is written last: without it there is no release."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from stemline.dataset.card import TABLES_SHOWN
from stemline.errors import StorageError, UsageError
from stemline.storage import Store

RELEASES_PREFIX = "releases"
RECORD_NAME = "release.json"
CARD_NAME = "README.md"
CROISSANT_NAME = "croissant.json"
LEAKAGE_NAME = "leakage.json"
REFUSED_PATH = "refused/part-0001.parquet"
"""Where a release lists the tracks that a gate kept out of it; forgetting empties it like any part."""
MAKING_NAME = ".making"
"""Is there while the last files of a release are written: one that has these, and not `release.json`, has lost it."""
FORMAT = 1
MOST_INDENTED = 10_000
DATASET_ROOT = "../.."
"""Where the dataset lies as seen from a release: what the column `path` of its stems is relative to."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release."""

    path: str
    """Relative to the release's folder."""
    size_bytes: int
    sha256: str
    rows: int | None = None
    """None: it belongs to no table."""

    @property
    def table(self) -> str | None:
        """The table it is a part of."""
        return None if self.rows is None else self.path.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Release:
    """A finished release."""

    name: str
    made_at: datetime
    files: tuple[ReleaseFile, ...]
    """Every file but `release.json` itself."""
    facts: Mapping[str, Any]
    """What else it says: counts, snapshot, layout, config, versions."""

    def parts_of(self, table: str) -> tuple[ReleaseFile, ...]:
        """Give the parts of a table."""
        return tuple(file for file in self.files if file.table == table)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it has, tracks first."""
        found = {file.table for file in self.files}
        return tuple(table for table in TABLES_SHOWN if table in found)

    @property
    def counts(self) -> Mapping[str, Any]:
        """How much is in it."""
        counts: Mapping[str, Any] = self.facts["counts"]
        return counts

    def as_tree(self) -> dict[str, Any]:
        """Give the object that stands in `release.json`."""
        files = [
            {name: value for name, value in asdict(file).items() if value is not None} for file in self.files
        ]
        head = {"release": self.name, "format": FORMAT, "made_at": self.made_at.isoformat()}
        return {**head, **self.facts, "files": files}


def release_folder(name: str) -> str:
    """Give where a release lies in the dataset."""
    return f"{RELEASES_PREFIX}/{name}"


def release_key(name: str, path: str = RECORD_NAME) -> str:
    """Give where a file of a release lies in the dataset."""
    return f"{release_folder(name)}/{path}"


def check_name(name: str) -> None:
    """Raise UsageError for a name that is no plain file name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a release.",
            fix="Use letters, digits, '.', '_' and '-' (at most 64), starting with a letter or digit.",
        )


def read_release(store: Store, name: str) -> Release | None:
    """Give a release; None where there is none of this name that was finished."""
    try:
        tree = json.loads(store.read_bytes(release_key(name)))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _unreadable(store, name) from error
    return _release(store, name, tree)


def list_releases(store: Store) -> tuple[list[Release], list[str]]:
    """Give the finished releases, oldest first, and the names of those that were begun and not finished."""
    names = {key.split("/")[1] for key in store.list(RELEASES_PREFIX) if key.count("/") > 1}
    found = {name: read_release(store, name) for name in sorted(names)}
    releases = [release for release in found.values() if release is not None]
    unfinished = [name for name, release in found.items() if release is None]
    return sorted(releases, key=lambda release: release.made_at), unfinished


def require_release(store: Store, name: str) -> Release:
    """Give a release; raises UsageError, naming those there are, where there is none of this name."""
    check_name(name)
    release = read_release(store, name)
    if release is None:
        names = [each.name for each in list_releases(store)[0]]
        raise UsageError(
            f"{store.url()} has no release {name!r}.",
            fix=f"It has {', '.join(names)}: name one of them." if names else "Make one: `stemline release`.",
        )
    return release


def write_release(store: Store, release: Release) -> bool:
    """Write down that a release is finished; tell whether none of its name was."""
    tree = release.as_tree()
    entries = len(tree["files"]) + len(tree["snapshot"]["parts"])
    # With an indent Python encodes entry by entry, in ten times the time and memory.
    data = (
        json.dumps(tree, indent=1 if entries < MOST_INDENTED else None, ensure_ascii=False).encode() + b"\n"
    )
    return store.create(release_key(release.name), data)


def _release(store: Store, name: str, tree: Any) -> Release:  # noqa: ANN401 - a JSON tree
    try:
        files = tuple(ReleaseFile(**each) for each in tree["files"])
        known = {"release", "format", "made_at", "files"}
        facts = {key: value for key, value in tree.items() if key not in known}
        return Release(tree["release"], datetime.fromisoformat(tree["made_at"]), files, facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(store, name) from error


def _unreadable(store: Store, name: str) -> StorageError:
    return StorageError(
        f"{store.url(release_key(name))} cannot be read: it is not what stemline wrote.",
        fix="Put it back from a copy of the release.",
    )
