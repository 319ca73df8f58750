"""What a backfill will cost and how long it will take, slice by slice: what is shown is what runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stemline.backfill.chosen_rows import SliceTotal
from stemline.budget import Limits, Spending
from stemline.clock import utc_now
from stemline.ledger import Backfill, Ledger
from stemline.plan.budget_simulation import BudgetSimulation, fit_to_budget
from stemline.plan.forecast import Forecast
from stemline.plan.prediction import forecast_run
from stemline.plan.workload import PendingTrack, Workload
from stemline.records import Code
from stemline.run.lane import lane_limits, lane_requests
from stemline.settings import ProviderFacts, Settings


@dataclass(frozen=True, slots=True)
class BackfillForecast:
    """Cost and time of what a backfill has left to pay."""

    slices: Sequence[SliceTotal]
    workload: Workload = field(default_factory=Workload)
    held: int = 0
    """Tracks that a ceiling has no room for, or no day or month."""
    held_credits: int = 0
    held_by: Code | None = None
    """The limit that is too low for the first of them."""
    forecast: Forecast = field(default_factory=Forecast)
    begins_at: datetime = field(default_factory=utc_now)

    @property
    def tracks(self) -> int:
        """How many tracks it is about."""
        return sum(each.tracks for each in self.slices)

    @property
    def ends_at(self) -> tuple[datetime, datetime]:
        """When it ends at the earliest and at the latest, where it is begun now and goes on each day."""
        found = self.forecast
        return self._after(found.seconds_low), self._after(found.seconds_high)

    def _after(self, seconds: float) -> datetime:
        try:
            return self.begins_at + timedelta(seconds=seconds)
        except OverflowError:  # a small share of a low limit, and a large catalogue
            return datetime.max.replace(tzinfo=self.begins_at.tzinfo)


def forecast_backfill(  # noqa: PLR0913 - what a forecast is made from
    settings: Settings,
    facts: ProviderFacts,
    ledger: Ledger | None,
    backfill: Backfill,
    slices: Sequence[SliceTotal],
    *,
    to_pay: Iterable[PendingTrack],
    keys: int | None = None,
) -> BackfillForecast:
    """Give the forecast of tracks to pay, in their order, with the backfill's share of rate and credits.

    It goes on day after day, whatever `budget.on_limit` says of one run. `keys` None takes as many as are configured.
    """
    now = utc_now() if ledger is None else ledger.clock()
    in_lane = lane_settings(settings, facts, backfill)
    budget = in_lane.budget
    limits = lane_limits(Limits(None, budget.day, budget.month), backfill)
    simulation = BudgetSimulation(budget, read_spending(ledger, backfill), now, limits)
    fit = fit_to_budget(to_pay, simulation, facts)
    found = forecast_run(in_lane, facts, ledger, fit, keys)
    held = fit.held
    return BackfillForecast(
        slices,
        fit.workload,
        held.tracks,
        held.credits_high,
        simulation.held_by,
        forecast=found,
        begins_at=now,
    )


def lane_settings(settings: Settings, facts: ProviderFacts, backfill: Backfill) -> Settings:
    """Give the settings that a backfill's forecast is made with: its share of the rate, and day after day."""
    provider = settings.provider.model_copy(
        update={"requests_per_minute": lane_requests(settings, facts, backfill)}
    )
    budget = settings.budget.model_copy(update={"on_limit": "wait", "run": None})
    return settings.model_copy(update={"provider": provider, "budget": budget})


def read_spending(ledger: Ledger | None, backfill: Backfill) -> Spending:
    """Give what is spent of the present windows, and of the backfill's."""
    return Spending() if ledger is None else ledger.credits.spending_of(backfill.provider, backfill.name)
