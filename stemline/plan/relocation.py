"""Published tracks whose manifest rows name another place than the one their stems were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stemline.ledger import WrittenRow
from stemline.records import Track
from stemline.wording import counted

_EXAMPLES = 3


class Relocation(NamedTuple):
    """A row, where it says that its file is, and where that was when its stems were made."""

    row: int
    track_id: str
    now: str
    then: str


@dataclass
class Relocations:
    """Counts them. Nothing is made again for it: files move, and who moved them is not to pay twice."""

    count: int = 0
    first: list[Relocation] = field(default_factory=list)

    def note(self, tracks: Sequence[Track], published: Mapping[str, WrittenRow]) -> None:
        """Hold rows against those of published tracks."""
        for track in tracks:
            known = published.get(track.track_id)
            if known is None or known.location is None or known.location == track.location:
                continue
            self.count += 1
            if len(self.first) < _EXAMPLES:
                found = Relocation(track.position, track.track_id, track.location, known.location)
                self.first.append(found)

    def as_tree(self) -> dict[str, Any]:
        """Give them for `--json`; nothing where there are none."""
        if not self.count:
            return {}
        return {"relocated": {"tracks": self.count, "first": [each._asdict() for each in self.first]}}


def relocated_sentence(relocated: Mapping[str, Any] | None) -> str:
    """Say it of what `as_tree` gave; empty for none."""
    if not relocated:
        return ""
    count, first = relocated["tracks"], relocated["first"][0]
    return (
        f"{counted(count, 'published track')} {'has' if count == 1 else 'have'} another location in the manifest now, "
        f'such as row {first["row"]:,}: "{first["now"]}", made from "{first["then"]}". Moved files need nothing; '
        "other recordings are made anew, and paid for, by a backfill with --mode stale"
    )
