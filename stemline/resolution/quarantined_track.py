"""One quarantined track, published as it is because a person says that it is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stemline.collector.batch import open_collector
from stemline.dataset import staged_path, stem_path
from stemline.dataset.doubtful_audio import quarantined_stems
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import read_layout
from stemline.errors import AudioRejected, UsageError
from stemline.ledger import Ledger
from stemline.manifest.manifest_file import find_source_root
from stemline.ownership import claim_dataset
from stemline.publisher import Publisher
from stemline.records import Attempt, CollectedTrack, Job, ReadyTrack, State, StemFile, audio_seconds
from stemline.resolution.unknown_track import Resolution, no_track
from stemline.run.existing_ledger import open_existing_ledger
from stemline.run.lease import holding_key
from stemline.run.remaking import RemakeQueue
from stemline.run.selection import Selection, source_of, target_of
from stemline.settings import Settings
from stemline.splits.split_book import open_split_book
from stemline.storage import Store, file_sha256, open_store, scratch_folder
from stemline.verify import StemExpectation, StemMeasures, decode_stem, measure_stem

ACCEPTED = "accepted"
"""The word in `verification` that tells such a stem from one that verified."""
KEPT = frozenset({State.QUARANTINED, State.EXPIRED})
"""Where a track may stand of which stems are kept in quarantine."""


def accept_track(settings: Settings, track_id: str) -> Resolution:
    """Publish the stems that are kept of a quarantined track as they are, each marked `accepted`.

    Raises UsageError, and changes nothing, for a track that is not quarantined, of which nothing is kept, or of which
    a stem is no audio at all; LeaseHeld while a run works with its API key.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with open_existing_ledger(settings) as ledger:
        claim_dataset(ledger, store, settings)
        attempt = _find(ledger, settings, track_id)
        with _holding(ledger, attempt):
            attempt = _find(ledger, settings, track_id)  # a run may have collected it since
            collected = _take(store, settings, attempt, ledger)
            ready = ReadyTrack(attempt, ledger.quarantine.job_of(attempt.token))
            with open_collector(target_of(settings)) as collector:
                collected = collector.add_mix(ready, collected)
            ledger.quarantine.accept(collected)
            run_id = ledger.quarantine.run_of(attempt.token)
            splits = open_split_book(store, settings.dataset.splits, run_id)
            publisher = Publisher(ledger, store, _layout(settings, store), splits)
            remakes = RemakeQueue(ledger, store, publisher, attempt.provider, attempt.recipe)
            is_published = publisher.publish(run_id, [attempt.token]) + remakes.apply(run_id) > 0
            publisher.clear_kept(attempt)
    state = State.PUBLISHED if is_published else State.COLLECTED
    return Resolution(
        track_id, attempt.token, ACCEPTED, state, attempt.job_id, 0, _sentence(collected, attempt, state)
    )


def _layout(settings: Settings, store: Store) -> DatasetLayout:
    """Give the layout that the run left which began the dataset, though it may have published nothing."""
    kept = read_layout(store)
    root = find_source_root(source_of(settings, Selection()))
    layout = DatasetLayout(
        settings.dataset.partition_by,
        audio=settings.dataset.audio,
        source_root=root,
        gives_splits=settings.dataset.splits is not None,
    )
    return layout if kept is None else replace(layout, carried=kept.carried)


def _sentence(collected: CollectedTrack, attempt: Attempt, state: State) -> str:
    """Say what is in the dataset now, and what is not."""
    there = [stem.stem for stem in collected.stems]
    missing = [stem for stem in attempt.recipe.stem_names if stem not in there]
    lacking = f" {' and '.join(missing)} never came." if missing else ""
    if state is State.PUBLISHED:
        return f"Its stems ({', '.join(there)}) are in the dataset, marked {ACCEPTED}.{lacking}"
    return f"Its stems ({', '.join(there)}) are stored; the tables cannot take it yet, and each run tries.{lacking}"


def _find(ledger: Ledger, settings: Settings, track_id: str) -> Attempt:
    """Give the attempt that is in quarantine."""
    kind, recipe = settings.provider.kind, settings.recipe.as_recipe()
    state = ledger.tracks.states(kind, recipe, [track_id]).get(track_id)
    if state is None:
        raise no_track(ledger, settings, track_id)
    made = [each for each in ledger.attempts.of_track(kind, track_id) if each.recipe == recipe]
    newest = next((each for each in reversed(made) if each.job_id is not None), None)
    if newest is None or (state not in KEPT and not _was_to_replace(ledger, state, newest)):
        raise UsageError(
            f"Track {track_id} is {state}, not quarantined.",
            fix="`stemline status` lists those that are.",
        )
    return newest


def _was_to_replace(ledger: Ledger, state: State, newest: Attempt) -> bool:
    """Tell whether a published track was to be made again, and that is in quarantine."""
    return state is State.PUBLISHED and ledger.holdings.states([newest.token])[newest.token] in KEPT


@contextmanager
def _holding(ledger: Ledger, attempt: Attempt) -> Iterator[None]:
    """Hold the attempt's API key, so that no run works with it."""
    key_id = ledger.attempts.key_of(attempt.token)
    if key_id is None:
        yield
        return
    with holding_key(ledger, key_id):
        yield


def _take(store: Store, settings: Settings, attempt: Attempt, ledger: Ledger) -> CollectedTrack:
    """Give what is kept the names it has in the dataset; nothing is named where a stem is no audio."""
    kept = quarantined_stems(store, attempt)
    if not kept:
        raise UsageError(
            f"Nothing is kept of track {attempt.track.track_id}.",
            fix="`stemline redrive CONFIG` tries it again.",
        )
    path_of = staged_path if settings.dataset.audio == "embedded" else stem_path
    with scratch_folder() as folder:
        files = {stem: folder / key.rpartition("/")[2] for stem, key in kept.items()}
        for stem, path in files.items():
            store.fetch_file(kept[stem], path)
        measures = {stem: _measure(path, attempt) for stem, path in files.items()}
        stems = []
        for stem, measured in measures.items():
            name = path_of(attempt, stem, measured.format)
            store.put_file(name, files[stem])
            stems.append(measured.stored(stem, name))
    job = ledger.quarantine.job_of(attempt.token)
    return _collected(attempt, tuple(stems), job, ledger)


def _collected(attempt: Attempt, stems: tuple[StemFile, ...], job: Job, ledger: Ledger) -> CollectedTrack:
    """Give the track with the tempo and key that its provider told: these stems are no base to measure."""
    bpm_source, key_source = (None if value is None else "provider" for value in (job.bpm, job.key))
    return CollectedTrack(
        attempt.token,
        stems,
        job.bpm,
        job.key,
        bpm_source,
        key_source,
        ledger.clock(),
        duration_seconds=audio_seconds(stems, attempt.track.duration_seconds),
    )


def _measure(path: Path, attempt: Attempt) -> StemMeasures:
    """Give a stem's measures; raises UsageError for what is no audio."""
    expected = StemExpectation(attempt.recipe.format, attempt.track.duration_seconds)
    try:
        decoded = decode_stem(path)
    except AudioRejected as error:
        raise UsageError(
            f"Track {attempt.track.track_id} cannot be accepted. {error.message}",
            fix="`stemline redrive CONFIG` tries it again.",
        ) from error
    return measure_stem(decoded, path.stat().st_size, file_sha256(path), expected).with_warning(ACCEPTED)
