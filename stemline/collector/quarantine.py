"""Audio that was paid for and does not verify, kept in the dataset with the reason beside it."""

from __future__ import annotations

import json

from stemline.collector.spool import SpooledStems
from stemline.dataset import path_safe
from stemline.errors import AudioRejected
from stemline.records import ReadyTrack
from stemline.storage import Store

QUARANTINE_PREFIX = "_stemline/quarantine"


def quarantine_stems(store: Store, ready: ReadyTrack, spooled: SpooledStems, error: AudioRejected) -> str:
    """Keep the stems of a track that was rejected, with the reason; give their folder in the dataset.

    Raises:
        StorageError: the store does not take it.
    """
    attempt = ready.attempt
    folder = f"{QUARANTINE_PREFIX}/{path_safe(attempt.token)}"
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
    }
    store.put_bytes(f"{folder}/reason.json", json.dumps(reason, indent=2).encode() + b"\n")
    return folder
