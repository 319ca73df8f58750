"""What a run would do, found out by reading alone."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from stemline.ledger import Ledger, open_ledger
from stemline.manifest import Kind, Source, kind_of
from stemline.plan.forecast import Forecast, Work, forecast
from stemline.plan.survey import check_recipe, survey
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
    forecast: Forecast = field(default_factory=lambda: Forecast(0.0, 0.0, "nothing to do", ""))


def preview(settings: Settings, source: Source, facts: ProviderFacts) -> Preview:
    """Give what a run would do; writes nothing and spends nothing.

    Raises ConfigError or ManifestError as the run itself would. The provider's balance is not asked for, so
    `budget.floor` plays no part.
    """
    recipe = settings.recipe.as_recipe()
    check_recipe(recipe, facts)
    plan, waiting = Preview(), _Waiting(facts.max_duration_seconds)
    with _known_states(settings) as known:
        for batch in survey(source, facts, lambda track_ids: _settled(known(track_ids)), recipe):
            plan.rejected += len(batch.rejects)
            plan.rejects += batch.rejects[: SHOWN_REJECTS - len(plan.rejects)]
            _sort(batch.tracks, known, plan, waiting)
        _hold(plan, waiting, _room(settings, known))
    plan.forecast = _forecast(settings, facts, plan.work)
    return plan


class _Known:
    """Where tracks stand, asked of the ledger when there is one."""

    def __init__(self, settings: Settings, ledger: Ledger | None) -> None:
        self.ledger = ledger
        self._key = (settings.provider.kind, settings.recipe.as_recipe())
        self._most = settings.failures.max_attempts
        self.last_run = ledger.last_run(settings.name) if ledger else None

    def __call__(self, track_ids: Sequence[str]) -> dict[str, State]:
        return self.ledger.states_of(*self._key, track_ids) if self.ledger else {}

    def beyond_retry(self, track_ids: Sequence[str]) -> Collection[str]:
        """Name those that failed for good: not retryably, or too often."""
        run = self.last_run
        if self.ledger is None or run is None or (run.provider, run.recipe) != self._key:
            return ()
        found = self.ledger.track_status(run.run_id, track_ids).values()
        failed = [status for status in found if status.state is State.FAILED]
        return {each.track_id for each in failed if not each.is_retryable or each.failures >= self._most}


@contextmanager
def _known_states(settings: Settings) -> Iterator[_Known]:
    """Open the ledger, unless it is a file that does not exist: looking must not create it."""
    file = settings.ledger_file
    if file is not None and not file.exists():
        yield _Known(settings, None)
        return
    with open_ledger(settings.ledger_url) as ledger:
        yield _Known(settings, ledger)


def _settled(states: dict[str, State]) -> Collection[str]:
    return {track_id for track_id, state in states.items() if state is State.PUBLISHED or state in _BUSY}


class _Waiting:
    """Tracks still to do, as figures alone: a million of them must fit."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self.priority, self.seconds, self.is_upload = array("q"), array("d"), array("b")

    def add(self, track: Track) -> None:
        self.priority.append(track.priority)
        self.seconds.append(self._longest if track.duration_seconds is None else track.duration_seconds)
        self.is_upload.append(kind_of(track.location) in {Kind.FILE, Kind.STORE})

    def in_order(self) -> list[int]:
        """Give the places by priority; tracks of one priority stay in the manifest's order."""
        return sorted(range(len(self.priority)), key=lambda place: -self.priority[place])


def _sort(tracks: Sequence[Track], known: _Known, plan: Preview, waiting: _Waiting) -> None:
    """Count tracks by where they stand, and keep those still to do."""
    track_ids = [track.track_id for track in tracks]
    states = known(track_ids)
    failed = known.beyond_retry([track_id for track_id in track_ids if states.get(track_id) is State.FAILED])
    for track in tracks:
        state = states.get(track.track_id)
        if state is State.PUBLISHED:
            plan.done += 1
        elif state in _BUSY:
            plan.under_way += 1
        elif state in _LOST or track.track_id in failed:
            plan.failed += 1
        else:
            waiting.add(track)


def _room(settings: Settings, known: _Known) -> int | None:
    """Give the credits a run may still reserve; None when nothing limits it."""
    budget, ledger, last = settings.budget, known.ledger, known.last_run
    spent = ledger.credits(last.run_id) if ledger and last else None
    rooms = [
        limit - used
        for limit, used in (
            (budget.run, 0),
            (budget.day, spent.day.total if spent else 0),
            (budget.month, spent.month.total if spent else 0),
        )
        if limit is not None
    ]
    return max(0, min(rooms)) if rooms else None


def _hold(plan: Preview, waiting: _Waiting, room: int | None) -> None:
    """Fill the budget in the order a run would, and hold the rest."""
    for place in waiting.in_order():
        seconds = waiting.seconds[place]
        if room is not None and plan.work.credits_high + max(1, math.ceil(seconds)) > room:
            break
        plan.new += 1
        plan.work.add(seconds, is_upload=bool(waiting.is_upload[place]))
    plan.held = len(waiting.seconds) - plan.new


def _forecast(settings: Settings, facts: ProviderFacts, work: Work) -> Forecast:
    provider = settings.provider
    return forecast(
        work,
        facts,
        requests_per_minute=provider.requests_per_minute or facts.requests_per_minute,
        jobs_at_once=min(provider.max_in_flight, facts.jobs_at_once or provider.max_in_flight),
    )
