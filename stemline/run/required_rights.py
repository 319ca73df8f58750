"""Planned tracks that are in the ledger from before, held against the rights that are required now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from stemline.ledger import Ledger
from stemline.plan.survey import rights_reject
from stemline.records import Code, Track
from stemline.rights import RightsGate

TRACKS_AT_ONCE = 1_000


def reject_without_rights(ledger: Ledger, run_id: str, gate: RightsGate) -> int:
    """Reject the run's waiting tracks that do not pass a gate, and give how many: nothing is spent on them."""
    if gate.is_open:
        return 0
    rejected, last = 0, None
    while page := ledger.tracks.next_planned(run_id, TRACKS_AT_ONCE, after=last):
        last = page[-1]
        for sentence, track_ids in _refused(page, gate).items():
            rejected += ledger.tracks.reject(run_id, track_ids, Code.RIGHTS_NOT_GRANTED, sentence)
    return rejected


def _refused(tracks: Sequence[Track], gate: RightsGate) -> Mapping[str, list[str]]:
    """Give the ids of tracks that do not pass, by what is said of them."""
    refused: defaultdict[str, list[str]] = defaultdict(list)
    for track in tracks:
        if (reject := rights_reject(track, gate)) is not None:
            refused[reject.sentence].append(track.track_id)
    return refused
