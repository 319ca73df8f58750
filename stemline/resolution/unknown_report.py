"""What is known about an unknown track, for the person who resolves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from stemline.records import Attempt, Job, State

_CHOICES = (
    ("--adopt JOB", "the job is this track's: the next run collects it"),
    ("--resubmit", "it never arrived: the next run submits it, and pays twice if it did arrive"),
    ("--abandon", "give it up: failed, its credits disputed until a balance shows what they came to"),
)


@dataclass(frozen=True, slots=True)
class UnknownReport:
    """Everything that is known about an unknown track."""

    attempt: Attempt
    history: tuple[dict[str, Any], ...]
    candidates: tuple[Job, ...] = ()
    """Jobs of the provider's list that the submit may have made, the likeliest first."""
    note: str = ""
    """Why there are no candidates; empty where there are."""

    @property
    def set_aside(self) -> dict[str, Any]:
        """The event that made the track unknown."""
        return next(event for event in reversed(self.history) if event["to_state"] == State.UNKNOWN)

    @property
    def sentence(self) -> str:
        """Why it could not be told what became of the submit."""
        return str(self.set_aside["detail"].get("sentence", ""))

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        attempt, track = self.attempt, self.attempt.track
        return {
            "track_id": track.track_id,
            "state": State.UNKNOWN.value,
            "provider": attempt.provider,
            "recipe": attempt.recipe.name,
            "token": attempt.token,
            "sent_at": attempt.sent_at,
            "set_aside_at": self.set_aside["at"],
            "sentence": self.sentence,
            "source": track.location,
            "duration_seconds": track.duration_seconds,
            "credits_reserved": attempt.credits_reserved,
            "history": list(self.history),
            "candidates": [_job_tree(job, attempt) for job in self.candidates],
            "note": self.note,
        }

    def show(self, console: Console) -> None:
        """Show it to a person."""
        track_id = escape(self.attempt.track.track_id)
        console.print(f"[bold]{track_id}[/] is [red]unknown[/]: a paid request was sent and not answered.")
        console.print(_table(*self._facts()))
        console.print("\n[bold]What happened[/]")
        console.print(_table(*self._steps()))
        console.print(f"\n[bold]What it could be, of the jobs that {self.attempt.provider} lists[/]")
        console.print(_table(*self._jobs()) if self.candidates else f"  {escape(self.note)}")
        console.print("\n[bold]How to resolve it[/]")
        console.print(_table(*_CHOICES))

    def _facts(self) -> Iterator[tuple[str, ...]]:
        attempt, track = self.attempt, self.attempt.track
        since = None if attempt.sent_at is None else self.set_aside["at"] - attempt.sent_at
        yield "token", attempt.token
        yield (
            "sent",
            _moment(attempt.sent_at) + ("" if since is None else f", and set aside {_distance(since)} that"),
        )
        yield "why", escape(self.sentence)
        yield "source", f"{escape(track.location)} ({_length(track.duration_seconds)})"
        yield "credits", f"{attempt.credits_reserved:,} reserved"

    def _steps(self) -> Iterator[tuple[str, ...]]:
        for event in self.history:
            sentence = str(event["detail"].get("sentence", ""))
            said = "" if sentence == self.sentence else escape(sentence)
            yield _moment(event["at"]), event["verb"].replace("_", " "), event["to_state"] or "", said

    def _jobs(self) -> Iterator[tuple[str, ...]]:
        sent_at = self.attempt.sent_at
        for job in self.candidates:
            since = None if sent_at is None or job.created_at is None else job.created_at - sent_at
            made = "made at a time not known" if since is None else f"made {_distance(since)} it was sent"
            sure = "[green]carries its token[/]" if carries_token(job, self.attempt.token) else ""
            name = escape(job.title or job.file_name or "")
            yield (
                f"[cyan]{escape(job.job_id)}[/]",
                made,
                str(job.phase),
                _length(job.duration_seconds),
                name,
                sure,
            )


def carries_token(job: Job, token: str) -> bool:
    """Tell whether a job bears an attempt's token: then that attempt made it."""
    return token in (job.file_name or "")


def _job_tree(job: Job, attempt: Attempt) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "phase": job.phase,
        "created_at": job.created_at,
        "duration_seconds": job.duration_seconds,
        "file_name": job.file_name,
        "is_certain": carries_token(job, attempt.token),
    }


def _table(*rows: tuple[str, ...]) -> Padding:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ignore")  # ids are there to be copied
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))


def _moment(instant: datetime | None) -> str:
    return "at a time not known" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def _distance(since: timedelta) -> str:
    """Give how far one moment is from another, in words."""
    seconds = round(since.total_seconds())
    return f"{-seconds:,} s before" if seconds < 0 else f"{seconds:,} s after"


def _length(seconds: float | None) -> str:
    return "length not known" if seconds is None else f"{seconds:.1f} s"
