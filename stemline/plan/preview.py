"""What a run would do, found out by reading alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from stemline.ledger.store import utc_now
from stemline.manifest import Source
from stemline.plan.allowance import Allowance
from stemline.plan.forecast import Forecast
from stemline.plan.handover import Handover
from stemline.plan.known import Known, known_states
from stemline.plan.outlook import look_ahead
from stemline.plan.rows import Rows
from stemline.plan.survey import check_recipe, survey
from stemline.plan.work import Piece, Queue, Work, fill
from stemline.records import Reject, State, Track
from stemline.settings import ProviderFacts, Settings

SHOWN_REJECTS = 20
_LOST = frozenset({State.QUARANTINED, State.EXPIRED})
_BUSY = frozenset({State.SUBMITTING, State.PROCESSING, State.READY, State.COLLECTED, State.UNKNOWN})


@dataclass
class Preview:
    """The plan of a run: rows by what will become of them, cost and time of what is to do."""

    new: int = 0
    done: int = 0
    """Published already: nothing is asked for these again."""
    under_way: int = 0
    """Paid for already, or possibly so: they are collected, not paid again."""
    failed: int = 0
    """Came to a bad end before; a run leaves them alone, `stemline redrive` tries them again."""
    rejected: int = 0
    held: int = 0
    """Usable, but outside the run's budget."""
    work: Work = field(default_factory=Work)
    rejects: list[Reject] = field(default_factory=list)
    """The first of the rejected rows."""
    forecast: Forecast = field(default_factory=Forecast)
    rows: Rows = field(default_factory=Rows)
    """The usable rows themselves, for a plan that is kept."""


def preview(settings: Settings, source: Source, facts: ProviderFacts) -> Preview:
    """Give what a run would do; writes nothing and spends nothing.

    Raises ConfigError or ManifestError as the run itself would. The provider's balance is not asked for, so
    `budget.floor` plays no part.
    """
    recipe = settings.recipe.as_recipe()
    check_recipe(recipe, facts)
    plan, sorting = Preview(), _Sorting(Handover(settings))
    with known_states(settings) as known:
        for batch in survey(source, facts, lambda track_ids: _settled(known(track_ids)), recipe):
            plan.rejected += len(batch.rejects)
            plan.rejects += batch.rejects[: SHOWN_REJECTS - len(plan.rejects)]
            plan.rows.add(batch.tracks)
            sorting.add(batch.tracks, known, plan)
        allowance = Allowance(settings.budget, known.spending(), utc_now())
        plan.work, held = fill(sorting.queue.in_order(), allowance, facts)
        plan.new, plan.held = plan.work.tracks, held.tracks
        plan.forecast = look_ahead(settings, facts, known.ledger, (plan.work, held, allowance))
    return plan


def _settled(states: dict[str, State]) -> Collection[str]:
    return {track_id for track_id, state in states.items() if state is State.PUBLISHED or state in _BUSY}


class _Sorting:
    """Counts tracks by where they stand, and puts those still to do in line."""

    def __init__(self, handover: Handover) -> None:
        self.queue = Queue()
        self._handover = handover

    def add(self, tracks: Sequence[Track], known: Known, plan: Preview) -> None:
        track_ids = [track.track_id for track in tracks]
        states = known(track_ids)
        failed = known.beyond_retry(
            [track_id for track_id in track_ids if states.get(track_id) is State.FAILED]
        )
        for track in tracks:
            state = states.get(track.track_id)
            if state is State.PUBLISHED:
                plan.done += 1
            elif state in _BUSY:
                plan.under_way += 1
            elif state in _LOST or track.track_id in failed:
                plan.failed += 1
            else:
                piece = Piece(track.duration_seconds, self._handover.is_upload(track.location))
                self.queue.add(track.priority, piece)
