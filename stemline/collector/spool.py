"""The stems of one track on the local disk, between download and store."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stemline.collector.download import Downloader
from stemline.collector.mixdown import mix_down, parts_of
from stemline.errors import AudioRejected, StemlineError
from stemline.records import MIX, Code, ReadyTrack
from stemline.storage import Store, disk_guarded
from stemline.verify import StemExpectation, StemMeasures, check_lengths, check_together, verify_stem

_PCM_BYTES = 96_000 * 2 * 4
"""A second of stereo in floats, at twice the rate of any vendor."""
_COVER_BYTES = 16 << 20
"""What a file may hold beside its sound."""

SpooledStems = dict[str, Path]
"""Stem name: downloaded file."""

_WORST_FIRST = (Code.MISSING_STEM, Code.UNDECODABLE, Code.TRUNCATED, Code.WRONG_DURATION)
"""What may be wrong with a stem alone."""

EXTRA_STEMS = frozenset({MIX})
"""What is kept beside the stems that were asked for, where a provider gives it: a video's whole audio."""


def wanted_links(ready: ReadyTrack) -> dict[str, str]:
    """Give the links by stem for what was asked for, as far as there are; others a provider adds are left.

    A stem without a link is replaced by its parts, where the provider gives those: see `derive_stems`.
    """
    links = {output.stem: output.url for output in ready.job.outputs}
    stems = ready.attempt.recipe.stem_names
    wanted = [part for stem in stems for part in ((stem,) if stem in links else parts_of(stem, links))]
    return {stem: links[stem] for stem in (*(EXTRA_STEMS & links.keys()), *wanted)}


def gives_mix(ready: ReadyTrack) -> bool:
    """Tell whether a provider gives the whole beside all of its stems, which should add up to it."""
    return len(ready.attempt.recipe.stem_names) > 1 and MIX in wanted_links(ready)


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
    kept: set[str] = field(default_factory=set)
    """Those that lie in the quarantine just as they lie here."""

    @property
    def fetched(self) -> SpooledStems:
        """What is here and not in the quarantine."""
        return {stem: path for stem, path in self.stems.items() if stem not in self.kept}

    def take(self, keys: Mapping[str, str], *, is_kept: bool = False) -> None:
        """Take stems that lie in the store already, by their keys: in the quarantine, or under their own names.

        Raises:
            StorageError: the store does not give one, or the local disk does not take it.
        """
        for stem in wanted_links(self.ready):
            if stem in keys:
                with suppress(FileNotFoundError):
                    self.store.fetch_file(keys[stem], self._path(stem))
                    self.stems[stem] = self._path(stem)
                    self.kept |= {stem} if is_kept else set()

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
        wrong = self.parts(stems) or self.stems.keys()
        fresh = {stem: again / path.name for stem, path in self.stems.items() if stem in wrong}
        for stem, path in fresh.items():
            self.downloader.fetch(wanted_links(self.ready)[stem], path, most_bytes(self.ready))
        self.stems.update(fresh)
        self.kept -= fresh.keys()

    def parts(self, stems: Collection[str]) -> set[str]:
        """Give these stems as the provider gives them: of one that is mixed down here, its parts."""
        return {part for stem in stems for part in (parts_of(stem, self.stems) or (stem,))}

    def unfinished(self, error: StemlineError) -> AudioRejected:
        """Give what is wrong with a track of which some stems could not be had: these."""
        missing = wanted_links(self.ready).keys() - self.stems.keys()
        return AudioRejected(error.message, code=Code.DOWNLOAD_FAILED, stems=missing)

    def _path(self, stem: str) -> Path:
        return self.folder / f"{stem}.{self.ready.attempt.recipe.format}"


def derive_stems(ready: ReadyTrack, spooled: SpooledStems, tolerance_seconds: float) -> SpooledStems:
    """Give the stems that were asked for, those the provider lacks mixed down from their parts.

    Raises:
        AudioRejected: a part is not sound; it names all that are not.
        StorageError: the local disk is full.
    """
    recipe = ready.attempt.recipe
    stems = {extra: spooled[extra] for extra in EXTRA_STEMS & spooled.keys()}
    for stem in recipe.stem_names:
        parts = parts_of(stem, spooled)
        if stem in spooled:
            stems[stem] = spooled[stem]
        elif parts:
            _check_parts({part: spooled[part] for part in parts}, expectation(ready, tolerance_seconds))
            stems[stem] = spooled[parts[0]].with_name(f"{stem}.{recipe.format}")
            with disk_guarded(stems[stem].parent):
                mix_down([spooled[part] for part in parts], stems[stem], recipe.format)
    return stems


def _check_parts(parts: SpooledStems, expected: StemExpectation) -> None:
    """Raise AudioRejected for parts that are not sound: in their sum they would not be noticed, or not found."""
    measures, reasons = _verify_each(parts, expected)
    if reasons:
        raise _rejection(reasons)
    check_lengths(list(measures.items()))


def verify_stems(
    ready: ReadyTrack, spooled: SpooledStems, tolerance_seconds: float
) -> dict[str, StemMeasures]:
    """Check that every stem is there and sound, alone and beside the others; give their measures.

    Raises:
        AudioRejected: with all that is wrong, the worst first.
    """
    measures, reasons = _verify_each(spooled, expectation(ready, tolerance_seconds))
    missing = [stem for stem in ready.attempt.recipe.stem_names if stem not in spooled]
    if missing:
        sentence = f"The provider returned no {' and no '.join(missing)}."
        reasons |= dict.fromkeys(missing, AudioRejected(sentence, code=Code.MISSING_STEM))
    if reasons:
        raise _rejection(reasons)
    check_together(list(measures.items()))
    offered = {output.stem for output in ready.job.outputs}
    return {
        stem: measured if stem in offered else measured.with_warning("derived")
        for stem, measured in measures.items()
    }


def _verify_each(
    spooled: SpooledStems, expected: StemExpectation
) -> tuple[dict[str, StemMeasures], dict[str, AudioRejected]]:
    """Give the measures of the stems that are sound, and what is wrong with each of the others."""
    measures: dict[str, StemMeasures] = {}
    reasons: dict[str, AudioRejected] = {}
    for stem, path in spooled.items():
        try:
            measures[stem] = verify_stem(path, expected)
        except AudioRejected as error:
            # A decoder names the whole path, which is another one each time and gone by then.
            sentence = error.message.replace(str(path), path.name)
            reasons[stem] = AudioRejected(sentence, code=error.code)
    return measures, reasons


def _rejection(reasons: Mapping[str, AudioRejected]) -> AudioRejected:
    """Give what is wrong with all of these stems as one: the worst first, then in the order of the recipe."""
    found = sorted(reasons.values(), key=lambda error: _WORST_FIRST.index(error.code))
    sentences = dict.fromkeys(error.message for error in found)
    return AudioRejected(" ".join(sentences), code=found[0].code, stems=reasons)


def expectation(ready: ReadyTrack, tolerance_seconds: float) -> StemExpectation:
    """Give what each stem of a track should be."""
    return StemExpectation(
        ready.attempt.recipe.format,
        ready.attempt.track.duration_seconds,
        tolerance_seconds,
        ready.job.duration_seconds,
    )
