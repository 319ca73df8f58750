"""The one folder in which a server of this clone lives: Prefect's home, database, logs, and what is known of it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from stemline.errors import UsageError

CLONE = Path(__file__).parents[1]
DEFAULT_FOLDER = CLONE / ".stemline" / "prefect"
DATABASE_VARIABLE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
MARK = "STEMLINE_PREFECT_FOLDER"
"""A variable that every process of a server has, and all that they start: by it none is overlooked."""


@dataclass(frozen=True)
class KnownProcess:
    """A process as it can be told from a later one of the same number: by when it began, in seconds since 1970."""

    pid: int
    began: float


@dataclass
class Known:
    """What the last `up` left."""

    port: int = 0
    database: str = ""
    """Where the history is, without a password."""
    deployed: str = ""
    """The digest of what was deployed."""
    starting: str = ""
    """Which process was being started: an `up` that was killed then has left one that is not known."""
    processes: dict[str, KnownProcess] = field(default_factory=dict)


@dataclass(frozen=True)
class ServerFolder:
    """A folder, and the names in it."""

    path: Path = DEFAULT_FOLDER

    def log(self, role: str) -> Path:
        """Give the log of the server or the worker."""
        return self.path / f"{role}.log"

    @property
    def temporary(self) -> Path:
        """Give the folder for temporary files."""
        return self.path / "tmp"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other `up` and `down` of this folder waiting for the length of a `with` block."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self) -> Known:
        """Give what is known; nothing of a folder that is new, or of a record that was cut off."""
        try:
            tree = json.loads(self._record.read_text(encoding="utf-8"))
            processes = {role: KnownProcess(**each) for role, each in tree.pop("processes").items()}
            return Known(processes=processes, **tree)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Known()

    def write(self, known: Known) -> None:
        """Replace what is known."""
        fresh = self._record.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(known), indent=2), encoding="utf-8")
        fresh.replace(self._record)

    def remove(self) -> None:
        """Remove the folder, and the one around it when nothing else is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.with_name(f"{self.path.name}.lock").unlink(missing_ok=True)
        if self.path == DEFAULT_FOLDER and self.path.parent.exists() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def environment(self, port: int, around: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Give the environment of whoever is to know this server and no other; nothing in it calls home.

        What the surroundings say of Prefect is left out, except the database: they may lead to another server.
        """
        kept = {name: value for name, value in around.items() if not name.startswith("PREFECT_")}
        return {
            **kept,
            DATABASE_VARIABLE: database_url(around) or f"sqlite+aiosqlite:///{self.path}/home/prefect.db",
            "PREFECT_HOME": str(self.path / "home"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # What died while the server was away is still told of, within a day; 60 s is what it remembers by itself.
            "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P1D",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "5",  # the server is next door: 10 s is for distant ones
            "DO_NOT_TRACK": "1",
            "TMPDIR": str(self.temporary),  # a worker leaves folders there
        }

    @property
    def _record(self) -> Path:
        return self.path / "server.json"


def database_url(around: Mapping[str, str] = os.environ) -> str | None:
    """Give the PostgreSQL database that the environment names, if it names one; raises UsageError for any other."""
    url = around.get(DATABASE_VARIABLE)
    if not url:
        return None
    if not url.startswith("postgresql+asyncpg://"):
        raise UsageError(
            f"{DATABASE_VARIABLE} is not the URL of a PostgreSQL database as Prefect takes it.",
            fix="Write postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE, or unset it for SQLite.",
        )
    return url


def database_words(around: Mapping[str, str] = os.environ) -> str:
    """Give where the history goes, without a password."""
    url = database_url(around)
    if url is None:
        return "SQLite"
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError as error:
        raise UsageError(f"{DATABASE_VARIABLE} is not a URL.", fix="Quote what is special in it.") from error
