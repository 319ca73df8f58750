"""Every error stemline raises, in one tree.

StemlineError
├── UsageError            the person's input is wrong; exit 2
│   ├── ConfigError       a key, value or environment variable of the configuration
│   ├── ManifestError     the manifest as a whole (a bad row is a reject, never an error)
│   ├── PlanOutdated      a saved plan that no longer fits the catalogue or the configuration
│   ├── LedgerOutdated    the dataset holds published tracks that the ledger does not know
│   └── DatasetReplaced   what the ledger counts as published lies in another dataset, or is gone
├── RetryableError        the same thing may work later
│   ├── Throttled         the provider asked us to wait
│   ├── ProviderDown      5xx, connection refused, HTML from a proxy
│   ├── NoAnswer          the request may or may not have been carried out
│   ├── LinkExpired       a presigned link no longer works; a fresh one will
│   └── TransferFailed    an upload or a download broke off
├── TerminalError         this track will not work by trying again
│   ├── TrackRefused      the provider (or our own check) will not take this track
│   ├── JobFailed         the provider took the track and could not separate it
│   └── AudioRejected     the audio does not decode or does not verify
│       └── SourceAway    its host is busy or away: a later run asks again
├── DeliveryRefused       something was posted to the webhook receiver that is not the provider's word
│   ├── SignatureRefused  no signature, a wrong one, or one that is too old
│   └── EventRefused      it is signed, and says nothing usable
├── SubmitWithdrawn       the run submits nothing more, and this request has not left
├── LedgerConflict        a step the ledger's rules forbid: a second live attempt, a second charge, a wrong state
│   └── TombstonesAdded   tracks were forgotten since the rows that are planned were held against it
└── StopRun               nothing further can work; what is done is kept
    ├── KeyRefused        wrong, expired or revoked API key; exit 5
    ├── ProviderGone      the provider cannot be reached at all; exit 5
    │   └── SubmitsRefused    it answers, and takes no submit; exit 5
    ├── OutOfCredits      the provider's balance is empty; exit 5
    ├── BudgetReached     a limit of ours holds tracks back; exit 4
    ├── TooManyFailures   past `failures.tolerate`; exit 3
    ├── AllLeftOut        every row that a backfill was to be about is left out; exit 3
    ├── PilotFailed       the first tracks of a provider and recipe did not come back verified; exit 3
    ├── LeaseHeld         another run works with this API key; exit 2
    ├── KeyWanted         a run that goes first wants the API key of a backfill, which goes on after it
    ├── OrderChanged      a person has changed the order of a backfill, which goes on in it
    ├── BackfillStopped   a person has paused or cancelled the backfill; exit 130
    ├── ClusterAway       the cluster that collects does not answer; exit 2
    └── StorageError      the dataset or a local disk cannot be written; exit 2
        └── LedgerAway    the ledger's database is locked or did not answer, for longer than is waited for

A message is one sentence that names the thing and what went wrong; `fix` is the next step.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from stemline.records import Code


class StemlineError(Exception):
    """The base of every error stemline raises on purpose."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        """Give the sentence and, behind it, the fix; a vendor's own words may lack the full stop between the two."""
        is_ended = not self.fix or self.message.endswith((".", "!", "?", "…", ":", ")", '"'))
        return f"{self.message}{'' if is_ended else '.'} {self.fix}".strip()


class UsageError(StemlineError):
    """The person's input is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A key, value or environment variable of the configuration is wrong."""


class ManifestError(UsageError):
    """The manifest as a whole cannot be used."""


class PlanOutdated(UsageError):
    """A saved plan no longer fits the catalogue or the configuration."""


class LedgerOutdated(UsageError):
    """The dataset holds published tracks that the ledger does not know: they would be paid for again."""


class DatasetReplaced(UsageError):
    """What the ledger counts as published lies in another dataset, or is gone."""


class RetryableError(StemlineError):
    """The same thing may work later."""


class Throttled(RetryableError):
    """The provider asked us to wait `retry_after_seconds` (None: it did not say)."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ProviderDown(RetryableError):
    """The provider answers with 5xx, or something before it does, or nobody does."""


class NoAnswer(RetryableError):
    """A request was sent and no answer came: it may or may not have been carried out."""


class LinkExpired(RetryableError):
    """A presigned link no longer works; asking again mints a fresh one.

    With `is_gone` it was right, and nothing is there any more.
    """

    def __init__(self, message: str, *, is_gone: bool = False) -> None:
        super().__init__(message)
        self.is_gone = is_gone


class TransferFailed(RetryableError):
    """An upload or a download broke off."""


class TerminalError(StemlineError):
    """This track will not work by trying again; `code` says why."""

    def __init__(self, message: str, *, code: Code, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code


class TrackRefused(TerminalError):
    """The provider, or our own check before it, will not take this track."""


class JobFailed(TerminalError):
    """The provider took the track and could not separate it."""


class AudioRejected(TerminalError):
    """Audio that does not decode, or does not verify; `stems` are those at fault, none where that is not known."""

    def __init__(self, message: str, *, code: Code, fix: str = "", stems: Collection[str] = ()) -> None:
        super().__init__(message, code=code, fix=fix)
        self.stems = frozenset(stems)


class SourceAway(AudioRejected):
    """Audio whose host is busy or cannot be reached now: nothing is known against it, and a later run asks again."""


class DeliveryRefused(StemlineError):
    """Something was posted to the webhook receiver that is not taken as the provider's word."""


class SignatureRefused(DeliveryRefused):
    """A delivery without a signature, with a wrong one, or with one that is too old."""


class EventRefused(DeliveryRefused):
    """A delivery that is rightly signed and says nothing usable."""


class SubmitWithdrawn(StemlineError):
    """The run submits nothing more, and this request has not left: its credits are free again."""


class LedgerConflict(StemlineError):
    """A step the ledger's rules forbid: a second live attempt or charge, or a state it cannot follow."""


class TombstonesAdded(LedgerConflict):
    """Tracks were forgotten since the rows that are planned were held against what is."""


class StopRun(StemlineError):
    """Nothing further can work; everything done so far is kept."""

    exit_code = 3


class KeyRefused(StopRun):
    """The provider refused the API key."""

    exit_code = 5


class ProviderGone(StopRun):
    """The provider cannot be reached at all."""

    exit_code = 5


class SubmitsRefused(ProviderGone):
    """The provider answers, and takes no submit: what it has taken before is still collected."""


class OutOfCredits(StopRun):
    """The provider's balance does not cover the next track."""

    exit_code = 5


class BudgetReached(StopRun):
    """A limit of the `budget` section holds tracks back."""

    exit_code = 4


class TooManyFailures(StopRun):
    """More tracks failed than `failures.tolerate` allows."""


class AllLeftOut(StopRun):
    """Every row that a backfill was to be about is left out: there is nothing to freeze."""


class PilotFailed(StopRun):
    """The first tracks of a provider and recipe have not come back verified."""


class KeyWanted(StopRun):
    """A run that goes first wants the API key of a backfill, which goes on after it."""

    exit_code = 130


class OrderChanged(StopRun):
    """A person has changed the order of a backfill: it goes on in the new one, in another run."""

    exit_code = 130


class BackfillStopped(StopRun):
    """A person has paused or cancelled the backfill: nothing more of it is sent, what was sent is collected."""

    exit_code = 130

    def __init__(self, message: str, *, fix: str = "", is_paused: bool = False) -> None:
        super().__init__(message, fix=fix)
        self.is_paused = is_paused


class LeaseHeld(StopRun):
    """Another run works with this API key."""

    exit_code = 2


class StorageError(StopRun):
    """The dataset, the ledger or a local disk cannot be written."""

    exit_code = 2


class ClusterAway(StopRun):
    """Nobody is there who collects: the cluster that the configuration names does not answer, or has ended."""

    exit_code = 2


class LedgerAway(StorageError):
    """The ledger's database is locked, restarts, or dropped the connection: the same may work in a moment.

    With `is_in_doubt` a commit was on its way, and it is not known whether it was carried out. With `is_locked` the
    database answers, and somebody else is at it.
    """

    def __init__(self, message: str, *, fix: str, is_in_doubt: bool, is_locked: bool) -> None:
        super().__init__(message, fix=fix)
        self.is_in_doubt = is_in_doubt
        self.is_locked = is_locked
