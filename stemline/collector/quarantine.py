"""Audio that was paid for and does not verify, kept in the dataset with the reason beside it."""

from __future__ import annotations

import json

from stemline.collector.spool import SpooledStems
from stemline.dataset.doubtful_audio import REASON, quarantine_folder, quarantined_stems
from stemline.errors import AudioRejected
from stemline.records import ReadyTrack
from stemline.storage import Store


def quarantine_stems(store: Store, ready: ReadyTrack, spooled: SpooledStems, error: AudioRejected) -> str:
    """Keep the stems of a track that was rejected, with the reason; give their folder in the dataset.

    Raises:
        StorageError: the store does not take it.
    """
    attempt = ready.attempt
    folder = quarantine_folder(attempt)
    for path in spooled.values():
        store.put_file(f"{folder}/{path.name}", path)
    reason = {
        "attempt_token": attempt.token,
        "track_id": attempt.track.track_id,
        "provider": attempt.provider,
        "recipe": attempt.recipe.name,
        "job_id": ready.job.job_id,
        "code": error.code,
        "sentence": error.message,
        "stems": sorted(error.stems),
    }
    store.put_bytes(f"{folder}/{REASON}", json.dumps(reason, indent=2).encode() + b"\n")
    return folder


def keep_stems(store: Store, ready: ReadyTrack, good: SpooledStems) -> None:
    """Keep the good stems of a track in place of all that was kept of it, until the others are fetched again.

    Raises:
        StorageError: the store does not take it.
    """
    folder = quarantine_folder(ready.attempt)
    kept = set(store.list(folder)) if ready.is_repeated else set()
    wanted = {f"{folder}/{path.name}": path for path in good.values()}
    for key in kept - wanted.keys():
        store.delete(key)
    for key in wanted.keys() - kept:
        store.put_file(key, wanted[key])


def list_kept(store: Store, ready: ReadyTrack) -> dict[str, str]:
    """Give the keys, by stem, of what is kept of a track and is not what was wrong with it.

    Raises:
        StorageError: the store does not tell.
    """
    kept = quarantined_stems(store, ready.attempt)
    try:
        reason = json.loads(store.read_bytes(f"{quarantine_folder(ready.attempt)}/{REASON}"))
    except FileNotFoundError:
        return kept  # good stems alone: it never was rejected for good
    wrong = reason.get("stems") or kept
    return {stem: key for stem, key in kept.items() if stem not in wrong}
