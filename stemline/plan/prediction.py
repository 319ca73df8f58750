"""The forecast of a run with its advice, and the prediction a run records before its first request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from stemline.ledger import Ledger, PilotQuestion, PilotStanding
from stemline.plan.advice import Advisor
from stemline.plan.budget_simulation import BudgetFit, BudgetSimulation, fit_to_budget
from stemline.plan.capacity import capacity_of, read_measured_pace, runs_own_service
from stemline.plan.delivery import SourceDelivery
from stemline.plan.forecast import BUDGET, Forecast, forecast_workload
from stemline.plan.workload import PendingTrack
from stemline.settings import ProviderFacts, Settings


def read_pilot(settings: Settings, ledger: Ledger | None) -> PilotStanding | None:
    """Give how the pilot of the provider and recipe stands; None where none is asked for, or it has passed."""
    size = settings.provider.pilot_tracks
    if ledger is None:
        return PilotStanding(size) if size else None
    if not size:
        return None
    question = PilotQuestion(
        settings.provider.kind,
        settings.recipe.as_recipe(),
        size,
        max_attempts=settings.failures.max_attempts,
        job_timeout_seconds=settings.provider.job_timeout,
    )
    standing = ledger.pilots.standing(question)
    return None if standing.is_passed else standing


def forecast_run(
    settings: Settings, facts: ProviderFacts, ledger: Ledger | None, fit: BudgetFit, keys: int | None = None
) -> Forecast:
    """Give the forecast of what fits the budget, with advice; `keys` None takes as many as are configured.

    Where a pilot comes first, the others wait as long as one track takes.
    """
    workload, held, simulation = fit
    capacity = capacity_of(
        settings, facts, read_measured_pace(settings, facts, ledger), keys or _key_count(settings, facts)
    )
    pilot = read_pilot(settings, ledger)
    if pilot is not None and workload.tracks > pilot.missing:
        capacity = replace(capacity, has_pilot=True)
    found = forecast_workload(workload, capacity, simulation.wait_seconds)
    advice = Advisor(settings, facts, workload, held, capacity, simulation).advise()
    is_all_held = held.tracks > 0 and not workload.tracks
    return replace(found, advice=advice, bottleneck=BUDGET if is_all_held else found.bottleneck)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Tracks, cost and time that a run is expected to come to, made before its first request."""

    tracks: int
    credits_low: int
    credits_high: int
    forecast: Forecast

    def as_tree(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        found = self.forecast
        return {
            "tracks": self.tracks,
            "credits": {"low": self.credits_low, "high": self.credits_high},
            "requests": {"low": found.requests_low, "high": found.requests_high},
            "seconds": {"low": round(found.seconds_low, 1), "high": round(found.seconds_high, 1)},
            "bottleneck": found.bottleneck,
        }


def predict_run(
    settings: Settings, facts: ProviderFacts, ledger: Ledger, run_id: str, keys: int | None = None
) -> Prediction:
    """Give what a run whose tracks are planned is expected to come to; the manifest is not read again."""
    delivery = SourceDelivery(settings)
    pending = (
        PendingTrack(seconds, delivery.is_upload(location))
        for location, seconds in ledger.queries.planned_tracks(run_id)
    )
    simulation = BudgetSimulation(settings.budget, ledger.credits.spending(run_id), ledger.clock())
    fit = fit_to_budget(pending, simulation, facts)
    found = forecast_run(settings, facts, ledger, fit, keys)
    return Prediction(fit.workload.tracks, fit.workload.credits_low, fit.workload.credits_high, found)


def _key_count(settings: Settings, facts: ProviderFacts) -> int:
    """Give how many API keys a run works with; the service it starts itself has one."""
    return 1 if runs_own_service(settings, facts) else settings.provider.accounts
