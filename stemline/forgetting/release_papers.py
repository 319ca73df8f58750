"""What a release says of itself - record, card and Croissant file - brought to what it holds without some tracks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stemline.records import PartFile
from stemline.storage import Store
from stemline.tombstone import Tombstone

RELEASES_PREFIX = "releases"
EXPORTS_PREFIX = "_stemline/exports"
RECORD_NAME = "release.json"
CARD_NAME = "README.md"
CROISSANT_NAME = "croissant.json"
_TARGETS = ("to", "out", "url")
"""The names under which a record of an export may tell where it went."""


@dataclass(frozen=True, slots=True)
class ChangedRelease:
    """One release and what becomes of its parts."""

    store: Store
    folder: str
    tombstone: Tombstone
    parts: Mapping[str, PartFile | None]
    """By their paths in the release; None: it goes."""
    rows: Mapping[str, int]
    """How many go, by table."""

    def write(self) -> None:
        """Write its papers anew, the record last; said again, nothing is counted twice."""
        files: dict[str, PartFile | None] = dict(self.parts)
        for name, change in ((CARD_NAME, self._card), (CROISSANT_NAME, self._croissant)):
            found = self._read(name)
            if found is not None:
                data = change(found)
                self.store.put_bytes(f"{self.folder}/{name}", data)
                files[name] = PartFile(name, len(data), hashlib.sha256(data).hexdigest(), 0)
        record = self._read(RECORD_NAME)
        if record is not None:
            self.store.put_bytes(f"{self.folder}/{RECORD_NAME}", self._record(record, files))

    def _card(self, card: bytes) -> bytes:
        note = f"Tombstone {self.tombstone.tombstone_id}"
        if note.encode() in card:
            return card
        gone = ", ".join(f"{count:,} rows of {table}" for table, count in sorted(self.rows.items()))
        day = f"{self.tombstone.forgotten_at:%Y-%m-%d}"
        return card.rstrip() + f"\n\n> **Forgotten.** {note}: on {day} {gone} were taken out.\n".encode()

    def _croissant(self, data: bytes) -> bytes:
        return _dump(_with_parts(json.loads(data), self.parts))

    def _record(self, data: bytes, files: Mapping[str, PartFile | None]) -> bytes:
        tree = json.loads(data)
        tree["files"] = [
            _as_it_is(each, files[each["path"]]) if each["path"] in files else each
            for each in tree.get("files", ())
            if files.get(each["path"], True) is not None
        ]
        self._say_so(tree)
        gone = {path.rpartition("/")[0] for path, part in self.parts.items() if part is None}
        kept = {path.rpartition("/")[0] for each in tree["files"] for path in [each["path"]]}
        _drop_parts(tree.get("snapshot"), gone - kept)
        return _dump(tree)

    def _say_so(self, tree: dict[str, Any]) -> None:
        said = tree.setdefault("forgotten", [])
        if any(each["tombstone"] == self.tombstone.tombstone_id for each in said):
            return
        at = self.tombstone.forgotten_at.isoformat()
        said.append({"tombstone": self.tombstone.tombstone_id, "at": at, "rows": dict(self.rows)})
        counts = tree.get("counts")
        if isinstance(counts, dict):
            fewer = {table: counts[table] - rows for table, rows in self.rows.items() if table in counts}
            tree["counts"] = counts | fewer

    def _read(self, name: str) -> bytes | None:
        try:
            return self.store.read_bytes(f"{self.folder}/{name}")
        except FileNotFoundError:
            return None


def named_exports(store: Store) -> list[dict[str, str]]:
    """Give where releases and tables were exported to, as far as the dataset tells: a person has to act there."""
    records = [key for key in store.list(RELEASES_PREFIX) if key.endswith(f"/{RECORD_NAME}")]
    exports = [key for key in store.list(EXPORTS_PREFIX) if key.endswith(".json")]
    return [
        {"named_in": key, "to": target}
        for key in sorted([*records, *exports])
        for target in _targets(store, key)
    ]


def _targets(store: Store, key: str) -> Iterable[str]:
    try:
        tree = json.loads(store.read_bytes(key))
    except (FileNotFoundError, ValueError):
        return []
    entries = tree.get("exports", []) if key.endswith(f"/{RECORD_NAME}") else [tree]
    return [
        entry
        if isinstance(entry, str)
        else next((str(entry[name]) for name in _TARGETS if name in entry), key)
        for entry in entries
    ]


def _as_it_is(entry: Mapping[str, Any], part: PartFile | None) -> dict[str, Any]:
    """Give a file's entry with the facts of what it becomes."""
    if part is None:
        return dict(entry)
    now = {"size_bytes": part.size_bytes, "sha256": part.sha256, "rows": part.rows}
    return {name: now.get(name, value) for name, value in entry.items()}


def _with_parts(tree: Any, parts: Mapping[str, PartFile | None]) -> Any:  # noqa: ANN401 - a JSON tree
    """Give a Croissant file with the facts of these parts as they become, and without those that go."""
    if isinstance(tree, list):
        return [_with_parts(each, parts) for each in tree if not _is_gone(each, parts)]
    if not isinstance(tree, dict):
        return tree
    changed = {name: _with_parts(value, parts) for name, value in tree.items()}
    part = parts.get(_content(tree))
    if part is not None:
        facts = {"sha256": part.sha256, "contentSize": f"{part.size_bytes} B"}
        changed |= {name: value for name, value in facts.items() if name in tree}
    return changed


def _is_gone(tree: Any, parts: Mapping[str, PartFile | None]) -> bool:  # noqa: ANN401 - a JSON tree
    """Tell whether an object of a Croissant file is a part that goes."""
    return isinstance(tree, dict) and _content(tree) in parts and parts[_content(tree)] is None


def _content(tree: Mapping[str, Any]) -> str:
    return str(tree.get("contentUrl", ""))


def _drop_parts(snapshot: Any, folders: set[str]) -> None:  # noqa: ANN401 - a JSON tree
    """Take the parts of partitions that are gone out of what the release was made of: a folder may be a name."""
    if isinstance(snapshot, dict) and isinstance(snapshot.get("parts"), list) and folders:
        snapshot["parts"] = [
            each for each in snapshot["parts"] if each.get("path", "").rpartition("/")[0] not in folders
        ]


def _dump(tree: Any) -> bytes:  # noqa: ANN401 - a JSON tree
    return json.dumps(tree, indent=1, ensure_ascii=False).encode() + b"\n"
