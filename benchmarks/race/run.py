"""Stemline's side: a real `stemline run` process, and what the system and its ledger say about it."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.race.stage import SONG_SECONDS

START = "import sys; from stemline.cli import main; sys.exit(main())"
TICKS = os.sysconf("SC_CLK_TCK")
END_SECONDS = 180


@dataclass
class OwnRun:
    """The run, from its start to its result."""

    folder: Path
    base_url: str
    key: str
    max_in_flight: int
    result: dict[str, Any] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    """User and system time of the whole process, imports included."""
    _process: subprocess.Popen[bytes] | None = None

    def start(self, song_url: str, tracks: int) -> None:
        """Begin on a catalogue of so many tracks."""
        self.folder.mkdir()
        with (self.folder / "catalogue.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["track_id", "uri", "duration_seconds"])
            rows.writerows([f"t{number}", f"{song_url}?{number}", SONG_SECONDS] for number in range(tracks))
        config = self.folder / "race.yaml"
        config.write_text(yaml.safe_dump(self._tree()))
        own = {"STEM_KEY": self.key, "HOME": str(self.folder), "PREFECT_HOME": str(self.folder / "prefect")}
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, "run", str(config), "--json"],
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env={**os.environ, **own, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
            )

    def _tree(self) -> dict[str, Any]:
        return {
            "name": "race",
            "catalogue": {"manifest": str(self.folder / "catalogue.csv")},
            "provider": {
                "kind": "stemsplit",
                "base_url": self.base_url,
                "api_key": "${STEM_KEY}",
                "max_in_flight": self.max_in_flight,
            },
            "recipe": {"stems": "both", "quality": "fast", "format": "flac"},
            "dataset": {"url": str(self.folder / "dataset")},
            "ledger": {"url": f"sqlite:///{self.folder / 'race.db'}"},
        }

    def cpu_so_far(self) -> float:
        """Give the CPU seconds used until now."""
        text = Path(f"/proc/{self._child.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        """Give the peak of its resident memory until now."""
        text = Path(f"/proc/{self._child.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024

    def is_under_way(self) -> bool:
        """Tell whether its first request has left."""
        return (self.folder / "race.db").exists() and bool(self.times("mark_sending"))

    def interrupt(self) -> None:
        """Stop it as Ctrl-C does."""
        self._child.send_signal(signal.SIGINT)

    def keep_result(self) -> None:
        """Wait for its end, and keep its result."""
        deadline = time.monotonic() + END_SECONDS
        while self._child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        self._child.kill()
        self._child.wait()
        text = (self.folder / "out").read_text()
        self.result = json.loads(text) if text else {"error": (self.folder / "err").read_text()}

    def times(self, verb: str) -> list[float]:
        """Give when each of the ledger's events of a verb was written, on the wall clock."""
        query = "SELECT at FROM events WHERE verb = ? ORDER BY at"
        with closing(sqlite3.connect(f"file:{self.folder / 'race.db'}?mode=ro", uri=True)) as connection:
            try:
                rows = connection.execute(query, (verb,)).fetchall()
            except sqlite3.OperationalError:  # it is being made
                return []
        return [datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() for (at,) in rows]

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("The run was not started.")
        return self._process
