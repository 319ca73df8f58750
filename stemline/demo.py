"""The demo: a catalogue of made songs, or the person's own folder, and a configuration to process it with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import yaml
from rich.console import Console
from rich.table import Table

from stemline.errors import ManifestError, UsageError
from stemline.local import load_local_service
from stemline.settings.default_ledger import sqlite_url
from stemline.wording import counted

SHOWN_COLUMNS = ("track_id", "title", "duration_seconds", "bpm", "key", "credits_charged")


SONGS = 12


def make_demo(folder: Path, source: Path | None, songs: int = SONGS) -> Path:
    """Make a catalogue of so many songs, unless it is there already, and its configuration; give the latter's path."""
    if source is not None and not source.is_dir():
        raise ManifestError(f"There is no folder {source}.", fix="Give --from a folder of audio files.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            fix="Give --folder a place you may write to.",
        ) from error
    manifest = folder / "catalogue" / "manifest.csv"
    if source is None and not manifest.exists():
        load_local_service().make_catalogue(manifest.parent, songs)
    # A person's own folder gets a name of its own, so that neither ledger nor dataset mix with the made songs.
    name = (
        "demo" if source is None else f"demo-{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]}"
    )
    config = folder / f"{name}.yaml"
    tree = {
        "name": name,
        "catalogue": {"manifest": str(source or manifest)},
        "provider": {"kind": "local"},
        "recipe": {"stems": "four", "quality": "best", "format": "flac"},
        "dataset": {"url": str(folder / ("dataset" if source is None else f"dataset-{name}"))},
        "ledger": {"url": sqlite_url(folder / f"{name}.db")},
        "execution": {"batch_seconds": 5},
    }
    config.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return config


def show_rows(console: Console, dataset: str, rows: int = 3) -> None:
    """Print the first rows of the tracks table, where there is one, read as any user of the dataset would."""
    if not Path(dataset, "tracks").exists():
        return
    frame = pd.read_parquet(f"{dataset}/tracks")
    columns = [name for name in SHOWN_COLUMNS if name in frame.columns]
    table = Table(
        *columns,
        title=f"{dataset}/tracks, {min(rows, len(frame))} of {counted(len(frame), 'row')}",
        title_justify="left",
        box=None,
    )
    for row in frame.sort_values("track_id")[columns].head(rows).itertuples(index=False):
        table.add_row(*("" if pd.isna(value) else str(value) for value in row))
    console.print(table)
