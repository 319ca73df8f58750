"""All that a page shows of a run, read from the ledger in one pass and bounded in size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from stemline.ledger import BatchRow, Ledger, PublishedTrack, RunOutcome, RunRecord, TrackStatus
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.manifest.track_name import TrackName, track_name
from stemline.records import Code, Reject, State
from stemline.report.backfill_section import BackfillDigest, gather_backfill
from stemline.report.markup import without_secrets
from stemline.report.musical_key import key_index
from stemline.report.page_file import DATASET_ROOT
from stemline.report.player import PlayedTrack, played_row
from stemline.report.run_account import RunAccount, read_account
from stemline.report.run_figures import RunFigures, read_figures
from stemline.report.shares import Breakdown
from stemline.report.track_table import TrackFile
from stemline.storage import Store
from stemline.wording import PROBLEM_STATES

SHOWN_PROBLEMS = 200
SHOWN_SAMPLES = 12
HISTORY_DAYS = 92
"""So far back the nights before a run are shown."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
"""Lengths in seconds that one column of the timeline may stand for."""
COLUMN_COUNT = 60
"""At most so many columns, as long as a step of STEPS is long enough."""
TEMPO_STEP = 5
SLOWEST, FASTEST = 30, 300


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One track or manifest row that is not in the dataset."""

    track_id: str
    """As commands take it; empty for a row that has none."""
    name: TrackName
    position: int
    """In the manifest."""
    location: str
    state: State
    code: Code
    sentence: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """How many tracks the provider finished and how many were published, per step since the start."""

    step_seconds: int
    ready: list[int]
    published: list[int]


@dataclass(slots=True)
class MusicTally:
    """Tempo and key of the published tracks, counted."""

    tempos: Counter[int] = field(default_factory=Counter)
    """By the lower end of a band of TEMPO_STEP bpm; the outermost bands hold what is beyond."""
    keys: Counter[int] = field(default_factory=Counter)
    """By the place in `musical_key.KEYS`."""
    other_keys: int = 0
    tempo_sources: Counter[str] = field(default_factory=Counter)
    key_sources: Counter[str] = field(default_factory=Counter)

    def add(self, track: PublishedTrack) -> None:
        """Count a track."""
        if track.bpm is not None:
            self.add_tempo(track.bpm, track.bpm_source)
        if track.key:
            self.add_key(track.key, track.key_source)

    def add_tempo(self, bpm: float, source: str | None, tracks: int = 1) -> None:
        """Count tracks of a tempo."""
        band = min(max(bpm, SLOWEST), FASTEST - TEMPO_STEP)
        self.tempos[int(band // TEMPO_STEP) * TEMPO_STEP] += tracks
        self.tempo_sources[source or "unknown"] += tracks

    def add_key(self, key: str, source: str | None, tracks: int = 1) -> None:
        """Count tracks of a key, however it is spelled."""
        index = key_index(key)
        if index is None:
            self.other_keys += tracks
        else:
            self.keys[index] += tracks
        self.key_sources[source or "unknown"] += tracks


@dataclass(frozen=True, slots=True)
class RunDigest:
    """A run as its page shows it."""

    run: RunRecord
    figures: RunFigures
    timeline: Timeline
    music: MusicTally
    account: RunAccount
    history: list[RunOutcome]
    problems: list[ProblemRow]
    problem_count: int
    samples: list[BatchRow]
    root_url: str
    link_root: str | None
    """What leads from the page to the dataset's root; None where that is not of this machine."""
    rejects_key: str | None
    backfill: BackfillDigest | None = None
    heard: tuple[PlayedTrack, ...] = ()
    """The samples as cards show them."""

    splits: Breakdown | None = None
    """Of what the run published; None where no track is in a split."""
    track_file: TrackFile | None = None
    """What has the tracks that the page has no room for."""

    @property
    def tracks(self) -> Mapping[State, int]:
        """The rows of the manifest by state."""
        return self.figures.tracks


def gather(ledger: Ledger, store: Store, run_id: str, root: SourceRoot = NOWHERE) -> RunDigest:
    """Gather what a page shows of a run, its sources called from `root`.

    Raises LedgerConflict when there is none of that id.
    """
    run = ledger.runs.get(run_id)
    figures = read_figures(ledger, run)
    tracks, before = figures.tracks, figures.published.before
    unpublished_before = tracks.get(State.PUBLISHED, 0) - before
    tally = _PublishedTally(run.started_at, run.finished_at or ledger.clock(), unpublished_before)
    tally.add(ledger.queries.published_tracks(run_id))
    rejects_key = f"_stemline/rejects/{run_id}.csv"
    samples = [row for row in ledger.queries.results(tally.tokens) if row.collected.stems]
    return RunDigest(
        run=run,
        figures=figures,
        timeline=tally.timeline,
        music=tally.music,
        account=read_account(ledger.accounts.tracks(run_id)),
        history=ledger.accounts.history(run_id, HISTORY_DAYS),
        problems=[_shortened(problem, root) for problem in _problems(ledger, run_id)],
        problem_count=sum(tracks.get(state, 0) for state in (*PROBLEM_STATES, State.READY, State.REJECTED)),
        samples=samples,
        root_url=without_secrets(store.url()),
        link_root=DATASET_ROOT if "://" not in store.url() else None,
        rejects_key=rejects_key if store.exists(rejects_key) else None,
        backfill=gather_backfill(ledger, run_id),
        heard=tuple(map(played_row, samples)),
    )


def _shortened(problem: ProblemRow, root: SourceRoot) -> ProblemRow:
    location, sentence = root.relative(problem.location), root.shorten(problem.sentence)
    return replace(problem, location=location, sentence=sentence)


class _PublishedTally:
    """Counts published tracks one by one, and picks samples that are spread over the run."""

    def __init__(self, started: datetime, ended: datetime, expected: int) -> None:
        self._started = started
        seconds = (ended - started).total_seconds()
        step = next((step for step in STEPS if seconds <= step * COLUMN_COUNT), STEPS[-1])
        # At 86,400 s a column 4 * COLUMN_COUNT is most of a year: what comes later shows in the last one.
        count = min(int(seconds // step) + 1, 4 * COLUMN_COUNT)
        self.timeline = Timeline(step, [0] * count, [0] * count)
        self.music = MusicTally()
        self.tokens: list[str] = []
        wanted = min(SHOWN_SAMPLES, expected)
        self._chosen = {number * expected // wanted for number in range(wanted)}

    def add(self, tracks: Iterable[PublishedTrack]) -> None:
        for index, track in enumerate(tracks):
            if index in self._chosen:
                self.tokens.append(track.token)
            self.music.add(track)
            if track.published_at < self._started:
                continue
            self._count(self.timeline.published, track.published_at)
            if track.ready_at is not None and track.ready_at >= self._started:
                self._count(self.timeline.ready, track.ready_at)

    def _count(self, columns: list[int], at: datetime) -> None:
        place = int((at - self._started).total_seconds() // self.timeline.step_seconds)
        columns[min(place, len(columns) - 1)] += 1


def _problems(ledger: Ledger, run_id: str) -> list[ProblemRow]:
    """Give, in the manifest's order, the first tracks that failed, that are paid and not collected, and rejected rows.

    Where there is no room for all, rejected rows are left out first.
    """
    failed = islice(ledger.queries.track_list(run_id, *PROBLEM_STATES), SHOWN_PROBLEMS)
    waiting = islice(ledger.queries.track_list(run_id, State.READY), SHOWN_PROBLEMS)
    rejected = islice(ledger.queries.rejected_rows(run_id), SHOWN_PROBLEMS)
    tracked = islice(ledger.queries.track_list(run_id, State.REJECTED), SHOWN_PROBLEMS)
    told_more = {track.track_id: track for track in tracked}  # those that once were tracks
    found = [*map(_unpublished, failed), *map(_unpublished, waiting)]
    for reject in rejected:
        track = told_more.get(reject.track_id or "")
        is_track = track is not None and track.position == reject.row
        found.append(_unpublished(track) if track is not None and is_track else _rejected(reject))
    return sorted(found[:SHOWN_PROBLEMS], key=lambda problem: (problem.position, problem.track_id))


def _unpublished(track: TrackStatus) -> ProblemRow:
    name = track_name(track.columns, track.location)
    standing = (track.location, track.state, track.code, track.sentence)
    return ProblemRow(track.track_id, name, track.position, *standing)


def _rejected(reject: Reject) -> ProblemRow:
    name = track_name({}, reject.location)
    if not name.title and not reject.track_id:
        name = TrackName(f"row {reject.row}", "")
    standing = (reject.location or "", State.REJECTED, reject.code, reject.sentence)
    return ProblemRow(reject.track_id or "", name, reject.row, *standing)
