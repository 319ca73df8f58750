"""Releases held against what each says of itself: its files missing, altered, or more of them than it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from stemline.errors import StemlineError
from stemline.forgetting.parts import count_rows
from stemline.integrity.finding import DamageKind, Leftover, ObjectDamage
from stemline.integrity.known_parts import absent
from stemline.integrity.part_reading import PARTS_AT_ONCE
from stemline.release.cited_audio import audio_named_in, list_stem_parts
from stemline.release.record import (
    CARD_NAME,
    CROISSANT_NAME,
    LEAKAGE_NAME,
    MAKING_NAME,
    RECORD_NAME,
    RELEASES_PREFIX,
    ReleaseFile,
    read_release,
    release_folder,
    release_key,
)
from stemline.rewrite.partfiles import fetched
from stemline.storage import Store, file_sha256

_PART = ".parquet"


@dataclass
class ReleaseCheck:
    """The releases of a dataset, each read to its end."""

    store: Store
    leaving: frozenset[str] = frozenset()
    """Tracks that are being taken out of everything: what a release says of itself changes before its parts do."""
    count: int = 0
    """How many are finished."""
    damages: list[ObjectDamage] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    is_blind: bool = False
    """Whether what a release names cannot be told, since a part of its stems is gone or damaged."""

    def run(self) -> None:
        """Look at all of them."""
        for name, sizes in sorted(self._listed().items()):
            for each in self._check(name, sizes):
                if not self._is_changing(name, each):
                    self.damages.append(each)
                    is_lost = each.kind is not DamageKind.EXTRA
                    self.is_blind |= is_lost and each.path.startswith(release_key(name, "stems/"))

    def audio(self) -> Iterator[str]:
        """Give the audio that releases name, finished or not: they may name what is no longer in the tables."""
        for key in list_stem_parts(self.store):
            try:
                yield from audio_named_in(self.store, key)
            except StemlineError:
                self.is_blind = True

    def _listed(self) -> Mapping[str, dict[str, int]]:
        """Give the sizes of each release's files by their paths in it."""
        found: dict[str, dict[str, int]] = {}
        for key, size in self.store.list_sizes(RELEASES_PREFIX):
            name, _, path = key.removeprefix(f"{RELEASES_PREFIX}/").partition("/")
            if path:
                found.setdefault(name, {})[path] = size
        return found

    def _check(self, name: str, sizes: Mapping[str, int]) -> Iterator[ObjectDamage]:
        try:
            release = read_release(self.store, name)
        except (StemlineError, OSError) as error:
            sentence = error.message if isinstance(error, StemlineError) else str(error)
            yield ObjectDamage(release_key(name), DamageKind.ALTERED, sentence)
            return
        if release is None:
            yield from self._unfinished(name, sizes)
            return
        self.count += 1
        for path in sorted(sizes.keys() - {each.path for each in release.files} - {RECORD_NAME}):
            if not path.rpartition("/")[2].startswith("."):
                sentence = "The release does not name it."
                yield ObjectDamage(release_key(name, path), DamageKind.EXTRA, sentence)
        with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
            judged = threads.map(lambda file: self._judge(name, file, sizes.get(file.path)), release.files)
            yield from (each for each in judged if each is not None)

    def _unfinished(self, name: str, sizes: Mapping[str, int]) -> Iterator[ObjectDamage]:
        """Tell of a release without its last file, unless somebody may be making it."""
        if CROISSANT_NAME in sizes and MAKING_NAME not in sizes:
            sentence = "All else of the release is there, and not what says that it is whole."
            yield absent(self.store, release_key(name), sentence)
            return
        try:
            since = self.store.written_at(release_key(name, max(sizes)))
        except FileNotFoundError:
            return
        self.leftovers.append(Leftover(release_folder(name), "release", since))

    def _judge(self, name: str, file: ReleaseFile, size: int | None) -> ObjectDamage | None:
        """Give what is wrong with a file; the digest is taken only of one that is as long as it was."""
        key = release_key(name, file.path)
        if size is None:
            return absent(self.store, key, "The release names it, and it is not there.")
        if size != file.size_bytes:
            sentence = f"It has {size:,} bytes and had {file.size_bytes:,}."
            return ObjectDamage(key, DamageKind.ALTERED, sentence)
        try:
            with fetched(self.store, [key]) as (path,):
                is_same = file_sha256(path) == file.sha256
        except FileNotFoundError:
            return absent(self.store, key, "It is gone.")
        except (OSError, StemlineError) as error:
            return ObjectDamage(key, DamageKind.ALTERED, f"It cannot be read: {error}")
        sentence = "Its bytes are not those that were released."
        return None if is_same else ObjectDamage(key, DamageKind.ALTERED, sentence)

    def _is_changing(self, name: str, damage: ObjectDamage) -> bool:
        """Tell whether a file is other than it will be because rows are just being taken out of the release."""
        if not self.leaving or damage.kind is DamageKind.MISSING:
            return False
        if damage.path in {release_key(name, paper) for paper in (CARD_NAME, CROISSANT_NAME, LEAKAGE_NAME)}:
            return True
        try:
            return damage.path.endswith(_PART) and any(count_rows(self.store, [damage.path], self.leaving))
        except (StemlineError, OSError, ValueError, LookupError):
            return False
