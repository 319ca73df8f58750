"""What one run tells its dispatchers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stemline.budget import Limits
from stemline.client import RetryPolicy
from stemline.records import Recipe
from stemline.telemetry.request_durations import RequestOutcome

JOB_TIMEOUT_SECONDS = 6 * 3_600.0
"""How long a job is waited for, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class RunParameters:
    """What one run tells its dispatchers."""

    run_id: str
    kind: str
    """The provider, by the name the ledger knows it under."""
    recipe: Recipe
    read_limits: Callable[[], Limits]
    """The budget as it stands: a person may change it while the run goes on."""
    on_limit: str
    max_in_flight: int
    requests_per_minute: int
    max_attempts: int
    tolerate: float | None
    read_selected: Callable[[], int | None]
    """How many tracks the run had to do when all were planned; None while more are being planned."""
    job_timeout_seconds: float = JOB_TIMEOUT_SECONDS
    """How old a job may be that is waited for: one that is not done by then is left to later runs."""
    pilot: int = 0
    """How many tracks of a provider and recipe must come back verified before others are sent."""
    rate_share: float = 1.0
    """How much of the rate that a key is granted may be used."""
    send: str = "auto"
    """How objects of a store are sent: auto | url | upload."""
    is_backfill: bool = False
    """Whether the run is part of a backfill, whose order its tracks are in."""
    hook_url: str | None = None
    """Where the provider calls us when a job has ended: polls are a safety net then."""
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    on_request: Callable[[RequestOutcome], object] = lambda _: None
    """Is told of every request once it has come back."""

    @property
    def has_webhooks(self) -> bool:
        """Whether webhooks tell of jobs that have ended."""
        return self.hook_url is not None
