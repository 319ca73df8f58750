"""What a run came to, part by part: its tracks, its credits, its requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stemline.ledger import Ledger
from stemline.records import State

if TYPE_CHECKING:
    from stemline.dispatcher import DispatcherGroup


def summarize_tracks(ledger: Ledger, run_id: str, counts: Mapping[State, int]) -> dict[str, Any]:
    """Give where a run's tracks stand; `counts` are they by state."""
    return {
        "tracks": {str(state): count for state, count in counts.items()},
        "codes": {str(code): count for code, count in ledger.queries.codes(run_id).items()},
        "published": asdict(ledger.queries.published_shares(run_id)),
    }


def summarize_credits(
    ledger: Ledger, run_id: str, key_ids: Collection[str], dispatchers: DispatcherGroup | None
) -> dict[str, int | None]:
    """Give what a run spent, with the keys that it held, and what the provider's balance says of it."""
    spent = ledger.credits.spending(run_id).run
    reconciliation = dispatchers.reconciliation if dispatchers else None
    return {
        "reserved": spent.reserved,
        "charged": spent.charged,
        "charged_for_earlier": ledger.credits.charged_for_earlier(run_id, key_ids),
        "balance": reconciliation.balance if reconciliation else None,
        "drift": reconciliation.drift if reconciliation else None,
    }


def summarize_requests(dispatchers: DispatcherGroup | None) -> dict[str, float | int | None]:
    """Give how often a run asked the provider."""
    sessions = dispatchers.sessions if dispatchers else []
    sent = sum(session.client.traffic.sent for session in sessions)
    done = sum(session.finished for session in sessions)
    return {
        "sent": sent,
        "rejected": sum(session.client.traffic.rejected for session in sessions),
        "per_track": round(sent / done, 3) if done else None,
    }
