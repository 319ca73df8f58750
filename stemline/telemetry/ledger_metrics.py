"""A configuration's metrics as its ledger has them: from anywhere that the ledger can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stemline.exposition import MetricDefinition, MetricSample
from stemline.ledger import Ledger, RunGauges
from stemline.records import Code
from stemline.settings import ProviderFacts, Settings, load_facts
from stemline.telemetry import metric
from stemline.telemetry.run_progress import RunProgress


@dataclass(frozen=True, slots=True)
class LedgerMetrics:
    """Reads the metrics of one configuration."""

    ledger: Ledger
    settings: Settings

    def read(self) -> list[MetricSample]:
        """Give every metric as it is now; none where nothing has run yet.

        Raises StorageError where the ledger cannot be read.
        """
        found = self.ledger.gauges.read(self.settings.name)
        if found is None:
            return []
        # One configuration may be run with one provider after the other: a run has its own.
        facts = load_facts(found.run.provider)
        common = {"stemline.catalogue": self.settings.name, "stemline.provider": found.run.provider}
        values = (
            *_tracks(found),
            *_credits(found, self.settings),
            *_deadlines(found, facts),
            *_run(found, self.settings),
        )
        return [MetricSample(each, value, {**common, **own}) for each, value, own in values]


_Value = tuple[MetricDefinition, float, Mapping[str, str]]


def output_deadline(found: RunGauges, facts: ProviderFacts) -> datetime | None:
    """Give when the provider may delete the oldest of what is paid and not collected; None: nothing, or not known."""
    sent_at = found.at_risk.oldest_sent_at
    if sent_at is None or facts.outputs_seconds is None:
        return None
    return sent_at + timedelta(seconds=facts.outputs_seconds)


def _tracks(found: RunGauges) -> Iterator[_Value]:
    for state, count in found.counts.items():
        yield metric.TRACK_COUNT, count, {"stemline.track.state": state}
    for code, count in found.codes.items():
        if code is not Code.OK:
            yield metric.TRACK_CODE_COUNT, count, {"stemline.code": code}
    yield metric.TRACK_IN_FLIGHT, found.at_risk.in_flight, {}
    yield metric.TRACK_UNCOLLECTED, found.at_risk.uncollected, {}
    yield metric.TRACK_UNKNOWN, found.at_risk.unknown, {}


def _credits(found: RunGauges, settings: Settings) -> Iterator[_Value]:
    yield metric.CREDIT_UNCOLLECTED, found.at_risk.uncollected_credits, {}
    yield metric.CREDIT_UNKNOWN, found.at_risk.unknown_credits, {}
    yield metric.CREDIT_DISPUTED, found.at_risk.disputed_credits, {}
    if found.drift is not None:
        yield metric.CREDIT_DRIFT, found.drift, {}
    for period in ("run", "day", "month"):
        spent, own = getattr(found.spending, period), {"stemline.budget.period": period}
        yield metric.CREDIT_CHARGED, spent.charged, own
        yield metric.CREDIT_RESERVED, spent.reserved, own
        if (limit := getattr(settings.budget, period)) is not None:
            yield metric.CREDIT_LIMIT, limit, own


def _deadlines(found: RunGauges, facts: ProviderFacts) -> Iterator[_Value]:
    instants = (
        (metric.LINK_TIME_TO_EXPIRY, found.at_risk.links_expire_at),
        (metric.OUTPUT_TIME_TO_DELETION, output_deadline(found, facts)),
    )
    for each, instant in instants:
        if instant is not None:
            yield each, (instant - found.at).total_seconds(), {}


def _run(found: RunGauges, settings: Settings) -> Iterator[_Value]:
    yield metric.REQUEST_SENT, found.traffic.sent, {}
    yield metric.REQUEST_THROTTLED, found.traffic.throttled, {}
    if found.is_leased and found.traffic.utilization is not None:
        yield metric.REQUEST_UTILIZATION, found.traffic.utilization, {}
    yield metric.RUN_ACTIVE, int(found.is_leased), {}
    yield metric.RUN_AGE, (found.at - found.run.started_at).total_seconds(), {}
    if found.run.exit_code is not None:
        yield metric.RUN_EXIT_CODE, found.run.exit_code, {}
    left = RunProgress(found, settings.budget).seconds_left if found.is_leased else None
    if left is not None:
        yield metric.RUN_TIME_LEFT, left, {}
