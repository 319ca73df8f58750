"""What a check of a dataset finds, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from stemline.records import PartFile


class DamageKind(StrEnum):
    """What is wrong with an object of the dataset."""

    MISSING = "missing"
    EXTRA = "extra"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True, order=True)
class ObjectDamage:
    """An object that is not as it should be."""

    path: str
    """Relative to the dataset."""
    kind: DamageKind
    sentence: str = field(compare=False)


class RowFault(StrEnum):
    """What is wrong with a track in the tables."""

    DOUBLED = "doubled"
    WITHOUT_STEMS = "without_stems"
    WITHOUT_TRACK = "without_track"
    UNLISTED = "unlisted"


ROW_SENTENCES = {
    RowFault.DOUBLED: "is in the tables more than once, or a stem of it is",
    RowFault.WITHOUT_STEMS: "is in the tracks table and has no stems",
    RowFault.WITHOUT_TRACK: "has stems and is not in the tracks table",
    RowFault.UNLISTED: "is published by the ledger and in no table",
}


@dataclass(frozen=True, slots=True, order=True)
class RowDamage:
    """A track whose rows are not as they should be."""

    fault: RowFault
    track_id: str
    provider: str
    recipe: str

    @property
    def sentence(self) -> str:
        """What a person is told."""
        return f"{self.track_id} ({self.provider}, {self.recipe}) {ROW_SENTENCES[self.fault]}."


@dataclass(frozen=True, slots=True, order=True)
class Leftover:
    """Something that a crash left, which no reader sees: what is under way, or was cut off."""

    path: str
    what: str
    """`upload`, `rewrite`, `forgetting` or `release`."""
    since: datetime | None = field(compare=False, default=None)
    upload_id: str = ""

    @property
    def is_passing(self) -> bool:
        """Whether the next command ends it."""
        return self.what in {"rewrite", "forgetting"}

    def is_old(self, before: datetime) -> bool:
        """Tell whether nobody can be at it any more."""
        return self.since is not None and self.since < before


@dataclass(frozen=True, slots=True)
class StemOwner:
    """What the stems table tells of an object."""

    track_id: str
    provider: str
    recipe: str
    stem: str
    sha256: str | None
    verification: str


@dataclass(frozen=True, slots=True)
class RepairOutcome:
    """What became of one thing that was wrong."""

    path: str
    is_mended: bool
    sentence: str
    """What was done, or why nothing can be, and what a person can do."""


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What a check came to."""

    dataset: str
    parts: int
    objects: int
    read: int
    """How many objects were read to their end."""
    releases: int = 0
    """How many were held against what they say of themselves."""
    damages: tuple[ObjectDamage, ...] = ()
    rows: tuple[RowDamage, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be told, and why."""
    owners: Mapping[str, StemOwner] = field(default_factory=dict)
    """Of the objects that are missing or altered, what the stems table tells."""
    described: Mapping[str, PartFile] = field(default_factory=dict)
    """Of the parts, what they should be."""
    outcomes: tuple[RepairOutcome, ...] | None = None
    """What a repair came to; None: none was asked for."""

    @property
    def is_sound(self) -> bool:
        """Whether every byte and row is where it should be, and nothing else is paid for."""
        return not self.damages and not self.rows and all(each.is_passing for each in self.leftovers)

    def of(self, kind: DamageKind) -> list[ObjectDamage]:
        """Give the objects with which this is wrong."""
        return [each for each in self.damages if each.kind is kind]

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        return {
            "parts": self.parts,
            "objects": self.objects,
            **{kind.value: _paths(self.of(kind)) for kind in DamageKind},
            "doubled": [each.track_id for each in self.rows if each.fault is RowFault.DOUBLED],
            "rows": [asdict(each) for each in self.rows],
            "leftovers": [
                {"path": each.path, "what": each.what, "since": each.since} for each in self.leftovers
            ],
            "read": self.read,
            "releases": self.releases,
            "notes": list(self.notes),
            "dataset": self.dataset,
            **({} if self.outcomes is None else {"repair": [asdict(each) for each in self.outcomes]}),
        }


def _paths(damages: Iterable[ObjectDamage]) -> list[str]:
    return [each.path for each in damages]
