"""A workplace at a vendor that misbehaves: tiny songs no two of which have the same size, and accounts of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from support.command_line import Finished, Launcher, Running
from support.faulty_vendor import CREDITS, FaultyVendor
from support.project import Project, Provider

from stemline.audio import encode

SONGS = 6
SAMPLE_RATE = 8_000
RECIPES = {
    "stemsplit": {"stems": "both", "quality": "fast", "format": "wav"},
    "aistemsplitter": {"stems": "four", "quality": "best", "format": "mp3"},
}
KINDS = {"stemsplit": "local", "aistemsplitter": "aistemsplitter"}
STEMS = {"both": ("instrumental", "vocals"), "four": ("bass", "drums", "other", "vocals")}


def make_tiny_songs(folder: Path) -> list[Path]:
    """Make songs of 1 to 3 credits; their sizes tell them apart wherever they turn up."""
    folder.mkdir()
    songs = []
    for number in range(SONGS):
        time = np.arange(round((1.1 + 0.31 * number) * SAMPLE_RATE)) / SAMPLE_RATE
        tone = 0.3 * np.sin(2 * np.pi * 110 * 2 ** (number / 6) * time)
        songs.append(folder / f"song-{number}.wav")
        encode(songs[-1], tone[:, None], SAMPLE_RATE, "wav")
    return songs


@dataclass
class Account(Provider):
    """An account as the vendor's owner sees it, in either dialect."""

    dialect: str = "stemsplit"

    @property
    def balance(self) -> int:
        if self.dialect == "stemsplit":
            return super().balance
        return self.get("credits")["data"]["balance"]

    def details(self) -> list[dict]:
        """Give every job with all that is known of it; the second dialect lists none."""
        if self.dialect != "stemsplit":
            return []
        return [self.get(f"jobs/{job['id']}") for job in self.jobs()]


@dataclass
class Scenario:
    """Where one test or one schedule takes place."""

    project: Project
    vendor: FaultyVendor
    count: int
    """How many tracks the catalogue has."""
    accounts: list[Account] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    """What every run finds there."""

    @property
    def recipe(self) -> dict[str, str]:
        return RECIPES[self.accounts[0].dialect]

    @property
    def stem_names(self) -> tuple[str, ...]:
        return STEMS[self.recipe["stems"]]

    @property
    def charged(self) -> int:
        """What all accounts have lost."""
        return sum(account.charged for account in self.accounts)

    def track_ids(self) -> set[str]:
        return {row["track_id"] for row in self.project.good_rows(self.count)}

    def pool_keys(self) -> None:
        """Have every run work with the keys of all accounts at once."""
        config = self.project.config
        tree = yaml.safe_load(config.read_text())
        del tree["provider"]["api_key"]
        tree["provider"]["keys"] = [account.key for account in self.accounts]
        config.write_text(yaml.safe_dump(tree))

    def start(self, account: int = 0, **env: str) -> Running:
        """Start a run with the key of one of the accounts."""
        return self.project.start(
            "run",
            self.project.config,
            "--json",
            "--yes",
            **{"STEM_KEY": self.accounts[account].key, **self.environment, **env},
        )

    def run(self, account: int = 0, **env: str) -> Finished:
        return self.start(account, **env).wait()


def open_scenario(
    project: Project,
    vendor: FaultyVendor,
    count: int,
    dialect: str = "stemsplit",
    accounts: int = 1,
    **sections: dict,
) -> Scenario:
    """Give a workplace with accounts that nobody has used, its catalogue and its configuration written."""
    url = vendor.url(dialect)
    taken = [Account(url, vendor.take_key(dialect), vendor.http, CREDITS, dialect) for _ in range(accounts)]
    project.provider = taken[0]
    provider = {"kind": KINDS[dialect], "requests_per_minute": 60_000}
    execution = {"batch_seconds": 0.05, **sections.pop("execution", {})}
    project.prepare(count, recipe=RECIPES[dialect], provider=provider, execution=execution, **sections)
    return Scenario(project, vendor, count, taken)


def new_project(
    folder: Path, launcher: Launcher, vendor: FaultyVendor, songs: list[Path], database: str | None
) -> Project:
    """Give a workplace without an account yet."""
    nobody = Account(vendor.url(), "", vendor.http, CREDITS)
    return Project(folder, launcher, nobody, songs, database=database)


def sizes(scenario: Scenario) -> Iterator[tuple[int, str]]:
    """Give each song's size with its track id."""
    for row in scenario.project.good_rows(scenario.count):
        yield Path(row["uri"]).stat().st_size, row["track_id"]
