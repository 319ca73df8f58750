"""Which of the jobs a list shows an unanswered submit has made. What cannot be told is never guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from stemline.errors import JobFailed
from stemline.providers.stemsplit.name import is_name_of
from stemline.records import Attempt, Code, Job
from stemline.wire import Others

CLOCK_SKEW = timedelta(minutes=5)
"""How far the vendor's clock may be from ours."""
SUBMIT_TIME = timedelta(hours=1)
"""How long after it was first sent a submit may make its job: one that the vendor holds off is sent again."""
ROUNDING_SECONDS = 1.0
NAMED = 5
"""How many jobs a sentence names."""

Listed: TypeAlias = tuple[Mapping[str, Any], Job]
"""A job as the list shows it, and what was read of that."""
Weigh: TypeAlias = Callable[[Attempt, Listed], bool | None]
"""Tells whether anything says that a job is of an attempt; None when something says that it is not."""


def the_one(attempt: Attempt, listed: Iterable[Listed], weigh: Weigh, others: Others) -> Job | None:
    """Give the job an attempt has made; None when no job can be it.

    Raises JobFailed when there may be one, and nothing tells it from another's.
    """
    weighed = [(weigh(attempt, each), each) for each in listed]
    found = [each for weight, each in weighed if weight is not None and not others.have(each[1].job_id)]
    if not found:
        return None
    telling = [each for each in found if weigh(attempt, each)]
    if len(telling) == 1 and not any(weigh(other, telling[0]) for other in others.unanswered()):
        return telling[0][1]
    names = ", ".join(job.job_id for _, job in found[:NAMED])
    them = "it" if len(found) == 1 else "one of them"
    raise JobFailed(
        f"StemSplit lists {names}, and nothing tells whether this submit made {them}.",
        code=Code.SUBMIT_UNANSWERED,
        fix="`stemline resolve` shows what they are, and settles it.",
    )


def weigh_job(attempt: Attempt, listed: Listed) -> bool | None:
    """Weigh a job whose token was lost: by when it was made, its name and its length."""
    _, job = listed
    is_called, is_long = is_name_of(attempt, job.file_name), _is_length_of(attempt, job)
    if not is_in_time(attempt, job) or is_called is False or (is_long is False and not is_called):
        return None
    # The right name at another length is a doubt, no proof: a manifest's lengths are not always measured.
    return is_long is not False and bool(is_called or is_long)


def is_in_time(attempt: Attempt, job: Job) -> bool:
    """Tell whether a job was made when an attempt's submit was under way, as far as that is known."""
    if attempt.sent_at is None or job.created_at is None:
        return True
    return -CLOCK_SKEW <= job.created_at - attempt.sent_at <= SUBMIT_TIME + CLOCK_SKEW


def _is_length_of(attempt: Attempt, job: Job) -> bool | None:
    if attempt.track.duration_seconds is None or job.duration_seconds is None:
        return None
    return abs(job.duration_seconds - attempt.track.duration_seconds) <= ROUNDING_SECONDS
