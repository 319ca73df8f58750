"""The words of the terminal and the report: states, codes and exit codes, lengths of time and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stemline.records import Code, State


@dataclass(frozen=True, slots=True)
class CodeWording:
    """What a code means, and what to do next."""

    sentence: str
    next_step: str = ""


STATES: dict[State, str] = {
    State.PUBLISHED: "in the dataset",
    State.COLLECTED: "stored, waiting to be published",
    State.READY: "paid, waiting to be collected",
    State.PROCESSING: "with the provider",
    State.SUBMITTING: "about to be sent",
    State.PLANNED: "waiting in line",
    State.HELD: "not sent, for the reason below",
    State.REJECTED: "unusable manifest row",
    State.FAILED: "tried without success",
    State.UNKNOWN: "submit without an answer",
    State.QUARANTINED: "paid, audio does not verify",
    State.EXPIRED: "paid, outputs gone",
}
"""Every state in the order a page shows them."""

COLOURS: dict[State, str] = {
    State.PUBLISHED: "green",
    State.REJECTED: "yellow",
    State.HELD: "yellow",
    State.FAILED: "red",
    State.UNKNOWN: "red",
    State.QUARANTINED: "red",
    State.EXPIRED: "red",
}
"""The colour of a state on a terminal, where it has one of its own."""

PROBLEM_STATES = (State.FAILED, State.UNKNOWN, State.QUARANTINED, State.EXPIRED)
"""Of tracks that something went wrong with."""

_MANIFEST = "Correct the manifest row and run again."
_AUDIO = "Replace the source file and run again."
_WAIT = "Run again when the window opens, or raise the limit."
_RETRY = "Run again: it is retried while it has attempts left."
_REDRIVE = "Look at the sentence below, then `stemline redrive CONFIG`."
_PAID = "`stemline redrive CONFIG --code {code}` pays for the track once more."
_PAID_PERHAPS = (
    "Run again: it is asked for once more, for nothing. `stemline redrive CONFIG --code {code}` looks for it in the "
    "provider's list as well, and pays again where it is nowhere."
)
_KEPT = (
    "Run again: it is collected once more for nothing as long as the provider keeps it, after that "
    "`stemline redrive CONFIG --code {code}` pays once more. Is it right all the same: "
    "`stemline resolve CONFIG TRACK --accept`."
)
_RUN_AGAIN = "Run again: it goes on from here."
_LONGEST_SENTENCE = 600
"""In characters: what a terminal shows of a row; the list of rejected rows and `--json` have all of it."""

CODES: dict[Code, CodeWording] = {
    Code.OK: CodeWording("Nothing is wrong with these tracks."),
    Code.NO_LOCATION: CodeWording("The row names no audio.", _MANIFEST),
    Code.BAD_ROW: CodeWording("The row cannot be read.", _MANIFEST),
    Code.BAD_VALUE: CodeWording("A cell holds what its column cannot.", _MANIFEST),
    Code.BAD_LOCATION: CodeWording("The location is neither a path nor a URL that can be read.", _MANIFEST),
    Code.DUPLICATE_ID: CodeWording(
        "An earlier row has the same track id.", "Give every track an id of its own."
    ),
    Code.MISSING_FILE: CodeWording(
        "There is no file at the location.", "Put it there or correct the location."
    ),
    Code.EMPTY_FILE: CodeWording("The file has no content.", _AUDIO),
    Code.UNREADABLE_AUDIO: CodeWording("The file is not audio that can be decoded.", _AUDIO),
    Code.SILENT: CodeWording("The audio is silent from beginning to end.", "Leave the track out."),
    Code.TOO_SHORT: CodeWording("The audio is too short to separate.", "Leave the track out."),
    Code.TOO_LONG: CodeWording(
        "The audio is longer than the provider takes.", "Cut it, or use another provider."
    ),
    Code.TOO_LARGE: CodeWording(
        "The file is larger than the provider takes.", "Compress it, such as to flac."
    ),
    Code.SOURCE_CHANGED: CodeWording(
        "The file is another one than was measured, and nothing of it was sent.",
        "`stemline run`, or a new backfill, measures it again and takes it as it is.",
    ),
    Code.FORGOTTEN: CodeWording(
        "The track was forgotten: it is not taken again.", "Drop the row from the manifest."
    ),
    Code.RIGHTS_NOT_GRANTED: CodeWording(
        "The track has not the rights that catalogue.require_rights asks for.",
        "Say more in the manifest's columns license and ai_training, or ask for less.",
    ),
    Code.NO_DATE: CodeWording(
        "The row has no date that can be read, where a backfill asks for one.",
        "Give it one as 2024-05-01, or name another column with --by.",
    ),
    Code.BUDGET_RUN: CodeWording(
        "budget.run has no room for it.", "Run again, or raise the limit where one track needs more."
    ),
    Code.BUDGET_DAY: CodeWording("budget.day has no room for it.", _WAIT),
    Code.BUDGET_MONTH: CodeWording("budget.month has no room for it.", _WAIT),
    Code.BUDGET_FLOOR: CodeWording(
        "The balance would fall below budget.floor.", "Buy credits or lower the floor."
    ),
    Code.BUDGET_BACKFILL: CodeWording(
        "The backfill's ceiling has no room for it.", "`stemline backfills CONFIG --change NAME --credits N`."
    ),
    Code.BUDGET_SHARE: CodeWording("The backfill's share of budget.day has no room for it.", _WAIT),
    Code.OUT_OF_CREDITS: CodeWording(
        "The provider's balance does not cover the track.", "Buy credits and run again."
    ),
    Code.RUN_STOPPED: CodeWording(
        "The run stopped before their turn.", "The next run that is about them goes on from here."
    ),
    Code.PILOT: CodeWording(
        "The first tracks of the provider and recipe have not come back verified, so the others were not sent.",
        "See what is said of those tracks: `stemline resolve CONFIG TRACK --accept`, another recipe, or "
        "`--set provider.pilot=0 --limit N` for a few others.",
    ),
    Code.JOB_LATE: CodeWording(
        "The provider is still at work on them after provider.job_timeout.",
        "Run again: it looks at them once more, and submits nothing for them.",
    ),
    Code.REFUSED: CodeWording("The provider did not take the track.", _REDRIVE),
    Code.UNSUPPORTED_FORMAT: CodeWording(
        "The provider does not read this format.", "Convert it and run again."
    ),
    Code.SOURCE_UNREACHABLE: CodeWording("The source could not be fetched.", _RETRY),
    Code.UPLOAD_FAILED: CodeWording(
        "The upload failed.", "Run again: nothing was paid, and each run tries it again."
    ),
    Code.JOB_FAILED: CodeWording("The provider could not separate the track.", _RETRY),
    Code.JOB_LOST: CodeWording(
        "The provider says, however often it is asked, that it does not know the job, which it may have charged for.",
        _PAID_PERHAPS,
    ),
    Code.DOWNLOAD_FAILED: CodeWording("The stems could not be downloaded yet; they are paid.", _RUN_AGAIN),
    Code.SUBMIT_UNANSWERED: CodeWording(
        "A paid request got no answer, so it may or may not have been charged.",
        "`stemline resolve CONFIG TRACK` shows what is known, and resolves it.",
    ),
    Code.UNPUBLISHABLE: CodeWording(
        "The track cannot stand in the tables as it is; its stems are paid and stored.",
        "Correct the cell in the manifest, or make its column text with catalogue.types, and run again.",
    ),
    Code.MISSING_STEM: CodeWording("The provider returned fewer stems than asked.", _KEPT),
    Code.TRUNCATED: CodeWording("A stem ends before its file does.", _KEPT),
    Code.UNDECODABLE: CodeWording("A stem does not decode.", _KEPT),
    Code.WRONG_DURATION: CodeWording("A stem is not as long as its source.", _KEPT),
    Code.ALL_SILENT: CodeWording("Every stem is silent; so may its source be.", _KEPT),
    Code.OUTPUTS_EXPIRED: CodeWording("The provider deleted the stems before they were collected.", _PAID),
    Code.SUPERSEDED: CodeWording(
        "The track was made again: later stems have replaced these.", "Nothing is to be done."
    ),
    Code.NOT_MADE_AGAIN: CodeWording(
        "The track was to be made again and was not; it is in the dataset as it was before.",
        "See what is said of it; a new backfill asks for it once more, and pays for that.",
    ),
}


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """How a run ended: a tone (good, fair, bad, open) for the eye and a sentence."""

    tone: str
    sentence: str
    detail: str


def standing_rejects_sentence(
    tracks: Mapping[str, int] | Mapping[State, int], rejects: Mapping[str, Any] | None
) -> str:
    """Say that nothing is left but rows that were rejected before, where that is so; empty where it is not.

    `tracks` and `rejects` are those of a run's summary.
    """
    since, count = (rejects or {}).get("since"), tracks.get(State.REJECTED, 0)
    if not since or not count or tracks.keys() - {State.PUBLISHED, State.REJECTED}:
        return ""
    lead = "All of the rest is done" if tracks.get(State.PUBLISHED) else "There is nothing else to do"
    return f"{lead}: {counted(count, 'row')} {'stays' if count == 1 else 'stay'} rejected since {since[:10]}."


def run_verdict(exit_code: int | None, tracks: dict[State, int], standing: str = "") -> RunVerdict:
    """Give the verdict of an exit code (None: the run has not ended); `standing` says that no more can be done."""
    if exit_code == 3 and standing:
        return RunVerdict("fair", standing, "The reasons and what to do about them stand below.")
    total, held = sum(tracks.values()), tracks.get(State.HELD, 0)
    unpublished = total - tracks.get(State.PUBLISHED, 0)
    if exit_code == 0:
        detail = (
            f"{counted(total)} {_are(total)} in the dataset."
            if total
            else "The run selected no rows of the manifest."
        )
        return RunVerdict("good", "Every selected track is published.", detail)
    sentences = {
        1: ("bad", "Ended on a bug in stemline.", "What was paid and collected is kept; run again to go on."),
        2: ("bad", "Ended on its configuration or manifest.", "Correct it and run again."),
        3: (
            "fair",
            f"Finished, and {counted(unpublished)} {'is' if unpublished == 1 else 'are'} not published.",
            "The reasons and what to do about them stand below.",
        ),
        4: (
            "fair",
            f"Stopped by the budget with {counted(held)} held back.",
            "What was collected before is published.",
        ),
        5: ("bad", "The provider refused to go on.", "Check the API key and the balance, then run again."),
        130: ("fair", "Stopped before its end.", "The state is kept: run the same command to go on."),
    }
    if exit_code is None:
        return RunVerdict("open", "Not finished yet.", "The figures are those of when this page was written.")
    tone, sentence, detail = sentences.get(exit_code, ("bad", f"Ended with exit code {exit_code}.", ""))
    return RunVerdict(tone, sentence, detail)


def code_sentence(code: str) -> str:
    """Say what a code means, and what to do next."""
    wording = CODES[Code(code)]
    return f"{wording.sentence} {wording.next_step.format(code=code)}"


def balance_words(balance: int | None) -> str:
    """Give what stands behind the credits that were charged: how many are left, where that was read."""
    return "" if balance is None else f", {balance:,} left with the provider"


def drift_sentence(drift: int) -> str:
    """Say what it means that the vendor took so many credits beyond what the ledger charged, and what to do."""
    if drift == 0:
        return "The vendor's balance agrees."
    if drift < 0:
        return (
            f"The vendor took {counted(-drift, 'credit')} less than the ledger charged: "
            "a refund, or a purchase meanwhile. Nothing is to be done."
        )
    return (
        f"The vendor took {counted(drift, 'credit')} more than the ledger charged. "
        "Something else may use the account: compare its jobs on the vendor's site with `stemline status`."
    )


def overcharged_sentence(found: Mapping[str, int], drift: int | None) -> str:
    """Say that the provider names charges far above what the audio is worth, and what its balance says of that."""
    told = (
        f"The provider says that it charged {counted(found['charged'], 'credit')} for {counted(found['tracks'])} "
        f"whose audio is worth {found['worth']:,}."
    )
    if drift is not None and drift < 0:
        told += f" Its balance fell by {-drift:,} less than it says."
    return f"{told} The budget counts what it says: compare its bill, and ask it."


def mix_sentence(mix: Mapping[str, Any]) -> str:
    """Say what became of the sources that are wanted beside their stems, as a run's result has it."""
    sentence = f"{mix['stored']:,} stored, {mix['linked']:,} linked"
    if not mix["missing"]:
        return sentence
    track_id, problem = next(iter(mix["problems"].items()), ("", ""))
    return f"{sentence}, {mix['missing']:,} missing, such as that of {track_id}: {problem}"


def lengths_sentence(lengths: Mapping[str, Any]) -> str:
    """Say how many tracks are not as long as their manifest says, as a run's result has it."""
    count = lengths["differ"]
    track_id, found = next(iter(lengths["examples"].items()))
    verb = "is" if count == 1 else "are"
    return (
        f"{counted(count)} {verb} not as long as the manifest says, such as {track_id} in row {found['row']}: "
        f"{found['told']}. The dataset has what was measured."
    )


def rejected_row_line(row: int, code: str, sentence: str) -> str:
    """Say why a row is rejected; where its value is of many lines, by the beginning and the end of the sentence."""
    if len(sentence) > _LONGEST_SENTENCE:
        sentence = f"{sentence[: _LONGEST_SENTENCE // 2]} … {sentence[-_LONGEST_SENTENCE // 2 :]}"
    return f"row {row:,}: {code}: {sentence}"


def byte_size(size: float) -> str:
    """Give a number of bytes in a unit that suits it."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if size >= 100 or unit == "bytes" else f"{size:.1f} {unit}"


def hours_text(seconds: float) -> str:
    """Give how much audio there is: in minutes where that is less than an hour."""
    return f"{seconds / 3600:,.1f} hours" if seconds >= 3600 else f"{seconds / 60:,.1f} minutes"


def credits_text(count: int) -> str:
    """Give credits to the last one, and how much audio they are: a credit is a second of it."""
    return counted(count, "credit") + (f" ({hours_text(count)} of audio)" if count >= 60 else "")


def rate_text(tracks_a_minute: float) -> str:
    """Give a pace: by the hour where a track takes minutes."""
    if tracks_a_minute < 1:
        return f"{60 * tracks_a_minute:.0f} tracks an hour"
    return (
        f"{tracks_a_minute:.0f} tracks a minute"
        if tracks_a_minute >= 10
        else f"{tracks_a_minute:.1f} tracks a minute"
    )


def instant_text(instant: datetime, now: datetime) -> str:
    """Give an instant in UTC, with its day where that is not the next midnight."""
    is_soon = instant - now <= timedelta(days=1)
    return f"{instant:%H:%M} UTC" if is_soon else f"{instant:%Y-%m-%d %H:%M} UTC"


def counted(count: int, noun: str = "track") -> str:
    """Give a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def states_words(counts: Mapping[State, int], *, is_planned: bool) -> str:
    """Say how many tracks of a run are in each state; of none, what a run does before its plan and after it."""
    states = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    return states or ("no tracks of its own" if is_planned else "reading the manifest")


def about(seconds: float) -> str:
    """Give a length of time that is only expected, no finer than anybody can know it."""
    steps = ((7_200, 600), (120, 60), (20, 5), (0, 1))
    step = next(step for least, step in steps if seconds >= least)
    return f"about {length(max(1, step * round(seconds / step)))}"


def interval(low: str, high: str) -> str:
    """Give two ends, or one where they read the same."""
    return low if low == high else f"{low} to {high}"


def length(seconds: float) -> str:
    """Give a length of time in its two largest units."""
    whole = round(seconds)
    if seconds < 10 and seconds != whole:
        return f"{seconds:.1f} s"
    for size, name, smaller, part in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size:,} {name} {rest} {part}" if rest else f"{whole // size:,} {name}"
    return f"{whole} s"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def bytes_text(count: int) -> str:
    """Give a number of bytes as a person reads it, in decimal units."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
