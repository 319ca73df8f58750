"""One unknown track: what is known about it, and the three ways to resolve it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from stemline.errors import StemlineError, UsageError
from stemline.known_tombstones import forgotten_error
from stemline.ledger import LEASE_SECONDS, Ledger
from stemline.records import Attempt, Code, Failure, Job, Phase, Recipe, State, Submission
from stemline.resolution.provider_lookup import ProviderLookup
from stemline.resolution.unknown_report import UnknownReport, carries_token
from stemline.run.existing_ledger import open_existing_ledger
from stemline.run.lease import holding_key
from stemline.settings import Settings
from stemline.storage import open_store

LENGTH_TOLERANCE_SECONDS = 1.0
"""How far a job's length may be from its track's, which manifests round to whole seconds."""
TOKEN = re.compile(r"sl[0-9a-f]{20}")
"""An attempt's token as it is found in a job's file name."""
ADOPTED = {
    Phase.QUEUED: "the next run waits for it and collects it",
    Phase.RUNNING: "the next run waits for it and collects it",
    Phase.DONE: "the next run collects it",
    Phase.FAILED: "the next run books that",
    Phase.EXPIRED: "the next run books that",
}
"""What becomes of an adopted job."""
SHOWN_TRACKS = 20
NO_CANDIDATE = "None: every job made in that time is another track's, or of another length."
NEXT_STEP = {
    State.PUBLISHED: "There is nothing to resolve: its stems are in the dataset.",
    **dict.fromkeys((State.FAILED, State.EXPIRED), "`stemline redrive CONFIG` tries it again."),
    State.QUARANTINED: "`stemline redrive CONFIG` collects it again; `--accept` publishes it as it is.",
}
"""What to do about a track that is not unknown, where `stemline run` is not it."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a track was resolved."""

    track_id: str
    token: str
    way: str
    """adopted | resubmitted | abandoned | accepted"""
    state: State
    job_id: str | None
    credits_reserved: int
    """What stays reserved for it."""
    sentence: str

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        return {
            "track_id": self.track_id,
            "token": self.token,
            "settled": self.way,
            "state": self.state,
            "job_id": self.job_id,
            "credits_reserved": self.credits_reserved,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class UnknownTrack:
    """A track whose paid request was never answered, in an open ledger."""

    settings: Settings
    ledger: Ledger
    attempt: Attempt

    def report(self) -> UnknownReport:
        """Give all that is known; the provider's list is asked once, and may fail without harm."""
        attempt = self.attempt
        made = self.ledger.attempts.of_track(attempt.provider, attempt.track.track_id)
        ours = {each.token for each in made if each.recipe == attempt.recipe}
        history = self.ledger.queries.history(attempt.track.track_id)
        known = UnknownReport(attempt, tuple(event for event in history if event["token"] in {None, *ours}))
        try:
            listed = self._lookup.candidates()
        except StemlineError as error:
            return replace(known, note=f"The provider could not be asked: {error}")
        if listed is None:
            return replace(known, note=f"{attempt.provider} has no list of jobs; its site may show them.")
        found = sorted(filter(self._may_be_its, listed), key=self._doubt)
        return replace(known, candidates=tuple(found), note="" if found else NO_CANDIDATE)

    def adopt(self, job_id: str) -> Resolution:
        """Take a job of the provider's for this track's: the next run collects it.

        Raises UsageError, and changes nothing, for a job that does not exist, belongs to another track or is of
        another length.
        """
        with self._holding() as renew:
            job = self._lookup.read_job(job_id)
            self._require_its_own(job)
            renew()
            self.ledger.attempts.record_submission(
                self.attempt.token, Submission(job.job_id, duration_seconds=job.duration_seconds)
            )
        return self._resolution("adopted", f"Job {job_id} is {job.phase}: {ADOPTED[job.phase]}.", job_id)

    def resubmit(self) -> Resolution:
        """Free the credits and put the track back in the queue: it is paid twice if the first submit was accepted."""
        with self._holding():
            self.ledger.attempts.release(self.attempt.token, Code.OK, "Put back in the queue by hand.")
        return self._resolution("resubmitted", "The next run submits it again.")

    def abandon(self) -> Resolution:
        """Give the track up: failed, its credits reserved as disputed until a balance shows what they came to."""
        sentence = "Given up by hand: whether it was charged is not known."
        with self._holding():
            self.ledger.attempts.fail(
                Failure(self.attempt.token, State.FAILED, Code.SUBMIT_UNANSWERED, sentence)
            )
        return self._resolution("abandoned", sentence)

    @property
    def _lookup(self) -> ProviderLookup:
        return ProviderLookup(self.settings, self.attempt, self.ledger.attempts.key_of(self.attempt.token))

    @contextmanager
    def _holding(self) -> Iterator[Callable[[], object]]:
        """Hold the attempt's API key, so that no run works with it; give what makes sure that it is still held."""
        key_id = self.ledger.attempts.key_of(self.attempt.token)
        if key_id is None:
            yield lambda: None
            return
        with holding_key(self.ledger, key_id) as fence:
            # A run may have resolved it since it was read.
            _require_unknown(
                self.ledger, self.attempt.provider, self.attempt.recipe, self.attempt.track.track_id
            )
            yield lambda: self.ledger.leases.renew(key_id, fence, LEASE_SECONDS)

    def _may_be_its(self, job: Job) -> bool:
        return self._owner(job) is None and self._is_as_long(job)

    def _doubt(self, job: Job) -> tuple[bool, float]:
        """Give how unlikely a job is to be this attempt's, for sorting: by its token, then by when it was made."""
        sent_at, made_at = self.attempt.sent_at, job.created_at
        apart = abs((made_at - sent_at).total_seconds()) if sent_at and made_at else math.inf
        return not carries_token(job, self.attempt.token), apart

    def _owner(self, job: Job) -> str | None:
        """Give what a job belongs to, if that is not this attempt."""
        owner = self.ledger.attempts.find_by_job(self.attempt.provider, job.job_id)
        if owner is not None:
            return f"track {owner.track.track_id}"
        tokens = {*TOKEN.findall(job.file_name or "")} - {self.attempt.token}
        return f"attempt {tokens.pop()}" if tokens else None

    def _is_as_long(self, job: Job) -> bool:
        mine, its = self.attempt.track.duration_seconds, job.duration_seconds
        return mine is None or its is None or abs(mine - its) <= LENGTH_TOLERANCE_SECONDS

    def _require_its_own(self, job: Job) -> None:
        track = self.attempt.track
        if (owner := self._owner(job)) is not None:
            raise UsageError(f"Job {job.job_id} belongs to {owner}, not to {track.track_id}.")
        if not self._is_as_long(job):
            raise UsageError(
                f"Job {job.job_id} is of {job.duration_seconds:.1f} s of audio, and {track.track_id} is "
                f"{track.duration_seconds:.1f} s long: it is not this track's."
            )

    def _resolution(self, way: str, sentence: str, job_id: str | None = None) -> Resolution:
        attempt, ledger = self.attempt, self.ledger
        track_id = attempt.track.track_id
        state = ledger.tracks.states(attempt.provider, attempt.recipe, [track_id])[track_id]
        reserved = 0 if state is State.PLANNED else attempt.credits_reserved
        return Resolution(track_id, attempt.token, way, state, job_id, reserved, sentence)


@contextmanager
def open_unknown_track(settings: Settings, track_id: str) -> Iterator[UnknownTrack]:
    """Open the ledger at a track of the configuration's recipe and provider that is unknown.

    Raises UsageError for one that is not, naming its state, and for one that the ledger does not know.
    """
    kind, recipe = settings.provider.kind, settings.recipe.as_recipe()
    with open_existing_ledger(settings) as ledger:
        if track_id not in ledger.tracks.states(kind, recipe, [track_id]):
            raise no_track(ledger, settings, track_id)
        _require_unknown(ledger, kind, recipe, track_id)
        attempts = [each for each in ledger.attempts.of_track(kind, track_id) if each.recipe == recipe]
        yield UnknownTrack(settings, ledger, attempts[-1])


def _require_unknown(ledger: Ledger, kind: str, recipe: Recipe, track_id: str) -> None:
    state = ledger.tracks.states(kind, recipe, [track_id])[track_id]
    if state is not State.UNKNOWN:
        fix = NEXT_STEP.get(state, "`stemline run` goes on with it.")
        raise UsageError(f"Track {track_id} is {state}, not unknown.", fix=fix)


def no_track(ledger: Ledger, settings: Settings, track_id: str) -> UsageError:
    """Give the error for a track that the ledger does not know, or must not know any more."""
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    if (forgotten := forgotten_error(ledger, store, track_id)) is not None:
        return forgotten
    kind, recipe = settings.provider.kind, settings.recipe.as_recipe()
    unknown = [each.track.track_id for each in ledger.recovery.unknown(kind) if each.recipe == recipe]
    shown = ", ".join(unknown[:SHOWN_TRACKS])
    return UsageError(
        f"The ledger knows no track {track_id} of recipe {recipe.name} with {kind}.",
        fix=f"Unknown are: {shown}."
        if unknown
        else "Give a track_id as the tables and the report have it. No track of theirs is unknown.",
    )
