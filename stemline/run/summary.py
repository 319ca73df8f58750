"""What a run came to, part by part: its tracks, its credits, its requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stemline.ledger import Ledger
from stemline.manifest.source_root import SourceRoot
from stemline.records import MIX, CollectedTrack, Misstatement, State, Track
from stemline.report.run_figures import WINDOWS, read_windows
from stemline.settings import BudgetSettings

if TYPE_CHECKING:
    from stemline.dispatcher import DispatcherGroup


TOLD_MIXES = 20
"""Of so many tracks without their mix is said why."""
MOST_LENGTHS, TOLD_LENGTHS = 100_000, 20
"""So many tracks that are not as long as the manifest says are counted, and so many told."""


@dataclass
class MixTally:
    """The mixes of a run's tracks: stored, linked, or not to be had."""

    stored: int = 0
    linked: int = 0
    missing: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    """Why the first ones are missing, by the ids of their tracks."""

    def count(self, track_id: str, collected: CollectedTrack) -> None:
        """Count a collected track's."""
        mix = next((stem for stem in collected.stems if stem.stem == MIX), None)
        self.linked += mix is not None and mix.is_linked
        self.stored += mix is not None and not mix.is_linked
        if collected.mix_problem is not None:
            self.missing += 1
            if len(self.problems) < TOLD_MIXES:
                self.problems[track_id] = collected.mix_problem

    def as_tree(self, asked: str, root: SourceRoot) -> dict[str, Any]:
        """Give `mix` as JSON takes it, sources called from `root`; nothing where no mix was asked for."""
        told = {track_id: root.shorten(problem) for track_id, problem in self.problems.items()}
        return {} if asked == "none" else {"mix": {**asdict(self), "problems": told}}


@dataclass
class LengthTally:
    """The tracks that are not as long as the manifest says; two threads may note them."""

    differ: dict[str, Misstatement] = field(default_factory=dict)
    """By their ids, MOST_LENGTHS of them: one that was measured twice counts once."""

    def note(self, found: Iterable[Misstatement]) -> None:
        """Take note of what was measured before anything was sent."""
        for each in found:
            if len(self.differ) < MOST_LENGTHS:
                self.differ.setdefault(each.track_id, each)

    def count(self, track: Track, collected: CollectedTrack) -> None:
        """Take note of a collected track, where its stems are not of the length that was given."""
        given, measured = track.duration_seconds, collected.duration_seconds
        is_off = any("length" in stem.verification.split(",") for stem in collected.stems if stem.stem != MIX)
        if is_off and given is not None and measured is not None:
            self.note([Misstatement(track.track_id, track.position, given, measured)])

    def as_tree(self) -> dict[str, Any]:
        """Give `lengths` as JSON takes it; nothing where all are right."""
        if not self.differ:
            return {}
        told = dict(list(self.differ.items())[:TOLD_LENGTHS])
        examples = {name: {"row": each.row, "told": each.sentence} for name, each in told.items()}
        return {"lengths": {"differ": len(self.differ), "examples": examples}}


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


def summarize_overcharge(dispatchers: DispatcherGroup | None) -> dict[str, Any]:
    """Give `overcharged`: what the provider says it charged far above what the audio is worth; nothing where not."""
    found = dispatchers.overcharge if dispatchers else None
    return {"overcharged": asdict(found)} if found and found.tracks else {}


def summarize_windows(
    ledger: Ledger, run_id: str, budget: BudgetSettings
) -> dict[str, dict[str, int | None]]:
    """Give what is charged and reserved of each limit of the budget."""
    return read_windows(ledger, run_id, budget.model_dump(include=set(WINDOWS)))


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
