"""The layout that source-separation trainers take: a folder a song with a wav a stem and `mixture.wav`, and lists.

One layout serves four types of training data of Music-Source-Separation-Training (docs/dataset_types.md there): 1, 4
and 6 read `<split>/<song>/<stem>.wav`, 6 and validation `mixture.wav` besides, 3 reads `<split>.csv`.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from stemline.dataset.paths import name_digest, path_safe
from stemline.export.lossless import wav_file
from stemline.export.song import Song

MIXTURE = "mixture"
SAMPLE_RATE = 44100
"""Hz: trainers look at no file's rate, and their ready configurations have this one."""
_LONGEST_ID = 40
_LONGEST_TITLE = 80
_KEPT = " -_."


def song_folder(track: Mapping[str, Any]) -> str:
    """Give a folder's name for a row of the tracks table: `Artist - Title - id`, which no other track gets.

    It has letters of ASCII, digits, spaces and `-_.=`: nothing that a shell, a glob or another file system minds.
    """
    track_id = path_safe(track["track_id"])
    if len(track_id) > _LONGEST_ID:
        track_id = f"{track_id[:20]}=-{name_digest(track['track_id'])[:16]}"
    words = [_plain(track.get(column) or "") for column in ("artist", "title")]
    return " - ".join([*(word for word in words if word), track_id])


def song_files(song: Song, sample_rate: int) -> dict[str, bytes]:
    """Give the files of a song's folder by name."""
    sounds = {**song.stems, MIXTURE: song.mixture}
    return {f"{name}.wav": wav_file(samples, sample_rate) for name, samples in sounds.items()}


def stem_list(rows: Iterable[tuple[str, str]]) -> bytes:
    """Give the list of a split, from pairs of a stem and its path relative to the export's folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("instrum", "path"))
    writer.writerows(rows)
    return text.getvalue().encode()


def _plain(text: str) -> str:
    """Give words as a folder's name may have them; accents and what is no letter of ASCII go."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    kept = "".join(letter if letter.isalnum() or letter in _KEPT else " " for letter in bare)
    return " ".join(kept.split())[:_LONGEST_TITLE].strip(" .-")
