"""A plan looked at from all sides: how long, what sets it, what would help; and the prediction a run keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from stemline.ledger import Ledger
from stemline.ledger.past import planned_tracks
from stemline.plan.advice import Advisor
from stemline.plan.allowance import Allowance
from stemline.plan.forecast import BUDGET, Forecast, forecast
from stemline.plan.handover import Handover
from stemline.plan.pace import is_embedded, pace_of
from stemline.plan.past import read_past
from stemline.plan.work import Piece, Work, fill
from stemline.settings import ProviderFacts, Settings

Filled: TypeAlias = tuple[Work, Work, Allowance]
"""What fits the budget, what is held, and the budget."""


def look_ahead(
    settings: Settings, facts: ProviderFacts, ledger: Ledger | None, filled: Filled, keys: int | None = None
) -> Forecast:
    """Give the forecast of a filled budget, with its advice; `keys` None takes as many as are configured."""
    work, held, allowance = filled
    pace = pace_of(settings, facts, read_past(settings, facts, ledger), keys or _keys(settings, facts))
    found = forecast(work, pace, allowance.wait_seconds)
    advice = Advisor(settings, facts, work, held, pace, allowance).advise()
    is_all_held = held.tracks > 0 and not work.tracks
    return replace(found, advice=advice, bottleneck=BUDGET if is_all_held else found.bottleneck)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run is expected to come to, told before its first request."""

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


def predict(
    settings: Settings, facts: ProviderFacts, ledger: Ledger, run_id: str, keys: int | None = None
) -> Prediction:
    """Give what a run whose tracks are planned is expected to come to; the manifest is not read again."""
    handover = Handover(settings)
    pieces = (
        Piece(seconds, handover.is_upload(location)) for location, seconds in planned_tracks(ledger, run_id)
    )
    allowance = Allowance(settings.budget, ledger.credits(run_id), ledger.clock())
    work, held = fill(pieces, allowance, facts)
    found = look_ahead(settings, facts, ledger, (work, held, allowance), keys)
    return Prediction(work.tracks, work.credits_low, work.credits_high, found)


def _keys(settings: Settings, facts: ProviderFacts) -> int:
    """Give how many API keys a run works with; the service it starts itself has one."""
    return 1 if is_embedded(settings, facts) else max(1, len(settings.provider.api_keys))
