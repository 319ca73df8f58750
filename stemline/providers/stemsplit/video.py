"""YouTube tracks: endpoints of their own, fixed output, and no place for a token of ours.

A job of theirs is known to the ledger as `youtube:<id>`, since ids of the two kinds are looked up at two addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stemline.protocol import HttpRequest
from stemline.providers.stemsplit.answer import read_job, read_submission
from stemline.providers.stemsplit.job_identity import Listed, is_in_time
from stemline.reading import number, text
from stemline.records import Attempt, Job, Submission

PREFIX = "youtube:"
MIX = "mix"
"""What we call `fullAudio`."""

_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")
_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")


def is_video(location: str) -> bool:
    """Tell whether a location is a YouTube URL."""
    host = (urlsplit(location).hostname or "").lower()
    return any(host == known or host.endswith(f".{known}") for known in _HOSTS)


def video_id(location: str) -> str | None:
    """Give the id of a watch, short, embed or mobile URL's video."""
    parts = urlsplit(location)
    candidates = [*parse_qs(parts.query).get("v", []), parts.path.rstrip("/").rpartition("/")[2]]
    return next((found for found in candidates if _VIDEO_ID.fullmatch(found)), None)


def build_video_submit(attempt: Attempt) -> HttpRequest:
    """Build the paid request; the endpoint takes nothing but the URL."""
    return HttpRequest("POST", "/youtube-jobs", json={"youtubeUrl": attempt.track.location}, is_paid=True)


def read_video_submission(tree: Mapping[str, Any]) -> Submission:
    """Give what a created job says."""
    submission = read_submission(tree, None)
    return replace(
        submission, job_id=PREFIX + submission.job_id, duration_seconds=number(tree.get("videoDuration"))
    )


def read_video_job(tree: Mapping[str, Any]) -> Job:
    """Give a job, with its video's title and channel; the full audio is one of its stems, named `mix`."""
    job = read_job(tree)
    outputs = tuple(replace(each, stem=MIX) if each.stem == "fullAudio" else each for each in job.outputs)
    return replace(
        job,
        job_id=PREFIX + job.job_id,
        duration_seconds=number(tree.get("videoDuration")),
        outputs=outputs,
        title=text(tree.get("videoTitle")),
        artist=text(tree.get("channelName")),
    )


def weigh_video(attempt: Attempt, listed: Listed) -> bool | None:
    """Weigh a job by its video, which says enough, and by when it was made."""
    item, job = listed
    is_same = item.get("videoId") == video_id(attempt.track.location)
    return True if is_same and is_in_time(attempt, job) else None
