"""Collected audio put into the dataset: under its final name, or in quarantine with the reason."""

from __future__ import annotations

import json

from stemline.collector.spool import Spooled
from stemline.dataset import path_safe, staged_path, stem_path
from stemline.errors import AudioRejected
from stemline.records import ReadyTrack
from stemline.storage import Store

QUARANTINE_PREFIX = "_stemline/quarantine"


def stem_key(ready: ReadyTrack, stem: str, audio_format: str, *, embedded: bool) -> str:
    """Give the final name of a stem, or the one under which it waits to be embedded."""
    place = staged_path if embedded else stem_path
    return place(ready.attempt, stem, audio_format)


def keep_rejected(store: Store, ready: ReadyTrack, spooled: Spooled, error: AudioRejected) -> str:
    """Keep audio that was paid for and does not verify, with the reason beside it; give the folder.

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
