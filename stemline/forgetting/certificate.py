"""The certificate: every place that was emptied, looked at again, and what nobody here can reach."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stemline.dataset.tombstone_files import certificate_key
from stemline.storage import Store
from stemline.tombstone import Tombstone

OUTSIDE = (
    "Copies of the dataset and of the ledger: backups, older versions that a bucket keeps, snapshots of a disk.",
    "Unfinished multipart uploads of a bucket, unless a lifecycle rule of its own removes them.",
    "What the provider keeps of the jobs named here, until it removes it: ask it to.",
    "Exports, and whatever readers have copied: those that the dataset knows of are named here.",
    "The catalogue itself, its manifest and its music; logs, saved plans and what schedulers keep of runs.",
)
"""What is out of reach, and stays a person's to do."""
OF_POSTGRESQL = "PostgreSQL's write-ahead log, its archive and replicas."


@dataclass(frozen=True, slots=True)
class PlaceRecord:
    """One place: what it held, and what it holds."""

    place: str
    found: Mapping[str, int]
    left: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found when it was looked at again."""
        return not any(self.left.values())

    def as_tree(self) -> dict[str, Any]:
        """Give it as the certificate has it."""
        return {"place": self.place, "found": dict(self.found), "left": dict(self.left)}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What came of forgetting; nothing in it names a track."""

    tombstone: Tombstone
    made_at: datetime
    places: Sequence[PlaceRecord]
    jobs: Sequence[str]
    exports: Sequence[Mapping[str, str]]
    outside: Sequence[str]

    @property
    def left(self) -> list[str]:
        """The places that could not be emptied."""
        return [each.place for each in self.places if not each.is_empty]

    @property
    def key(self) -> str:
        """Where it stands in the dataset."""
        return certificate_key(self.tombstone.tombstone_id)

    def as_tree(self) -> dict[str, Any]:
        """Give it as it is written down."""
        return {
            "tombstone": self.tombstone.tombstone_id,
            "forgotten_at": self.tombstone.forgotten_at.isoformat(),
            "checked_at": self.made_at.isoformat(),
            "chosen_by": self.tombstone.chosen_by,
            "reason": self.tombstone.reason,
            "asked_by": self.tombstone.asked_by,
            "tracks": len(self.tombstone.tracks),
            "places": [each.as_tree() for each in self.places],
            "is_complete": not self.left,
            "exports": [dict(each) for each in self.exports],
            "provider_jobs": list(self.jobs),
            "outside": list(self.outside),
        }

    def write(self, store: Store) -> None:
        """Write it into the dataset."""
        store.put_bytes(self.key, json.dumps(self.as_tree(), indent=1).encode() + b"\n")
