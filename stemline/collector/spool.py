"""The stems of one track on the local disk, between download and store."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stemline.collector.download import Downloader
from stemline.collector.mixdown import mix_down, parts_of
from stemline.errors import AudioRejected
from stemline.records import Code, ReadyTrack
from stemline.storage import Store, disk_guarded
from stemline.verify import StemExpectation, StemMeasures, check_together, verify_stem

_PCM_BYTES = 96_000 * 2 * 4
"""A second of stereo in floats, at twice the rate of any vendor."""
_COVER_BYTES = 16 << 20
"""What a file may hold beside its sound."""

SpooledStems = dict[str, Path]
"""Stem name: downloaded file."""

EXTRA_STEMS = frozenset({"mix"})
"""What is kept beside the stems that were asked for, where a provider gives it: a video's whole audio."""


def wanted_links(ready: ReadyTrack) -> dict[str, str]:
    """Give the links by stem for what was asked for, as far as there are; others a provider adds are left.

    A stem without a link is replaced by its parts, where the provider gives those: see `derive_stems`.
    """
    links = {output.stem: output.url for output in ready.job.outputs}
    stems = ready.attempt.recipe.stem_names
    wanted = [part for stem in stems for part in ((stem,) if stem in links else parts_of(stem, links))]
    return {stem: links[stem] for stem in (*(EXTRA_STEMS & links.keys()), *wanted)}


def most_bytes(ready: ReadyTrack) -> int | None:
    """Give how large a stem of a track can be at most: twice the PCM of its length; None: nobody knows its length."""
    known = [ready.attempt.track.duration_seconds, ready.job.duration_seconds]
    lengths = [seconds for seconds in known if seconds is not None]
    return 2 * math.ceil(max(lengths)) * _PCM_BYTES + _COVER_BYTES if lengths else None


@dataclass
class Spool:
    """What a track's links lead to, on the local disk."""

    downloader: Downloader
    store: Store
    ready: ReadyTrack
    folder: Path
    stems: SpooledStems = field(default_factory=dict)

    def take(self, kept: Mapping[str, str]) -> None:
        """Take stems that lie in the store already: their keys by stem.

        Raises:
            StorageError: the store does not give one, or the local disk does not take it.
        """
        for stem in wanted_links(self.ready).keys() & kept.keys():
            with suppress(FileNotFoundError):
                self.store.fetch_file(kept[stem], self._path(stem))
                self.stems[stem] = self._path(stem)

    def download(self) -> None:
        """Download what there is of the stems that were asked for and are not here.

        Raises:
            LinkExpired, TransferFailed, StorageError: as `Downloader.fetch` does.
        """
        for stem, url in wanted_links(self.ready).items():
            if stem not in self.stems:
                self.downloader.fetch(url, self._path(stem), most_bytes(self.ready))
                self.stems[stem] = self._path(stem)

    def download_again(self, stems: Collection[str]) -> None:
        """Download these stems once more, all of them where none is named; what is here stays if that fails.

        Raises:
            LinkExpired, TransferFailed, StorageError: as `Downloader.fetch` does.
        """
        again = self.folder / "again"
        with disk_guarded(again):
            again.mkdir()
        fresh = {
            stem: again / self._path(stem).name for stem in self.stems.keys() - self.without(stems).keys()
        }
        for stem, path in fresh.items():
            self.downloader.fetch(wanted_links(self.ready)[stem], path, most_bytes(self.ready))
        self.stems.update(fresh)

    def without(self, stems: Collection[str]) -> SpooledStems:
        """Give what is here but for these stems and the parts they are made of; nothing where none is named."""
        parts = {part for stem in stems for part in (stem, *parts_of(stem, self.stems))}
        return {stem: path for stem, path in self.stems.items() if stems and stem not in parts}

    def _path(self, stem: str) -> Path:
        return self.folder / f"{stem}.{self.ready.attempt.recipe.format}"


def derive_stems(ready: ReadyTrack, spooled: SpooledStems) -> SpooledStems:
    """Give the stems that were asked for, those the provider lacks mixed down from their parts.

    Raises:
        AudioRejected: a part cannot be decoded.
        StorageError: the local disk is full.
    """
    recipe = ready.attempt.recipe
    stems = {extra: spooled[extra] for extra in EXTRA_STEMS & spooled.keys()}
    for stem in recipe.stem_names:
        parts = parts_of(stem, spooled)
        if stem in spooled:
            stems[stem] = spooled[stem]
        elif parts:
            stems[stem] = spooled[parts[0]].with_name(f"{stem}.{recipe.format}")
            with disk_guarded(stems[stem].parent):
                mix_down([spooled[part] for part in parts], stems[stem], recipe.format)
    return stems


def verify_stems(
    ready: ReadyTrack, spooled: SpooledStems, tolerance_seconds: float
) -> dict[str, StemMeasures]:
    """Check that every stem is there and sound, alone and beside the others; give their measures.

    Raises:
        AudioRejected: with the first reason found.
    """
    missing = [stem for stem in ready.attempt.recipe.stem_names if stem not in spooled]
    if missing:
        sentence = f"The provider returned no {' and no '.join(missing)}."
        raise AudioRejected(sentence, code=Code.MISSING_STEM, stems=missing)
    expected = expectation(ready, tolerance_seconds)
    offered = {output.stem for output in ready.job.outputs}
    measures = _verify_each(spooled, expected)
    check_together(list(measures.items()))
    return {
        stem: measured if stem in offered else measured.with_warning("derived")
        for stem, measured in measures.items()
    }


def _verify_each(spooled: SpooledStems, expected: StemExpectation) -> dict[str, StemMeasures]:
    """Give each stem's measures; raises the first reason found against any, naming all stems that are not sound."""
    measures: dict[str, StemMeasures] = {}
    reasons: dict[str, AudioRejected] = {}
    for stem, path in spooled.items():
        try:
            measures[stem] = verify_stem(path, expected)
        except AudioRejected as error:
            reasons[stem] = error
    for first in reasons.values():
        raise AudioRejected(first.message, code=first.code, stems=reasons)
    return measures


def expectation(ready: ReadyTrack, tolerance_seconds: float) -> StemExpectation:
    """Give what each stem of a track should be."""
    return StemExpectation(
        ready.attempt.recipe.format,
        ready.attempt.track.duration_seconds,
        tolerance_seconds,
        ready.job.duration_seconds,
    )
