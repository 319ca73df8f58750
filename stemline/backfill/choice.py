"""Which rows of the manifest a backfill is about: found out by reading alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import pyarrow as pa

from stemline.backfill.chosen_rows import ChosenRows
from stemline.backfill.instant import read_instant, slice_of
from stemline.backfill.request import BackfillMode, BackfillRequest
from stemline.dataset.columns import join_columns
from stemline.dataset.metadata import kept_columns
from stemline.errors import ManifestError
from stemline.known_tombstones import look_at_tombstones
from stemline.ledger import FrozenRow
from stemline.ledger.backfill_record import UNDATED, Standing
from stemline.manifest import ManifestSource
from stemline.manifest.loading import parse_manifest
from stemline.manifest.scan import read_columns
from stemline.ownership import check_dataset
from stemline.plan.delivery import SourceDelivery
from stemline.plan.ledger_view import LedgerView
from stemline.plan.row_digest import RowDigest, row_of
from stemline.plan.survey import SurveyedBatch, check_recipe, survey_catalogue
from stemline.plan.workload import credits_to_reserve
from stemline.records import BAD_ENDS, IN_HAND, Code, Misstatement, Reject, State, Track
from stemline.run.selection import Selection, source_of
from stemline.settings import ProviderFacts, Settings
from stemline.settings.column_mapping import column_key
from stemline.storage import Store, scratch_folder

NOT_BEGUN = Standing(State.PLANNED, "", 0)
PAYING_AGAIN = (BackfillMode.STALE, BackfillMode.ALL)


@dataclass
class BackfillChoice:
    """The rows that are meant, and how many are not and why."""

    request: BackfillRequest
    rows: ChosenRows
    digest: RowDigest = field(default_factory=RowDigest)
    columns: pa.Schema | None = None
    """The dataset's columns once the manifest's have joined them."""
    done: int = 0
    """Within the bounds and as they should be already."""
    failed_before: int = 0
    """Within the bounds and failed for good before: `--mode failed` takes those."""
    outside: int = 0
    paid_again: int = 0
    """Credits for tracks that were, or may have been, paid for before."""
    misstated: list[Misstatement] = field(default_factory=list)
    """Rows whose file is not as long as they say."""
    rejected: list[Reject] = field(default_factory=list)
    """Rows that cannot be used, and rows without a date where bounds ask for one."""

    @property
    def undated(self) -> int:
        """How many rows are left out because they have no date that can be read."""
        return sum(reject.code is Code.NO_DATE for reject in self.rejected)

    @property
    def is_all_left_out(self) -> bool:
        """Whether rows were meant and not one of them can be used."""
        return bool(self.rejected) and not (len(self.rows) or self.done or self.failed_before)


@contextmanager
def choosing(  # noqa: PLR0913 - all that says which rows are meant
    settings: Settings,
    request: BackfillRequest,
    facts: ProviderFacts,
    view: LedgerView,
    store: Store,
    *,
    pays_again: bool | None = None,
) -> Iterator[BackfillChoice]:
    """Give the rows a backfill would be about, for the length of the block; writes nothing and spends nothing.

    What is published is looked at where it may be paid again, to know its length; None: as the mode asked for has it.
    Raises ConfigError, ManifestError or DatasetReplaced as a run would; ManifestError too where the column is missing.
    """
    recipe = settings.recipe.as_recipe()
    check_recipe(recipe, facts)
    claim = check_dataset(view.ledger, store, settings)
    source = source_of(settings, Selection(request.where))
    parsed = parse_manifest(source)
    try:
        with scratch_folder() as folder:
            source = replace(source, carried=kept_columns(store), parsed=parsed)
            choice = BackfillChoice(request, ChosenRows(folder), columns=_joined(source))
            by = _column(choice.columns, request.by, source)
            chooser = _RowChooser(choice, by, view, settings, facts)
            is_again = request.mode in PAYING_AGAIN if pays_again is None else pays_again
            known = frozenset(IN_HAND if is_again else (*IN_HAND, State.PUBLISHED))
            # The dates of a listing are in its files' tags: the ledger has them of each file that is as it was.
            known = frozenset() if parsed.file.listing is not None else known
            for batch in survey_catalogue(
                source,
                facts,
                lambda track_ids: _in_states(view, track_ids, known),
                recipe,
                view.measured_of,
                tombstones=look_at_tombstones(view.ledger, store),
                gate=settings.catalogue.rights_gate,
                is_meant=chooser.is_meant,
            ):
                claim.require_here([track.track_id for track in batch.tracks])
                choice.rejected += batch.rejects
                choice.misstated += batch.misstated
                chooser.add(batch)
            yield choice
    finally:
        parsed.close()


def _joined(source: ManifestSource) -> pa.Schema:
    given = read_columns(source, with_tags=True)
    return given if source.carried is None else join_columns(source.carried, given)


def _column(columns: pa.Schema | None, wanted: str, source: ManifestSource) -> str:
    """Give the column of that name, in whatever case; raises ManifestError, naming a near one, when there is none."""
    names = [] if columns is None else list(columns.names)
    found = [name for name in names if name.lower() == wanted.strip().lower()]
    if found:
        return wanted if wanted in found else found[0]
    near = get_close_matches(wanted, names, n=1)
    for ours, theirs in source.columns.items():
        if column_key(theirs) == column_key(wanted):
            raise ManifestError(
                f'--by {wanted}: catalogue.columns makes this column of the manifest "{source.manifest}" {ours}.',
                fix=f"Give --by {ours}."
                if ours in names
                else "Name a column of dates or times with --by COLUMN.",
            )
    raise ManifestError(
        f'--by {wanted}: the manifest "{source.manifest}" has no such column; it has {", ".join(names) or "none"}.',
        fix=f"Did you mean --by {near[0]}?" if near else "Name a column of dates or times with --by COLUMN.",
    )


def _in_states(view: LedgerView, track_ids: Sequence[str], wanted: Collection[State]) -> set[str]:
    if not wanted:
        return set()
    return {track_id for track_id, state in view.states_of(track_ids).items() if state in wanted}


class _RowChooser:
    """Takes the rows that are meant, and counts the others."""

    def __init__(
        self, choice: BackfillChoice, by: str, view: LedgerView, settings: Settings, facts: ProviderFacts
    ) -> None:
        self._choice, self._by, self._view = choice, by, view
        self._backfills = None if view.ledger is None else view.ledger.backfills
        self._key = (settings.provider.kind, settings.recipe.as_recipe())
        self._max_attempts = settings.failures.max_attempts
        self._delivery, self._longest_seconds = SourceDelivery(settings), facts.max_duration_seconds

    def is_meant(self, track: Track) -> bool:
        """Tell whether a row's date lies within the bounds; those without one are rejected."""
        request = self._choice.request
        instant = read_instant(track.columns.get(self._by))
        if instant is None and request.has_bounds:
            self._choice.rejected.append(_no_date(track, self._by))
        elif not request.takes(instant):
            self._choice.outside += 1
        return request.takes(instant)

    def add(self, batch: SurveyedBatch) -> None:
        """Choose among usable rows; what cannot be looked at now is left out, for nobody can say what it costs."""
        standings = self._standings([track.track_id for track in batch.tracks])
        for track in batch.tracks:
            if track.track_id in batch.away:
                self._choice.rejected.append(_away(track, batch.away[track.track_id]))
            else:
                self._add(track, standings.get(track.track_id, NOT_BEGUN))

    def _standings(self, track_ids: Sequence[str]) -> Mapping[str, Standing]:
        if self._backfills is None:
            return {}
        found = self._backfills.standings(*self._key, track_ids, self._max_attempts)
        quarantined = [name for name, each in found.items() if each.state is State.QUARANTINED]
        free = self._view.collectable(quarantined)
        return {name: replace(each, is_free=name in free) for name, each in found.items()}

    def _add(self, track: Track, standing: Standing) -> None:
        choice = self._choice
        is_again = choice.request.mode is not BackfillMode.MISSING
        if not _is_wanted(choice.request.mode, track, standing):
            is_failed = _is_failed(standing)
            choice.failed_before += is_failed
            choice.done += not is_failed
            return
        is_over = standing.state in {*BAD_ENDS, State.PUBLISHED} and not standing.is_free
        cost = 0 if standing.state in IN_HAND or standing.is_free else self._most(track)
        if is_over and standing.may_be_charged:
            choice.paid_again += cost
        instant = read_instant(track.columns.get(self._by))
        choice.digest.add([track])
        row = FrozenRow(
            UNDATED if instant is None else slice_of(instant, choice.request.slice),
            track,
            row_of(track),
            cost,
            instant,
            standing.last_attempt if is_again and is_over else None,
        )
        choice.rows.add(row, is_upload=self._delivery.is_upload(track.location))

    def _most(self, track: Track) -> int:
        """Give the credits a track costs at most; of unknown length, what the provider takes at most."""
        seconds = track.duration_seconds
        return credits_to_reserve(self._longest_seconds if seconds is None else seconds)


def _is_wanted(mode: BackfillMode, track: Track, standing: Standing) -> bool:
    match mode:
        case BackfillMode.MISSING:
            return standing.state is not State.PUBLISHED and not _is_failed(standing)
        case BackfillMode.FAILED:
            return standing.state in BAD_ENDS
        case BackfillMode.STALE if standing.state is State.PUBLISHED:
            return standing.location != track.location
        case BackfillMode.STALE:
            return standing.is_published_otherwise and not _is_failed(standing)
        case BackfillMode.ALL:
            return True


def _is_failed(standing: Standing) -> bool:
    """Tell whether a track came to a bad end that a run leaves alone."""
    is_over = standing.is_failed_for_good or standing.state in (State.QUARANTINED, State.EXPIRED)
    return is_over and not standing.is_free


def _no_date(track: Track, by: str) -> Reject:
    value = track.columns.get(by)
    told = (
        f"Column {by} is empty" if value in (None, "") else f"Column {by} holds {str(value)[:80]!r}, no date"
    )
    sentence = f"Row {track.position}: {told}, so that nobody can say whether it lies within the bounds."
    return Reject(track.position, track.track_id, track.location, Code.NO_DATE, sentence)


def _away(track: Track, sentence: str) -> Reject:
    told = f"{sentence} It is left out: a later backfill takes it."
    return Reject(track.position, track.track_id, track.location, Code.SOURCE_UNREACHABLE, told)
