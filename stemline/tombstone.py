"""Tombstones: what was forgotten, told by digests alone, so that it is known again and never paid for again.

A digest is keyed with the dataset's salt: nothing made elsewhere tells what it stands for. Who has the dataset has the
salt as well and may try names; what a tombstone keeps is therefore no more than that, and no name is in it.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from stemline.records import Code, Reject, Track

DIGEST_CHARS = 32
_NO_ISRC = re.compile(r"[\s.-]+")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One act of forgetting."""

    tombstone_id: str
    forgotten_at: datetime
    chosen_by: str
    """`track`, `isrc`, `artist` or `where`."""
    reason: str
    asked_by: str
    salt: str
    tracks: tuple[str, ...] = ()
    """Digests of the track ids."""
    isrcs: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    """Of what was asked for by these: their later tracks are not taken either."""

    def digest_of(self, track_id: str) -> str:
        """Give the digest by which a track's id is known."""
        return digest(self.salt, "track", track_id)

    def pseudonym(self, track_id: str) -> str:
        """Give the name under which the ledger keeps what was paid for a track."""
        return f"forgotten-{self.tombstone_id}-{self.digest_of(track_id)[:16]}"

    @property
    def sentence(self) -> str:
        """What is said of a track that it stands for."""
        return f"Forgotten on {self.forgotten_at:%Y-%m-%d} (tombstone {self.tombstone_id})."

    def as_tree(self) -> dict[str, Any]:
        """Give it as it is written down."""
        return {**asdict(self), "forgotten_at": self.forgotten_at.isoformat()}


def tombstone_from_tree(tree: Mapping[str, Any]) -> Tombstone:
    """Give the tombstone that was written down; raises KeyError, TypeError or ValueError for what is none."""
    cells = {each.name: tree[each.name] for each in fields(Tombstone)}
    digests = {name: tuple(tree[name]) for name in ("tracks", "isrcs", "artists")}
    return Tombstone(**{**cells, **digests, "forgotten_at": datetime.fromisoformat(tree["forgotten_at"])})


@dataclass(frozen=True)
class TombstoneIndex:
    """All tombstones that hold, and which of them stands for a track."""

    tombstones: tuple[Tombstone, ...] = ()
    number: int = 0
    """How many of them the ledger has: when it has more, this is out of date."""
    _by_salt: dict[str, dict[tuple[str, str], Tombstone]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Have each digest at hand."""
        found: dict[str, dict[tuple[str, str], Tombstone]] = {}
        for each in self.tombstones:
            kinds = (("track", each.tracks), ("isrc", each.isrcs), ("artist", each.artists))
            place = found.setdefault(each.salt, {})
            place.update({(kind, one): each for kind, digests in kinds for one in digests})
        object.__setattr__(self, "_by_salt", found)

    def find(self, track_id: str | None, columns: Mapping[str, Any] | None = None) -> Tombstone | None:
        """Give the tombstone that stands for a track, by its id, or by the ISRC or artist of its columns."""
        if not self._by_salt:
            return None
        given = columns or {}
        texts = (
            ("track", track_id),
            ("isrc", normal_isrc(given.get("isrc"))),
            ("artist", normal_name(given.get("artist"))),
        )
        asked = [(kind, text) for kind, text in texts if text]
        for salt, known in self._by_salt.items():
            for kind, text in asked:
                if (found := known.get((kind, digest(salt, kind, text)))) is not None:
                    return found
        return None

    def sort(
        self, tracks: Iterable[Track], rejects: Iterable[Reject] = ()
    ) -> tuple[tuple[Track, ...], tuple[Reject, ...]]:
        """Give the tracks that may be taken, and the rejects; what is forgotten is named by its row alone."""
        if not self._by_salt:
            return tuple(tracks), tuple(rejects)
        kept: list[Track] = []
        refused: list[Reject] = []
        for track in tracks:
            found = self.find(track.track_id, track.columns)
            if found is None:
                kept.append(track)
            else:
                refused.append(_reject(track.position, found))
        for reject in rejects:
            found = self.find(reject.track_id)
            refused.append(reject if found is None else _reject(reject.row, found))
        return tuple(kept), tuple(refused)


NO_TOMBSTONES = TombstoneIndex()


def _reject(row: int, tombstone: Tombstone) -> Reject:
    """Give the reject for a row: what it says of the track is not written down again."""
    sentence = f"Row {row}: {tombstone.sentence} Drop the row from the manifest."
    return Reject(row, None, None, Code.FORGOTTEN, sentence)


def digest(salt: str, kind: str, text: str) -> str:
    """Give the digest of a track id, or of a normal ISRC or name."""
    message = f"{kind}:{text}".encode("utf-8", "surrogatepass")
    return hmac.digest(bytes.fromhex(salt), message, "sha256").hex()[:DIGEST_CHARS]


def normal_isrc(value: object) -> str:
    """Give an ISRC without the marks between its parts, in capitals."""
    return "" if value is None else _NO_ISRC.sub("", str(value)).upper()


def normal_name(value: object) -> str:
    """Give a name as it is compared: without differences of case, form of letters and spaces."""
    return "" if value is None else " ".join(unicodedata.normalize("NFKC", str(value)).casefold().split())
