"""The videos of YouTube jobs, without YouTube: a file says which audio stands for which video.

dQw4w9WgXcQ:
  audio: songs/never.wav          # beside this file, or absolute
  title: Never Gonna Give You Up
  channel: Rick Astley            # optional, as is thumbnail
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import yaml

from stemline.errors import UsageError

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_HOSTS = {"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com", "www.youtube-nocookie.com"}


@dataclass(frozen=True, slots=True)
class YouTubeVideo:
    """The audio of one video, and what is shown of it."""

    id: str
    audio: Path
    title: str
    channel: str
    thumbnail: str


@dataclass(frozen=True, slots=True)
class VideoCatalogue:
    """The videos that a file names, each with its audio."""

    videos: Mapping[str, YouTubeVideo]

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Read a YAML or JSON file; none gives no videos.

        Raises:
            UsageError: the file, or an entry of it, cannot be used.
        """
        if path is None:
            return cls({})
        try:
            tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(
                f"{path} cannot be read: {error}.", fix="Write `VIDEO_ID: {audio: …}`."
            ) from error
        if not isinstance(tree, dict):
            raise UsageError(f"{path} names no videos.", fix="Write `VIDEO_ID: {audio: FILE, title: …}`.")
        return cls({str(key): _read_video(path, str(key), entry) for key, entry in tree.items()})

    def find(self, video_id: str) -> YouTubeVideo | None:
        """Give a video; None when the file does not name it."""
        return self.videos.get(video_id)


def _read_video(path: Path, video_id: str, entry: object) -> YouTubeVideo:
    if not isinstance(entry, dict) or not isinstance(entry.get("audio"), str) or not _ID.fullmatch(video_id):
        raise UsageError(
            f"{path} does not say which audio stands for {video_id}.", fix="Write `VIDEO_ID: {audio: FILE}`."
        )
    audio = path.parent / entry["audio"]
    return YouTubeVideo(
        id=video_id,
        audio=audio,
        title=str(entry.get("title", audio.stem)),
        channel=str(entry.get("channel", "unknown")),
        thumbnail=str(entry.get("thumbnail", f"https://i.ytimg.com/vi/{video_id}/hqdefault.jpg")),
    )


def video_id_of(text: str) -> str | None:
    """Give the video a text names: a watch, youtu.be, embed, shorts or live address, or its bare id."""
    if _ID.fullmatch(text):
        return text
    try:
        url = urlsplit(text if "//" in text else f"https://{text}")
        host = url.hostname or ""
    except ValueError:
        return None
    found = ""
    if url.scheme in ("http", "https") and host in ("youtu.be", "www.youtu.be"):
        found = url.path.removeprefix("/").split("/")[0]
    elif url.scheme in ("http", "https") and host in _HOSTS:
        if url.path in ("/watch", "/watch/"):
            found = parse_qs(url.query).get("v", [""])[0]
        elif match := re.match(r"/(?:embed|shorts|live|v)/([^/]+)", url.path):
            found = match[1]
    return found if _ID.fullmatch(found) else None
