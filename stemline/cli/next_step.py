"""The one command that a run's end leads to, as it can be pasted from where the person stands."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemline.budget import windows
from stemline.cli.program_name import called_as
from stemline.errors import StemlineError
from stemline.records import Code, State
from stemline.wording import counted, credits_text, instant_text, standing_rejects_sentence

if TYPE_CHECKING:
    from stemline.resolution.redrive import RedrivePreview
    from stemline.run.selection import Result

_GOES_ON = frozenset({Code.JOB_LATE, Code.DOWNLOAD_FAILED})
"""Paid, or with the provider: the next run goes on with it by itself."""
_REJECTED = frozenset({State.PUBLISHED, State.REJECTED})
_DAILY = frozenset({Code.BUDGET_DAY, Code.BUDGET_SHARE})


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next: the words of a command, and why."""

    words: tuple[str, ...]
    why: str
    at: datetime | None = None
    """Not before then."""

    @property
    def command(self) -> str:
        """The command as a shell takes it."""
        return shlex.join((called_as(), *self.words))

    def as_tree(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return {"command": self.command, "why": self.why, "at": self.at}


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What a person has typed: the words that a next command has to repeat."""

    config: Path
    overrides: Sequence[str] = ()
    again: tuple[str, ...] = ("run",)
    """The command that goes on with it, and behind the configuration's path its options."""

    def repeat(self) -> tuple[str, ...]:
        """Give the same command again."""
        return self.of(self.again[0], *self.again[1:])

    def without(self, option: str) -> tuple[str, ...]:
        """Give the same command again without an option and its value."""
        words = list(self.again)
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
        return self.of(words[0], *words[1:])

    def of(self, command: str, *options: str) -> tuple[str, ...]:
        """Give another command over the same configuration, with the same keys overridden."""
        return (*self._named(command), *options, *self._overridden())

    def about(self, command: str, track_id: str) -> tuple[str, ...]:
        """Give a command over one track of the configuration, whose id may look like an option."""
        dashes = ("--",) if track_id.startswith("-") else ()
        return (*self._named(command), *self._overridden(), *dashes, track_id)

    def _named(self, command: str) -> tuple[str, str]:
        config = str(self.config)
        return command, f"./{config}" if config.startswith("-") else config

    def _overridden(self) -> Iterator[str]:
        for each in self.overrides:
            yield from ("--set", each)


def find_next_step(typed: CommandLine, result: Result, now: datetime | None = None) -> NextStep:
    """Give what a run's result leads to; looks into its ledger where a track has to be named."""
    codes = {Code(code) for code in result.summary["codes"]}
    is_done = result.summary["tracks"].keys() <= _REJECTED and result.exit_code in {0, 3}
    beyond = result.summary.get("beyond_limit", 0) if is_done else 0
    if beyond or result.exit_code == 0:
        return _after_success(typed, beyond, has_tracks=bool(result.summary["tracks"]))
    if result.exit_code == 4:
        return _when_budget_allows(typed, codes, now or datetime.now(UTC))
    if Code.OUT_OF_CREDITS in codes:
        return NextStep(typed.repeat(), "Run again once there are credits: it goes on from here.")
    if result.exit_code == 3:
        return _after_failures(typed, result.summary, codes)
    if result.exit_code == 130:
        return _after_stopping(typed, result.summary.get("backfill", {}))
    return NextStep(typed.of("doctor"), "Check what stands in the way.")


def _after_stopping(typed: CommandLine, about: Mapping[str, Any]) -> NextStep:
    """Give the same again; of a backfill that was cancelled the same request under another name.

    Of a cancelled one that makes everything again only how far it came: asked for anew it would pay anew.
    """
    if about.get("state") != "cancelled":
        return NextStep(typed.repeat(), "Run the same again: it goes on from here.")
    request = dict(about["request"])
    if request["mode"] == "all":
        why = "See how far it came: another backfill with --mode all pays for all of it again."
        return NextStep(typed.of("backfills"), why)
    given = [word for name, value in request.items() if value is not None for word in (f"--{name}", value)]
    stem, dash, number = about["name"].rpartition("-")
    is_numbered = bool(dash and number.isdigit())
    name = f"{stem}-{int(number) + 1}" if is_numbered else f"{about['name'][:61]}-2"
    return NextStep(
        typed.of("backfill", *given, "--name", name),
        "What it had not sent is held; a backfill of another name takes it.",
    )


def _after_success(typed: CommandLine, rows: int, *, has_tracks: bool) -> NextStep:
    if typed.again[0] == "redrive" and not has_tracks:
        return NextStep(typed.of("status"), "Nothing had to be retried: see where every track stands.")
    if not rows:
        return NextStep(typed.of("report", "--open"), "Look at what was made.")
    remain, them = ("remains", "it") if rows == 1 else ("remain", "them")
    why = f"{counted(rows, 'more row')} {remain}: the same without --limit does {them}."
    return NextStep(typed.without("--limit"), why)


def _when_budget_allows(typed: CommandLine, codes: Collection[Code], now: datetime) -> NextStep:
    if Code.BUDGET_BACKFILL in codes:
        name = typed.again[typed.again.index("--name") + 1] if "--name" in typed.again else "NAME"
        return NextStep(
            typed.of("backfills", "--change", name, "--credits", "N"),
            "Give it a higher ceiling, of N credits.",
        )
    if Code.BUDGET_RUN in codes:
        return NextStep(
            typed.repeat(), "Run again: each run has the whole of budget.run, and goes on from here."
        )
    window = windows(now)
    at = window.next_month if Code.BUDGET_MONTH in codes else window.next_day if _DAILY & {*codes} else None
    if at is None:
        return NextStep(typed.repeat(), "Run again once there are more credits, or budget.floor is lower.")
    return NextStep(
        typed.repeat(),
        f"Run again from {instant_text(at, now)} on, when there is room: it goes on from here.",
        at,
    )


def _after_failures(typed: CommandLine, summary: Mapping[str, Any], codes: Collection[Code]) -> NextStep:
    tracks = summary["tracks"]
    if tracks.get(State.UNKNOWN):
        return NextStep(
            typed.about("resolve", _unknown_track(typed)),
            "See what is known of a track whose submit got no answer, and resolve it.",
        )
    if tracks.keys() <= _REJECTED:
        standing = standing_rejects_sentence(tracks, summary.get("rejects"))
        see = "See which rows are rejected and why: once they are mended, the next run takes them."
        return NextStep(typed.of("status", "--rejected"), f"{standing} {see}".strip())
    if not _GOES_ON.isdisjoint(codes):
        return NextStep(
            typed.repeat(),
            "Run again: it goes on with what is still with the provider, and pays nothing for that.",
        )
    preview = _redrive_preview(typed)
    if preview is not None and preview.tracks:
        return _redrive(typed, preview)
    if preview is not None and preview.left:
        group = preview.left[0]
        cost, lost = credits_text(group.credits), counted(group.tracks, "lost job")
        why = f"Pay {cost} once more, for {counted(group.tracks)} that failed."
        if group.code == Code.JOB_LOST:
            why = f"Look for {lost} once more, and pay {cost} for what is nowhere."
        return NextStep(typed.of("redrive", "--code", group.code), why)
    return NextStep(typed.of("status"), "See what went wrong with each track.")


def _redrive(typed: CommandLine, preview: RedrivePreview) -> NextStep:
    cost = f"for at most {credits_text(preview.credits)}" if preview.credits else "for nothing"
    return NextStep(typed.of("redrive"), f"Try {counted(preview.tracks)} again, {cost}.")


def _unknown_track(typed: CommandLine) -> str:
    from stemline.run.existing_ledger import open_existing_ledger
    from stemline.settings import load_settings

    with suppress(StemlineError):
        settings = load_settings(typed.config, typed.overrides)
        with open_existing_ledger(settings) as ledger:
            for attempt in ledger.recovery.unknown(settings.provider.kind):
                return attempt.track.track_id
    return "TRACK"


def _redrive_preview(typed: CommandLine) -> RedrivePreview | None:
    """Give what a redrive would do; None where the ledger cannot be read now."""
    from stemline.resolution.redrive import preview_redrive
    from stemline.run.selection import Selection
    from stemline.settings import load_settings

    with suppress(StemlineError):
        return preview_redrive(load_settings(typed.config, typed.overrides), Selection(redrive=()))
    return None
