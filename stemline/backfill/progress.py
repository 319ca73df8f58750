"""How far a backfill is, slice by slice: from the states of its tracks, whoever has brought them there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from stemline.ledger import Backfill, Ledger, SliceProgress


def progress_tree(ledger: Ledger, backfill: Backfill, progress: Sequence[SliceProgress]) -> dict[str, Any]:
    """Give `backfill` and `slices` as JSON has them."""
    states = sum((Counter(each.states) for each in progress), Counter[str]())
    spent = ledger.backfills.spent(backfill.name)
    return {
        "backfill": {
            "name": backfill.name,
            "state": str(backfill.state),
            "made_at": backfill.made_at.isoformat(timespec="seconds"),
            "request": dict(backfill.request),
            "tracks": dict(states),
            "credits": {**spent, "ceiling": backfill.ceiling},
            "share": backfill.share,
            "runs": len(ledger.backfills.runs_of(backfill.name)),
        },
        "slices": [
            {
                "slice": each.slice,
                "tracks": each.tracks,
                "credits": each.credits,
                "published": each.done,
                "states": dict(each.states),
            }
            for each in progress
        ],
    }
