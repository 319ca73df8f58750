"""Which job an attempt has made: by the token in its name, else by its name, length and time. Never a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from stemline.errors import JobFailed
from stemline.protocol import OtherAttempts
from stemline.records import Attempt, Code, Job

CLOCK_SKEW = timedelta(minutes=5)
"""How far the vendor's clock may be from ours."""
SUBMIT_TIME = timedelta(hours=1)
"""How long after it was first sent a submit may make its job: one that the vendor holds off is sent again."""
ROUNDING_SECONDS = 1.0
NAMED_JOBS = 5
"""How many jobs a sentence names."""

Listed: TypeAlias = tuple[Mapping[str, Any], Job]
"""A job as the list shows it, and what was read of that."""
Weigh: TypeAlias = Callable[[Attempt, Listed], bool | None]
"""Tells whether anything says that a job is of an attempt; None when something says that it is not."""


def is_web(location: str) -> bool:
    """Tell whether a location is a web address."""
    return location.lower().startswith(("http://", "https://"))


def file_name(attempt: Attempt) -> str:
    """Give the name a job is stored under: ASCII, at most 100 characters, the token before the extension."""
    stem, suffix = _slug(_path_of(attempt.track.location))
    return f"{stem}.{attempt.token}{suffix}"


def is_name_of(attempt: Attempt, name: str | None) -> bool | None:
    """Tell whether a job is called as an attempt's source is, which one with a token is not; None: it tells nothing."""
    upload = PurePosixPath(str((attempt.request or {}).get("uploadKey", ""))).name
    if name is None or name == upload:
        return None  # the vendor's own name for whatever was uploaded
    path = _path_of(attempt.track.location)
    stem, suffix = _slug(path)
    known = {_plain(each) for each in (stem, stem + suffix, path.stem, path.name)}
    return not known.isdisjoint({_plain(name), _plain(unquote(name))})


def match_job(
    attempt: Attempt, listed: Iterable[Listed], weigh: Weigh, other_attempts: OtherAttempts
) -> Job | None:
    """Give the job an attempt has made; None when no job can be it.

    Raises JobFailed when there may be one, and nothing tells it from another's.
    """
    weighed = [(weigh(attempt, each), each) for each in listed]
    found = [
        each for weight, each in weighed if weight is not None and not other_attempts.have_job(each[1].job_id)
    ]
    if not found:
        return None
    telling = [each for each in found if weigh(attempt, each)]
    if len(telling) == 1 and not any(weigh(other, telling[0]) for other in other_attempts.unanswered()):
        return telling[0][1]
    names = ", ".join(job.job_id for _, job in found[:NAMED_JOBS])
    them = "it" if len(found) == 1 else "one of them"
    raise JobFailed(
        f"StemSplit lists {names}, and nothing tells whether this submit made {them}.",
        code=Code.SUBMIT_UNANSWERED,
        fix="`stemline resolve` shows what they are, and resolves it.",
    )


def weigh_job(attempt: Attempt, listed: Listed) -> bool | None:
    """Weigh a job whose token was lost: by when it was made, its name and its length."""
    _, job = listed
    has_name, has_length = is_name_of(attempt, job.file_name), _has_length_of(attempt, job)
    if not is_in_time(attempt, job) or has_name is False or (has_length is False and not has_name):
        return None
    # The right name at another length is a doubt, no proof: a manifest's lengths are not always measured.
    return has_length is not False and bool(has_name or has_length)


def is_in_time(attempt: Attempt, job: Job) -> bool:
    """Tell whether a job was made when an attempt's submit was under way, as far as that is known."""
    if attempt.sent_at is None or job.created_at is None:
        return True
    return -CLOCK_SKEW <= job.created_at - attempt.sent_at <= SUBMIT_TIME + CLOCK_SKEW


def is_older(attempt: Attempt, job: Job, other_attempts: OtherAttempts) -> bool:
    """Tell whether a job was certainly made before an attempt's submit: clocks differ, the ledger's order does not."""
    if attempt.sent_at is None or (job.created_at and job.created_at > attempt.sent_at + CLOCK_SKEW):
        return False
    is_made_before = job.created_at is not None and job.created_at < attempt.sent_at - CLOCK_SKEW
    return is_made_before or other_attempts.answered_before(job.job_id, attempt.token)


def _has_length_of(attempt: Attempt, job: Job) -> bool | None:
    if attempt.track.duration_seconds is None or job.duration_seconds is None:
        return None
    return abs(job.duration_seconds - attempt.track.duration_seconds) <= ROUNDING_SECONDS


def _path_of(location: str) -> PurePosixPath:
    # A `?` or a `#` means something in a web address only; elsewhere it is part of a name.
    return PurePosixPath(unquote(urlsplit(location).path) if is_web(location) else location)


def _slug(path: PurePosixPath) -> tuple[str, str]:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.")[:48]
    return stem or "track", path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,5}", path.suffix) else ""


def _plain(name: str) -> str:
    """Give what is left of a name however its signs were replaced."""
    return re.sub(r"[\W_]+", "", name.casefold())
