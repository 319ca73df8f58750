"""StemSplit API v1: requests built, answers deciphered. Follows the vendor's reference page.

The attempt's token travels in `fileName`, the only value of ours that create, list, detail and webhook all return.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from datetime import datetime
from itertools import count
from typing import Any

from stemline.errors import LinkExpired, ProviderDown, StemlineError, TrackRefused
from stemline.protocol import (
    HttpAnswer,
    HttpRequest,
    OtherAttempts,
    Steps,
    WebhookDelivery,
    WebhookRegistration,
)
from stemline.providers.stemsplit import video, webhook
from stemline.providers.stemsplit.answer import parse, read_job, read_submission
from stemline.providers.stemsplit.job_identity import (
    CLOCK_SKEW,
    Listed,
    Weigh,
    file_name,
    is_older,
    is_web,
    match_job,
    weigh_job,
)
from stemline.providers.stemsplit.refusal import classify
from stemline.reading import instant, part, whole
from stemline.records import Attempt, Code, Event, Job, Submission
from stemline.settings import ProviderFacts

PAGE = 100
"""The most jobs one list page holds."""

REPEATED_PAGES = 3
"""After so many pages without a new job the list has nothing more to show."""

PAGES_FOR_A_PERSON = 10
"""The most pages that are read to show somebody what an unanswered submit may have made."""

_OUTPUT_TYPES = {
    "vocals": "VOCALS",
    "instrumental": "INSTRUMENTAL",
    "both": "BOTH",
    "four": "FOUR_STEMS",
    "six": "SIX_STEMS",
}


def build(facts: ProviderFacts) -> StemSplit:
    """Give the provider."""
    return StemSplit(facts)


_Read = Callable[[dict[str, Any]], Job]
_AUDIO: tuple[str, _Read, Weigh] = ("/jobs", read_job, weigh_job)
_VIDEO: tuple[str, _Read, Weigh] = ("/youtube-jobs", video.read_video_job, video.weigh_video)
"""Where each kind of job is listed, and what understands it."""


class StemSplit:
    """The StemSplit dialect."""

    can_list = True

    def __init__(self, facts: ProviderFacts) -> None:
        """Remember the vendor's facts."""
        self.facts = facts

    def submit(self, attempt: Attempt, _hook_url: str | None = None) -> Steps[Submission]:
        """Hand a web track over by URL, upload any other, and create the job."""
        digest = None
        location = attempt.track.location
        if video.is_video(location):
            return video.read_video_submission(parse((yield video.build_video_submit(attempt))))
        if is_web(location):
            source = {"sourceUrl": location}
        else:
            upload_key, digest = yield from self._upload(attempt)
            source = {"uploadKey": upload_key}
        answer = yield HttpRequest(
            "POST",
            "/jobs",
            json={
                **source,
                "fileName": file_name(attempt),
                "outputType": _OUTPUT_TYPES[attempt.recipe.stems],
                "quality": attempt.recipe.quality.upper(),
                "outputFormat": attempt.recipe.format.upper(),
                "metadata": {"token": attempt.token},
            },
            is_paid=True,
        )
        return read_submission(parse(answer), digest)

    def sweep(
        self, job_ids: Collection[str], since: datetime, besides: Collection[str] = ()
    ) -> Steps[list[Job]]:
        """Page through the lists until every job was seen or the rest is older than all of them."""
        seen: dict[str, Job] = {}
        given = {*job_ids, *besides}
        for path, read, _ in (_AUDIO, _VIDEO):
            wanted = {
                job_id for job_id in job_ids if job_id.startswith(video.PREFIX) == (read is not read_job)
            }

            def is_enough(items: list[dict[str, Any]], read: _Read = read, wanted: set[str] = wanted) -> bool:
                jobs = {job.job_id: job for job in map(read, items)}
                seen.update({job_id: job for job_id, job in jobs.items() if job_id in given})
                return wanted <= seen.keys()

            if wanted:
                yield from _walk_list(path, is_enough, since)
        return list(seen.values())

    def find(self, attempt: Attempt, other_attempts: OtherAttempts) -> Steps[Job | None]:
        """Look for the job of an unanswered submit, back to when it was sent: by its token, else by what fits.

        Raises JobFailed when a job fits that may be another's as well.
        """
        path, read, weigh = _VIDEO if video.is_video(attempt.track.location) else _AUDIO
        listed: dict[str, Listed] = {}
        named: list[Job] = []

        def is_enough(items: list[dict[str, Any]]) -> bool:
            jobs = [(item, read(item)) for item in items]
            listed.update({job.job_id: (item, job) for item, job in jobs})
            named.extend(job for _, job in jobs if attempt.token in (job.file_name or ""))
            return bool(named)

        yield from _walk_list(path, is_enough, attempt.sent_at)
        return named[0] if named else match_job(attempt, listed.values(), weigh, other_attempts)

    def shows_older(self, attempt: Attempt, other_attempts: OtherAttempts) -> Steps[bool]:
        """Look through the list for a job that was certainly made before a submit: by the ledger, or by its time."""
        path, read, _ = _VIDEO if video.is_video(attempt.track.location) else _AUDIO
        found: list[Job] = []

        def is_enough(items: list[dict[str, Any]]) -> bool:
            found.extend(job for job in map(read, items) if is_older(attempt, job, other_attempts))
            return bool(found)

        yield from _walk_list(path, is_enough, None)
        return bool(found)

    def candidates(self, attempt: Attempt) -> Steps[list[Job]]:
        """Look through the list's first pages for whatever the submit may have made."""
        path, read, weigh = _VIDEO if video.is_video(attempt.track.location) else _AUDIO
        found: dict[str, Job] = {}
        pages = count(1)

        def is_enough(items: list[dict[str, Any]]) -> bool:
            for item in items:
                job = read(item)
                if attempt.token in (job.file_name or "") or weigh(attempt, (item, job)) is not None:
                    found[job.job_id] = job
            return next(pages) == PAGES_FOR_A_PERSON

        yield from _walk_list(path, is_enough, attempt.sent_at)
        return list(found.values())

    def read_job(self, job_id: str) -> Steps[Job]:
        """Read one job; each read mints fresh links."""
        if job_id.startswith(video.PREFIX):
            path = f"/youtube-jobs/{job_id.removeprefix(video.PREFIX)}"
            request = HttpRequest("GET", path, template="/youtube-jobs/{id}")
            return video.read_video_job(parse((yield request)))
        return read_job(parse((yield HttpRequest("GET", f"/jobs/{job_id}", template="/jobs/{id}"))))

    def read_balance(self) -> Steps[int]:
        """Read the balance in seconds, which are credits."""
        balance = whole(parse((yield HttpRequest("GET", "/balance"))).get("balanceSeconds"))
        if balance is None:
            raise ProviderDown("StemSplit answered GET /balance without a balanceSeconds.")
        return balance

    def read_event(self, delivery: WebhookDelivery, secret: str) -> Event | None:
        """Give what a webhook's delivery says; None when it is about no job."""
        return webhook.read_event(delivery, secret)

    def register_webhook(self, url: str, held: Collection[str]) -> Steps[WebhookRegistration | None]:
        """Have events sent to a URL: by the hook we hold the secret of, or by a new one."""
        return (yield from webhook.register_webhook(url, held))

    def unregister_webhook(self, url: str) -> Steps[list[str]]:
        """Have no more events sent to a URL."""
        return (yield from webhook.unregister_webhook(url))

    def classify(self, request: HttpRequest, answer: HttpAnswer) -> StemlineError | None:
        """Give what an answer stands for, None for success."""
        return classify(request, answer)

    def _upload(self, attempt: Attempt) -> Steps[tuple[str, str | None]]:
        """Transfer the file under a ticket, under a second one when the first has expired."""
        try:
            return (yield from self._upload_once(attempt))
        except LinkExpired:
            return (yield from self._upload_once(attempt))

    def _upload_once(self, attempt: Attempt) -> Steps[tuple[str, str | None]]:
        ticket = parse((yield HttpRequest("POST", "/upload", json={"filename": file_name(attempt)})))
        if not ticket.get("uploadUrl") or not ticket.get("uploadKey"):
            raise ProviderDown("StemSplit gave an upload ticket without uploadUrl or uploadKey.")
        most, size = whole(ticket.get("maxFileSizeBytes")), attempt.track.size_bytes
        if most is not None and size is not None and size > most:
            raise TrackRefused(
                f"The file has {size} bytes and StemSplit takes at most {most}.",
                code=Code.TOO_LARGE,
                fix="Give a compressed file, or a URL.",
            )
        # The ticket's content type is part of the signature: the storage refuses any other.
        headers = {"Content-Type": str(ticket.get("contentType") or "application/octet-stream")}
        answer = yield HttpRequest(
            "PUT", str(ticket["uploadUrl"]), headers=headers, body=attempt.track.location, is_transfer=True
        )
        return str(ticket["uploadKey"]), answer.sent_sha256


def _walk_list(
    path: str, is_enough: Callable[[list[dict[str, Any]]], bool], since: datetime | None
) -> Generator[HttpRequest, HttpAnswer, None]:
    """Show page after page of a job list to `is_enough`, until it is, or the list ends or gets older than `since`.

    Pages overlap by one job, so that a job that leaves the list meanwhile cannot pull another past us. The order is
    documented nowhere: age ends the walk only where a page is seen to run from new to old. A server that keeps
    giving the same jobs ends it, too.
    """
    offset, shown, repeats = 0, set[str](), 0
    while repeats < REPEATED_PAGES:
        page = parse((yield HttpRequest("GET", path, params={"limit": PAGE, "offset": offset})))
        listed = page.get("jobs")
        items = [item for item in listed if _has_id(item)] if isinstance(listed, list) else []
        if is_enough(items) or not items or not part(page, "pagination").get("hasMore"):
            return
        times = [time for item in items if (time := instant(item.get("createdAt")))]
        if since and times and times[0] > times[-1] and max(times) < since - CLOCK_SKEW:
            return
        repeats = repeats + 1 if shown.issuperset(str(item["id"]) for item in items) else 0
        shown.update(str(item["id"]) for item in items)
        offset += max(1, len(items) - 1)


def _has_id(item: object) -> bool:
    return isinstance(item, dict) and bool(item.get("id"))
