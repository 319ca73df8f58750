"""One test's workplace: a folder with a catalogue, a configuration, a ledger and a dataset, and a key of its own."""

from __future__ import annotations

import csv
import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import yaml
from support.command_line import Finished, Launcher, Running
from support.postgresql import ask_postgresql

from stemline.audio import encode

KINDS = ("wav", "flac", "mp3")
SAMPLE_RATE = 22_050
RECIPE = {"stems": "both", "quality": "fast", "format": "wav"}
STEM_NAMES = ("vocals", "instrumental")
RICH = 10_000
"""The credits of most keys."""
POOR = 7
"""Enough for two of the tiny songs."""


def make_songs(folder: Path, count: int, seconds: float = 2) -> list[Path]:
    """Make tiny songs of `seconds` and up to one more, no two alike, in turn as wav, flac and mp3."""
    folder.mkdir()
    noise = np.random.default_rng(7)
    songs = []
    for number in range(count):
        audio_format = KINDS[number % len(KINDS)]
        time = np.arange(round((seconds + number % 3 * 0.45) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = 110 * 2 ** (number / 12)
        chord = sum(np.sin(2 * np.pi * pitch * factor * time) for factor in (1, 1.5, 2, 3))
        beat = noise.standard_normal(len(time)) * (time % 0.5 < 0.05)
        path = folder / f"song-{number:02d}.{audio_format}"
        encode(path, 0.15 * (chord + beat)[:, None], SAMPLE_RATE, audio_format)
        songs.append(path)
    return songs


@dataclass
class Provider:
    """The local service as its owner sees it, through a key's account."""

    url: str
    key: str
    http: httpx.Client
    opened_with: int

    def get(self, path: str, **params: object) -> dict:
        headers = {"Authorization": f"Bearer {self.key}"}
        return self.http.get(f"{self.url}/{path}", headers=headers, params=params).raise_for_status().json()

    @property
    def balance(self) -> int:
        return self.get("balance")["balanceSeconds"]

    @property
    def charged(self) -> int:
        """What the account has lost."""
        return self.opened_with - self.balance

    def jobs(self) -> list[dict]:
        page = self.get("jobs", limit=100)
        assert not page["pagination"]["hasMore"]
        return page["jobs"]


@dataclass
class Project:
    """The workplace."""

    folder: Path
    launcher: Launcher
    provider: Provider
    songs: list[Path]
    dataset_folder: Path | None = None
    """Where the dataset is, when not below the workplace."""
    database: str | None = None
    """The ledger's URL, when it is no SQLite file in the workplace."""

    @property
    def config(self) -> Path:
        return self.folder / "night.yaml"

    @property
    def ledger(self) -> Path:
        return self.folder / "night.db"

    @property
    def dataset(self) -> Path:
        return self.dataset_folder or self.folder / "dataset"

    def write_manifest(self, rows: Iterable[dict], name: str = "catalogue.csv") -> Path:
        rows = list(rows)
        path = self.folder / name
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            table.writeheader()
            table.writerows(rows)
        return path

    def good_rows(self, count: int) -> list[dict]:
        return [
            {"track_id": f"t{n:02d}", "uri": str(song), "mood": f"m{n % 2}", "plays": n * 1000}
            for n, song in enumerate(self.songs[:count])
        ]

    def write_config(self, **sections: dict) -> Path:
        """Write the configuration, with keys of whole sections added or replaced."""
        tree = {
            "name": "night",
            "catalogue": {"manifest": str(self.folder / "catalogue.csv")},
            "provider": {
                "kind": "local",
                "base_url": self.provider.url,
                "api_key": "${STEM_KEY}",
                "requests_per_minute": 6_000,
            },
            "recipe": dict(RECIPE),
            "dataset": {"url": str(self.dataset)},
            "ledger": {"url": self.database or f"sqlite:///{self.ledger}"},
            "execution": {"batch_seconds": 0.3, "workers": 2},
        }
        for name, section in sections.items():
            tree[name] = {**tree.get(name, {}), **section}
        self.config.write_text(yaml.safe_dump(tree, sort_keys=False))
        return self.config

    def prepare(self, count: int, **sections: dict) -> Project:
        """Write a catalogue of so many good tracks, and a configuration."""
        self.write_manifest(self.good_rows(count))
        self.write_config(**sections)
        return self

    def start(self, *argv: object, **env: str) -> Running:
        return self.launcher.start(self.folder, *argv, **{"STEM_KEY": self.provider.key, **env})

    def stemline(self, *argv: object, **env: str) -> Finished:
        return self.start(*argv, **env).wait()

    def run(self, *argv: object, **env: str) -> Finished:
        return self.stemline("run", self.config, "--json", *argv, **env)

    # what came of it

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Ask the ledger, reading only; nothing while there is none yet."""
        if self.database is not None:
            return ask_postgresql(self.database, sql, values)
        try:
            with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True, timeout=5)) as connection:
                return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            return []

    def has_happened(self, verb: str, times: int = 1) -> bool:
        """Tell whether the ledger has so many events of a verb."""
        found = self.query("SELECT count(*) FROM events WHERE verb = ?", verb)
        return bool(found) and found[0][0] >= times

    def tracks(self) -> pd.DataFrame:
        return pd.read_parquet(self.dataset / "tracks")

    def stems(self) -> pd.DataFrame:
        return pd.read_parquet(self.dataset / "stems")

    def files(self, below: str = "") -> dict[str, str]:
        """Every file of the dataset with its digest, without what the dataset says of its runs."""
        files = (path for path in (self.dataset / below).rglob("*") if path.is_file())
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if not (name := str(path.relative_to(self.dataset))).startswith("_stemline/r")
        }

    def charges(self) -> int:
        found = self.query("SELECT coalesce(sum(amount), 0) FROM credit_entries WHERE kind = 'charge'")
        return int(found[0][0])

    def open_reservations(self) -> int:
        query = "SELECT coalesce(sum(amount), 0) FROM credit_entries WHERE kind <> 'charge'"
        return int(self.query(query)[0][0])

    def jobs_by_track(self) -> Counter[str]:
        """How many jobs the service made of each track."""
        names = dict(self.query("SELECT token, track_id FROM attempts"))
        tokens = [re.search(r"sl[0-9a-f]{20}", job["input"]["fileName"])[0] for job in self.provider.jobs()]
        return Counter(names[token] for token in tokens)

    def assert_published_once(self, count: int) -> None:
        """Every good track is in the dataset once, whole, and was paid for once."""
        wanted = sorted(row["track_id"] for row in self.good_rows(count))
        assert sorted(self.tracks()["track_id"]) == wanted
        pairs = sorted(self.stems()[["track_id", "stem"]].itertuples(index=False, name=None))
        assert pairs == sorted((track_id, stem) for track_id in wanted for stem in STEM_NAMES)
        for stem in self.stems().itertuples():
            audio = (self.dataset / stem.path).read_bytes()
            assert len(audio) == stem.size_bytes
            assert hashlib.sha256(audio).hexdigest() == stem.sha256
        known = set(self.stems()["path"])
        assert {name for name in self.files("audio") if name not in known} == set()
        assert self.jobs_by_track() == dict.fromkeys(wanted, 1)
        assert self.charges() == self.provider.charged == self.tracks()["credits_charged"].sum()
        assert self.open_reservations() == 0
