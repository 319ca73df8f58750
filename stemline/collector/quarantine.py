"""Stems that were paid for and are not delivered yet, kept in the dataset with the reason beside them."""

from __future__ import annotations

import json
from collections.abc import Collection

from stemline.collector.spool import Spool
from stemline.dataset.doubtful_audio import REASON, quarantine_folder, quarantined_stems
from stemline.errors import AudioRejected
from stemline.records import ReadyTrack
from stemline.storage import Store


def keep_stems(store: Store, spool: Spool, error: AudioRejected) -> str:
    """Keep what is here of a track, whatever is right or wrong with it, and say which; give its folder in the dataset.

    Nothing that was kept before is lost but what was fetched again.

    Raises:
        StorageError: the store does not take it.
    """
    attempt = spool.ready.attempt
    folder = quarantine_folder(attempt)
    for path in spool.fetched.values():
        store.put_file(f"{folder}/{path.name}", path)
    reason = {
        "attempt_token": attempt.token,
        "track_id": attempt.track.track_id,
        "provider": attempt.provider,
        "recipe": attempt.recipe.name,
        "job_id": spool.ready.job.job_id,
        "code": error.code,
        "sentence": error.message,
        "stems": sorted(spool.parts(error.stems)),
    }
    store.put_bytes(f"{folder}/{REASON}", json.dumps(reason, indent=2).encode() + b"\n")
    return folder


def list_kept(store: Store, ready: ReadyTrack) -> dict[str, str]:
    """Give the keys, by stem, of what is kept of a track and is not what was wrong with it.

    Raises:
        StorageError: the store does not tell.
    """
    kept = quarantined_stems(store, ready.attempt)
    try:
        reason = json.loads(store.read_bytes(f"{quarantine_folder(ready.attempt)}/{REASON}"))
    except (FileNotFoundError, ValueError):  # whoever kept them came no further: they are judged once more
        return kept
    wrong: Collection[str] = reason.get("stems") or kept
    return {stem: key for stem, key in kept.items() if stem not in wrong}
