"""What a run would do, found out by reading alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import kept_columns
from stemline.errors import StemlineError
from stemline.known_tombstones import look_at_tombstones
from stemline.manifest import LocationKind, ManifestSource, location_kind
from stemline.manifest.column_names import likely_columns
from stemline.ownership import check_dataset
from stemline.plan.budget_simulation import BudgetSimulation, fit_to_budget
from stemline.plan.delivery import SourceDelivery
from stemline.plan.forecast import Forecast
from stemline.plan.ledger_view import LedgerView, open_ledger_view
from stemline.plan.metadata_check import ColumnComparison, MetadataCheck
from stemline.plan.paid_files import PaidFiles
from stemline.plan.partition_count import PartitionCount
from stemline.plan.prediction import forecast_run, read_pilot
from stemline.plan.row_digest import RowDigest
from stemline.plan.survey import SurveyedBatch, check_recipe, survey_catalogue
from stemline.plan.workload import PendingTrack, Workload, WorkQueue
from stemline.records import IN_HAND, Code, Reject, State, Track
from stemline.settings import ProviderFacts, Settings
from stemline.storage import open_store

SHOWN_REJECTS = 20
_FAILED_FOR_GOOD = frozenset({State.QUARANTINED, State.EXPIRED})


@dataclass
class Preview:
    """The plan of a run: rows by what will become of them, cost and time of what is to do."""

    new: int = 0
    done: int = 0
    """Published already: nothing is asked for these again."""
    under_way: int = 0
    """Paid for already, or possibly so: they are collected, not paid again."""
    failed: int = 0
    """Failed before, for good; a run leaves them alone, `stemline redrive` tries them again."""
    away: int = 0
    """Of which the source cannot be reached now; a run asks again."""
    rejected: int = 0
    beyond_limit: int = 0
    """Rows of the manifest that a limit leaves out."""
    mix: str = "none"
    """What `dataset.mix` asks for."""
    videos: int = 0
    """Tracks to do that come from YouTube, of which the provider gives the mix."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files of a listing that are no audio by their names, by the ends of these."""
    pilot: int = 0
    """How many of the new tracks go first: the others are sent once these have come back verified."""
    is_pilot_failed: bool = False
    """Whether the pilot came back bad: then a run sends nothing."""
    held: int = 0
    """Usable, but outside the run's budget."""
    workload: Workload = field(default_factory=Workload)
    has_header: bool = False
    """Whether the manifest is a table of text, whose rows are counted below its header."""
    rejects: list[Reject] = field(default_factory=list)
    """The first of the rejected rows."""
    forecast: Forecast = field(default_factory=Forecast)
    metadata: MetadataCheck = field(default_factory=MetadataCheck)
    paid_files: PaidFiles = field(default_factory=PaidFiles)
    partitions: PartitionCount = field(default_factory=lambda: PartitionCount(()))
    rows: RowDigest = field(default_factory=RowDigest)
    """The usable rows themselves, for a plan that is saved."""

    balance: int | None = None
    """The credits left with the provider; None: it was not asked, or has several keys."""
    notices: list[str] = field(default_factory=list)
    """What the provider's answers give reason to say."""
    refusal: StemlineError | None = None
    """What a run would stop for when it reaches those it needs."""

    @property
    def has_work(self) -> bool:
        """Whether a run would have to reach the provider."""
        return bool(self.new or self.held or self.under_way)

    @property
    def warnings(self) -> list[str]:
        """What a person should know before a run, a sentence or two each."""
        return [each for each in (self.partitions.warning, *self.notices, self._balance_warning) if each]

    @property
    def _balance_warning(self) -> str:
        most = self.workload.credits_high
        if self.balance is None or self.balance >= most:
            return ""
        return (
            f"The account has {self.balance:,} credits left, and this takes up to {most:,}: a run stops when they are "
            "used up, and goes on when there are more."
        )

    def add_away(self, batch: SurveyedBatch) -> None:
        """Count the tracks whose source cannot be reached now; what is wrong is shown among the first rejects."""
        self.away += len(batch.away)
        for track in batch.tracks:
            if track.track_id in batch.away and len(self.rejects) < SHOWN_REJECTS:
                sentence = batch.away[track.track_id]
                self.rejects.append(
                    Reject(track.position, track.track_id, track.location, Code.SOURCE_UNREACHABLE, sentence)
                )


def preview_run(settings: Settings, source: ManifestSource, facts: ProviderFacts) -> Preview:
    """Give what a run would do; writes nothing and spends nothing.

    Raises ConfigError, ManifestError, LedgerOutdated or DatasetReplaced as the run itself would. The provider's balance
    is not asked for, so `budget.floor` plays no part.
    """
    recipe = settings.recipe.as_recipe()
    check_recipe(recipe, facts)
    plan, sorter = Preview(mix=settings.dataset.mix), _TrackSorter(SourceDelivery(settings))
    plan.partitions = PartitionCount(settings.dataset.partition_by)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with open_ledger_view(settings) as view:
        claim = check_dataset(view.ledger, store, settings)
        kept = kept_columns(store)
        if kept is not None:
            plan.metadata.comparison = ColumnComparison(DatasetLayout(settings.dataset.partition_by, kept))
        plan.notices += source.parsed.notes if source.parsed is not None else ()
        if source.parsed is not None and source.parsed.file.listing is None:
            plan.has_header = source.parsed.file.form in ("csv", "tsv")
            columns = source.parsed.columns
            plan.metadata.odd.mapped = source.columns
            plan.metadata.odd.columns = likely_columns(["uri", *columns.ours, *columns.carried])
        source, within = replace(source, carried=kept), 0
        for batch in survey_catalogue(
            source,
            facts,
            lambda track_ids: _needs_no_probe(view.states_of(track_ids)),
            recipe,
            view.measured_of,
            tombstones=look_at_tombstones(view.ledger, store),
            gate=settings.catalogue.rights_gate,
        ):
            claim.require_here([track.track_id for track in batch.tracks])
            within += batch.selected
            plan.passed_over += batch.passed_over
            plan.add_away(batch)
            plan.metadata.add_lengths(batch.misstated)
            plan.rejected += len(batch.rejects)
            plan.rejects += batch.rejects[: SHOWN_REJECTS - len(plan.rejects)]
            plan.rows.add(batch.tracks)
            plan.partitions.add(batch.tracks)
            sorter.add([track for track in batch.tracks if track.track_id not in batch.away], view, plan)
        plan.paid_files.compare(view.published_locations())
        if source.limit is not None:
            plan.beyond_limit = _count_rows(source) - within
        simulation = BudgetSimulation(settings.budget, view.spending(), view.now())
        fit = fit_to_budget(sorter.queue.in_order(), simulation, facts)
        plan.workload, plan.new, plan.held = fit.workload, fit.workload.tracks, fit.held.tracks
        if (pilot := read_pilot(settings, view.ledger)) is not None:
            plan.pilot, plan.is_pilot_failed = min(plan.new, pilot.missing), pilot.is_failed
        plan.forecast = forecast_run(settings, facts, view.ledger, fit)
    return plan


def _count_rows(source: ManifestSource) -> int:
    from stemline.manifest.scan import count_rows  # noqa: PLC0415 - it loads DuckDB

    return count_rows(source)


def _needs_no_probe(states: dict[str, State]) -> Collection[str]:
    return {track_id for track_id, state in states.items() if state is State.PUBLISHED or state in IN_HAND}


class _TrackSorter:
    """Counts tracks by their state, and queues those still to do."""

    def __init__(self, delivery: SourceDelivery) -> None:
        self.queue = WorkQueue()
        self._delivery = delivery

    def add(self, tracks: Sequence[Track], view: LedgerView, plan: Preview) -> None:
        track_ids = [track.track_id for track in tracks]
        states = view.states_of(track_ids)
        failed = view.failed_for_good(
            [track_id for track_id in track_ids if states.get(track_id) is State.FAILED]
        )
        quarantined = [name for name in track_ids if states.get(name) is State.QUARANTINED]
        again = view.collectable(quarantined)
        done = [track_id for track_id in track_ids if states.get(track_id) is State.PUBLISHED]
        plan.metadata.add(tracks, view.written_of(done))
        for track in tracks:
            state = states.get(track.track_id)
            if state is State.PUBLISHED:
                plan.done += 1
            elif state in IN_HAND or track.track_id in again:
                plan.under_way += 1
            elif state in _FAILED_FOR_GOOD or track.track_id in failed:
                plan.failed += 1
            else:
                self._queue(track, plan)

    def _queue(self, track: Track, plan: Preview) -> None:
        is_video = location_kind(track.location) is LocationKind.YOUTUBE
        is_upload = self._delivery.is_upload(track.location)
        mix_bytes = track.size_bytes if plan.mix == "copy" and not is_video else 0
        self.queue.add(track.priority, PendingTrack(track.duration_seconds, is_upload, mix_bytes))
        plan.videos += is_video
        plan.paid_files.add(track)
