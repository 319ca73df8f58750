"""The stems of one track on the local disk, between download and store."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from stemline.collector.download import Downloader
from stemline.collector.mixdown import mix_down, parts_of
from stemline.collector.mixture import Mono, residual_db
from stemline.errors import AudioRejected
from stemline.records import Code, ReadyTrack
from stemline.storage import disk_guarded
from stemline.verify import Expectation, Measured, check_together, verify_stem

Spooled = dict[str, Path]
"""Stem name: downloaded file."""

EXTRAS = frozenset({"mix"})
"""What is kept beside the stems that were asked for, where a provider gives it: a video's whole audio."""

MeasuredFiles = list[tuple[str, Path, Measured]]
"""Stem name, downloaded file and its measures."""

_LEAST_RESIDUAL_DB = -10.0
"""Stems from mp3 leave -18 dB of the source at most; when one of four is silent or strange it is above -6."""


def fetch_stems(downloader: Downloader, ready: ReadyTrack, folder: Path) -> Spooled:
    """Download the stems that were asked for, as far as there are links; others a provider adds are left.

    For a stem without a link its parts are downloaded, where the provider gives those: see `derive_stems`.

    Raises:
        LinkExpired, TransferFailed, StorageError: as `Downloader.fetch` does.
    """
    with disk_guarded(folder):
        folder.mkdir(exist_ok=True)
    links = {output.stem: output.url for output in ready.job.outputs}
    recipe = ready.attempt.recipe
    wanted = [*(EXTRAS & links.keys()), *_wanted(ready, links)]
    spooled = {stem: folder / f"{stem}.{recipe.format}" for stem in wanted}
    for stem, path in spooled.items():
        downloader.fetch(links[stem], path)
    return spooled


def _wanted(ready: ReadyTrack, links: Collection[str]) -> list[str]:
    """Give the links to fetch for the stems that were asked for."""
    stems = ready.attempt.recipe.stem_names
    return [part for stem in stems for part in ((stem,) if stem in links else parts_of(stem, links))]


def derive_stems(ready: ReadyTrack, spooled: Spooled) -> Spooled:
    """Give the stems that were asked for, those the provider lacks mixed down from their parts.

    Raises:
        AudioRejected: a part cannot be decoded.
        StorageError: the local disk is full.
    """
    recipe = ready.attempt.recipe
    stems = {extra: spooled[extra] for extra in EXTRAS & spooled.keys()}
    for stem in recipe.stem_names:
        parts = parts_of(stem, spooled)
        if stem in spooled:
            stems[stem] = spooled[stem]
        elif parts:
            stems[stem] = spooled[parts[0]].with_name(f"{stem}.{recipe.format}")
            with disk_guarded(stems[stem].parent):
                mix_down([spooled[part] for part in parts], stems[stem], recipe.format)
    return stems


def verify_stems(ready: ReadyTrack, spooled: Spooled, tolerance_seconds: float) -> MeasuredFiles:
    """Check that every stem is there and sound, alone and beside the others; give their measures.

    Raises:
        AudioRejected: with the first reason found.
    """
    missing = [stem for stem in ready.attempt.recipe.stem_names if stem not in spooled]
    if missing:
        raise AudioRejected(f"The provider returned no {' and no '.join(missing)}.", code=Code.MISSING_STEM)
    expected = Expectation(
        ready.attempt.recipe.format,
        ready.attempt.track.duration_seconds,
        tolerance_seconds,
        ready.job.duration_seconds,
    )
    told = {output.stem for output in ready.job.outputs}
    measured = [
        (stem, path, measures if stem in told else measures.with_warning("derived"))
        for stem, path, measures in (
            (stem, path, verify_stem(path, expected)) for stem, path in spooled.items()
        )
    ]
    check_together([(stem, measures) for stem, _, measures in measured])
    return measured


def local_source(ready: ReadyTrack) -> Path | None:
    """Give the track's source where this worker has it as a file and the stems should add up to it."""
    path = Path(ready.attempt.track.location)
    is_whole = len(ready.attempt.recipe.stem_names) > 1
    return path if is_whole and path.is_absolute() and path.is_file() else None


def compare_with_source(measured: MeasuredFiles, source: Path | None, mixed: Mono) -> MeasuredFiles:
    """Give the measures with the warning `residual` when the stems do not add up to their source.

    A warning only: nobody promises that separated stems add up, and it does not tell which one is wrong.
    """
    try:
        residual = None if source is None else residual_db(source, mixed)
    except AudioRejected:  # what the provider could read and we cannot is no fault of the stems
        return measured
    if residual is None or residual < _LEAST_RESIDUAL_DB:
        return measured
    return [(stem, path, measures.with_warning("residual")) for stem, path, measures in measured]
