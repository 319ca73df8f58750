"""The nouns: frozen records that the layers hand to each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

NEVER = datetime.max.replace(tzinfo=UTC)
LOSSLESS = frozenset({"wav", "flac"})
LOSSY_EXTRA_SECONDS = 0.1
"""How much longer an mp3 or ogg may be: encoders add up to two frames of delay and padding."""
ROUNDED_SECONDS = 1.0
"""Manifests and providers round lengths to whole seconds."""


class State(StrEnum):
    """Where a track stands; every manifest row is in exactly one."""

    PLANNED = "planned"
    SUBMITTING = "submitting"
    PROCESSING = "processing"
    READY = "ready"
    COLLECTED = "collected"
    PUBLISHED = "published"
    REJECTED = "rejected"
    HELD = "held"
    FAILED = "failed"
    UNKNOWN = "unknown"
    QUARANTINED = "quarantined"
    EXPIRED = "expired"


IN_HAND = (State.SUBMITTING, State.PROCESSING, State.READY, State.COLLECTED, State.UNKNOWN)
"""Tracks in these states are paid for, or possibly so, and not in the tables yet."""
BAD_ENDS = (State.FAILED, State.QUARANTINED, State.EXPIRED)
"""Where a track stands that was tried and has no stems in the tables."""


class Code(StrEnum):
    """Why a track stands where it stands: the closed list of reasons."""

    OK = "ok"
    # rejected: the manifest row cannot be used
    NO_LOCATION = "no_location"
    BAD_ROW = "bad_row"
    BAD_VALUE = "bad_value"
    BAD_LOCATION = "bad_location"
    DUPLICATE_ID = "duplicate_id"
    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    UNREADABLE_AUDIO = "unreadable_audio"
    SILENT = "silent"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    SOURCE_CHANGED = "source_changed"
    FORGOTTEN = "forgotten"
    RIGHTS_NOT_GRANTED = "rights_not_granted"
    NO_DATE = "no_date"
    # held: outside the budget
    BUDGET_RUN = "budget_run"
    BUDGET_DAY = "budget_day"
    BUDGET_MONTH = "budget_month"
    BUDGET_FLOOR = "budget_floor"
    BUDGET_BACKFILL = "budget_backfill"
    BUDGET_SHARE = "budget_share"
    OUT_OF_CREDITS = "out_of_credits"
    RUN_STOPPED = "run_stopped"
    PILOT = "pilot"
    # processing: left to later runs
    JOB_LATE = "job_late"
    # failed
    REFUSED = "refused"
    UNSUPPORTED_FORMAT = "unsupported_format"
    SOURCE_UNREACHABLE = "source_unreachable"
    UPLOAD_FAILED = "upload_failed"
    JOB_FAILED = "job_failed"
    JOB_LOST = "job_lost"
    # ready: paid, and not collected yet
    DOWNLOAD_FAILED = "download_failed"
    # unknown: a submit whose outcome cannot be told
    SUBMIT_UNANSWERED = "submit_unanswered"
    # collected: paid and stored, and not yet in the tables
    UNPUBLISHABLE = "unpublishable"
    # quarantined: paid, collected, does not verify
    MISSING_STEM = "missing_stem"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    WRONG_DURATION = "wrong_duration"
    ALL_SILENT = "all_silent"
    # expired
    OUTPUTS_EXPIRED = "outputs_expired"
    SUPERSEDED = "superseded"
    # published: with the stems it had before
    NOT_MADE_AGAIN = "not_made_again"


MIX = "mix"
"""The whole beside its stems: a video's audio as its provider gives it, or the source as `dataset.mix` has it."""
LINKED = "linked"

STEMS: dict[str, tuple[str, ...]] = {
    "vocals": ("vocals",),
    "instrumental": ("instrumental",),
    "both": ("vocals", "instrumental"),
    "four": ("vocals", "drums", "bass", "other"),
    "six": ("vocals", "drums", "bass", "other", "piano", "guitar"),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is asked of a provider. A track is processed once per (track, recipe, provider)."""

    stems: str
    quality: str
    format: str

    @property
    def name(self) -> str:
        """The recipe as one path-safe word, such as `four-best-flac`."""
        return f"{self.stems}-{self.quality}-{self.format}"

    @property
    def stem_names(self) -> tuple[str, ...]:
        """The stems a provider must return."""
        return STEMS[self.stems]


@dataclass(frozen=True, slots=True)
class Track:
    """One usable row of the manifest."""

    track_id: str
    location: str
    position: int
    priority: int = 0
    duration_seconds: float | None = None
    size_bytes: int | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    """The manifest's own columns, carried through to the dataset unchanged."""

    @property
    def credits(self) -> int | None:
        """One credit a second, rounded up per track; None while the length is unknown."""
        return None if self.duration_seconds is None else math.ceil(self.duration_seconds)


@dataclass(frozen=True, slots=True)
class Reject:
    """One row of the manifest that cannot be used, and why."""

    row: int
    """1-based data row of the manifest (the header of a csv is not counted)."""
    track_id: str | None
    location: str | None
    code: Code
    sentence: str

    @property
    def reason(self) -> str:
        """The sentence for where the row's number stands before it already."""
        return self.sentence.removeprefix(f"Row {self.row}: ")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to have a provider process a track; it owns a token and its credits."""

    token: str
    track: Track
    recipe: Recipe
    provider: str
    number: int
    credits_reserved: int
    job_id: str | None = None
    sent_at: datetime | None = None
    """When the paid request was about to leave; None: it never left."""
    request: dict[str, Any] | None = field(default=None, repr=False)
    """The paid request's body, for a provider that recognises a repeated one by its key; kept until it is answered."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a provider answers to a paid submit."""

    job_id: str
    credits_required: int | None = None
    duration_seconds: float | None = None
    estimated_seconds: float | None = None
    source_sha256: str | None = None
    """Digest of what was uploaded; None when the provider fetched the source itself."""


class Phase(StrEnum):
    """How far a provider's job is, in words every provider shares."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Output:
    """One stem ready for download under a link that expires."""

    stem: str
    url: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """The provider's side of an attempt, as a list sweep or a detail read shows it.

    A sweep knows neither `outputs` nor `bpm`/`key`: they are empty then.
    """

    job_id: str
    phase: Phase
    file_name: str | None = None
    duration_seconds: float | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    credits_charged: int | None = None
    message: str | None = None
    outputs: tuple[Output, ...] = ()
    bpm: float | None = None
    key: str | None = None
    title: str | None = None
    artist: str | None = None
    """Title and channel of a video, for a manifest that names none."""

    @property
    def links_expire_at(self) -> datetime:
        """When the first of its links expires."""
        return min((output.expires_at or NEVER for output in self.outputs), default=NEVER)


@dataclass(frozen=True, slots=True)
class Event:
    """What a provider's webhook says became of a job: a reason to read it, never a proof."""

    job_id: str
    phase: Phase
    occurred_at: datetime
    digest: str
    """SHA-256 of the body it came in."""
    job: Job | None = None
    """As much of the job as the webhook told."""


@dataclass(frozen=True, slots=True)
class ReadyTrack:
    """An attempt whose outputs exist remotely: all that a collector needs, picklable."""

    attempt: Attempt
    job: Job
    is_repeated: bool = False
    """Whether a collector had it before, in this run or an earlier one, and may have kept stems of it."""
    is_last: bool = True
    """Whether no further links will be read for it in this run: what does not verify now is quarantined."""


@dataclass(frozen=True, slots=True)
class StemFile:
    """One stem that was verified and stored. The columns of the `stems` table, and its row of `activity`."""

    stem: str
    path: str
    """Relative to the dataset's root."""
    format: str
    sample_rate: int | None
    channels: int | None
    frames: int | None
    duration_seconds: float
    size_bytes: int | None
    sha256: str | None
    peak_dbfs: float | None
    """None for digital silence."""
    rms_dbfs: float | None
    verification: str
    """`ok`, or words joined by `,`: `silent`, `clipped`, `format`, `length`, `residual`, `derived`, `accepted`.

    Of a mix also `changed`: these are not the bytes that were uploaded; and `linked`: it lies where its source does,
    `path` is that location, and what was not read is None.
    """
    silent_share: float | None = None
    """The share of its seconds below -60 dBFS; None, as in the next: it was never measured."""
    clipped_share: float | None = None
    """The share of its samples at full scale."""
    residual_db: float | None = None
    """What the sum of all stems leaves of their source, in dB of it; None: it was not compared."""
    residual_of: str | None = None
    """What the sum was compared with: `source`, or `mix`, the whole that a provider gives beside its stems."""
    activity: bytes | None = field(default=None, repr=False)
    """As `stemline.activity` packs it; None: it was published, or never measured."""

    @property
    def is_linked(self) -> bool:
        """Whether there is no object of it in the dataset."""
        return LINKED in self.verification.split(",")


@dataclass(frozen=True, slots=True)
class CollectedTrack:
    """A track whose stems are all verified and stored."""

    token: str
    stems: tuple[StemFile, ...]
    bpm: float | None
    key: str | None
    bpm_source: str | None
    """`provider`, `manifest` or `stemline`: who measured it."""
    key_source: str | None
    collected_at: datetime
    mix_problem: str | None = None
    """Why the mix that was asked for is not among the stems."""
    duration_seconds: float | None = None
    """Of the audio, as `audio_seconds` gives it; None: it was collected before that was kept."""


def audio_seconds(stems: Iterable[StemFile], known: float | None) -> float | None:
    """Give the length of a track's audio: of its longest stem, whatever anybody said of it before it was decoded.

    Stems of a lossy format are a little longer than their source: `known` is given where no more than that is between
    them, and where no stem was decoded.
    """
    decoded = [stem for stem in stems if stem.frames is not None and stem.stem != MIX]
    if not decoded:
        return known
    longest = max(decoded, key=lambda stem: stem.duration_seconds)
    is_padded = longest.format not in LOSSLESS
    if known is not None and is_padded and abs(longest.duration_seconds - known) <= LOSSY_EXTRA_SECONDS:
        return known
    return longest.duration_seconds


@dataclass(frozen=True, slots=True)
class Misstatement:
    """A length that a manifest gives, and what its audio turned out to be."""

    track_id: str
    row: int
    given_seconds: float
    measured_seconds: float

    @property
    def sentence(self) -> str:
        """Give both."""
        return f"{self.given_seconds:.1f} s given, {self.measured_seconds:.1f} s measured"


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that did not get further: a state, a code and a sentence."""

    token: str
    state: State
    code: Code
    sentence: str
    is_retryable: bool = False


@dataclass(frozen=True, slots=True)
class PartFile:
    """One Parquet file of a table, as it was when it was written."""

    key: str
    """Where it lies, relative to the dataset."""
    size_bytes: int
    sha256: str
    rows: int
