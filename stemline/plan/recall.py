"""What files were found to be when an earlier run opened them, where that is still to be relied on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from stemline.ledger import MeasuredTrack
from stemline.ledger.cell import load_cells
from stemline.manifest import LocationKind, location_kind
from stemline.probe import AudioFacts
from stemline.records import Track


def recall_facts(
    tracks: Sequence[Track], measured: Mapping[str, MeasuredTrack], tags: Collection[str]
) -> dict[str, AudioFacts]:
    """Give what is known of those tracks that are as they were when they were measured, by their ids.

    What lies elsewhere than on this machine is not asked about: how long it is, the provider tells once more when it
    accepts the track. `tags` are the columns that the files' tags fill.
    """
    found = {}
    for track in tracks:
        before = measured.get(track.track_id)
        if before is None or before.size_bytes is None or before.location != track.location:
            continue
        if _is_as_it_was(before):
            cells = load_cells(before.columns) if tags else {}
            if cells.keys() >= set(tags):
                texts = {name: str(cells[name]) for name in tags if cells[name] is not None}
                found[track.track_id] = _as_facts(before, texts)
    return found


def _as_facts(before: MeasuredTrack, tags: Mapping[str, str]) -> AudioFacts:
    """Give what matters to a run of a file that was opened; the rest of its facts nobody kept."""
    return AudioFacts(before.duration_seconds, 0, 0, "", before.size_bytes or 0, is_exact=False, tags=tags)


def _is_as_it_was(before: MeasuredTrack) -> bool:
    if location_kind(before.location) is not LocationKind.FILE:
        return True
    try:
        found = Path(before.location).stat()
    except (OSError, ValueError):
        return False
    # The change time: unlike the modification time, nobody sets it back.
    return found.st_size == before.size_bytes and found.st_ctime < before.measured_before.timestamp()
