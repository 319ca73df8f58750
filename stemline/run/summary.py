"""What a run came to, as one object: its tracks, its credits, its requests, and why it stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stemline.errors import StemlineError
from stemline.records import State

if TYPE_CHECKING:
    from stemline.run.run import Run

INTERRUPTED = (
    "The run was interrupted. Run again: it goes on from here, and collects what is with the provider."
)


def summarize(run: Run, counts: Mapping[State, int], reason: StemlineError | None) -> dict[str, Any]:
    """Give the object of `run --json`; `counts` are the run's tracks by state."""
    queries = run.ledger.queries
    return {
        "run_id": run.run_id,
        "tracks": {str(state): count for state, count in counts.items()},
        "codes": {str(code): count for code, count in queries.codes(run.run_id).items()},
        "published": asdict(queries.published_shares(run.run_id)),
        "passed_over": run.passed_over.total(),
        "credits": _credits(run),
        "requests": _requests(run),
        "seconds": round(time.monotonic() - run.started, 3),
        "predicted": run.predicted.as_tree() if run.predicted else None,
        "reason": str(reason) if reason is not None else INTERRUPTED if run.is_interrupted else None,
        "dataset": run.store.url(),
        "report": run.store.url(f"_stemline/runs/{run.run_id}.html"),
    }


def _credits(run: Run) -> dict[str, int | None]:
    spent = run.ledger.credits.spending(run.run_id).run
    reconciliation = run.dispatchers.reconciliation if run.dispatchers else None
    return {
        "reserved": spent.reserved,
        "charged": spent.charged,
        "charged_for_earlier": run.ledger.credits.charged_for_earlier(run.run_id, run.fences),
        "balance": reconciliation.balance if reconciliation else None,
        "drift": reconciliation.drift if reconciliation else None,
    }


def _requests(run: Run) -> dict[str, float | int | None]:
    sessions = run.dispatchers.sessions if run.dispatchers else []
    sent = sum(session.client.traffic.sent for session in sessions)
    done = sum(session.finished for session in sessions)
    return {
        "sent": sent,
        "rejected": sum(session.client.traffic.rejected for session in sessions),
        "per_track": round(sent / done, 3) if done else None,
    }
