"""All that a page shows of a dataset or of a release of it, bounded in size and in the memory it takes to gather."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stemline.reader import open_dataset
from stemline.release.record import require_release
from stemline.report.dataset_figures import (
    DatasetTotals,
    Growth,
    SoundShare,
    breakdown_tree,
    read_breakdowns,
    read_growth,
    read_music,
    read_sounds,
    read_totals,
    read_verification,
)
from stemline.report.dataset_tracks import COLUMNS, read_shown_tracks, stream_tracks
from stemline.report.digest import MusicTally
from stemline.report.figure_tables import FigureTables, figure_tables
from stemline.report.leakage_figures import read_leakage
from stemline.report.markup import without_secrets
from stemline.report.musical_key import KEYS
from stemline.report.player import PlayedTrack
from stemline.report.preview_cut import AGAIN, cut_previews
from stemline.report.quality_figures import (
    Distribution,
    DoubtfulStems,
    read_clipped,
    read_distributions,
    read_silent,
)
from stemline.report.shares import Breakdown
from stemline.report.track_choice import choose_tracks_to_hear
from stemline.report.track_table import SHOWN_TRACKS, Cell, write_track_file
from stemline.settings import Settings
from stemline.storage import open_store


@dataclass(frozen=True, slots=True)
class DatasetDigest:
    """A dataset as its page shows it."""

    name: str
    release: str | None
    """None: what is live."""
    made_at: datetime
    """When the release was made, or the figures of what is live were read."""
    root_url: str
    is_local: bool
    totals: DatasetTotals
    breakdowns: Mapping[str, Breakdown]
    growth: Growth | None
    music: MusicTally
    quality: tuple[Distribution, ...]
    silent: DoubtfulStems
    clipped: DoubtfulStems
    leakage: Mapping[str, Any]
    """As `LeakageReport.as_tree` gives it."""
    heard: tuple[PlayedTrack, ...]
    sounds: tuple[SoundShare, ...]
    verification: Mapping[str, int]
    shown_tracks: Sequence[Sequence[Cell]]

    def as_tree(self) -> dict[str, Any]:
        """Give the figures for `--json`."""
        music, growth = self.music, self.growth
        return {
            "dataset": self.root_url,
            "release": self.release,
            **asdict(self.totals),
            "by": {name: breakdown_tree(each) for name, each in self.breakdowns.items()},
            "growth": None if growth is None else asdict(growth),
            "bpm": dict(sorted(music.tempos.items())),
            "key": {KEYS[index]: count for index, count in sorted(music.keys.items())},
            "quality": {each.metric.column: each.as_tree() for each in self.quality},
            "silent": {"stems": self.silent.count, **asdict(self.silent)},
            "clipped": {"stems": self.clipped.count, **asdict(self.clipped)},
            "leakage": self.leakage,
            "sound": [asdict(each) for each in self.sounds],
            "verification": dict(self.verification),
        }


def gather_dataset(
    settings: Settings, release: str | None, now: datetime, track_file: Path | None = None
) -> DatasetDigest:
    """Gather what a page shows of the live dataset, or of a release.

    Where the page has no room for all tracks, `track_file` gets them.

    Raises:
        UsageError: there is no dataset, or no such release; it names those there are.
        StorageError: a part is damaged, or the store cannot be asked.
    """
    options = settings.dataset.storage_options
    store = open_store(settings.dataset.url, options)
    made_at = now if release is None else require_release(store, release).made_at
    with figure_tables(open_dataset(settings.dataset.url, options, release)) as tables:
        breakdowns, totals = read_breakdowns(tables), read_totals(tables)
        if track_file is not None and totals.separations > SHOWN_TRACKS:
            write_track_file(track_file, COLUMNS, stream_tracks(tables))
        return DatasetDigest(
            name=settings.name,
            release=release,
            made_at=made_at,
            root_url=without_secrets(store.url()),
            is_local=store.local_path("") is not None,
            totals=totals,
            sounds=read_sounds(tables),
            verification=read_verification(tables),
            shown_tracks=read_shown_tracks(tables),
            breakdowns=breakdowns,
            growth=read_growth(tables),
            music=read_music(tables),
            leakage=read_leakage(tables, store, release),
            heard=_heard(tables, breakdowns, release),
            **_quality(tables),
        )


def _heard(
    tables: FigureTables, breakdowns: Mapping[str, Breakdown], release: str | None
) -> tuple[PlayedTrack, ...]:
    chosen = choose_tracks_to_hear(tables, is_maker_told=breakdowns["provider_recipe"].values > 1)
    again = f"{AGAIN} --dataset" if release is None else f"{AGAIN} --release {release}"
    return cut_previews(chosen, tables.dataset.stem_audio, again=again)


def _quality(tables: FigureTables) -> dict[str, Any]:
    return {
        "quality": tuple(read_distributions(tables)),
        "silent": read_silent(tables),
        "clipped": read_clipped(tables),
    }
