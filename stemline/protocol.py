"""What travels between a provider's code and the client: requests, answers and the steps that alternate them.

A provider does no I/O. It yields a request, is given the answer (or the error the client made of it), and in the
end returns what it read: the same idea as an httpx auth flow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from stemline.errors import StemlineError
from stemline.records import Attempt, Event, Job, Submission
from stemline.settings import ProviderFacts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request, not yet sent."""

    method: str
    url: str
    """Absolute, or a path below the provider's base URL."""
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str | None = None
    """The location of a file that is streamed as the body."""
    is_transfer: bool = False
    """Goes to storage: carries no key, and costs nothing of the quota."""
    is_paid: bool = False
    """Spends credits once it is accepted: never sent twice on our own account."""
    template: str | None = None
    """The path with what differs from job to job in braces; None: nothing does."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    sent_sha256: str | None = None
    """Digest of the streamed body, for a request that had one."""


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """What somebody posted to the webhook receiver, not yet believed."""

    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookRegistration:
    """A webhook that the provider knows us under."""

    hook_id: str
    secret: str | None = field(repr=False)
    """What it signs with, told once; None: the hook was there before."""


@dataclass(frozen=True, slots=True)
class OtherAttempts:
    """Our other attempts, as they stand when this is asked: while a list is read, more are sent and answered."""

    have_job: Callable[[str], bool]
    """Whether a job is known to be of one of them."""
    unanswered: Callable[[], Collection[Attempt]]
    """Those that were sent and have no job yet."""
    answered_before: Callable[[str, str], bool] = lambda *_: False
    """Whether a job is of one that was answered before the submit with a token left; sent before it is not enough,
    for two that are under way overtake each other."""


Steps: TypeAlias = Generator[HttpRequest, HttpAnswer, T]


class Provider(Protocol):
    """What the module or package of a vendor must offer."""

    facts: ProviderFacts
    can_list: bool
    """Whether one request shows many jobs."""

    def submit(self, attempt: Attempt, hook_url: str | None = None) -> Steps[Submission]:
        """Have a track processed; exactly one of its requests is paid.

        `hook_url` is for a provider that is told with each track where to call when it is done.
        """

    def sweep(
        self, job_ids: Collection[str], since: datetime, besides: Collection[str] = ()
    ) -> Steps[list[Job]]:
        """Give what a list shows of these jobs, all of them made after `since`.

        `besides` are jobs that are given as well where the same pages show them: no page is read for their sake.
        """

    def read_job(self, job_id: str) -> Steps[Job]:
        """Give everything about one job, fresh download links included."""

    def find(self, attempt: Attempt, other_attempts: OtherAttempts) -> Steps[Job | None]:
        """Give the job an unanswered submit has made, None when there is none so far.

        Raises TerminalError when there may be one that cannot be told from what other attempts have made.
        """

    def shows_older(self, attempt: Attempt, other_attempts: OtherAttempts) -> Steps[bool]:
        """Tell whether the list still shows something older than a submit: else a lack in it proves nothing."""

    def candidates(self, attempt: Attempt) -> Steps[list[Job]]:
        """Give the listed jobs that an unanswered submit may have made, for a person to judge; none without a list."""

    def read_balance(self) -> Steps[int]:
        """Give the credits left with the provider."""

    def read_event(self, delivery: WebhookDelivery, secret: str) -> Event | None:
        """Give what a webhook's delivery says; None when it is about no job.

        Raises SignatureRefused unless it is signed with the secret, EventRefused when it cannot be understood.
        """

    def register_webhook(self, url: str, held: Collection[str]) -> Steps[WebhookRegistration | None]:
        """Have events sent to a URL; None from a provider that is told the URL with every job instead.

        `held` are the ids of the hooks whose secret we have: such a one is used again.
        """

    def unregister_webhook(self, url: str) -> Steps[list[str]]:
        """Have no more events sent to a URL, and give the ids of the hooks that were removed."""

    def classify(self, request: HttpRequest, answer: HttpAnswer) -> StemlineError | None:
        """Give the error an answer stands for, None for success."""
