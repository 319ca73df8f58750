"""A release whose parts lose rows that must not be there any more: it changes in no other way, and says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stemline.dataset.columns import columns_from_tree
from stemline.dataset.layout import DatasetLayout
from stemline.leakage.report import without_names
from stemline.release.card import release_card
from stemline.release.counts import ReleaseCounts
from stemline.release.croissant import croissant_file
from stemline.release.record import CARD_NAME, CROISSANT_NAME, LEAKAGE_NAME, Release, ReleaseFile, release_key
from stemline.storage import Store
from stemline.tombstone import Tombstone


@dataclass(frozen=True, slots=True)
class RevisedParts:
    """What becomes of a release's parts."""

    files: Mapping[str, ReleaseFile | None]
    """By their paths in the release; None: it goes."""
    rows: Mapping[str, int]
    """How many go, by table."""
    before: ReleaseCounts
    after: ReleaseCounts
    """Of these parts."""


def revise_release(store: Store, release: Release, parts: RevisedParts, tombstone: Tombstone) -> None:
    """Write card, Croissant file and record as they are once the parts are replaced, the record last.

    Said again about what is left of the same parts, nothing is counted twice.
    """
    files = (parts.files.get(file.path, file) for file in release.files)
    revised = replace(
        release,
        files=tuple(file for file in files if file is not None),
        facts=_facts(release, parts, tombstone),
    )
    columns = revised.facts["layout"]
    layout = DatasetLayout(
        tuple(columns["partition_by"]), columns_from_tree(columns["columns"]), columns["audio"]
    )
    name = revised.facts["config"]["name"]
    tables = replace(revised, files=tuple(file for file in revised.files if file.rows is not None))
    card = release_card(tables, layout, name) + _note(revised.facts["forgotten"])
    described = {CARD_NAME: card, CROISSANT_NAME: croissant_file(tables, layout, name)}
    if any(file.path == LEAKAGE_NAME for file in release.files):
        described[LEAKAGE_NAME] = _unnamed(store, release.name)
    for path, data in described.items():
        store.put_bytes(release_key(release.name, path), data)
    papers = [
        ReleaseFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in described.items()
    ]
    finished = replace(tables, files=(*papers, *tables.files))
    data = json.dumps(finished.as_tree(), indent=1, ensure_ascii=False).encode() + b"\n"
    store.put_bytes(release_key(release.name), data)


def _unnamed(store: Store, name: str) -> bytes:
    """Give the leakage report of a release with its figures alone: its examples may be of those who are forgotten."""
    try:
        tree = without_names(json.loads(store.read_bytes(release_key(name, LEAKAGE_NAME))))
    except (FileNotFoundError, TypeError, ValueError):
        tree = {}
    return json.dumps(tree, indent=1, ensure_ascii=False).encode() + b"\n"


def _facts(release: Release, parts: RevisedParts, tombstone: Tombstone) -> dict[str, Any]:
    said = list(release.facts.get("forgotten", ()))
    if any(each["tombstone"] == tombstone.tombstone_id for each in said):
        return dict(release.facts)
    at = tombstone.forgotten_at.isoformat()
    counts = _moved(release.counts, parts.before.as_tree(), parts.after.as_tree())
    snapshot = dict(release.facts["snapshot"])
    gone = {path.rpartition("/")[0] for path, file in parts.files.items() if file is None}
    gone -= {file.path.rpartition("/")[0] for file in release.files if file.path not in parts.files}
    # A partition's folder may be a name.
    kept = [each for each in snapshot["parts"] if each["path"].rpartition("/")[0] not in gone]
    entry = {"tombstone": tombstone.tombstone_id, "at": at, "rows": dict(parts.rows)}
    return {
        **release.facts,
        "counts": counts,
        "snapshot": {**snapshot, "parts": kept},
        "forgotten": [*said, entry],
    }


def _moved(
    counts: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], *, is_whole: bool = True
) -> dict[str, Any]:
    """Give counts by which `after` has come for `before`; a value that is there no more is not counted any more."""
    moved: dict[str, Any] = {}
    for name, value in counts.items():
        if isinstance(value, Mapping):
            left: Any = _moved(value, before.get(name, {}), after.get(name, {}), is_whole=False)
        else:
            left = value - before.get(name, 0) + after.get(name, 0)
            left = round(left, 3) if isinstance(left, float) else left
        if left or is_whole:
            moved[name] = left
    return moved


def _note(said: list[Mapping[str, Any]]) -> bytes:
    """Give what the card says of it."""
    lines = [
        f"- {each['at'][:10]}, tombstone `{each['tombstone']}`: "
        + ", ".join(f"{count:,} rows of {table}" for table, count in sorted(each["rows"].items()))
        for each in said
    ]
    return ("\n## Forgotten\n\nTaken out since this release was made:\n\n" + "\n".join(lines) + "\n").encode()
