"""Audio objects read to their end: whether they are the bytes that were verified, and still sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stemline.errors import AudioRejected, StemlineError
from stemline.integrity.finding import DamageKind, ObjectDamage
from stemline.storage import Store, file_sha256, scratch_folder
from stemline.verify import decode_stem

OBJECTS_AT_ONCE = 8
ToldObject = tuple[str, str | None, int | None, str]
"""An object's path, digest, frames and verification as the stems table has them."""
ACCEPTED = "accepted"


@dataclass
class ObjectReader:
    """Reads audio objects, several at once."""

    store: Store
    is_decoding: bool
    read: int = 0
    damages: list[ObjectDamage] = field(default_factory=list)

    def run(self, pages: Iterable[Sequence[ToldObject]]) -> None:
        """Read objects; what is not as it was is read once more before it is told."""
        with ThreadPoolExecutor(OBJECTS_AT_ONCE) as threads:
            for page in pages:
                self.damages += [each for each in threads.map(self._twice, page) if each is not None]
                self.read += len(page)

    def _twice(self, told: ToldObject) -> ObjectDamage | None:
        return self._damage(told) and self._damage(told)

    def _damage(self, told: ToldObject) -> ObjectDamage | None:
        path, sha256, frames, verification = told
        is_decoding = self.is_decoding and ACCEPTED not in verification.split(",")
        try:
            with scratch_folder() as folder:
                file = self._file(path, folder)
                wrong = _altered(file, sha256) or (_undecodable(file, frames) if is_decoding else "")
        except FileNotFoundError:
            return ObjectDamage(path, DamageKind.MISSING, "It is gone.")
        except (OSError, StemlineError) as error:
            return ObjectDamage(path, DamageKind.ALTERED, f"It cannot be read: {error}")
        return ObjectDamage(path, DamageKind.ALTERED, wrong) if wrong else None

    def _file(self, key: str, folder: Path) -> Path:
        here = self.store.local_path(key)
        if here is not None:
            return here
        copy = folder / f"stem{Path(key).suffix}"
        self.store.fetch_file(key, copy)
        return copy


def _altered(path: Path, sha256: str | None) -> str:
    """Say that an object is not the bytes it was; empty: it is, or nobody knows."""
    is_same = sha256 is None or file_sha256(path) == sha256
    return "" if is_same else "Its bytes are not those that were verified."


def _undecodable(path: Path, frames: int | None) -> str:
    """Say what is wrong with an object's sound; empty: nothing."""
    try:
        found = decode_stem(path, may_skip=True).loudness.frames
    except AudioRejected as error:
        return f"It does not decode: {error.message}"
    return "" if frames in {None, found} else f"It has {found:,} frames and had {frames:,}."
