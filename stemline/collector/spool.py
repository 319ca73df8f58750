"""The stems of one track on the local disk, between download and store."""

from __future__ import annotations

from pathlib import Path

from stemline.collector.download import Downloader
from stemline.collector.mixdown import mix_down, parts_of
from stemline.errors import AudioRejected
from stemline.records import Code, ReadyTrack
from stemline.storage import disk_guarded
from stemline.verify import StemExpectation, StemMeasures, check_together, verify_stem

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


def download_stems(downloader: Downloader, ready: ReadyTrack, folder: Path) -> SpooledStems:
    """Download what there is of the stems that were asked for.

    Raises:
        LinkExpired, TransferFailed, StorageError: as `Downloader.fetch` does.
    """
    with disk_guarded(folder):
        folder.mkdir()
    links = wanted_links(ready)
    spooled = {stem: folder / f"{stem}.{ready.attempt.recipe.format}" for stem in links}
    for stem, path in spooled.items():
        downloader.fetch(links[stem], path)
    return spooled


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
        raise AudioRejected(f"The provider returned no {' and no '.join(missing)}.", code=Code.MISSING_STEM)
    expected = expectation(ready, tolerance_seconds)
    offered = {output.stem for output in ready.job.outputs}
    measures = {stem: verify_stem(path, expected) for stem, path in spooled.items()}
    check_together(list(measures.items()))
    return {
        stem: measured if stem in offered else measured.with_warning("derived")
        for stem, measured in measures.items()
    }


def expectation(ready: ReadyTrack, tolerance_seconds: float) -> StemExpectation:
    """Give what each stem of a track should be."""
    return StemExpectation(
        ready.attempt.recipe.format,
        ready.attempt.track.duration_seconds,
        tolerance_seconds,
        ready.job.duration_seconds,
    )
